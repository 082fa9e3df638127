package profiles

import (
	"errors"
	"sort"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"ingle/fhir"
)

// finding is what a schema says against a resource.
type finding struct {
	at      fhir.Node
	path    []string // JSON names and indexes from the resource
	message string
}

var printer = message.NewPrinter(language.English)

// against validates a resource with a schema; findings are the deepest ones.
func (s *schema) against(n fhir.Node) []finding {
	err := s.compiled.Validate(plain(n))
	if err == nil {
		return nil
	}
	var ve *jsonschema.ValidationError
	if !errors.As(err, &ve) {
		return []finding{{at: n, message: err.Error()}}
	}
	var out []finding
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			at := n
			for _, step := range e.InstanceLocation {
				at = stepInto(at, step)
			}
			out = append(out, finding{at, e.InstanceLocation, e.ErrorKind.LocalizedString(printer)})
			return
		}
		for _, c := range e.Causes {
			walk(c)
		}
	}
	walk(ve)
	sort.SliceStable(out, func(i, j int) bool { return out[i].at.Index() < out[j].at.Index() })
	return out
}

func stepInto(n fhir.Node, step string) fhir.Node {
	if n.Kind() == fhir.Object {
		return n.Get(step)
	}
	i, err := strconv.Atoi(step)
	if err != nil {
		return fhir.Node{}
	}
	c := n.First()
	for ; i > 0 && c.Valid(); i-- {
		c = c.Next()
	}
	return c
}

// schemaPass validates a resource with the JSON Schema of its type and of the
// profiles it follows, before the closures. What both find is told once, by the
// closures, which know more: the pass adds findings inside elements that have
// no error of their own.
func (r *run) schemaPass(it *item, canonicals []string) []finding {
	var out []finding
	for _, c := range canonicals {
		s, err := r.e.schema(c)
		if err != nil {
			continue
		}
		out = append(out, s.against(it.n)...)
	}
	return out
}

// schemasFor are the definitions whose schemas a resource is held against: its
// type's, and the profiles that are asked for or else claimed.
func (r *run) schemasFor(it *item) []string {
	out := []string{sdPrefix + it.typ}
	list := r.opts.Profiles
	if list == nil {
		rules := r.v.cfg.rules(it.typ)
		for c := it.n.Get("meta").Get("profile").First(); c.Valid(); c = c.Next() {
			list = append(list, r.withVersion(c.Text(), rules))
		}
	}
	for _, url := range list {
		if s, err := r.e.structure(url); err == nil && s != nil && s.typ == it.typ && s.isProfile() {
			out = append(out, url)
		}
	}
	return out
}

// addFindings reports those findings of the schemas that no error of the
// closures is about: none on the element, around it or inside it.
func (r *run) addFindings(it *item, list []finding) {
	if len(list) == 0 || HasErrors(r.issues) {
		return
	}
	for _, f := range list {
		steps := r.steps
		r.steps = append([]step(nil), r.steps...)
		r.steps = append(r.steps, r.pathSteps(it, f.path)...)
		r.fail(f.at, fhir.CodeStructure, "", "the JSON Schema of the definition does not allow this: %s", f.message)
		r.steps = steps
	}
}

// pathSteps turns JSON names and indexes into steps of an expression.
func (r *run) pathSteps(it *item, path []string) []step {
	var out []step
	t, n := it.tab, it.n
	for _, p := range path {
		if n.Kind() == fhir.Array {
			if i, err := strconv.Atoi(p); err == nil && len(out) > 0 {
				out[len(out)-1].idx = i
			}
			n = stepInto(n, p)
			continue
		}
		s := step{name: strings.TrimPrefix(p, "_"), idx: -1}
		if t != nil {
			if m := t.members[p]; m != nil {
				s.name = m.elem.name
				if m.elem.choice {
					s.ofType = m.typ
				}
				t = r.e.tableOf(m)
			}
		}
		out = append(out, s)
		n = stepInto(n, p)
	}
	return out
}
