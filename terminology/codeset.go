package terminology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/store/concepts"
)

// CodeSet is the set of codes that a search modifier stands for: :in, :not-in,
// :below or :above. Either Codes lists it or, where it is large or imported code
// systems take part, Where is an SQL condition for it.
type CodeSet struct {
	// Codes lists the set, with codes in lower case, as tokens are compared.
	Codes []Coding
	// Where is nil where Codes is the set. Else it writes a condition on the
	// system and the code (in lower case) that two SQL expressions give. arg adds
	// an argument to the statement and returns its placeholder.
	Where func(system, code string, arg func(any) string) string
}

// maxListed is how many codes a search takes as a list; more of them are a
// condition. maxSet is how many codes of resources a condition may hold: code
// systems with more are imported, and then any number will do.
const (
	maxListed = 10_000
	maxSet    = 100_000
)

// CodeSet resolves a search modifier ("in", "not-in", "below", "above") and its
// value: a value set's canonical URL or "ValueSet/id", or "system|code". For
// not-in it is the set that is left out. What is unknown is the search's fault:
// 400.
func (s *Service) CodeSet(ctx context.Context, src Source, modifier, value string) (*CodeSet, error) {
	set, err := s.codeSet(ctx, src, modifier, value)
	var fe *fhir.Error
	if errors.As(err, &fe) {
		out := *fe
		out.Issues = slices.Clone(fe.Issues)
		for i := range out.Issues {
			is := &out.Issues[i]
			if is.Diagnostics == "" {
				is.Diagnostics, is.Details, is.DetailsCode, is.DetailsSys = is.Details, "", "", ""
			}
			is.Expression = nil
		}
		if out.Status == 404 || out.Status == 422 {
			out.Status = 400
		}
		return nil, &out
	}
	return set, err
}

// byID is a Source that also finds value sets by their logical ids.
type byID interface {
	ByID(ctx context.Context, resourceType, id string) (*Resource, error)
}

// searched finds the value set that a search names.
func (s *Service) searched(r *run, value string) (*valueSet, error) {
	id, literal := strings.CutPrefix(value, "ValueSet/")
	if !literal || strings.Contains(id, "/") {
		return r.valueSet(value, nil)
	}
	list := Sources{r.src}
	if x, ok := r.src.(Sources); ok {
		list = x
	}
	for _, src := range list {
		if x, ok := src.(byID); ok {
			res, err := x.ByID(r.ctx, "ValueSet", id)
			if err != nil {
				return nil, err
			}
			if res != nil {
				return compiled(s, res, func(n fhir.Node) (*valueSet, error) { return compileValueSet(n, 0) })
			}
		}
	}
	return nil, &unknownValueSet{value}
}

func (s *Service) codeSet(ctx context.Context, src Source, modifier, value string) (*CodeSet, error) {
	r := s.newRun(ctx, src)
	var v *valueSet
	switch modifier {
	case "in", "not-in":
		var err error
		if v, err = s.searched(r, value); err != nil {
			return nil, asClientError(err)
		}
		if err := r.acyclic(v, map[*valueSet]bool{}); err != nil {
			return nil, err
		}
	case "below", "above":
		system, code, ok := strings.Cut(value, "|")
		if !ok || system == "" || code == "" {
			return nil, fhir.Errorf(400, fhir.CodeValue, ":%s needs a code with its system, system|code", modifier)
		}
		op := "is-a"
		if modifier == "above" {
			op = "generalizes"
		}
		sys, err := r.system(system, "")
		if err != nil {
			return nil, asClientError(err)
		}
		if _, err := r.defined(sys, code); err != nil {
			return nil, err
		}
		v = &valueSet{status: "active", include: []include{{system: system, filters: []Filter{{Property: "concept", Op: op, Value: code}}}}}
	default:
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "the modifier :%s is not known", modifier)
	}
	b := &setBuilder{r: r, limit: maxSet}
	set, err := b.set(v)
	if err != nil {
		return nil, asClientError(err)
	}
	if list, ok := set.list(); ok && len(list) <= maxListed {
		return &CodeSet{Codes: list}, nil
	}
	return &CodeSet{Where: set.where}, nil
}

// codes is a set of codes as an expression: a list, imported concepts, or a
// combination.
type codes struct {
	op     string // "list", "stored", "or", "and", "minus"
	system string
	listed map[string]bool // lower case
	id     int32
	sel    *concepts.Selection
	parts  []*codes
}

// setBuilder turns value sets into codes.
type setBuilder struct {
	r     *run
	n     int // codes listed so far
	limit int
}

func (b *setBuilder) count(n int) error {
	if b.n += n; b.n > b.limit {
		return outcome(422, fhir.CodeTooCostly, "", fmt.Sprintf("The search would have to list more than %d codes; import the code systems that the value set uses, or use a narrower value set", b.limit))
	}
	return nil
}

