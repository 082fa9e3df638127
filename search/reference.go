package search

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// A reference is found by its target (R4 search, "reference"):
//
//	Type/id on this server, absolute URLs below its base among them  RefKey("Type/id")
//	any other URL or urn                                             RefKey(the URL)
//	with a version (…/_history/2)                                    a second row with the version
//	canonical with a version (url|2.0)                               RefKey("url|2.0"), and RefKey("url") and
//	                                                                 RefKey("url|2") of "code:url", for :below
//	Reference.identifier                                             token rows of "code:identifier"
//	into the resource itself ("#x")                                  RefKey("#x"), for chains
//
// A reference that is only an identifier or a display has a row that only
// :missing finds.

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
	case fhir.RefFragment:
		x.fragment(p, ref.Fragment, n)
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
		if ref.Fragment == "" { // what contains this one
			return text(x.doc.Root(), "resourceType")
		}
		if t := x.containedType(ref.Fragment); t != "" {
			return t
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
	if fragment, ok := strings.CutPrefix(s, "#"); ok {
		x.fragment(p, fragment, n)
		return
	}
	if bare == "" {
		x.rows.Refs = append(x.rows.Refs, RefRow{RK: refPresentKey(), P: p.ID, node: n})
		return
	}
	bare, _, _ = strings.Cut(bare, "#")
	ref := x.r.parseReference(bare)
	if ref.Form == fhir.RefRelative {
		x.addRef(p, ref.Relative(), ref.Relative(), n)
		return
	}
	if version == "" {
		x.addRef(p, bare, "", n)
		return
	}
	// A chain meets the version alone, a search for the URL any version.
	x.addRef(p, bare+"|"+version, "", n)
	x.rows.Refs = append(x.rows.Refs, RefRow{RK: RefKey(bare), P: p.bare, node: n})
	for _, begin := range versionBegins(version) {
		x.rows.Refs = append(x.rows.Refs, RefRow{RK: RefKey(bare + "|" + begin), P: p.bare, node: n})
	}
}

// maxVersionBegins is how many beginnings of a version are found by :below.
const maxVersionBegins = 8

// versionBegins are the beginnings of a version at the borders of its parts: 1
// and 1.0 of 1.0.2, of 1.0-beta too. The version itself is none.
func versionBegins(version string) []string {
	var out []string
	for i := 1; i < len(version) && len(out) < maxVersionBegins; i++ {
		if version[i] == '.' || version[i] == '-' {
			out = append(out, version[:i])
		}
	}
	return out
}

