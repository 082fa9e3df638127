package terminology

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"ingle/fhir"
	"ingle/internal/cache"
	"ingle/store/concepts"

	"golang.org/x/sync/singleflight"
)

// Options of a Service. Zero fields mean their defaults.
type Options struct {
	// MaxExpansion is how many codes an expansion may hold when the client does
	// not ask for a page. Default 1000.
	MaxExpansion int
	// MaxPage is the largest page that count may ask for. Default 10,000.
	MaxPage int
	// MaxWork is how many concepts one operation may look at. Default 5,000,000.
	MaxWork int
	// CacheWeight bounds the compiled value sets and code systems kept in memory,
	// in concepts. Default 500,000. NoCache turns keeping off.
	CacheWeight int
	NoCache     bool

	// Concepts holds imported code systems and the tables of $closure; nil for none.
	Concepts *concepts.Store
	// Remote are other terminology servers, asked for the systems they are named for.
	Remote []*Remote

	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Service answers terminology operations. It is safe for concurrent use.
type Service struct {
	opt      Options
	cache    *cache.Cache[string, any]
	rows     *keptRows          // nil where nothing is kept
	flight   singleflight.Group // of compilations, by the key of their content
	computed map[string]System
	bindings sync.Map // canonical → *binding, static content only
}

// New makes a Service.
func New(opt Options) *Service {
	if opt.MaxExpansion == 0 {
		opt.MaxExpansion = 1000
	}
	if opt.MaxPage == 0 {
		opt.MaxPage = 10_000
	}
	if opt.MaxWork == 0 {
		opt.MaxWork = 5_000_000
	}
	if opt.CacheWeight == 0 {
		opt.CacheWeight = 500_000
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	s := &Service{opt: opt, computed: computedSystems()}
	if !opt.NoCache {
		s.cache = cache.New(cache.Options[string, any]{Max: opt.CacheWeight, Weigh: func(_ string, v any) uint32 { return weight(v) }})
		s.rows = newKeptRows()
	}
	return s
}

func (s *Service) newRun(ctx context.Context, src Source) *run {
	return &run{ctx: ctx, svc: s, src: src, static: true, budget: s.opt.MaxWork}
}

// valueSet finds and compiles a value set. A missing one is an
// *unknownValueSet.
func (s *Service) valueSet(ctx context.Context, src Source, url, version string) (*valueSet, error) {
	res, err := src.Canonical(ctx, "ValueSet", url, version)
	if err != nil {
		return nil, err
	}
	if res == nil {
		if v := s.implicit(ctx, src, url); v != nil {
			return v, nil
		}
		return nil, &unknownValueSet{canonical(url, version)}
	}
	return compiled(s, res, func(n fhir.Node) (*valueSet, error) {
		v, err := compileValueSet(n, 0)
		if err == nil {
			v.static = res.Static
		}
		return v, err
	})
}

// implicit makes the value sets that no resource defines: those of SNOMED CT
// (?fhir_vs…), of LOINC (http://loinc.org/vs…) and the one that a code system
// names as the set of all its codes.
func (s *Service) implicit(ctx context.Context, src Source, url string) *valueSet {
	one := func(in include) *valueSet {
		in.at = "ValueSet.compose.include[0]"
		return &valueSet{url: url, status: "active", include: []include{in}, hasCompose: true}
	}
	isa := func(op, code string) []Filter { return []Filter{{Property: "concept", Op: op, Value: code}} }
	if base, q, ok := strings.Cut(url, "?fhir_vs"); ok && strings.HasPrefix(base, snomed) {
		in := include{system: snomed}
		if strings.HasPrefix(base, snomed+"/") {
			in.version = base
		}
		switch {
		case q == "":
			return one(in)
		case strings.HasPrefix(q, "=isa/"):
			in.filters = isa("is-a", q[len("=isa/"):])
			return one(in)
		case strings.HasPrefix(q, "=refset/"):
			in.filters = []Filter{{Property: "memberOf", Op: "=", Value: q[len("=refset/"):]}}
			return one(in)
		}
		return nil
	}
	if rest, ok := strings.CutPrefix(url, loinc+"/vs"); ok {
		in := include{system: loinc}
		switch {
		case rest == "":
			return one(in)
		case strings.HasPrefix(rest, "/LL"):
			in.filters = []Filter{{Property: "answer-list", Op: "=", Value: rest[1:]}}
			return one(in)
		case strings.HasPrefix(rest, "/LP"), strings.HasPrefix(rest, "/"):
			in.filters = isa("is-a", rest[1:])
			return one(in)
		}
	}
	if base, ok := strings.CutSuffix(url, "/vs"); ok {
		if sys, _, err := s.system(ctx, src, base, ""); err == nil && sys.Info().ValueSet == url {
			return one(include{system: base})
		}
	}
	return nil
}

const (
	snomed = "http://snomed.info/sct"
	loinc  = "http://loinc.org"
)

// system finds a code system: by a resource that holds its concepts, in the
// database, by its grammar, at another server. static tells that the answer
// cannot change. A missing one is an *unknownSystem.
func (s *Service) system(ctx context.Context, src Source, url, version string) (sys System, static bool, err error) {
	res, err := src.Canonical(ctx, "CodeSystem", url, version)
	if err != nil {
		return nil, false, err
	}
	var stub *SystemInfo
	if res != nil {
		c, err := compiled(s, res, compileSystem)
		if err != nil {
			return nil, false, err
		}
		switch c.info.Content {
		case "not-present", "supplement":
			stub = &c.info
		default:
			if s.opt.Concepts == nil || version != "" && version == c.info.Version {
				return c, res.Static, nil
			}
			// a full import beats an example or fragment of it
			if c.info.Content == "complete" {
				return c, res.Static, nil
			}
			sys = c
		}
	}
	if c := s.computed[url]; c != nil && (version == "" || c.Info().Version == "" || matchVersion(version, c.Info().Version)) {
		return c, true, nil
	}
	var versions []string
	if s.opt.Concepts != nil {
		stored, have, err := s.storedSystem(ctx, url, version, stub)
		if err != nil {
			return nil, false, err
		}
		if stored != nil {
			return stored, false, nil
		}
		versions = have
	}
	for _, r := range s.opt.Remote {
		if far := r.system(url, version); far != nil {
			return far, false, nil
		}
	}
	if sys != nil {
		return sys, res.Static, nil
	}
	if version != "" {
		have, err := src.Versions(ctx, "CodeSystem", url)
		if err != nil {
			return nil, false, err
		}
		versions = append(versions, have...)
		slices.SortFunc(versions, compareVersions)
		versions = slices.Compact(versions)
	}
	return nil, false, &unknownSystem{url: url, version: version, versions: versions}
}

// asClientError turns the errors of missing content into answers.
func asClientError(err error) error {
	var s *unknownSystem
	var v *unknownValueSet
	switch {
	case errors.As(err, &s):
		return s.asError(404)
	case errors.As(err, &v):
		return v.asError()
	}
	return err
}
