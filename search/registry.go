package search

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"ingle/fhir"
)

// A Registry knows the search parameters of every resource type. It compiles
// them when a type is first used and is safe for concurrent use.
type Registry struct {
	defs  *fhir.Definitions
	bases []string
	// fullText: words are extracted and searched.
	fullText bool
	// textBuilding: not every resource's words are there yet.
	textBuilding atomic.Bool

	systems sync.Map // of the value sets that codes are bound to, by URL

	mu     sync.RWMutex
	types  map[string]*typeIndex
	custom map[string]*custom // by canonical URL
	rules  map[string]Rules   // by resource type, "" for all others

	changes atomic.Uint64
}

// NewRegistry returns a registry of the search parameters in the definitions.
// baseURLs are the server's own base URLs, without the last slash: absolute
// references below them are indexed as the relative ones they are.
func NewRegistry(defs *fhir.Definitions, baseURLs ...string) *Registry {
	return &Registry{defs: defs, bases: baseURLs, types: map[string]*typeIndex{}, custom: map[string]*custom{}}
}

// BaseURLs returns the server's own base URLs.
func (r *Registry) BaseURLs() []string { return r.bases }

// Param is one search parameter of one resource type.
type Param struct {
	ID         ParamID
	Code       string
	Type       string // number, date, string, token, reference, composite, quantity, uri, special
	URL        string // canonical URL of the definition
	Definition *fhir.SearchParam
	Targets    []string // resource types a reference may point to, sorted

	resource string // the type it is compiled for
	key      int64  // ValueKey(ID)
	ofType   ParamID
	ident    ParamID
	bare     ParamID // canonical URLs without the version that is given
	ucum     int64   // ValueKey of the canonical quantities
	state    State
	single   bool // at most one value in a resource
	indexed  bool // some path leads to values

	// What kinds of value a token parameter finds, so that a search looks in
	// the right places.
	hasCoding  bool // Coding, CodeableConcept: the dictionary tells the systems of a code
	hasCode    bool // code, boolean, string: without a system of their own
	hasExact   bool // id, uri and the like: compared with case
	inDict     bool // the dictionary holds its codes
	canonical  bool // a reference parameter over canonical URLs
	hasIdent   bool // Identifier, ContactPoint: a row for each searched form
	valueSets  []string
	components []*component

	places   []string // where it finds its values
	elements []string // the same, as paths of elements; see Use
	anywhere bool     // only FHIRPath knows
	parts    []*Param // those that find the same together; it has no rows of its own
}

// typeIndex is what the registry knows of one resource type.
type typeIndex struct {
	name   string // of the resource type
	number int16
	params []*Param
	byCode map[string]*Param
	tree   *node
	// self is the number under which a conformance resource's own canonical URL
	// stands among the references, so that canonical references meet it; 0 for
	// types without one.
	self ParamID
	// presence are the parameters of X.exists() and X != false: false where
	// the walk meets no X.
	presence []*Param
	beyond   []*beyond
}

// TypesChanged tells that the definitions have other added resource types now.
func (r *Registry) TypesChanged() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed()
}

// changed has all types compiled anew. The caller holds the lock.
func (r *Registry) changed() {
	clear(r.types)
	r.changes.Add(1)
}

// Changes counts the changes of what can be searched by.
func (r *Registry) Changes() uint64 { return r.changes.Load() }

// Params returns the search parameters of a resource type, sorted by code. The
// slice must not be changed.
func (r *Registry) Params(resourceType string) []*Param {
	t := r.index(resourceType)
	if t == nil {
		return nil
	}
	return t.params
}

// Param returns one search parameter of a resource type, nil if there is none.
func (r *Registry) Param(resourceType, code string) *Param {
	t := r.index(resourceType)
	if t == nil {
		return nil
	}
	return t.byCode[code]
}

// index returns the compiled parameters of a resource type, nil for an unknown one.
func (r *Registry) index(resourceType string) *typeIndex {
	r.mu.RLock()
	t := r.types[resourceType]
	r.mu.RUnlock()
	if t != nil || !r.defs.IsResourceType(bareType(resourceType)) {
		return t
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if t = r.types[resourceType]; t == nil {
		t = r.compileType(resourceType)
		r.types[resourceType] = t
	}
	return t
}

// notIndexed are parameters whose values are columns of the resource itself or
// that are not a predicate on its elements.
var notIndexed = map[string]bool{"_id": true, "_lastUpdated": true, "_text": true, "_content": true, "_query": true, "_filter": true, "_list": true, "_has": true, "_type": true}

// compileType builds the index of one resource type, contained or not.
func (r *Registry) compileType(typ string) *typeIndex {
	name := bareType(typ)
	t := &typeIndex{name: name, number: r.defs.TypeNumber(name), byCode: map[string]*Param{}, tree: &node{typ: name}}
	add := func(def *fhir.SearchParam, state State) {
		if t.byCode[def.Code] != nil {
			return
		}
		p := r.newParam(typ, def)
		p.state = state
		t.params = append(t.params, p)
		t.byCode[def.Code] = p
	}
	for _, def := range r.defs.SearchParams(name) {
		add(def, Active)
	}
	own := slices.Clone(t.params)
	for _, c := range r.customOf(name) {
		add(c.def, c.state)
	}
	slices.SortFunc(t.params, func(a, b *Param) int { return strings.Compare(a.Code, b.Code) })
	if u := t.byCode["url"]; u != nil && u.Type == "uri" {
		t.self = ParamIDOf(typ, "url:canonical")
	}
	for _, p := range t.params {
		if !notIndexed[p.Code] {
			r.plant(t, p)
		}
	}
	t.cover(own)
	return t
}

func (r *Registry) newParam(resourceType string, def *fhir.SearchParam) *Param {
	p := &Param{
		ID:         ParamIDOf(resourceType, def.Code),
		Code:       def.Code,
		Type:       def.Type,
		URL:        def.URL,
		Definition: def,
		resource:   resourceType,
	}
	p.key = ValueKey(p.ID)
	p.ofType = ParamIDOf(resourceType, def.Code+":of-type")
	p.ident = ParamIDOf(resourceType, def.Code+":identifier")
	p.bare = ParamIDOf(resourceType, def.Code+":url")
	p.ucum = ValueKey(ParamIDOf(resourceType, def.Code+":ucum"))
	return p
}
