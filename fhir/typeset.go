package fhir

import (
	"iter"
	"strconv"
	"strings"
	"sync"
)

// typeSet builds types when they are asked for: the text of all of them is
// decompressed once, each root type with its backbone elements is parsed on its
// own.
type typeSet struct {
	once  sync.Once
	roots map[string]*typeRoot
	names []string // of the roots, sorted
}

type typeRoot struct {
	once  sync.Once
	text  string
	types map[string]*Type
	order []*Type
}

func (s *typeSet) get(data []byte, name string) *Type {
	s.load(data)
	rootName, _, nested := strings.Cut(name, ".")
	root := s.roots[rootName]
	if root == nil {
		return nil
	}
	root.once.Do(root.parse)
	if t := root.types[name]; t != nil || !nested || strings.HasSuffix(name, ".") {
		return t
	}
	return root.walk(name)
}

func (s *typeSet) load(data []byte) {
	s.once.Do(func() { s.index(data) })
}

func (s *typeSet) all(data []byte) iter.Seq[*Type] {
	return func(yield func(*Type) bool) {
		s.load(data)
		for _, name := range s.names {
			root := s.roots[name]
			root.once.Do(root.parse)
			for _, t := range root.order {
				if !yield(t) {
					return
				}
			}
		}
	}
}

// index cuts the text into roots: a line "T name" whose name has no dot begins one.
func (s *typeSet) index(data []byte) {
	text := string(decompress(data))
	s.roots = make(map[string]*typeRoot, 256)
	start := 0
	root := func(end int) {
		if end > start {
			s.roots[s.names[len(s.names)-1]] = &typeRoot{text: text[start:end]}
			start = end
		}
	}
	for at := 0; at < len(text); {
		end := at + strings.IndexByte(text[at:], '\n') + 1
		if text[at] == 'T' {
			var n string
			columns(text[at+2:end], &n)
			if !strings.Contains(n, ".") {
				root(at)
				s.names = append(s.names, n)
			}
		}
		at = end
	}
	root(len(text))
}

// parse reads the lines of one root (see internal/definitions for their shape).
func (r *typeRoot) parse() {
	r.types = map[string]*Type{}
	var t *Type
	for line := range lines(r.text) {
		var tag string
		columns(line, &tag)
		line = line[2:]
		if tag == "T" {
			t = &Type{}
			var kind, abstract string
			columns(line, &t.Name, &t.Base, &kind, &abstract, &t.Regex)
			t.Kind = map[string]TypeKind{"primitive": TypePrimitive, "complex": TypeComplex, "resource": TypeResource, "backbone": TypeBackbone}[kind]
			t.Abstract = abstract != ""
			r.types[t.Name] = t
			r.order = append(r.order, t)
			continue
		}
		t.Fields = append(t.Fields, parseField(line, len(t.Fields)))
	}
	for _, t := range r.order {
		t.link()
	}
	r.text = ""
}

func parseField(line string, order int) Field {
	f := Field{Order: order}
	var flags, minimum, maximum, types, strength, valueSet string
	columns(line, &f.Name, &flags, &minimum, &maximum, &f.Origin, &types, &strength, &valueSet)
	f.Choice = strings.Contains(flags, "c")
	f.Modifier = strings.Contains(flags, "m")
	f.Summary = strings.Contains(flags, "s")
	f.Min, _ = strconv.Atoi(minimum)
	if maximum == "*" {
		f.Max = Unbounded
	} else {
		f.Max, _ = strconv.Atoi(maximum)
	}
	if valueSet != "" || strength != "" {
		f.Binding = &Binding{Strength: strength, ValueSet: valueSet}
	}
	f.Types = make([]TypeRef, 0, strings.Count(types, "|")+1)
	for types != "" {
		var ref TypeRef
		var one, targets, profiles string
		one, types, _ = strings.Cut(types, "|")
		ref.Code, one, _ = strings.Cut(one, ";")
		targets, profiles, _ = strings.Cut(one, ";")
		ref.Targets, ref.Profiles = split(targets, ","), split(profiles, ",")
		f.Types = append(f.Types, ref)
	}
	return f
}

// link fills the maps of names.
func (t *Type) link() {
	t.fields = make(map[string]*Field, len(t.Fields))
	t.members = make(map[string]member, len(t.Fields))
	for i := range t.Fields {
		f := &t.Fields[i]
		t.fields[f.Name] = f
		if !f.Choice {
			t.members[f.Name] = member{f, f.Types[0].Code}
			continue
		}
		for _, ref := range f.Types {
			t.members[f.Name+strings.ToUpper(ref.Code[:1])+ref.Code[1:]] = member{f, ref.Code}
		}
	}
}

// walk finds a backbone element by a path that goes through a
// contentReference: Questionnaire.item.item is Questionnaire.item.
func (r *typeRoot) walk(path string) *Type {
	name, path, _ := strings.Cut(path, ".")
	t := r.types[name]
	for path != "" {
		name, path, _ = strings.Cut(path, ".")
		f := t.Field(name)
		if f == nil {
			return nil
		}
		if t = r.types[f.Types[0].Code]; t == nil || t.Kind != TypeBackbone {
			return nil
		}
	}
	return t
}
