package profiles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"sort"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// mutation is one change of a valid resource that makes it invalid.
type mutation struct {
	kind   string
	src    []byte
	expr   string // where the error is expected
	offset int    // byte whose line the error must name; -1 for any
}

// mutator collects the mutations of a resource. It knows the definitions by the
// compiled tables, but not how they are checked.
type mutator struct {
	e   *engine
	src []byte
	out []mutation
}

func (m *mutator) add(kind, expr string, start, end int, text string, offset int) {
	src := append(append(append([]byte{}, m.src[:start]...), text...), m.src[end:]...)
	m.out = append(m.out, mutation{kind, src, expr, offset})
}

// cut removes a member of an object with the comma that goes with it.
func (m *mutator) cut(kind, expr string, member fhir.Node, offset int) {
	start, _ := member.KeySpan()
	_, end := member.Span()
	if next := member.Next(); next.Valid() {
		end, _ = next.KeySpan()
	} else {
		for start > 0 && m.src[start-1] != ',' && m.src[start-1] != '{' {
			start--
		}
		if m.src[start-1] == ',' {
			start--
		}
	}
	m.add(kind, expr, start, end, "", offset)
}

func (m *mutator) object(n fhir.Node, t *table, expr string) {
	start, _ := n.Span()
	m.add("unknown element", expr, start+1, start+1, "\n\"zzUnknown\": true,\n", start+2)
	members := map[*elem]int{}
	for c := n.First(); c.Valid(); c = c.Next() {
		if mem := t.memberOf(c); mem != nil {
			members[mem.elem]++
		}
	}
	for c := n.First(); c.Valid(); c = c.Next() {
		mem := t.memberOf(c)
		if mem == nil || mem.ext {
			continue
		}
		m.member(n, c, mem, t, expr, members[mem.elem] == 1)
	}
}

func (m *mutator) member(parent, c fhir.Node, mem *member, t *table, expr string, alone bool) {
	el := mem.elem
	x := expr + "." + el.name
	of := ""
	if el.choice {
		of = ".ofType(" + mem.typ + ")"
	}
	if el.min > 0 && alone && parent.Len() > 1 {
		start, _ := parent.Span()
		m.cut("required element removed", expr, c, start)
	}
	key, _ := c.KeySpan()
	start, end := c.Span()
	if el.array {
		if c.Kind() != fhir.Array {
			return
		}
		m.add("array emptied", x+of, start, end, "[]", key)
		first, last := c.First().Span()
		if c.Len() == 1 && c.First().Kind() != fhir.Null {
			m.add("array written as a single value", x+of, start, end, string(m.src[first:last]), key)
		}
		i := 0
		for v := c.First(); v.Valid(); v = v.Next() {
			m.value(parent, v, mem, fmt.Sprintf("%s[%d]", x, i)+of, v.Offset())
			i++
		}
		return
	}
	m.add("single value doubled", x+of, start, end, "["+string(m.src[start:end])+","+string(m.src[start:end])+"]", key)
	m.value(parent, c, mem, x+of, key)
	if el.choice && len(el.variants) > 1 && mem.typ != "boolean" && !parent.Get(el.name+"Boolean").Valid() && t.members[el.name+"Boolean"] != nil {
		m.add("second type of a choice", expr, key, key, "\""+el.name+"Boolean\": true,\n", -1)
	}
}

