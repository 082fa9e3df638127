package search

import (
	"strings"

	"ingle/fhir"
)

// A reference is found by its target (R4 3.1.1.5.12):
//
//	Type/id on this server, absolute URLs below its base among them  RefKey("Type/id")
//	any other URL or urn                                             RefKey(the URL)
//	with a version (…/_history/2, url|2.0)                           a second row with the version
//	Reference.identifier                                             token rows of "code:identifier"
//
// A reference into the resource itself ("#x"), or one that is only an identifier
// or a display, has a row that only :missing finds.

// refPresentKey is the target of references that point to nothing that can be named.
func refPresentKey() int64 { return RefKey("#") }

func (x *extraction) reference(p *Param, typ, is string, n fhir.Node) {
	switch typ {
	case "Reference":
		x.element(p, is, n)
	case "Resource":
		x.embedded(p, n)
	case "canonical":
		if n.Kind() == fhir.String {
			x.canonical(p, n)
		}
	default: // uri, url, oid, uuid
		if n.Kind() == fhir.String {
			x.addRef(p, n.Text(), "", n)
		}
	}
}

func (x *extraction) addRef(p *Param, key, target string, n fhir.Node) {
	x.rows.Refs = append(x.rows.Refs, RefRow{RK: RefKey(key), P: p.ID, Target: target, node: n})
}

// element takes a Reference; is, if not empty, is the type it must point to.
func (x *extraction) element(p *Param, is string, n fhir.Node) {
	if n.Kind() != fhir.Object {
		return
	}
	ref, typ := x.r.parseReference(text(n, "reference")), text(n, "type")
	if is != "" && x.targetType(ref, typ) != is {
		return
	}
	if id := n.Get("identifier"); id.Kind() == fhir.Object {
		x.identifier(p.ident, 0, 0, id)
	}
	switch ref.Form {
	case fhir.RefRelative:
		x.addRef(p, ref.Relative(), ref.Relative(), n)
		if ref.Version != "" {
			x.addRef(p, ref.Relative()+"/_history/"+ref.Version, "", n)
		}
	case fhir.RefAbsolute:
		url := ref.Base + "/" + ref.Relative()
		x.addRef(p, url, "", n)
		if ref.Version != "" {
			x.addRef(p, url+"/_history/"+ref.Version, "", n)
		}
	case fhir.RefURL, fhir.RefURN:
		x.addRef(p, ref.URL, "", n)
		if ref.Version != "" {
			x.addRef(p, ref.URL+"|"+ref.Version, "", n)
		}
	default:
		x.rows.Refs = append(x.rows.Refs, RefRow{RK: refPresentKey(), P: p.ID, node: n})
	}
}

// targetType tells the type that a reference points to, "" if that cannot be
// known without reading another resource.
func (x *extraction) targetType(ref fhir.Reference, typ string) string {
	switch ref.Form {
	case fhir.RefRelative, fhir.RefAbsolute:
		return ref.Type
	case fhir.RefFragment:
		root := x.doc.Root()
		if ref.Fragment == "" {
			return x.t.name
		}
		for c := root.Get("contained").First(); c.Valid(); c = c.Next() {
			if isString(c.Get("id"), ref.Fragment) {
				return text(c, "resourceType")
			}
		}
	}
	return typ
}

// embedded takes a resource that stands where a reference might (Bundle.entry).
func (x *extraction) embedded(p *Param, n fhir.Node) {
	typ, id := text(n, "resourceType"), text(n, "id")
	if typ == "" || len(p.Targets) > 0 && !contains(p.Targets, typ) {
		return
	}
	if id == "" {
		x.rows.Refs = append(x.rows.Refs, RefRow{RK: refPresentKey(), P: p.ID, node: n})
		return
	}
	x.addRef(p, typ+"/"+id, "", n)
}

func (x *extraction) canonical(p *Param, n fhir.Node) {
	s := n.Text()
	bare, version, _ := strings.Cut(s, "|")
	if bare == "" || bare[0] == '#' {
		x.rows.Refs = append(x.rows.Refs, RefRow{RK: refPresentKey(), P: p.ID, node: n})
		return
	}
	bare, _, _ = strings.Cut(bare, "#")
	ref := x.r.parseReference(bare)
	if ref.Form == fhir.RefRelative {
		x.addRef(p, ref.Relative(), ref.Relative(), n)
	} else {
		x.addRef(p, bare, "", n)
	}
	if version != "" {
		x.addRef(p, bare+"|"+version, "", n)
	}
}

// parseReference takes a reference apart, with the server's own base URLs.
func (r *Registry) parseReference(s string) fhir.Reference {
	return fhir.ParseReference(s, r.bases, r.defs.IsResourceType)
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
