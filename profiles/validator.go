package profiles

import (
	"context"
	"sync"
	"sync/atomic"

	"ingle/fhir"
	"ingle/fhirpath"
)

// Validator validates resources against the definitions in a registry. It is
// safe for concurrent use. What it compiles it keeps until the registry
// changes.
type Validator struct {
	reg       *Registry
	cfg       Config
	terms     Terminology
	maxIssues int
	engine    atomic.Pointer[engine]
	core      core
	mu        sync.Mutex
	runs      sync.Pool
}

// New makes a Validator. terms may be nil: then codes of value sets that the
// registry cannot list are not checked, which an information says.
func New(reg *Registry, cfg Config, terms Terminology) (*Validator, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	v := &Validator{reg: reg, cfg: cfg, terms: terms, maxIssues: cfg.MaxIssues}
	if v.maxIssues <= 0 {
		v.maxIssues = defaultMaxIssues
	}
	v.runs.New = func() any { return new(run) }
	return v, nil
}

// Registry returns the registry that the Validator works with.
func (v *Validator) Registry() *Registry { return v.reg }

// Knows tells whether a profile can be used.
func (v *Validator) Knows(url string) bool {
	_, err := v.current().profile(url)
	return err == nil
}

// Request says how to validate. The zero Request checks the base definition and
// the claimed profiles, and reports errors only.
type Request struct {
	// Profiles are validated against instead of the claimed ones (those of
	// nested resources stay). A profile that is not known is an error.
	Profiles []string
	// Rules applies the configuration of the resource's type: atLeastOne,
	// notAllowed.
	Rules bool
	// Warnings asks for what is not an error too: best practice, extensible
	// bindings, what could not be checked.
	Warnings bool
	// Schema puts the JSON Schemas of the type and of the profiles before the
	// closures. They find no more than the closures do; what they would is
	// told.
	Schema bool
	// Format checks no more than the JSON format: that every property is one of
	// its type, of the right JSON kind, not empty, and a primitive value of its
	// type's format. What is missing is not missed.
	Format bool
	// FailFast stops at the first error.
	FailFast bool
	// Around is what references lead to beyond the document.
	Around Around
	// Place is the FHIRPath of the document itself where it is an entry of a
	// Bundle ("Bundle.entry[3].resource"); "" for a resource of its own.
	Place string
}

// Validate validates a document that holds a resource. The issues are in the
// order of their places; nil means that nothing is to be said.
func (v *Validator) Validate(ctx context.Context, doc *fhir.Doc, req Request) []fhir.Issue {
	return v.ValidateNode(ctx, doc.Root(), req)
}

// ValidateNode is Validate for a resource inside a document: an entry of a
// Bundle, a parameter. Positions are those in the whole document.
func (v *Validator) ValidateNode(ctx context.Context, n fhir.Node, req Request) []fhir.Issue {
	r := v.runs.Get().(*run)
	defer v.release(r)
	req.FailFast = req.FailFast || v.cfg.FailFast
	r.ctx, r.e, r.v, r.opts, r.doc, r.warnings = ctx, v.current(), v, &req, n.Doc(), req.Warnings
	it := r.resourceItem(n)
	first := step{name: it.typ, idx: -1}
	if req.Place != "" {
		first = step{name: req.Place, idx: -1, note: it.typ}
	}
	if it.typ == "" {
		first.name = "Resource"
	}
	r.steps = append(r.steps, first)
	var findings []finding
	if req.Schema && it.tab != nil && it.tab.resource {
		findings = r.schemaPass(&it, r.schemasFor(&it))
	}
	r.resource(&it, false)
	r.addFindings(&it, findings)
	issues := r.issues
	r.issues = nil
	return issues
}

// HasErrors tells whether an issue is an error.
func HasErrors(issues []fhir.Issue) bool {
	for i := range issues {
		if s := issues[i].Severity; s == fhir.SeverityError || s == fhir.SeverityFatal {
			return true
		}
	}
	return false
}

// current returns the engine of the registry's present state.
func (v *Validator) current() *engine {
	e := v.engine.Load()
	if e != nil && e.state.validation == v.reg.state.Load().validation {
		return e
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if e = v.engine.Load(); e != nil && e.state.validation == v.reg.state.Load().validation {
		return e
	}
	e = newEngine(v.reg, v.terms, &v.core)
	v.engine.Store(e)
	return e
}

// Forget drops what is compiled of definitions; it is compiled again when it is
// asked for. It may be called at any time.
func (v *Validator) Forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.engine.Store(nil)
	v.core.coreTables.Clear()
	v.core.typeKeys.Clear()
	v.core.invariants.Clear()
}

// release clears a run for the next one.
func (v *Validator) release(r *run) {
	env := r.env // with its functions, which are the run's
	env.Resource, env.RootResource = fhirpath.Value{}, fhirpath.Value{}
	*r = run{steps: r.steps[:0], resources: r.resources[:0], items: r.items, lists: r.lists, env: env}
	v.runs.Put(r)
}
