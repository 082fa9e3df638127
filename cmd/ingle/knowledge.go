package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
	"ingle/internal/config"
	"ingle/profiles"
	"ingle/profiles/ncpi"
	"ingle/search"
	"ingle/store"
	"ingle/terminology"
)

// knowledge is what the server knows beyond FHIR itself: packages, and the
// conformance resources stored in the database.
type knowledge struct {
	packages    *profiles.Registry // terminology of packages alone: what every caller may use
	all         *profiles.Registry // and what is stored: what validation goes by
	validator   *profiles.Validator
	terminology *terminology.Service
	prepared    *terminology.Preparation // compiles what is stored before it is asked for
	parameters  *parameters              // search parameters that are stored
	types       *types                   // resource types that are stored
	stored      *store.Conformance       // what is stored, by canonical URL, as each caller may see it
	log         *slog.Logger
	labels      string              // system of the security labels
	loaded      []*profiles.Package // what is built in, and the packages of the configuration

	mu   sync.Mutex
	mark store.Mark             // of what was read
	read map[string]store.State // the same, by reference
}

func newKnowledge(c *config.Config, defs *fhir.Definitions, registry *search.Registry, log *slog.Logger) (*knowledge, error) {
	k := &knowledge{packages: profiles.NewRegistry(defs), all: profiles.NewRegistry(defs), log: log, labels: c.Auth.Labels.System, read: map[string]store.State{},
		parameters: &parameters{registry: registry, log: log, byID: map[string]*parameter{}, ready: map[string]bool{}, failed: map[string]bool{}},
		types:      &types{defs: defs, registry: registry, log: log, byID: map[string]*fhir.AddedType{}}}
	guide, err := ncpi.Package()
	if err != nil {
		return nil, err
	}
	configured, err := profiles.ReadPackages(c.Packages...)
	if err != nil {
		return nil, err
	}
	k.loaded = append(configured, guide)
	for _, p := range k.loaded {
		if err := k.all.Load(p); err != nil {
			return nil, err
		}
		if err := k.packages.Load(p.Only("CodeSystem", "ValueSet", "ConceptMap")); err != nil {
			return nil, err
		}
	}
	for _, p := range configured {
		if missing := p.Missing(k.all.Origins()); len(missing) > 0 {
			log.Warn("a package depends on others that are not there; what those define is not checked", "package", p.ID(), "missing", strings.Join(missing, ", "))
		}
	}
	return k, nil
}

// start makes the services that need the database.
func (k *knowledge) start(ctx context.Context, c *config.Config, db *store.DB, defs *fhir.Definitions) (err error) {
	if k.terminology, err = terminologyService(c, db); err != nil {
		return err
	}
	k.stored = store.NewConformance(db, followEvery)
	k.prepared = k.terminology.NewPreparation(k.stored, func() *store.Session { return db.As(authz.System("terminology")) }, k.source(defs))
	source := terminology.Sources{terminology.Definitions(defs), interaction.RegistrySource(k.all)}
	rules, err := validation(c)
	if err != nil {
		return err
	}
	if k.validator, err = profiles.New(k.all, rules, bindings{k.terminology, source}); err != nil {
		return err
	}
	return k.types.start(ctx, db, k.validator)
}

// source gives the terminology content that the caller of a session may use.
func (k *knowledge) source(defs *fhir.Definitions) interaction.TerminologySource {
	static := terminology.Sources{terminology.Definitions(defs), interaction.RegistrySource(k.packages)}
	return func(_ context.Context, session *store.Session) (terminology.Source, error) {
		return append(static[:len(static):len(static)], terminology.Stored(k.stored, session)), nil
	}
}

// committed keeps up with this server's own writes.
func (k *knowledge) committed(changes []store.Change) {
	for i := range changes {
		switch changes[i].Type {
		case "CodeSystem", "ValueSet", "ConceptMap":
			k.stored.Changed()
			k.prepared.Changed()
		}
		k.changed(changes[i].Type, changes[i].ID, changes[i].Body)
	}
}

// changed goes by a stored resource from now on, or no longer where body is
// nil or it belongs to a project.
func (k *knowledge) changed(resourceType, id string, body []byte) {
	var doc *fhir.Doc
	if body != nil && profiles.IsConformance(resourceType) {
		var err error
		if doc, err = fhir.Parse(body, fhir.Limits{}); err != nil || !authz.Steers(resourceType, authz.LabelPaths(doc, k.labels)) {
			body, doc = nil, nil
		}
	}
	if resourceType == "SearchParameter" {
		k.parameters.changed(id, body)
	}
	if err := k.all.Changed(resourceType, id, body); err != nil {
		k.log.Warn("a stored conformance resource cannot be used", "resource", resourceType+"/"+id, "error", err)
	}
	if resourceType == "StructureDefinition" {
		k.types.changed(id, doc)
	}
}

