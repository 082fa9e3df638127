package profiles

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// engine holds everything that is compiled from one state of a registry. A
// change of the registry makes a new engine; nothing in an engine is ever
// taken back.
type engine struct {
	reg   *Registry
	state *registryState
	terms Terminology

	*core
	tables     sync.Map // type name → *table, of types that are not of the official definitions
	added      sync.Map // *fhir.AddedType → *table
	structures sync.Map // canonical → *structureEntry
	profiles   sync.Map // canonical → *profileEntry
	valueSets  sync.Map // canonical → *valueSetEntry
	codes      sync.Map // system → *codeSystemEntry
	exts       sync.Map // url → *extensionEntry
	named      sync.Map // canonical#slice → []namedSlice
	schemas    sync.Map // canonical → *schemaEntry
	compiler   schemaCompiler
	absent     negative
}

// core is what is compiled from the official definitions alone. It outlives
// engines.
type core struct {
	coreTables sync.Map // type name → *table
	typeKeys   sync.Map // type name → map[string]bool
	invariants sync.Map // expression → *compiledExpr
}

// negative remembers what the registry does not have. Clients choose these
// names, so it is bounded: it forgets all when it is full.
type negative struct {
	names sync.Map
	count atomic.Int32
}

const maxNegative = 10_000

func (n *negative) has(kind, name string) bool {
	_, ok := n.names.Load([2]string{kind, name})
	return ok
}

func (n *negative) add(kind, name string) {
	if len(name) > 512 {
		return
	}
	if n.count.Add(1) > maxNegative {
		n.names.Clear()
		n.count.Store(1)
	}
	n.names.Store([2]string{kind, name}, true)
}

// lacks tells whether the registry does not have a resource.
func (e *engine) lacks(resourceType, canonical string) bool {
	if e.absent.has(resourceType, canonical) {
		return true
	}
	bare, _ := splitCanonical(canonical)
	if e.state.find(resourceType, canonical) != nil {
		return false
	}
	if _, ok := e.reg.defs.CanonicalOf(resourceType, bare); ok {
		return false
	}
	e.absent.add(resourceType, canonical)
	return true
}

type structureEntry struct {
	structure *structure
	err       error
}

type profileEntry struct {
	get func() (*profile, error)
}

func newEngine(reg *Registry, terms Terminology, c *core) *engine {
	return &engine{reg: reg, state: reg.state.Load(), terms: terms, core: c}
}

// structure returns a StructureDefinition by canonical URL, nil if it is not
// known. The snapshot of a profile that has none is generated.
func (e *engine) structure(canonical string) (*structure, error) {
	return e.structureIn(canonical, nil)
}

// structureIn is structure while snapshots are being generated: making is the
// definitions whose snapshots wait for this one. One that waits for itself is
// an error. (No lock is held meanwhile: two callers may do the same work.)
func (e *engine) structureIn(canonical string, making []string) (*structure, error) {
	if v, ok := e.structures.Load(canonical); ok {
		entry := v.(*structureEntry)
		return entry.structure, entry.err
	}
	if e.lacks("StructureDefinition", canonical) {
		return nil, nil
	}
	s, err := e.reg.structureOf(e.state, canonical)
	if err == nil && s != nil && len(s.snapshot) == 0 {
		if slices.Contains(making, s.cite) || len(making) > maxBases {
			return nil, fmt.Errorf("profiles: the snapshot of %s cannot be made: it is built on itself", s.url)
		}
		s, err = e.withSnapshot(s, append(slices.Clone(making), s.cite))
	}
	if err != nil && len(making) > 0 {
		return nil, err // may be so only from where it was asked
	}
	v, _ := e.structures.LoadOrStore(canonical, &structureEntry{s, err})
	entry := v.(*structureEntry)
	return entry.structure, entry.err
}

// maxBases is how many definitions without a snapshot may build on one another.
const maxBases = 32

// errUnknownProfile tells that a profile is not in the registry.
var errUnknownProfile = errors.New("the profile is not known")

// profile returns a compiled profile by canonical URL.
func (e *engine) profile(canonical string) (*profile, error) {
	if v, ok := e.profiles.Load(canonical); ok {
		return v.(*profileEntry).get()
	}
	s, err := e.structure(canonical)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("%s: %w", canonical, errUnknownProfile)
	}
	entry := &profileEntry{get: sync.OnceValues(func() (*profile, error) { return e.compileProfile(s) })}
	v, _ := e.profiles.LoadOrStore(canonical, entry)
	return v.(*profileEntry).get()
}
