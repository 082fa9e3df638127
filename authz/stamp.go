package authz

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// PathHeader names the request header in which a client says which path a new
// resource without a label belongs to.
const PathHeader = "X-Gen3-Resource-Path"

// ForCreate returns the labels of a new resource, after checking that the
// caller may create with them: its own, or else the path in the header, or
// else the only root at which the caller may create. A caller who may create
// without a label and has not exactly one root creates without, and an
// administrator what Steers: it is meant for everybody. Write the
// labels into the body with Stamp. Its errors are *fhir.Error: 400 and 422 for
// a label that is no path, 403 saying what to do.
func (l Labels) ForCreate(s Scope, doc *fhir.Doc, header string) ([]string, error) {
	paths, err := l.Of(doc)
	if err != nil {
		return nil, err
	}
	forAll := header == "" && s.Admin() && s.Grant(Create).Unlabelled && Steers(doc.Root().Get("resourceType").Text(), paths)
	if len(paths) == 0 && !forAll {
		if paths, err = l.DefaultPath(s, header); err != nil {
			return nil, err
		}
	}
	return paths, s.MayCreate(paths)
}

// DefaultPath returns the label (none or one) of a new resource that comes
// without. header is the value of PathHeader, "" for none.
func (l Labels) DefaultPath(s Scope, header string) ([]string, error) {
	g := s.Grant(Create)
	if header != "" {
		path, fault := NormalizePath(header)
		if fault != "" {
			return nil, fhir.Errorf(400, fhir.CodeValue, "the header %s is not a resource path: %s", PathHeader, fault)
		}
		if !g.AllowsPaths([]string{path}) {
			return nil, fhir.Errorf(403, fhir.CodeForbidden, "you may not create resources at the path of the header %s", PathHeader)
		}
		return []string{path}, nil
	}
	if g.All {
		return nil, nil
	}
	admin := l.AdminPath
	if admin == "" {
		admin = defaultAdminPath
	}
	var roots []string
	for _, r := range g.Roots {
		if r != "/" && !Covers(r, admin) && !Covers(admin, r) {
			roots = append(roots, r)
		}
	}
	switch {
	case len(roots) == 1:
		return roots, nil
	case g.Unlabelled:
		return nil, nil
	case len(roots) == 0:
		return nil, fhir.Errorf(403, fhir.CodeForbidden, "the resource has no security label and you have no path at which to create it; "+
			"ask for a grant of create on the project that it belongs to")
	}
	const named = 10
	list := strings.Join(roots[:min(len(roots), named)], ", ")
	if len(roots) > named {
		list += ", …"
	}
	return nil, fhir.Errorf(403, fhir.CodeForbidden, "the resource has no security label and you may create at more than one path (%s); "+
		"say which, in meta.security (system %s) or in the header %s", list, l.system(), PathHeader)
}

// ForUpdate returns the labels of a new version, after checking that the caller
// may update at the old and at the new ones. A body without any label keeps the
// old ones: leaving meta.security out is no way to hide or publish a resource.
// Its errors are *fhir.Error.
func (l Labels) ForUpdate(s Scope, doc *fhir.Doc, old []string) ([]string, error) {
	paths, err := l.Of(doc)
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		paths = old
	}
	return paths, s.MayUpdate(old, paths)
}

// ForExplicit is ForUpdate for what changes labels on purpose (a patch,
// $meta-delete): here a body without a label asks for none, which needs a grant
// that reaches unlabelled resources.
func (l Labels) ForExplicit(s Scope, doc *fhir.Doc, old []string) ([]string, error) {
	paths, err := l.Of(doc)
	if err != nil {
		return nil, err
	}
	return paths, s.MayUpdate(old, paths)
}

// edit replaces src[start:end].
type edit struct {
	start, end int
	text       string
}

// Stamp returns the resource with exactly the given labels in their one
// spelling: the alias system and odd spellings are rewritten, missing ones
// added. paths must hold every label that the document has. The client's bytes
// stay as they are elsewhere; changed false means that they are all as they
// were. A changed body must be parsed and indexed anew, so that _security finds
// the labels. The document must have passed Of.
func (l Labels) Stamp(doc *fhir.Doc, paths []string) (body []byte, changed bool) {
	var edits []edit
	missing := slices.Clone(paths)
	replace := func(n fhir.Node, with string) {
		if n.Text() != with {
			start, end := n.Span()
			edits = append(edits, edit{start, end, string(fhir.AppendString(nil, with))})
		}
	}
	for c := range l.codings(doc) {
		path, _ := NormalizePath(c.Get("code").Text())
		replace(c.Get("system"), l.system())
		replace(c.Get("code"), path)
		if i := slices.Index(missing, path); i >= 0 {
			missing = slices.Delete(missing, i, i+1)
		}
	}
	if len(missing) > 0 {
		edits = append(edits, l.insertion(doc, missing))
	}
	return splice(doc.Source(), edits), len(edits) > 0
}

// insertion adds codings where the document has room for them.
func (l Labels) insertion(doc *fhir.Doc, paths []string) edit {
	var codings []byte
	for i, p := range paths {
		if i > 0 {
			codings = append(codings, ',')
		}
		codings = append(codings, `{"system":`...)
		codings = fhir.AppendString(codings, l.system())
		codings = append(codings, `,"code":`...)
		codings = append(fhir.AppendString(codings, p), '}')
	}
	root := doc.Root()
	meta := root.Get("meta")
	security := meta.Get("security")
	switch {
	case security.Valid():
		return within(security, string(codings))
	case meta.Valid():
		return within(meta, `"security":[`+string(codings)+`]`)
	}
	text := `"meta":{"security":[` + string(codings) + `]}`
	if typ := root.Get("resourceType"); typ.Valid() {
		_, end := typ.Span()
		return edit{end, end, "," + text}
	}
	return within(root, text)
}

// within inserts at the end of an object or array.
func within(n fhir.Node, text string) edit {
	_, end := n.Span()
	if n.Len() > 0 {
		text = "," + text
	}
	return edit{end - 1, end - 1, text}
}

func splice(src []byte, edits []edit) []byte {
	if len(edits) == 0 {
		return src
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
	out := make([]byte, 0, len(src)+256)
	at := 0
	for _, e := range edits {
		out = append(append(out, src[at:e.start]...), e.text...)
		at = e.end
	}
	return append(out, src[at:]...)
}