// identity adds the rows by which canonical references meet this resource: its
// url, and its url with its version.
func (x *extraction) identity(p ParamID) {
	root := x.root
	url, version := text(root, "url"), text(root, "version")
	if url == "" {
		return
	}
	x.rows.Refs = append(x.rows.Refs, RefRow{RK: RefKey(url), P: p, node: root})
	if version != "" {
		x.rows.Refs = append(x.rows.Refs, RefRow{RK: RefKey(url + "|" + version), P: p, node: root})
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

// reference reads the values of a reference parameter.
func (v *valueReader) reference() (cond, error) {
	begins := false // :below of a canonical: the version is what versions begin with
	switch v.modifier {
	case "identifier":
		if v.canonicals() {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: canonical URLs have no identifier beside themselves", v.name)
		}
		return v.referenceIdentifier()
	case "above", "below":
		if !v.canonicals() {
			return v.hierarchy()
		}
		if v.modifier == "above" {
			return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: of canonical URLs R4 has :below, but not :above", v.name)
		}
		begins, v.modifier = true, ""
	}
	s := &scan{rel: Ref, types: v.types, unique: true, order: rankReference}
	for _, value := range v.values {
		targets, err := v.targets(value)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			_, version, versioned := strings.Cut(t, "|")
			if begins && strings.Count(version, ".")+strings.Count(version, "-") >= maxVersionBegins {
				return nil, v.fail(value, "a version of at most %d parts is expected", maxVersionBegins)
			}
			for _, sp := range v.ps {
				s.keys, s.ps = append(s.keys, RefKey(t)), append(s.ps, sp.ID)
				if sp.canonical && (!versioned || begins) {
					s.keys, s.ps = append(s.keys, RefKey(t)), append(s.ps, sp.bare)
				}
			}
		}
	}
	return s, nil
}

// canonicals tells that the parameter finds canonical URLs in all its types.
func (v *valueReader) canonicals() bool {
	return !slices.ContainsFunc(v.ps, func(sp *Param) bool { return !sp.canonical })
}

// targets are the texts whose RefKey a value stands for: the forms in which the
// same target may have been indexed.
func (v *valueReader) targets(value string) ([]string, error) {
	s := unescape(value)
	typ := v.modifier
	allowed := v.ps[0].Targets
	for _, sp := range v.ps[1:] {
		allowed = append(slices.Clone(allowed), sp.Targets...)
	}
	if !strings.ContainsAny(s, "/:|#") { // a bare id
		var out []string
		for _, sp := range v.ps {
			if sp.canonical { // "#x" and the like apart, any text may be a canonical
				out = []string{s}
			}
		}
		if !fhir.ValidID(s) && out == nil {
			return nil, v.fail(value, "an id, Type/id or URL is expected")
		}
		if typ != "" {
			return v.local(typ + "/" + s), nil
		}
		slices.Sort(allowed)
		for _, t := range slices.Compact(slices.Clone(allowed)) {
			out = append(out, v.local(t+"/"+s)...)
		}
		if out == nil {
			return nil, v.fail(value, "the parameter may point to any type of resource; write Type/id")
		}
		return out, nil
	}
	bare, version, versioned := strings.Cut(s, "|")
	ref := v.parseReference(bare)
	if typ != "" && (ref.Form == fhir.RefRelative || ref.Form == fhir.RefAbsolute) && ref.Type != typ {
		return nil, v.fail(value, "the modifier :%s and the type %s contradict each other", typ, ref.Type)
	}
	suffix := ""
	if versioned {
		suffix = "|" + version
	}
	switch ref.Form {
	case fhir.RefRelative:
		if ref.Version != "" {
			suffix = "/_history/" + ref.Version
		}
		return v.local(ref.Relative() + suffix), nil
	case fhir.RefAbsolute:
		if ref.Version != "" {
			suffix = "/_history/" + ref.Version
		}
		return []string{ref.Base + "/" + ref.Relative() + suffix}, nil
	case fhir.RefURL, fhir.RefURN:
		return []string{bare + suffix}, nil
	}
	return nil, v.fail(value, "an id, Type/id, URL or urn is expected%s", DidYouMean(strings.Split(s, "/")[0], v.p.r.defs.ResourceTypes()))
}

// parseReference takes a reference apart, with the base URLs of the request and
// the server's own.
func (v *valueReader) parseReference(s string) fhir.Reference {
	ref := fhir.ParseReference(s, v.p.req.BaseURLs, v.p.r.defs.IsResourceType)
	if ref.Form != fhir.RefRelative {
		if own := v.p.r.parseReference(s); own.Form == fhir.RefRelative {
			return own
		}
	}
	return ref
}

// local are the forms of a resource of this server: as it is, and below a base
// URL of the request that was not known when the resource was indexed.
func (v *valueReader) local(rel string) []string {
	out := []string{rel}
	for _, base := range v.p.req.BaseURLs {
		if !contains(v.p.r.bases, base) {
			out = append(out, base+"/"+rel)
		}
	}
	return out
}

// referenceIdentifier reads :identifier, which looks at Reference.identifier.
func (v *valueReader) referenceIdentifier() (cond, error) {
	var keys []int64
	for _, value := range v.values {
		system, code, hasSystem := cutEscaped(value, '|')
		system, code = unescape(system), unescape(code)
		if hasSystem && system == "" && code == "" {
			return nil, v.fail(value, "neither system nor value is given")
		}
		for _, sp := range v.ps {
			switch {
			case !hasSystem:
				keys = append(keys, tokenAnyKey(sp.ident, foldCode(system)))
			case code == "":
				keys = append(keys, tokenSystemKey(sp.ident, system))
			default:
				keys = append(keys, TokenKey(sp.ident, system, foldCode(code)))
			}
		}
	}
	return &scan{rel: Token, types: v.types, keys: keys, unique: true, order: rankIdentifier}, nil
}
