package search

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"ingle/fhir"
)

// parser reads one request.
type parser struct {
	r     *Registry
	req   Request
	q     *Query
	lim   Limits
	now   time.Time
	depth int // links of chains around what is being read
	// inFilter: a part of _filter is being read, which has modifiers of its own.
	inFilter int
	asked    int      // values so far
	used     []string // codes of the search, for Rules.Combinations
	searched []string // the resource types that are asked for
	reading  []reading
	near     *positions // that near asks for
	inside   []cond     // of contained resources, where their containers are asked for
	care     bounds     // of $everything: when its resources are about
	current  string     // name of the parameter that is being read
	notes    []fhir.Issue
}

// Parse reads the parameters of a search. Its errors are *fhir.Error with status
// 400 that name the parameter and say what would be right. Without Strict,
// parameters that the server does not know are left out, each with an issue.
func (r *Registry) Parse(req Request) (*Query, []fhir.Issue, error) {
	p := &parser{r: r, req: req, lim: req.Limits.withDefaults(), now: req.Now, near: &positions{}, care: unbounded}
	if p.now.IsZero() {
		p.now = time.Now()
	}
	p.q = &Query{Count: p.lim.Count, limits: p.lim}
	if len(req.Params) > p.lim.Params {
		return nil, nil, fhir.Errorf(400, fhir.CodeTooCostly, "the search has %d parameters; at most %d are allowed", len(req.Params), p.lim.Params)
	}
	if err := p.scope(); err != nil {
		return nil, nil, err
	}
	if req.Record { // who asks for everything is not helped by small pages
		p.q.Count = p.lim.MaxCount
	}
	for _, kv := range req.Params {
		if err := p.parameter(kv); err != nil {
			return nil, nil, err
		}
	}
	p.record()
	if err := p.combination(); err != nil {
		return nil, nil, err
	}
	if err := p.sortedByDistance(); err != nil {
		return nil, nil, err
	}
	p.containers()
	if p.q.Summary == SummaryText && len(p.q.includes) > 0 {
		return nil, nil, fhir.Errorf(400, fhir.CodeNotSupported, "_summary=text goes with neither _include nor _revinclude (R4 search.html#summary)")
	}
	if p.q.Summary == SummaryCount {
		p.q.Count = 0
	}
	if p.q.Count == 0 {
		p.q.Total = TotalAccurate
	}
	return p.q, p.notes, nil
}

// scope settles the types that are searched: of the path, of _type and of the
// compartment.
func (p *parser) scope() error {
	all := p.r.defs.ResourceTypes()
	q := p.q
	switch {
	case p.req.Type != "":
		if !p.r.defs.IsResourceType(p.req.Type) {
			return fhir.Errorf(404, fhir.CodeNotSupported, "%q is not a resource type%s", p.req.Type, DidYouMean(p.req.Type, all))
		}
		q.types = []string{p.req.Type}
	default:
		for _, kv := range p.req.Params {
			if kv.Name != "_type" {
				continue
			}
			for _, t := range strings.Split(kv.Value, ",") {
				if !p.r.defs.IsResourceType(t) {
					return fhir.Errorf(400, fhir.CodeInvalid, "_type=%s: %q is not a resource type%s", kv.Value, t, DidYouMean(t, all))
				}
				q.types = append(q.types, t)
			}
		}
		slices.Sort(q.types)
		q.types = slices.Compact(q.types)
		if q.types == nil {
			q.types, q.everyType = all, true
		}
	}
	if p.req.Compartment != "" {
		if err := p.compartment(); err != nil {
			return err
		}
	}
	if err := p.contained(); err != nil {
		return err
	}
	if !q.everyType {
		q.Types = q.types
	}
	return nil
}

// parameter reads one parameter of the request.
func (p *parser) parameter(kv KV) error {
	if strings.IndexByte(kv.Name, 0) >= 0 || strings.IndexByte(kv.Value, 0) >= 0 {
		return fhir.Errorf(400, fhir.CodeInvalid, "the parameter %q holds the character NUL, which FHIR does not allow", strings.ReplaceAll(kv.Name, "\x00", ""))
	}
	if !utf8.ValidString(kv.Name) || !utf8.ValidString(kv.Value) {
		return fhir.Errorf(400, fhir.CodeInvalid, "the parameter %q is not UTF-8", strings.ToValidUTF8(kv.Name, "?"))
	}
	p.current = kv.Name
	name, modifier, _ := strings.Cut(kv.Name, ":")
	known, err := p.recordParameter(kv)
	if err == nil && !known {
		known, err = p.control(name, modifier, kv)
	}
	if err == nil && !known {
		err = p.filter(kv)
	}
	if err != nil {
		var unknown *unknownParameter
		if u, ok := err.(*unknownParameter); ok {
			unknown = u
		}
		if unknown != nil && !p.req.Strict {
			p.notes = append(p.notes, fhir.Issue{Severity: fhir.SeverityWarning, Code: fhir.CodeNotSupported,
				Diagnostics: unknown.err.Issues[0].Diagnostics + "; the parameter was left out"})
			return nil
		}
		if unknown != nil {
			return unknown.err
		}
		if outside, ok := err.(*notInside); ok {
			return outside.err
		}
		return err
	}
	switch name {
	case "_format", "_pretty", "_type":
		if name != "_type" || p.req.Type != "" {
			return nil
		}
	}
	p.q.Applied = append(p.q.Applied, kv)
	return nil
}

