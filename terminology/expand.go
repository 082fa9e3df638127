package terminology

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"ingle/fhir"
)

// expansion is a page of a value set's members and how to show it.
type expansion struct {
	set     *valueSet
	members []*member
	total   int // -1 where not known
	offset  int
	count   *int

	designations  bool
	designationOf []string // system|code or language that a designation must have
	definition    bool
	properties    []string
	nested        bool
	showVersions  bool
	params        *Parameters
}

// Expand answers ValueSet/$expand: the ValueSet with its expansion as JSON.
func (s *Service) Expand(ctx context.Context, src Source, p *Parameters) ([]byte, error) {
	r := s.newRun(ctx, src)
	if err := s.prepare(r, p); err != nil {
		return nil, err
	}
	v, err := s.theValueSet(r, p)
	if err != nil {
		return nil, err
	}
	if err := r.loadSupplements(v.supplements); err != nil {
		return nil, err
	}
	if err := r.pickLanguage(p, v); err != nil {
		return nil, err
	}
	e, err := s.expand(r, v, p)
	if err != nil {
		return nil, asClientError(err)
	}
	return e.json(r, s.opt.Now())
}

func (s *Service) expand(r *run, v *valueSet, p *Parameters) (*expansion, error) {
	rd := reader{p: p}
	e := &expansion{set: v, params: p, total: -1,
		designations: is(rd.boolean("includeDesignations")), definition: is(rd.boolean("includeDefinition")),
		designationOf: p.all("designation"), properties: p.all("property")}
	q := Query{Text: rd.text("filter"), ActiveOnly: is(rd.boolean("activeOnly"))}
	noUI := is(rd.boolean("excludeNotForUI"))
	flat := is(rd.boolean("excludeNested"))
	rd.boolean("excludePostCoordinated")
	offset, count := rd.integer("offset"), rd.integer("count")
	if rd.err != nil {
		return nil, rd.err
	}
	if p.has("date") {
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "the parameter date is not supported: expansions are made from the current content; name versions with system-version instead")
	}
	if len(q.Text) > 400 {
		return nil, fhir.Errorf(400, fhir.CodeTooLong, "the filter is longer than 400 characters")
	}
	if offset != nil {
		e.offset = *offset
	}
	e.count = count
	if count != nil && *count > s.opt.MaxPage {
		limit := s.opt.MaxPage
		e.count = &limit
	}
	if e.offset > 0 && count == nil {
		limit := s.opt.MaxExpansion
		e.count = &limit
	}
	without := p.all("exclude-system")
	if done, err := s.page(r, e, q, noUI, without); done || err != nil {
		return e, err
	}

	seen := map[string]bool{}
	total, more, versions := 0, false, map[string]string{}
	limit := s.opt.MaxExpansion
	nest := !flat && count == nil && offset == nil
	err := r.walk(v, nil, q, func(m *member) bool {
		if noUI && m.concept != nil && m.concept.Abstract || excludedSystem(without, m) {
			return true
		}
		k := m.key()
		if seen[k] {
			return true
		}
		seen[k] = true
		total++
		if have, ok := versions[m.system]; ok && have != m.version {
			e.showVersions = true
		}
		versions[m.system] = m.version
		switch {
		case e.count == nil && total > limit:
			r.failure = outcome(422, fhir.CodeTooCostly, "", fmt.Sprintf(
				"The value set %s has more than %d codes, which is the limit for an expansion in one piece. Ask for a page with count and offset, narrow it with filter, or use $validate-code to check single codes", v.shown(), limit))
			return false
		case e.count != nil && total <= e.offset:
			return true
		case e.count != nil && len(e.members) >= *e.count:
			// the page is full: go on for the total, but not for ever
			more = total >= e.offset+*e.count+maxCount
			return !more
		}
		e.members = append(e.members, m)
		return true
	})
	if err == nil {
		err = r.failure
	}
	if err != nil {
		return nil, err
	}
	if e.total = total; more {
		e.total = uncounted
	}
	e.nested = nest && slices.ContainsFunc(e.members, func(m *member) bool { return m.nest })
	return e, nil
}

// page answers the case that makes expansions of large systems cheap: one
// include of one system, from which the system itself can pick the page.
func (s *Service) page(r *run, e *expansion, q Query, noUI bool, without []string) (bool, error) {
	v := e.set
	if e.count == nil || noUI || len(without) > 0 || len(v.include) != 1 || len(v.exclude) != 0 {
		return false, nil
	}
	in := &v.include[0]
	if in.system == "" || len(in.concepts) > 0 || len(in.valueSets) > 0 {
		return false, nil
	}
	want, err := r.includedVersion(v, in)
	if err != nil {
		return false, err
	}
	sys, err := r.system(in.system, want)
	if err != nil {
		return false, nil // the long way says it
	}
	stored, ok := sys.(*storedSystem)
	if !ok {
		return false, nil
	}
	if err := r.acceptable(v, in, sys); err != nil {
		return false, err
	}
	if v.inactive != nil && !*v.inactive {
		q.ActiveOnly = true
	}
	q.Filters = in.filters
	if n, err := sys.Count(r.ctx, &Query{Filters: q.Filters, Limit: -1}); err != nil || n == -1 {
		return false, err // filters that the store cannot apply: the long way
	}
	r.checkValueSet(v, v)
	r.checkSystem(sys, v)
	info := sys.Info()
	r.use("codesystem", info.Canonical())
	q.Offset, q.Limit = e.offset, *e.count
	list, total, err := stored.page(r.ctx, &q)
	for _, c := range list {
		e.members = append(e.members, &member{sys: sys, system: in.system, version: info.Version, code: c.Code, concept: c, set: v})
	}
	e.total = total
	return true, err
}

