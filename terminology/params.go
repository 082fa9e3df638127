package terminology

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ingle/fhir"
)

// Parameter is one input of an operation: from a Parameters resource, or a
// query parameter of a GET.
type Parameter struct {
	Name string
	Text string    // of a primitive value, as text
	Node fhir.Node // the value or resource; not valid for a query parameter
	Part []Parameter
}

// Parameters are the inputs of one call, with what is not a parameter.
type Parameters struct {
	List []Parameter
	// AcceptLanguage is the header of that name, "" for none.
	AcceptLanguage string
	// Resource is the resource that the operation was called on (instance level).
	Resource *fhir.Doc
}

// ReadParameters reads a Parameters resource. Any other resource is taken as
// the one parameter that the operation has for it ("valueSet", "codeSystem",
// "conceptMap"), as R4 allows.
func ReadParameters(body []byte) (Parameters, error) {
	doc, err := fhir.Parse(body, fhir.Limits{})
	if err != nil {
		return Parameters{}, err
	}
	n := doc.Root()
	switch t := n.Get("resourceType").Text(); t {
	case "Parameters":
	case "ValueSet", "CodeSystem", "ConceptMap":
		return Parameters{List: []Parameter{{Name: strings.ToLower(t[:1]) + t[1:], Node: n}}}, nil
	default:
		return Parameters{}, fhir.Errorf(400, fhir.CodeInvalid, "the body is %s; a Parameters resource is expected", orNothing(t))
	}
	list, err := readParts(n.Get("parameter"), "Parameters.parameter", 0)
	return Parameters{List: list}, err
}

func orNothing(t string) string {
	if t == "" {
		return "no FHIR resource"
	}
	return "a " + t
}

func readParts(list fhir.Node, path string, depth int) ([]Parameter, error) {
	var out []Parameter
	i := 0
	for n := list.First(); n.Valid(); n = n.Next() {
		at := fmt.Sprintf("%s[%d]", path, i)
		i++
		p := Parameter{Name: n.Get("name").Text()}
		if p.Name == "" {
			return nil, fhir.Errorf(400, fhir.CodeRequired, "%s has no name", at).At(at).AtNode(n)
		}
		values := 0
		for m := n.First(); m.Valid(); m = m.Next() {
			switch k := m.Key(); {
			case strings.HasPrefix(k, "value"):
				p.Node, p.Text = m, m.Text()
				values++
			case k == "resource":
				p.Node = m
				values++
			case k == "part" && depth < 8:
				var err error
				if p.Part, err = readParts(m, at+".part", depth+1); err != nil {
					return nil, err
				}
			}
		}
		if values > 1 {
			return nil, fhir.Errorf(400, fhir.CodeStructure, "%s has more than one value", at).At(at).AtNode(n)
		}
		out = append(out, p)
	}
	return out, nil
}

// one returns the only value of a parameter as text.
func (p *Parameters) one(name string) (string, bool, error) {
	var found *Parameter
	for i := range p.List {
		if p.List[i].Name != name {
			continue
		}
		if found != nil {
			return "", false, fhir.Errorf(400, fhir.CodeInvalid, "the parameter %s may be given once", name)
		}
		found = &p.List[i]
	}
	if found == nil {
		return "", false, nil
	}
	if k := found.Node.Kind(); k == fhir.Object || k == fhir.Array {
		return "", false, fhir.Errorf(400, fhir.CodeValue, "the parameter %s must be a simple value", name)
	}
	return found.Text, true, nil
}

func (p *Parameters) all(name string) []string {
	var out []string
	for i := range p.List {
		if p.List[i].Name == name && p.List[i].Text != "" {
			out = append(out, p.List[i].Text)
		}
	}
	return out
}

func (p *Parameters) has(name string) bool {
	return slices.ContainsFunc(p.List, func(x Parameter) bool { return x.Name == name })
}

// node returns the only complex value or resource of a parameter.
func (p *Parameters) node(name string) (fhir.Node, error) {
	var found fhir.Node
	for i := range p.List {
		if p.List[i].Name != name {
			continue
		}
		if found.Valid() {
			return found, fhir.Errorf(400, fhir.CodeInvalid, "the parameter %s may be given once", name)
		}
		if found = p.List[i].Node; found.Kind() != fhir.Object {
			return fhir.Node{}, fhir.Errorf(400, fhir.CodeValue, "the parameter %s must be sent in a Parameters resource", name)
		}
	}
	return found, nil
}

// reader reads simple parameters and keeps the first error.
type reader struct {
	p   *Parameters
	err error
}

func (r *reader) text(name string) string {
	v, _, err := r.p.one(name)
	if err != nil && r.err == nil {
		r.err = err
	}
	return v
}

