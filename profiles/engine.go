package profiles

import (
	"errors"
	"fmt"
	"sync"
)

// engine holds everything that is compiled from one state of a registry. A
// change of the registry makes a new engine; nothing in an engine is ever
// taken back.
type engine struct {
	reg   *Registry
	state *registryState
	terms Terminology

	tables     sync.Map // type name → *table
	typeKeys   sync.Map // type name → map[string]bool
	structures sync.Map // canonical → *structureEntry
	profiles   sync.Map // canonical → *profileEntry
	bounds     sync.Map // strength, value set → *bound
	valueSets  sync.Map // canonical → *valueSetEntry
	codes      sync.Map // system → *codeSystemEntry
	exts       sync.Map // url → *extensionEntry
	invariants sync.Map // expression → *compiledExpr
	schemas    sync.Map // canonical → *schemaEntry
}

type structureEntry struct {
	get func() (*structure, error)
}

type profileEntry struct {
	get func() (*profile, error)
}

func newEngine(reg *Registry, terms Terminology) *engine {
	return &engine{reg: reg, state: reg.state.Load(), terms: terms}
}

// structure returns a StructureDefinition by canonical URL, nil if it is not
// known. The snapshot of a profile that has none is generated.
func (e *engine) structure(canonical string) (*structure, error) {
	if v, ok := e.structures.Load(canonical); ok {
		return v.(*structureEntry).get()
	}
	entry := &structureEntry{get: sync.OnceValues(func() (*structure, error) {
		s, err := e.reg.structureOf(e.state, canonical)
		if err != nil || s == nil {
			return nil, err
		}
		if len(s.snapshot) == 0 {
			return e.withSnapshot(s)
		}
		return s, nil
	})}
	v, _ := e.structures.LoadOrStore(canonical, entry)
	return v.(*structureEntry).get()
}

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