func excludedSystem(without []string, m *member) bool {
	for _, w := range without {
		if w == m.system || w == canonical(m.system, m.version) {
			return true
		}
	}
	return false
}

// echoed are the parameters that an expansion repeats, with their types.
var echoed = []struct{ name, valueType string }{
	{"activeOnly", "Boolean"}, {"count", "Integer"}, {"designation", "String"}, {"excludeNested", "Boolean"}, {"excludeNotForUI", "Boolean"},
	{"excludePostCoordinated", "Boolean"}, {"filter", "String"}, {"includeDefinition", "Boolean"}, {"includeDesignations", "Boolean"},
	{"offset", "Integer"}, {"exclude-system", "Uri"}, {"system-version", "Uri"}, {"check-system-version", "Uri"}, {"force-system-version", "Uri"},
}

// json writes the ValueSet.
func (e *expansion) json(r *run, now time.Time) ([]byte, error) {
	w := &writer{b: make([]byte, 0, 512+200*len(e.members))}
	w.open('{').str("resourceType", "ValueSet")
	if e.set.node.Valid() {
		e.metadata(w)
	} else {
		w.str("url", e.set.url).str("status", "active")
	}
	if e.definition && e.set.node.Valid() {
		if c := e.set.node.Get("compose"); c.Valid() {
			w.key("compose").raw(c.Raw())
		}
	}
	w.key("expansion").open('{')
	body := &writer{}
	usedProps := map[string]string{}
	if err := e.contains(r, body, usedProps); err != nil {
		return nil, err
	}
	e.header(r, w, usedProps, now)
	if len(body.b) > 0 {
		w.key("contains").raw(body.b)
	}
	w.close('}').close('}')
	return w.b, r.failure
}

// metadata copies what identifies the value set.
func (e *expansion) metadata(w *writer) {
	root := e.set.node
	w.str("id", root.Get("id").Text())
	w.str("language", root.Get("language").Text())
	var ext []Extension
	for x := root.Get("extension").First(); x.Valid(); x = x.Next() {
		if u := x.Get("url").Text(); u != extStandardsStatus {
			ext = append(ext, Extension{u, x.Raw()})
		}
	}
	w.extensions(ext)
	for _, k := range []string{"url", "identifier", "version", "name", "title", "status", "experimental", "date", "publisher"} {
		if n := root.Get(k); n.Valid() {
			w.key(k).raw(n.Raw())
		}
	}
}

func (e *expansion) header(r *run, w *writer, props map[string]string, now time.Time) {
	var exts []Extension
	for _, u := range r.used {
		if u.kind == "fragment" {
			url, _, _ := strings.Cut(u.canonical, "|")
			x := &writer{}
			x.open('{').str("url", extUnclosed).boolean("valueBoolean", true).close('}')
			y := &writer{}
			y.open('{').str("url", extUnclosedReason).str("valueString", "This extension is based on a fragment of the code system "+url).close('}')
			exts = append(exts, Extension{"", x.b}, Extension{"", y.b})
		}
	}
	codes := make([]string, 0, len(props))
	for c := range props {
		codes = append(codes, c)
	}
	slices.Sort(codes)
	for _, c := range codes {
		x := &writer{}
		x.open('{').key("extension").open('[')
		x.open('{').str("url", "code").str("valueCode", c).close('}')
		if props[c] != "" {
			x.open('{').str("url", "uri").str("valueUri", props[c]).close('}')
		}
		x.close(']').str("url", extProperty).close('}')
		exts = append(exts, Extension{"", x.b})
	}
	w.extensions(exts)
	w.str("identifier", "urn:uuid:"+newUUID())
	w.str("timestamp", now.UTC().Format("2006-01-02T15:04:05.000Z"))
	if e.total >= 0 {
		w.integer("total", e.total)
	}
	if e.count != nil || e.offset > 0 || e.params.has("offset") {
		w.integer("offset", e.offset)
	}
	w.key("parameter").open('[')
	for _, k := range echoed {
		for _, v := range e.params.all(k.name) {
			w.open('{').str("name", k.name)
			if k.valueType == "Boolean" || k.valueType == "Integer" {
				w.key("value" + k.valueType).raw([]byte(v))
			} else {
				w.str("value"+k.valueType, v)
			}
			w.close('}')
		}
	}
	if !r.lang.empty() {
		w.param("displayLanguage", "Code", r.lang.text)
	}
	for _, u := range r.used {
		w.param("used-"+u.kind, "Uri", u.canonical)
	}
	for _, u := range r.warnings {
		kind, _, _ := strings.Cut(u.kind, " ")
		w.param("warning-"+kind, "Uri", u.canonical)
	}
	w.close(']')
}

func newUUID() string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
