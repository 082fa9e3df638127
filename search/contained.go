package search

import (
	"slices"
	"strconv"
	"strings"

	"ingle/fhir"
)

// Contained resources (R4 references.html#contained) are found by _contained and
// by chains that go into them (R4 search.html#contained).
//
// To the index a contained Medication is of a type of its own, "#Medication".
// All keys begin with the number of a parameter, and that is made of the type's
// name, so that nothing that asks for Medications meets the rows of a contained
// one: totals, sort orders, _has and includes need no condition for it.
//
// A contained resource has a number of its own (ContainedRID), its index rows
// under that number, and a row of relation Contained that tells what contains
// it. References into the resource ("#med") have the key of that text, which the
// row has too: that is where chains go.

// containedMark begins the name of the type of contained resources.
const containedMark = "#"

// maxContained is how many resources one may contain for the index, containedFrom
// the least number of a contained resource.
const (
	maxContained  = 1 << 20
	containedFrom = 1 << 62
)

// ContainedRID is the number of the resource at a place in the list of those that
// the resource with the number rid contains. It is beyond the numbers of all
// resources. In the default order, which is descending, contained resources go by
// their containers and then by their places. The columns container and ord of
// idx_contained are computed back from it.
func ContainedRID(rid int64, ord int) int64 {
	return containedFrom + rid*maxContained + (maxContained - 1 - int64(ord))
}

// ContainedRIDs are the numbers of the contained resources, where rid is that of
// the resource. Rows may be nil.
func (r *Rows) ContainedRIDs(rid int64) []int64 {
	if r == nil {
		return nil
	}
	out := make([]int64, len(r.Contained))
	for i, in := range r.Contained {
		out[i] = ContainedRID(rid, in.Place.Ord)
	}
	return out
}

// Place is what the row of a contained resource holds.
type Place struct {
	Ord   int // in the list of contained resources, from 0
	RType int16
	ID    string // its own, unique in the resource that contains it
	RK    int64  // RefKey("#" + ID)
}

// bareType is the resource type of a type's name, contained or not.
func bareType(t string) string { return strings.TrimPrefix(t, containedMark) }

func isContained(t string) bool { return strings.HasPrefix(t, containedMark) }

// SplitContained parts the types of resources from those of contained resources,
// whose bare names it returns.
func SplitContained(types []string) (resources, contained []string) {
	for _, t := range types {
		if isContained(t) {
			contained = append(contained, bareType(t))
		} else {
			resources = append(resources, t)
		}
	}
	return resources, contained
}

// containedTypes are the types as those of contained resources.
func containedTypes(types []string) []string {
	out := make([]string, len(types))
	for i, t := range types {
		out[i] = containedMark + t
	}
	return out
}

// typeName is a type's name for people.
func typeName(t string) string {
	if isContained(t) {
		return "a contained " + bareType(t)
	}
	return t
}

// contained takes the rows of the contained resources.
func (x *extraction) contained() error {
	ord := -1
	for n := x.root.Get("contained").First(); n.Valid(); n = n.Next() {
		if ord++; ord == maxContained {
			return fhir.Errorf(422, fhir.CodeTooCostly, "a resource may contain %d others here; this one contains more", maxContained).At(x.t.name + ".contained")
		}
		t := x.r.index(containedMark + text(n, "resourceType"))
		if t == nil || n.Kind() != fhir.Object {
			continue // to refuse it is validation's task
		}
		inner := &extraction{r: x.r, t: t, doc: x.doc, root: n, mark: containedMark}
		inner.all()
		rows, id := inner.rows, text(n, "id")
		rows.Place = &Place{Ord: ord, RType: t.number, ID: id, RK: RefKey(containedMark + id)}
		x.rows.Coded = append(x.rows.Coded, rows.Coded...)
		rows.Coded = nil
		x.rows.Contained = append(x.rows.Contained, &rows)
	}
	return nil
}

// A Link tells that some resource refers by a parameter to a resource of a type
// that it contains. Only chains along links look into contained resources, so
// that the others cost nothing more.
type Link struct {
	Param ParamID
	Type  string
}

// LinkParam is the number under which the dictionary (table token) holds links:
// system is the parameter's number and code the type.
var LinkParam = ParamIDOf(containedMark, "link")

// ReadLink reads a link from its row in the dictionary.
func ReadLink(system, code string) Link {
	p, _ := strconv.ParseInt(system, 10, 32)
	return Link{ParamID(p), code}
}