func (m *mutator) value(parent, v fhir.Node, mem *member, x string, line int) {
	start, end := v.Span()
	if mem.primitive {
		if v.Kind() == fhir.Null {
			return
		}
		m.add("object for a primitive", x, start, end, `{"zz":1}`, line)
		switch mem.typ {
		case "boolean":
			m.add("wrong JSON type", x, start, end, `"true"`, line)
			return
		case "integer", "positiveInt", "unsignedInt", "decimal":
			m.add("wrong JSON type", x, start, end, `"1"`, line)
			if mem.typ != "decimal" {
				m.add("bad format", x, start, end, "1.5", line)
			}
			return
		}
		m.add("wrong JSON type", x, start, end, "17", line)
		m.add("empty string", x, start, end, `""`, line)
		switch mem.typ {
		case "date", "dateTime", "instant":
			m.add("bad format", x, start, end, `"2020-02-30"`, line)
			m.add("bad format", x, start, end, `"yesterday"`, line)
		case "id":
			m.add("bad format", x, start, end, `"no/slash"`, line)
		case "uri", "url", "canonical":
			m.add("bad format", x, start, end, `"http://a b"`, line)
		case "code":
			m.add("bad format", x, start, end, `"two  spaces"`, line)
		}
		if b := mem.elem.binding; b != nil && b.strength == "required" && mem.typ == "code" {
			if vs := m.e.valueSet(b.valueSet); vs != nil && vs.exact && vs.anyCode == nil && vs.count > 0 {
				m.add("code outside of a required value set", x, start, end, `"zz-none"`, line)
			}
		}
		return
	}
	m.add("primitive for an object", x, start, end, `"text"`, line)
	m.add("object emptied", x, start, end, `{}`, line)
	if v.Kind() != fhir.Object {
		return
	}
	if mem.resource {
		if t := m.e.table(v.Get("resourceType").Text()); t != nil {
			m.object(v, t, x)
		}
		return
	}
	t := m.e.tableOf(mem)
	if t == nil {
		return
	}
	if mem.typ == "Reference" {
		ref := v.Get("reference")
		if s, e := ref.Span(); ref.Valid() {
			at, _ := ref.KeySpan()
			m.add("reference to no contained resource", x, s, e, `"#zz-none"`, at)
			if mem.allowed != nil && !strings.Contains(strings.Join(mem.allowed, " "), "Schedule") {
				m.add("reference to a wrong type", x, s, e, `"Schedule/1"`, at)
			}
		}
	}
	m.object(v, t, x)
}

// profileRules adds mutations against what a profile says beyond the base.
func (m *mutator) profileRules(r *run, ru *rules, it *item, expr string) {
	for _, child := range ru.children {
		items := r.children(it, child.name, nil)
		if child.min > 0 && len(items) == child.min && it.n.Len() > 1 && it.tab != nil {
			if el := it.tab.byName[child.name]; el != nil {
				for _, v := range el.variants {
					if c := it.n.Get(v.json); c.Valid() && !it.n.Get("_"+v.json).Valid() {
						m.cut("element required by a profile removed", expr, c, it.n.Offset())
					}
				}
			}
		}
		for i := range items {
			x := expr + "." + items[i].name
			if items[i].idx >= 0 {
				x += fmt.Sprintf("[%d]", items[i].idx)
			}
			if items[i].choice {
				x += ".ofType(" + items[i].typ + ")"
			}
			if items[i].n.Valid() {
				m.profileRules(r, child, &items[i], x)
			}
		}
		if s := child.sliced; s != nil {
			m.slices(r, s, it, items, expr)
		}
	}
}

// slices removes the array of a required slice's only item.
func (m *mutator) slices(r *run, s *slicedRules, it *item, items []item, expr string) {
	for _, sl := range s.slices {
		if sl.min != 1 || len(items) != 1 || !sl.match(r, &items[0]) || items[0].idx < 0 {
			continue
		}
		for c := it.n.First(); c.Valid(); c = c.Next() {
			if c.KeyIs(items[0].name) && it.n.Len() > 1 {
				m.cut("required slice removed", expr, c, it.n.Offset())
			}
		}
	}
}

// mutationsOf makes the mutations of a valid resource.
func mutationsOf(t *testing.T, v *Validator, src []byte) []mutation {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, src, "", "  "); err != nil {
		t.Fatal(err)
	}
	doc := parse(t, pretty.Bytes())
	e := v.current()
	n := doc.Root()
	typ := n.Get("resourceType").Text()
	m := &mutator{e: e, src: pretty.Bytes()}
	m.object(n, e.table(typ), typ)
	r := &run{ctx: t.Context(), e: e, v: v, opts: &Request{}, doc: doc, silent: 1}
	it := r.resourceItem(n)
	for c := n.Get("meta").Get("profile").First(); c.Valid(); c = c.Next() {
		if p, err := e.profile(c.Text()); err == nil && p.typ == typ {
			m.profileRules(r, p.root, &it, typ)
		}
	}
	return m.out
}