func (b *setBuilder) set(v *valueSet) (*codes, error) {
	if err := b.r.enter(v, "including"); err != nil {
		return nil, err
	}
	defer b.r.leave()
	all := &codes{op: "or"}
	for i := range v.include {
		c, err := b.include(v, &v.include[i], v.inactive != nil && !*v.inactive)
		if err != nil {
			return nil, err
		}
		all.parts = append(all.parts, c)
	}
	if len(v.exclude) == 0 {
		return all, nil
	}
	out := &codes{op: "minus", parts: []*codes{all}}
	for i := range v.exclude {
		c, err := b.include(v, &v.exclude[i], false)
		if err != nil {
			return nil, err
		}
		out.parts = append(out.parts, c)
	}
	return out, nil
}

func (b *setBuilder) include(v *valueSet, in *include, active bool) (*codes, error) {
	var all []*codes
	if in.system != "" {
		c, err := b.system(v, in, active)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	for _, ref := range in.valueSets {
		inner, err := b.r.valueSet(ref, v)
		if err != nil {
			return nil, err
		}
		c, err := b.set(inner)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return &codes{op: "and", parts: all}, nil
}

func (b *setBuilder) system(v *valueSet, in *include, active bool) (*codes, error) {
	want, err := b.r.includedVersion(v, in)
	if err != nil {
		return nil, err
	}
	list := &codes{op: "list", system: in.system, listed: map[string]bool{}}
	if len(in.concepts) > 0 && !active {
		for i := range in.concepts {
			list.listed[strings.ToLower(in.concepts[i].code)] = true
		}
		return list, b.count(len(in.concepts))
	}
	sys, err := b.r.system(in.system, want)
	if err != nil {
		return nil, err
	}
	if st, ok := sys.(*storedSystem); ok && len(in.concepts) == 0 {
		if err := b.r.acceptable(v, in, sys); err != nil {
			return nil, err
		}
		sel, rest, err := st.plan(b.r.ctx, &Query{Filters: in.filters, ActiveOnly: active})
		if err != nil {
			return nil, err
		}
		if len(rest) == 0 {
			return &codes{op: "stored", system: in.system, id: st.id, sel: sel}, nil
		}
	}
	err = b.r.walkInclude(v, &include{system: in.system, version: in.version, concepts: in.concepts, listed: in.listed, folded: in.folded, filters: in.filters, at: in.at},
		Query{ActiveOnly: active}, func(m *member) bool {
			list.listed[strings.ToLower(m.code)] = true
			b.r.failure = b.count(1)
			return b.r.failure == nil
		})
	if err == nil {
		err = b.r.failure
	}
	var fe *fhir.Error
	if errors.As(err, &fe) && fe.Issues[0].Code == fhir.CodeTooCostly && fe.Issues[0].DetailsCode == "" {
		return nil, fe
	}
	return list, err
}

// list returns the set as a list where that needs no database.
func (c *codes) list() ([]Coding, bool) {
	if !c.finite() {
		return nil, false
	}
	var out []Coding
	for system, listed := range c.resolve() {
		for code := range listed {
			out = append(out, Coding{System: system, Code: code})
		}
	}
	return out, true
}

func (c *codes) finite() bool {
	if c.op == "stored" {
		return c.sel.None
	}
	for _, p := range c.parts {
		if !p.finite() {
			return false
		}
	}
	return true
}

func (c *codes) resolve() map[string]map[string]bool {
	out := map[string]map[string]bool{}
	add := func(system, code string) {
		if out[system] == nil {
			out[system] = map[string]bool{}
		}
		out[system][code] = true
	}
	switch c.op {
	case "list":
		for code := range c.listed {
			add(c.system, code)
		}
	case "or":
		for _, p := range c.parts {
			for system, listed := range p.resolve() {
				for code := range listed {
					add(system, code)
				}
			}
		}
	case "and", "minus":
		rest := make([]map[string]map[string]bool, 0, len(c.parts))
		for _, p := range c.parts[1:] {
			rest = append(rest, p.resolve())
		}
		for system, listed := range c.parts[0].resolve() {
			for code := range listed {
				in := true
				for _, x := range rest {
					in = in && x[system][code] == (c.op == "and")
				}
				if in {
					add(system, code)
				}
			}
		}
	}
	return out
}

func (c *codes) where(system, code string, arg func(any) string) string {
	switch c.op {
	case "list":
		if len(c.listed) == 0 {
			return "false"
		}
		list := make([]string, 0, len(c.listed))
		for x := range c.listed {
			list = append(list, x)
		}
		return "(" + system + " = " + arg(c.system) + " AND " + code + " = ANY(" + arg(list) + "::text[]))"
	case "stored":
		return "(" + system + " = " + arg(c.system) + " AND " + concepts.InSelection(c.id, c.sel, code, arg) + ")"
	}
	parts := make([]string, len(c.parts))
	for i, p := range c.parts {
		parts[i] = p.where(system, code, arg)
		if c.op == "minus" && i > 0 {
			parts[i] = "NOT " + parts[i]
		}
	}
	if len(parts) == 0 {
		return "false"
	}
	if c.op == "or" {
		return "(" + strings.Join(parts, " OR ") + ")"
	}
	return "(" + strings.Join(parts, " AND ") + ")"
}