// unknownParameter is the one fault that lenient handling forgives.
type unknownParameter struct {
	err *fhir.Error
	// everywhere: it is unknown to each of the types that were asked together.
	everywhere bool
}

func (u *unknownParameter) Error() string { return u.err.Error() }
func (u *unknownParameter) Unwrap() error { return u.err }

// filter reads a parameter that restricts the matches.
func (p *parser) filter(kv KV) error {
	if p.asked += len(splitEscaped(kv.Value, ',')); p.asked > 2*p.lim.OrValues {
		return fhir.Errorf(400, fhir.CodeTooCostly, "the search has more than %d values in all", 2*p.lim.OrValues)
	}
	for _, r := range p.reading {
		k, err := p.cond(r.types, kv.Name, kv.Value)
		if err != nil {
			return err
		}
		*r.conds = addCond(*r.conds, k)
	}
	code, _, _ := strings.Cut(kv.Name, ":")
	code, _, _ = strings.Cut(code, ".")
	p.used = append(p.used, code)
	return nil
}

// addCond adds a condition to those that must hold.
func addCond(conds []cond, k cond) []cond {
	if s, ok := k.(*scan); ok {
		for i, have := range conds {
			if h, ok := have.(*scan); ok {
				if one, ok := meet(h, s); ok {
					conds[i] = one
					return conds
				}
			}
		}
	}
	return append(conds, k)
}

// cond reads a parameter as a condition on resources of the given types:
// name[:modifier], name[:Type].chain or _has:Type:reference:parameter.
func (p *parser) cond(types []string, name, value string) (cond, error) {
	if rest, ok := strings.CutPrefix(name, "_has:"); ok {
		return p.reverse(types, rest, name, value)
	}
	if head, tail, ok := strings.Cut(name, "."); ok {
		return p.chain(types, head, tail, name, value)
	}
	code, modifier, _ := strings.Cut(name, ":")
	if strings.HasSuffix(name, ":") {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s: the modifier after the colon is missing", name)
	}
	if value == "" {
		return nil, &unknownParameter{err: fhir.Errorf(400, fhir.CodeInvalid, "the parameter %s has no value", name)}
	}
	switch code {
	case "_list":
		return p.listCond(types, modifier, name, value)
	case "_filter":
		if modifier != "" {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "_filter takes no modifier")
		}
		return p.parseFilter(types, value)
	}
	ps, err := p.params(types, code, name)
	if err != nil {
		return nil, err
	}
	return p.term(ps, types, modifier, name, value)
}

// params finds a parameter in all the types given, by the parameters that have
// its rows: there may be several of a type. Types that lack it make it unknown
// unless none is asked for by name.
func (p *parser) params(types []string, code, name string) ([]*Param, error) {
	var out []*Param
	for _, t := range types {
		sp := p.r.Param(t, code)
		if sp != nil && !p.r.Permits(t, code) {
			return nil, &unknownParameter{err: fhir.Errorf(400, fhir.CodeNotSupported, "%s: the server's configuration does not let searches on %s use %q", name, typeName(t), code)}
		}
		if sp != nil && sp.state == Building {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the search parameter is still being built over the resources that were there before it; try again later", name)
		}
		if sp == nil {
			where := typeName(t)
			if len(types) > 1 {
				where = fmt.Sprintf("%s, one of the types searched,", t)
			}
			if len(types) == len(p.r.defs.ResourceTypes()) {
				where = "a search over all types"
			}
			nowhere := !slices.ContainsFunc(types, func(t string) bool { return p.r.Param(t, code) != nil })
			return nil, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "%s has no search parameter %q%s", where, code, DidYouMean(code, p.r.codes(t, ""))), nowhere}
		}
		if len(out) > 0 && out[0].Type != sp.Type {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the parameter is of type %s in %s but %s in %s; search these types one by one", name, out[0].Type, typeName(out[0].resource), sp.Type, typeName(t))
		}
		p.use("", sp)
		out = append(out, sp.stored()...)
	}
	return out, nil
}

// codes lists the search parameters of a type, or those of one kind.
func (r *Registry) codes(resourceType, kind string) []string {
	var out []string
	for _, sp := range r.Params(resourceType) {
		if kind == "" || sp.Type == kind {
			out = append(out, sp.Code)
		}
	}
	return out
}