// followEvery is how late a server hears of conformance resources that another
// one stored.
const followEvery = 2 * time.Second

// follow keeps up with what other servers store, until ctx ends.
func (k *knowledge) follow(ctx context.Context, db *store.DB, defs *fhir.Definitions) {
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := k.catchUp(ctx, db, defs); err != nil && ctx.Err() == nil {
			k.log.Warn("the stored conformance resources cannot be read", "error", err)
		}
	}
}

// catchUp reads the conformance resources that changed since it last did, all of
// them at first.
func (k *knowledge) catchUp(ctx context.Context, db *store.DB, defs *fhir.Definitions) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	session := db.As(authz.System("conformance"))
	types := slices.DeleteFunc(slices.Clone(defs.ResourceTypes()), func(t string) bool { return !profiles.IsConformance(t) })
	mark, err := session.Mark(ctx, types)
	if err != nil {
		return err
	}
	if mark != k.mark {
		if err := k.readChanges(ctx, session, types); err != nil {
			return err
		}
		k.mark = mark
	}
	return k.parameters.catchUp(ctx, db)
}

// readChanges goes by what changed. What is changed again meanwhile is read again
// next time: its state is not the one remembered.
func (k *knowledge) readChanges(ctx context.Context, session *store.Session, types []string) error {
	now, err := session.States(ctx, types)
	if err != nil {
		return err
	}
	var changed []string
	for ref, state := range now {
		if k.read[ref] != state {
			changed = append(changed, ref)
		}
	}
	for ref := range k.read {
		if _, there := now[ref]; !there {
			changed = append(changed, ref)
		}
	}
	slices.SortFunc(changed, func(a, b string) int { // what adds types before what is about them
		const first = "StructureDefinition/"
		if x, y := strings.HasPrefix(a, first), strings.HasPrefix(b, first); x != y {
			if x {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	for refs := range slices.Chunk(changed, 100) {
		found, err := session.ReadAll(ctx, refs)
		if err != nil {
			return err
		}
		for _, ref := range refs {
			var body []byte
			if res := found[ref]; res != nil {
				body = res.Body
			}
			resourceType, id, _ := strings.Cut(ref, "/")
			k.changed(resourceType, id, body)
		}
	}
	k.read = now
	return nil
}

// bindings lets validation ask the terminology service.
type bindings struct {
	service *terminology.Service
	source  terminology.Source
}

// ValidateCode implements profiles.Terminology.
func (b bindings) ValidateCode(ctx context.Context, valueSet string, c profiles.Coding) (profiles.Verdict, string) {
	return verdict(b.service.Member(ctx, b.source, valueSet, terminology.Coding{System: c.System, Version: c.Version, Code: c.Code, Display: c.Display}))
}

// ValidateInSystem implements profiles.Terminology.
func (b bindings) ValidateInSystem(ctx context.Context, c profiles.Coding) (profiles.Verdict, string) {
	return verdict(b.service.Defined(ctx, b.source, terminology.Coding{System: c.System, Version: c.Version, Code: c.Code, Display: c.Display}))
}

func verdict(m terminology.Membership, why string, err error) (profiles.Verdict, string) {
	switch {
	case err != nil:
		return profiles.Unknown, err.Error()
	case m == terminology.Member:
		return profiles.In, ""
	case m == terminology.NotMember:
		return profiles.NotIn, why
	}
	return profiles.Unknown, why
}

// validation hands profiles its part of the configuration.
func validation(c *config.Config) (profiles.Config, error) {
	v := c.Validation
	out := profiles.Config{
		Mode: profiles.Mode(v.Mode), Resources: map[string]profiles.Rules{}, FailFast: v.FailFast, MaxIssues: v.MaxIssues,
		VitalSigns: v.VitalSigns, AustralianIdentifiers: v.Australian, Alone: !v.Resolve,
		Projects: v.Projects, LabelSystem: c.Auth.Labels.System,
		RejectMalformedCodes: v.Malformed == "refuse", RejectExamples: v.Examples == "refuse",
	}
	for name, t := range v.Types {
		out.Resources[name] = profiles.Rules{
			Mode: profiles.Mode(t.Mode), AtLeastOne: t.AtLeastOne, NotAllowed: t.NotAllowed,
			AllowUnknown: &t.AllowUnknown, DefaultVersions: t.DefaultVersions,
		}
	}
	if v.NCPI {
		byType, err := ncpi.Profiles()
		if err != nil {
			return out, err
		}
		for name, urls := range byType {
			rules, ok := out.Resources[name]
			if !ok {
				rules = out.Resources["Resource"]
			}
			if len(rules.AtLeastOne) == 0 {
				rules.AtLeastOne = urls
			}
			out.Resources[name] = rules
		}
	}
	return out, nil
}
