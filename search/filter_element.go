package search

import (
	"slices"
	"strings"
)

// filterElement is a name that R4 adds for _filter: name[child eq value].child eq value
// is about one element of the resource, and stands for a composite parameter.
type filterElement struct {
	composite string
	children  []string // in the order of its parts
}

// filterElements are those whose parameters there are in R4, by resource type and
// name (R4 search_filter, "Additional Parameters").
var filterElements = map[string]filterElement{
	"DocumentReference.relatesTo": {"relationship", []string{"code", "target"}},
	"Group.characteristic":        {"characteristic-value", []string{"code", "value"}},
}

// element takes such a name with the bracket behind it; nil where there is none.
func (f *filterParser) element() *filterElement {
	name, _, ok := strings.Cut(f.src[f.at:], "[")
	if !ok || len(f.types) != 1 {
		return nil
	}
	e, ok := filterElements[f.types[0]+"."+name]
	if !ok {
		return nil
	}
	f.at += len(name) + len("[")
	return &e
}

// ofElement reads what stands behind the bracket.
func (f *filterParser) ofElement(e *filterElement) (cond, error) {
	values := make([]string, len(e.children))
	f.bracket++
	err := f.child(e, values)
	f.bracket--
	if err != nil {
		return nil, err
	}
	if err := f.closing(); err != nil {
		return nil, err
	}
	if err := f.child(e, values); err != nil {
		return nil, err
	}
	return f.search(e.composite, "", strings.Join(values, "$"))
}

// child reads one of the two comparisons.
func (f *filterParser) child(e *filterElement, values []string) error {
	f.blank()
	at := f.at
	i := slices.Index(e.children, f.word())
	if i < 0 || values[i] != "" {
		f.at = at
		return f.fail(list(e.children) + " are expected, one in the brackets and one behind them")
	}
	at = f.at
	if op := strings.ToLower(f.word()); op != "eq" && op != "re" {
		f.at = at
		return f.fail("eq or re is expected here")
	}
	value, err := f.value()
	if err != nil {
		return err
	}
	values[i] = strings.Join(splitEscaped(filterValue("token", value), '$'), `\$`)
	return nil
}