func (r *reader) boolean(name string) *bool {
	v, ok, err := r.p.one(name)
	if err == nil && ok && v != "true" && v != "false" {
		err = fhir.Errorf(400, fhir.CodeValue, "the parameter %s must be true or false, not %q", name, v)
	}
	if err != nil && r.err == nil {
		r.err = err
	}
	if !ok || err != nil {
		return nil
	}
	is := v == "true"
	return &is
}

func (r *reader) integer(name string) *int {
	v, ok, err := r.p.one(name)
	if err != nil || !ok {
		if r.err == nil {
			r.err = err
		}
		return nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > 1<<31-1 {
		if r.err == nil {
			r.err = fhir.Errorf(400, fhir.CodeValue, "the parameter %s must be a number from 0, not %q", name, v)
		}
		return nil
	}
	return &n
}

func is(b *bool) bool { return b != nil && *b }

// prepare sets up a run with what all operations take: tx-resource, versions of
// code systems, supplements and languages.
func (s *Service) prepare(r *run, p *Parameters) error {
	var own Listed
	n := 0
	for i := range p.List {
		x := &p.List[i]
		switch x.Name {
		case "tx-resource":
			if x.Node.Kind() != fhir.Object {
				return fhir.Errorf(400, fhir.CodeValue, "the parameter tx-resource must be a resource")
			}
			doc, err := fhir.Parse(x.Node.Raw(), fhir.Limits{})
			if err != nil {
				return err
			}
			own.AddDoc(doc, "", false)
			n++
		case "system-version", "check-system-version", "force-system-version", "default-valueset-version":
			url, version, ok := strings.Cut(x.Text, "|")
			if !ok || url == "" || version == "" {
				return fhir.Errorf(400, fhir.CodeValue, "the parameter %s must be a canonical with a version, \"url|version\", not %q", x.Name, x.Text)
			}
			m := map[string]*map[string]string{"system-version": &r.defaultVersion, "check-system-version": &r.checkVersion,
				"force-system-version": &r.forceVersion, "default-valueset-version": &r.defaultSet}[x.Name]
			if *m == nil {
				*m = map[string]string{}
			}
			(*m)[url] = version
		}
	}
	if n > 0 {
		r.src = Sources{&own, r.src}
		r.static = false
	}
	return r.loadSupplements(p.all("useSupplement"))
}

// pickLanguage settles the language of displays: what the request says, else
// its header, else the value set.
func (r *run) pickLanguage(p *Parameters, v *valueSet) error {
	said, ok, err := p.one("displayLanguage")
	if err != nil {
		return err
	}
	switch {
	case ok:
	case p.AcceptLanguage != "":
		said = p.AcceptLanguage
	case v != nil && v.displayLanguage != "":
		said = v.displayLanguage
	case v != nil:
		said = v.language
	}
	r.lang = parseLanguages(said)
	return nil
}

// theValueSet finds the value set that a call is about: inline, by URL, or the
// instance.
func (s *Service) theValueSet(r *run, p *Parameters) (*valueSet, error) {
	for _, name := range []string{"context", "contextDirection"} {
		if p.has(name) {
			return nil, fhir.Errorf(422, fhir.CodeNotSupported, "the parameter %s is not supported; give the url of the value set that the element is bound to", name)
		}
	}
	inline, err := p.node("valueSet")
	if err != nil {
		return nil, err
	}
	rd := reader{p: p}
	url, version := rd.text("url"), rd.text("valueSetVersion")
	if rd.err != nil {
		return nil, rd.err
	}
	given := 0
	for _, b := range []bool{inline.Valid(), url != "", p.Resource != nil} {
		if b {
			given++
		}
	}
	if given > 1 && p.Resource == nil && inline.Valid() && inline.Get("url").Text() == url {
		url, given = "", 1
	}
	if given > 1 {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "give the value set once: as url, as valueSet, or by calling the operation on an instance")
	}
	switch {
	case inline.Valid():
		if t := inline.Get("resourceType").Text(); t != "ValueSet" {
			return nil, fhir.Errorf(400, fhir.CodeInvalid, "the parameter valueSet is %s, not a ValueSet", orNothing(t))
		}
		r.static = false
		return compileValueSet(inline, 0)
	case p.Resource != nil:
		r.static = false
		return compileValueSet(p.Resource.Root(), 0)
	case url != "":
		if u, v, ok := strings.Cut(url, "|"); ok {
			if version != "" && version != v {
				return nil, fhir.Errorf(400, fhir.CodeInvalid, "url names version %s and valueSetVersion %s", v, version)
			}
			url, version = u, v
		}
		if version == "" {
			version = r.defaultSet[url]
		}
		v, err := r.valueSet(canonical(url, version), nil)
		if err != nil {
			return nil, asClientError(err)
		}
		return v, nil
	}
	return nil, fhir.Errorf(400, fhir.CodeRequired, "no value set is given: send url or valueSet, or call the operation on a ValueSet")
}