// allowed are the modifiers of each type of parameter (R4 search, "Modifiers").
var allowed = map[string][]string{
	"number":    {"missing"},
	"date":      {"missing"},
	"string":    {"missing", "exact", "contains", "text"},
	"token":     {"missing", "not", "of-type", "text", "in", "not-in", "above", "below"},
	"reference": {"missing", "identifier", "above", "below"},
	"composite": {},
	"quantity":  {"missing"},
	"uri":       {"missing", "above", "below"},
	"special":   {"missing"},
}

// term reads a parameter without a chain.
func (p *parser) term(ps []*Param, types []string, modifier, name, value string) (cond, error) {
	sp := ps[0]
	switch sp.Code {
	case "_id":
		return p.idCond(types, modifier, name, value)
	case "_lastUpdated":
		return p.lastUpdatedCond(types, modifier, name, value)
	}
	if k, done, err := p.special(ps, types, modifier, name, value); done {
		return k, err
	}
	isType := sp.Type == "reference" && p.r.defs.IsResourceType(modifier)
	if modifier != "" && sp.Type == "composite" {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: a composite parameter has no modifiers; ask for each of its parts", name)
	}
	own := p.ownModifier(sp, modifier)
	if modifier != "" && !isType && !own && !slices.Contains(allowed[sp.Type], modifier) {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: a parameter of type %s has no modifier :%s; it may have %s", name, sp.Type, modifier, modifiersOf(sp.Type))
	}
	if modifier == "identifier" {
		p.use(modifier, ps...)
	}
	if modifier == "missing" {
		return missing(ps, types, name, value)
	}
	values, err := p.values(name, value)
	if err != nil {
		return nil, err
	}
	if own { // clients do not know it
		name = strings.TrimSuffix(name, ":"+modifier)
	}
	v := &valueReader{p: p, ps: ps, types: types, name: name, modifier: modifier, values: values}
	switch sp.Type {
	case "token":
		return v.token()
	case "reference":
		return v.reference()
	case "date":
		return v.date()
	case "string":
		return v.string()
	case "uri":
		return v.uri()
	case "number":
		return v.number()
	case "quantity":
		return v.quantity()
	case "composite":
		return v.composite()
	}
	return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the parameter is not supported", name)
}

// valueReader turns the values of one parameter into a condition; there is a
// method for each type of parameter, beside its extraction.
type valueReader struct {
	p        *parser
	ps       []*Param // of types
	types    []string
	name     string // as the client wrote it
	modifier string
	values   []string // still escaped
}

func (v *valueReader) fail(value, format string, args ...any) error {
	return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %s", v.name, value, fmt.Sprintf(format, args...))
}

func (v *valueReader) ids() []ParamID {
	out := make([]ParamID, len(v.ps))
	for i, sp := range v.ps {
		out[i] = sp.ID
	}
	return out
}

func (v *valueReader) keys() []int64 {
	out := make([]int64, len(v.ps))
	for i, sp := range v.ps {
		out[i] = sp.key
	}
	return out
}

func modifiersOf(typ string) string {
	m := slices.Clone(allowed[typ])
	for i := range m {
		m[i] = ":" + m[i]
	}
	if typ == "reference" {
		m = append(m, "the name of a resource type")
	}
	return list(m)
}

// values splits at commas.
func (p *parser) values(name, value string) ([]string, error) {
	out := splitEscaped(value, ',')
	if len(out) > p.lim.OrValues {
		return nil, fhir.Errorf(400, fhir.CodeTooCostly, "%s has %d values; at most %d are allowed", name, len(out), p.lim.OrValues)
	}
	for _, v := range out {
		if v == "" {
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: a value between commas is empty; a comma that is part of a value is written \\,", name, value)
		}
	}
	return out, nil
}

// missing is the condition of :missing.
func missing(ps []*Param, types []string, name, value string) (cond, error) {
	if value != "true" && value != "false" {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: true or false is expected", name, value)
	}
	s := &scan{types: types, order: rankNever}
	for _, sp := range ps {
		s.rel = sp.relation()
		if s.rel == Token || s.rel == Ref {
			s.ps = append(s.ps, sp.ID)
			continue
		}
		s.keys = append(s.keys, sp.key)
	}
	if value == "true" {
		return not{s}, nil
	}
	return s, nil
}

// relation is where the rows of a parameter lie.
func (p *Param) relation() Relation {
	switch p.Type {
	case "token":
		return Token
	case "reference":
		return Ref
	case "date":
		return Date
	case "string", "uri":
		return String
	case "composite":
		if len(p.components) > 1 {
			switch p.components[1].typ {
			case "date":
				return Date
			case "string":
				return String
			case "quantity", "number":
				return Quantity
			}
		}
		return Token
	}
	return Quantity
}
