package search

import (
	"fmt"
	"slices"
	"strconv"
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
	used     []string // codes of the search, for Rules.Combinations
	notes    []fhir.Issue
}

// Parse reads the parameters of a search. Its errors are *fhir.Error with status
// 400 that name the parameter and say what would be right. Without Strict,
// parameters that the server does not know are left out, each with an issue.
func (r *Registry) Parse(req Request) (*Query, []fhir.Issue, error) {
	p := &parser{r: r, req: req, lim: req.Limits.withDefaults(), now: req.Now}
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
	for _, kv := range req.Params {
		if err := p.parameter(kv); err != nil {
			return nil, nil, err
		}
	}
	if err := p.combination(); err != nil {
		return nil, nil, err
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
	all := p.r.allTypes
	q := p.q
	switch {
	case p.req.Type != "":
		if !p.r.defs.IsResourceType(p.req.Type) {
			return fhir.Errorf(404, fhir.CodeNotSupported, "%q is not a resource type%s", p.req.Type, didYouMean(p.req.Type, all))
		}
		q.types = []string{p.req.Type}
	default:
		for _, kv := range p.req.Params {
			if kv.Name != "_type" {
				continue
			}
			for _, t := range strings.Split(kv.Value, ",") {
				if !p.r.defs.IsResourceType(t) {
					return fhir.Errorf(400, fhir.CodeInvalid, "_type=%s: %q is not a resource type%s", kv.Value, t, didYouMean(t, all))
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
	name, modifier, _ := strings.Cut(kv.Name, ":")
	known, err := p.control(name, modifier, kv)
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
type unknownParameter struct{ err *fhir.Error }

func (u *unknownParameter) Error() string { return u.err.Error() }
func (u *unknownParameter) Unwrap() error { return u.err }

// control reads a parameter that shapes the result and does not filter.
func (p *parser) control(name, modifier string, kv KV) (known bool, err error) {
	plain := func() error {
		if modifier != "" {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s takes no modifier", name)
		}
		return nil
	}
	switch name {
	case "_format", "_pretty":
		return true, nil
	case "_include", "_revinclude":
		return true, p.parseInclude(name, modifier, kv.Value)
	case "_sort":
		if err := plain(); err != nil {
			return true, err
		}
		if modifier == "" && kv.Value == "" {
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_sort is empty; name one or more search parameters, with - in front for descending order")
		}
		return true, p.parseSort(kv.Value)
	case "_count":
		if err := plain(); err != nil {
			return true, err
		}
		n, err := strconv.Atoi(kv.Value)
		if err != nil || n < 0 {
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_count=%s: a whole number from 0 is expected", kv.Value)
		}
		if n > p.lim.MaxCount {
			p.q.CountCapped, n = n, p.lim.MaxCount
			p.notes = append(p.notes, fhir.Issue{Severity: fhir.SeverityWarning, Code: fhir.CodeTooCostly,
				Diagnostics: fmt.Sprintf("_count=%s is more than a page may hold; pages of %d are returned", kv.Value, n)})
		}
		p.q.Count = n
		return true, nil
	case "_total":
		if err := plain(); err != nil {
			return true, err
		}
		if kv.Value != TotalNone && kv.Value != TotalEstimate && kv.Value != TotalAccurate {
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_total=%s: one of none, estimate and accurate is expected", kv.Value)
		}
		p.q.Total = kv.Value
		return true, nil
	case "_summary":
		if err := plain(); err != nil {
			return true, err
		}
		switch kv.Value {
		case "false":
			p.q.Summary = SummaryNone
		case SummaryTrue, SummaryText, SummaryData, SummaryCount:
			p.q.Summary = kv.Value
		default:
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_summary=%s: one of true, text, data, count and false is expected", kv.Value)
		}
		return true, nil
	case "_elements":
		if err := plain(); err != nil {
			return true, err
		}
		for _, e := range strings.Split(kv.Value, ",") {
			e = strings.TrimSpace(e)
			if _, after, ok := strings.Cut(e, "."); ok && e[0] >= 'A' && e[0] <= 'Z' {
				e = after
			}
			if e == "" || strings.ContainsAny(e, ".:[") {
				return true, fhir.Errorf(400, fhir.CodeInvalid, "_elements=%s: names of top-level elements, separated by commas, are expected", kv.Value)
			}
			p.q.Elements = append(p.q.Elements, e)
		}
		return true, nil
	case "_type":
		if p.req.Type != "" {
			return true, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "_type belongs to a search over all types, not to one of %s", p.req.Type)}
		}
		return true, plain()
	case "_contained", "_containedType":
		if kv.Value == "false" && name == "_contained" {
			return true, nil
		}
		return true, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "%s=%s is not supported: contained resources are not searched on their own", name, kv.Value)}
	}
	return false, nil
}

// filter reads a parameter that restricts the matches.
func (p *parser) filter(kv KV) error {
	k, err := p.cond(p.q.types, kv.Name, kv.Value)
	if err != nil {
		return err
	}
	code, _, _ := strings.Cut(kv.Name, ":")
	code, _, _ = strings.Cut(code, ".")
	p.used = append(p.used, code)
	if s, ok := k.(*scan); ok {
		for i, have := range p.q.conds {
			if h, ok := have.(*scan); ok {
				if one, ok := meet(h, s); ok {
					p.q.conds[i] = one
					return nil
				}
			}
		}
	}
	p.q.conds = append(p.q.conds, k)
	return nil
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
		return nil, &unknownParameter{fhir.Errorf(400, fhir.CodeInvalid, "the parameter %s has no value", name)}
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

// params finds a parameter in all the types given; types that lack it make it
// unknown unless none is asked for by name.
func (p *parser) params(types []string, code, name string) ([]*Param, error) {
	var out []*Param
	for _, t := range types {
		sp := p.r.Param(t, code)
		if sp != nil && !p.r.permitted(t, code) {
			return nil, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "%s: the server's configuration does not let searches on %s use %q", name, t, code)}
		}
		if sp != nil && sp.state == Building {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the search parameter is still being built over the resources that were there before it; try again later", name)
		}
		if sp == nil {
			where := t
			if len(types) > 1 {
				where = fmt.Sprintf("%s, one of the types searched,", t)
			}
			if len(types) == len(p.r.allTypes) {
				where = "a search over all types"
			}
			return nil, &unknownParameter{fhir.Errorf(400, fhir.CodeNotSupported, "%s has no search parameter %q%s", where, code, didYouMean(code, p.r.codes(t, "")))}
		}
		if len(out) > 0 && out[0].Type != sp.Type {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the parameter is of type %s in %s but %s in %s; search these types one by one", name, out[0].Type, out[0].resource, sp.Type, t)
		}
		out = append(out, sp)
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
	"string":    {"missing", "exact", "contains"},
	"token":     {"missing", "not", "of-type", "text", "in", "not-in", "above", "below"},
	"reference": {"missing", "identifier"},
	"composite": {"missing"},
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
	own := p.inFilter > 0 && (sp.Type == "string" && (modifier == "exact-folded" || modifier == "ends") || sp.Type == "date" && modifier == "overlaps")
	if modifier != "" && !isType && !own && !slices.Contains(allowed[sp.Type], modifier) {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: a parameter of type %s has no modifier :%s; it may have %s", name, sp.Type, modifier, modifiersOf(sp.Type))
	}
	if modifier == "missing" {
		return missing(ps, types, name, value)
	}
	values, err := p.values(name, value)
	if err != nil {
		return nil, err
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
	ps       []*Param // one for each of types
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

// splitEscaped splits at each sep that no backslash precedes. The parts keep
// their escapes.
func splitEscaped(s string, sep byte) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// cutEscaped cuts at the first sep that no backslash precedes.
func cutEscaped(s string, sep byte) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// unescape undoes \, \| \$ and \\ (R4 search, "Escaping"); any other backslash
// stands for itself.
func unescape(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && strings.IndexByte(`,|$\`, s[i+1]) >= 0 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
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
		if sp.Type == "composite" {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: :missing of a composite parameter is not supported; ask for each of its parts", name)
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

// didYouMean is "; did you mean …?" where one of the names is near, else "".
func didYouMean(got string, names []string) string {
	best, dist := "", 3
	if len(got) < 4 {
		dist = 2
	}
	for _, n := range names {
		if strings.EqualFold(n, got) {
			return fmt.Sprintf("; did you mean %q?", n)
		}
		if d := editDistance(got, n, dist); d < dist {
			best, dist = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the letters to change, at most limit.
func editDistance(a, b string, limit int) int {
	if len(a) > 64 || len(b) > 64 || max(len(a), len(b))-min(len(a), len(b)) >= limit {
		return limit
	}
	prev := make([]int, len(b)+1)
	var before []int
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] { // two letters changed places
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, prev = prev, row
	}
	return min(prev[len(b)], limit)
}

// list writes "a, b and c".
func list(words []string) string {
	switch len(words) {
	case 0:
		return "none"
	case 1:
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
