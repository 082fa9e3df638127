package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
	"ingle/profiles"
	"ingle/search"
	"ingle/store"
)

// types keeps the resource types of the server in step with the stored
// StructureDefinitions that add some to those of FHIR.
type types struct {
	defs      *fhir.Definitions // extensible
	registry  *search.Registry
	log       *slog.Logger
	db        *store.DB
	validator *profiles.Validator

	mu      sync.Mutex
	byID    map[string]*fhir.AddedType // by the logical id of the definition
	numbers map[string]int16           // of all types that there ever were
}

// start reads what numbers the database knows.
func (t *types) start(ctx context.Context, db *store.DB, validator *profiles.Validator) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	numbers, err := db.TypeNumbers(ctx)
	if err != nil {
		return err
	}
	t.db, t.validator, t.numbers = db, validator, numbers
	t.apply()
	return nil
}

// changed takes a stored StructureDefinition in, or away where doc is nil.
func (t *types) changed(id string, doc *fhir.Doc) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var now *fhir.AddedType
	if doc != nil {
		var err error
		if now, err = t.validator.ResourceType(doc.Root()); err != nil {
			t.log.Warn("a stored StructureDefinition adds no resource type", "id", id, "reason", err)
		}
	}
	if now == nil {
		if t.byID[id] == nil {
			return
		}
		delete(t.byID, id)
	} else {
		if err := t.number(now); err != nil {
			t.log.Error("a resource type has no number yet", "id", id, "error", err) // what follows this server's writes asks again
			return
		}
		t.byID[id] = now
	}
	t.apply()
}

// number gives a type its number in the database.
func (t *types) number(a *fhir.AddedType) (err error) {
	if t.numbers[a.Name] == 0 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if t.numbers[a.Name], err = t.db.NumberType(ctx, a.Name); err != nil {
			delete(t.numbers, a.Name)
		}
	}
	a.Number = t.numbers[a.Name]
	return err
}

// apply gives each type one definition, the same on every server: of several the
// newest version, and the least id where they are of one.
func (t *types) apply() {
	byName := map[string]fhir.AddedType{}
	for name, number := range t.numbers {
		byName[name] = fhir.AddedType{Name: name, Number: number}
	}
	for _, id := range slices.Sorted(maps.Keys(t.byID)) {
		a := t.byID[id]
		if have := byName[a.Name]; have.Definition == nil || profiles.CompareVersions(a.Version, have.Version) > 0 {
			byName[a.Name] = *a
		}
	}
	t.defs.SetAdded(slices.SortedFunc(maps.Values(byName), func(a, b fhir.AddedType) int { return cmp.Compare(a.Number, b.Number) }))
	t.registry.TypesChanged()
}

// addedBy returns the type that a stored definition adds and no other one.
func (t *types) addedBy(id string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.byID[id]
	if a == nil {
		return ""
	}
	for other, b := range t.byID {
		if other != id && a.Name == b.Name {
			return ""
		}
	}
	return a.Name
}

// keep refuses to take a definition away while there are resources of its type.
func (t *types) keep(ctx context.Context, id string) error {
	name := t.addedBy(id)
	if name == "" {
		return nil
	}
	used, err := t.db.As(authz.System("resource-types")).Any(ctx, name)
	if err != nil || !used {
		return err
	}
	return fhir.Errorf(409, fhir.CodeConflict, "StructureDefinition/%s defines the resource type %s, of which there are resources; delete these first", id, name)
}

// replaceable is interaction.Config.Replaceable.
func (t *types) replaceable(ctx context.Context, old *store.Resource, next fhir.Node) error {
	if old.Type != "StructureDefinition" {
		return nil
	}
	if next.Valid() {
		added, err := t.validator.ResourceType(next)
		if err != nil {
			return err
		}
		if added != nil && added.Name == t.addedBy(old.ID) {
			return nil
		}
	}
	return t.keep(ctx, old.ID)
}

// typeGate refuses to store a StructureDefinition that cannot add the resource
// type it defines. It looks at no resources: it is asked before it is known what the
// caller may do.
type typeGate struct {
	interaction.Validator
	types *types
}

// Validate implements interaction.Validator.
func (g typeGate) Validate(ctx context.Context, resource fhir.Node, around profiles.Around) ([]fhir.Issue, error) {
	issues, err := g.Validator.Validate(ctx, resource, around)
	if err != nil || resource.Get("resourceType").Text() != "StructureDefinition" {
		return issues, err
	}
	t := g.types
	added, err := t.validator.ResourceType(resource)
	if fe := fhir.AsError(err); fe != nil {
		return nil, fe.AtNode(resource)
	}
	if err != nil {
		return nil, err
	}
	if added == nil {
		return issues, nil
	}
	if other := t.defs.Added(added.Name); other != nil && other.URL != added.URL {
		return nil, fhir.Errorf(422, fhir.CodeDuplicate, "the resource type %s is defined by %s already", added.Name, other.URL).At("StructureDefinition.type")
	}
	return issues, nil
}