// structural are the kinds of mutation that a JSON Schema can find.
var structural = map[string]bool{"unknown element": true, "required element removed": true, "array emptied": true,
	"array written as a single value": true, "single value doubled": true, "object for a primitive": true, "primitive for an object": true,
	"object emptied": true, "wrong JSON type": true, "empty string": true, "second type of a choice": true}

// TestMutations breaks valid resources in one place and asks that the error is
// found there: the expression, and the line.
func TestMutations(t *testing.T) {
	t.Parallel()
	testdata.Whole(t)
	v := withPackages(t, Config{}, usCore)
	files := map[string][]byte{}
	for name, src := range testdata.Tar(t, "ncpi/ncpi-ig-2-0.2.0.tar.zst") {
		if path.Base(path.Dir(name)) == "examples" {
			files["ncpi/"+path.Base(name)] = src
		}
	}
	loadNCPI(t, v.Registry())
	for name, src := range packageExamples(t, usCore) {
		files["us-core/"+name] = src
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	each := 15 // of each example
	if os.Getenv("INGLE_LONG") != "" {
		each = 40
	}
	rng := rand.New(rand.NewPCG(5, 5))
	found, missed, agree, disagree, tried := 0, 0, 0, 0, map[string]int{}
	for _, name := range names {
		if HasErrors(v.Validate(t.Context(), parse(t, files[name]), Request{})) {
			continue
		}
		all := mutationsOf(t, v, files[name])
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		// The rarer kinds first, so that each is tried often.
		sort.SliceStable(all, func(i, j int) bool { return tried[all[i].kind] < tried[all[j].kind] })
		for _, m := range all[:min(len(all), each)] {
			tried[m.kind]++
			doc, err := fhir.Parse(m.src, fhir.Limits{})
			if err != nil {
				t.Fatalf("%s: %s: %v\n%s", name, m.kind, err, m.src)
			}
			if fault := judge(v, t, doc, m); fault != "" {
				missed++
				if missed < 40 {
					t.Errorf("%s: %s at %s: %s", name, m.kind, m.expr, fault)
				}
				continue
			}
			found++
			if structural[m.kind] && !strings.Contains(m.expr, ".contained[") && !strings.Contains(m.expr, ".resource") {
				s, err := v.current().schema(sdPrefix + doc.Root().Get("resourceType").Text())
				if err != nil {
					t.Fatal(err)
				}
				if s.against(doc.Root()) == nil {
					disagree++
					t.Errorf("%s: %s at %s: the JSON Schema does not find it", name, m.kind, m.expr)
				} else {
					agree++
				}
			}
		}
	}
	t.Logf("mutations that the JSON Schema finds too: %d passed, %d failed", agree, disagree)
	t.Logf("mutations: %d passed, %d failed; by kind %v", found, missed, tried)
	if found < 2000 {
		t.Errorf("only %d mutations", found)
	}
}

// judge tells what is wrong with the verdict on a mutation, "" if nothing is.
func judge(v *Validator, t *testing.T, doc *fhir.Doc, m mutation) string {
	issues := errorsOf(v.Validate(t.Context(), doc, Request{}))
	line := 0
	if m.offset >= 0 {
		line = bytes.Count(m.src[:m.offset], []byte{'\n'}) + 1
	}
	there := false
	for _, is := range issues {
		x := is.Expression[0]
		if (x == m.expr || m.offset < 0 && strings.HasPrefix(x, m.expr)) && (line == 0 || is.Line == line) {
			there = true
		}
		if !strings.HasPrefix(x, m.expr) && !strings.HasPrefix(m.expr, x) && !strings.Contains(m.kind, "required") {
			// A change may break a rule about its surroundings: a reference to a
			// contained resource whose id is gone, an invariant of the parent.
			if is.Code != fhir.CodeInvariant && is.Code != fhir.CodeStructure && is.Code != fhir.CodeRequired {
				return "also blamed on " + describe(is)
			}
		}
	}
	if there {
		return ""
	}
	if len(issues) == 0 {
		return "nothing found"
	}
	return fmt.Sprintf("line %d: found %s", line, describe(issues[0]))
}