// fragment takes a reference into the resource itself.
func (x *extraction) fragment(p *Param, fragment string, n fhir.Node) {
	x.rows.Refs = append(x.rows.Refs, RefRow{RK: RefKey(containedMark + fragment), P: p.ID, node: n})
	if typ := x.containedType(fragment); typ != "" {
		system := strconv.Itoa(int(p.ID))
		x.rows.Coded = append(x.rows.Coded, CodedToken{H: TokenKey(LinkParam, system, typ), P: LinkParam, System: system, Code: typ})
	}
}

// containedType is the type of the contained resource with an id, "" if there is
// none.
func (x *extraction) containedType(id string) string {
	for c := x.doc.Root().Get("contained").First(); id != "" && c.Valid(); c = c.Next() {
		if isString(c.Get("id"), id) {
			return text(c, "resourceType")
		}
	}
	return ""
}

// within holds where the resource contains one of the types that meets a
// condition.
type within struct {
	types []string // of contained resources
	cond  cond     // nil for none
}

func (k *within) rank() int {
	if k.cond == nil {
		return rankToken
	}
	return k.cond.rank() + 1
}

func (k *within) probe(c *compilation, at row, pin bool, stay string) string {
	item, x := c.from(Resource, k.types, "x")
	inner := ""
	if k.cond != nil {
		inner = c.probe(k.cond, resourceRow(x), pin)
	}
	return "EXISTS (SELECT 1 FROM " + item + " WHERE " + and(x+".container = "+at.rid, in(c, x+".rtype", c.numbers(k.types)), inner) + stay + ")"
}

func (k *within) arm(c *compilation) arm {
	item, x := c.from(Resource, k.types, "x")
	return arm{
		from:  c.set(k.cond, k.types) + " s" + x + " JOIN " + item + " ON " + x + ".rid = s" + x + ".rid",
		where: in(c, x+".rtype", c.numbers(k.types)),
		at:    row{rid: x + ".container"},
	}
}

// paths are the ways from a reference r of the chain's resources to the resources
// that they contain: FROM items behind the reference's, each with its alias.
func (k *chain) paths(c *compilation, r string, typ string) (joins, aliases []string) {
	resources, contained := SplitContained(k.types)
	if resources != nil {
		item, x := c.from(Resource, []string{typ}, "x")
		joins = append(joins, " JOIN "+item+" ON "+x+".container = "+r+".rid AND "+x+".rk = "+r+".rk")
		aliases = append(aliases, x)
	}
	if contained != nil { // beside it, in what contains both
		self, s := c.from(Resource, containedTypes(contained), "x")
		item, x := c.from(Resource, []string{typ}, "x")
		joins = append(joins, " JOIN "+self+" ON "+s+".rid = "+r+".rid JOIN "+item+" ON "+x+".container = "+s+".container AND "+x+".rk = "+r+".rk")
		aliases = append(aliases, x)
	}
	return joins, aliases
}

// linked tells whether there is anything for a chain into contained resources.
func (c *compilation) linked(k *chain, t target) bool {
	return slices.ContainsFunc(k.refs, func(p ParamID) bool { return c.src.Linked(Link{p, bareType(t.types[0])}) })
}

// probeInside is the condition that a chain leads into a contained resource.
func (c *compilation) probeInside(k *chain, t target, at row, pin bool, stay string) []string {
	ref, r := c.from(Ref, k.types, "r")
	joins, aliases := k.paths(c, r, t.types[0])
	var parts []string
	for i, x := range aliases {
		parts = append(parts, "EXISTS (SELECT 1 FROM "+ref+joins[i]+" WHERE "+
			and(r+".rid = "+at.rid, in(c, r+".p", ints(k.refs)), in(c, x+".rtype", c.numbers(t.types)), c.probe(t.cond, resourceRow(x), pin))+stay+")")
	}
	return parts
}

// armsInside find what refers to contained resources that meet a chain's end.
func (c *compilation) armsInside(k *chain, t target) []arm {
	ref, r := c.from(Ref, k.types, "r")
	joins, aliases := k.paths(c, r, t.types[0])
	var out []arm
	for i, x := range aliases {
		out = append(out, arm{
			from:  ref + joins[i] + " JOIN " + c.set(t.cond, t.types) + " s" + x + " ON s" + x + ".rid = " + x + ".rid",
			where: and(in(c, r+".p", ints(k.refs)), in(c, x+".rtype", c.numbers(t.types))),
			at:    row{rid: r + ".rid"},
		})
	}
	return out
}
