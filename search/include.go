package search

import (
	"slices"
	"strconv"
	"strings"

	"ingle/fhir"
)

// _include and _revinclude (R4 search, "Including other resources"). A value is
//
//	Source:parameter[:Target]     the resources that Source's parameter points to,
//	                              or, reversed, those of Source that point to a match
//	Source:* or *                 by every reference parameter
//
// With :iterate (or its older name :recurse) it applies to included resources
// too. A resource that is a match is not included a second time.

// include is one _include or _revinclude.
type include struct {
	reverse bool
	iterate bool
	sources []string // types that hold the references
	targets []string // types of what they point to, nil for any
	refs    []ParamID
	// canonical are those of refs that hold canonical URLs, and selves the
	// numbers under which their targets know their own URL.
	canonical, selves []ParamID
}

func (p *parser) parseInclude(name, modifier, value string) error {
	inc := include{reverse: name == "_revinclude"}
	label := name
	if modifier != "" {
		label += ":" + modifier
	}
	switch modifier {
	case "":
	case "iterate", "recurse":
		inc.iterate = true
	default:
		return fhir.Errorf(400, fhir.CodeInvalid, "%s: the modifier :%s is not one of :iterate and :recurse", name, modifier)
	}
	if p.q.alone && (inc.reverse || inc.iterate) {
		return fhir.Errorf(400, fhir.CodeNotSupported, "%s=%s: with _containedType=contained there is only _include without a modifier, as contained resources are not referred to from outside", label, value)
	}
	parts := strings.Split(value, ":")
	if len(parts) > 3 || parts[0] == "" {
		return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: what is expected is SourceType:parameter or SourceType:parameter:TargetType", label, value)
	}
	source := parts[0]
	switch {
	case source == "*" && len(parts) == 1:
		if inc.reverse || inc.iterate {
			inc.sources = p.r.defs.ResourceTypes()
		} else {
			inc.sources = p.q.types // contained ones among them
		}
	case !p.r.defs.IsResourceType(source):
		return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %q is not a resource type%s", label, value, source, DidYouMean(source, p.r.defs.ResourceTypes()))
	case inc.reverse, inc.iterate:
		inc.sources = []string{source}
	default:
		inc.sources = slices.DeleteFunc(slices.Clone(p.q.types), func(t string) bool { return bareType(t) != source })
		if len(inc.sources) == 0 {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: the search does not return resources of type %s; to follow included resources use %s:iterate", label, value, source, name)
		}
	}
	if len(parts) == 3 {
		if !p.r.defs.IsResourceType(parts[2]) {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %q is not a resource type%s", label, value, parts[2], DidYouMean(parts[2], p.r.defs.ResourceTypes()))
		}
		inc.targets = parts[2:]
	}
	code := "*"
	if len(parts) > 1 {
		code = parts[1]
	} else if source != "*" {
		return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: the parameter is missing; use %s:* for every reference", label, value, source)
	}
	if err := p.includeAllowed(name, label, value, parts); err != nil {
		return err
	}
	for _, typ := range inc.sources {
		if code == "*" {
			for _, sp := range p.r.Params(typ) {
				if sp.Type == "reference" && sp.indexed {
					p.follow(&inc, sp)
				}
			}
			continue
		}
		sp := p.r.Param(typ, code)
		if sp == nil || sp.Type != "reference" {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %s has no reference parameter %q%s", label, value, typeName(typ), code, DidYouMean(code, p.r.codes(typ, "reference")))
		}
		if inc.targets != nil && len(sp.Targets) > 0 && !slices.Contains(sp.Targets, parts[2]) {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %s.%s does not point to %s but to %s", label, value, typeName(typ), code, parts[2], list(sp.Targets))
		}
		p.follow(&inc, sp)
	}
	if len(p.q.includes) >= 32 {
		return fhir.Errorf(400, fhir.CodeTooCostly, "a search may have 32 _include and _revinclude; this one has more")
	}
	p.q.includes = append(p.q.includes, inc)
	return nil
}

// follow adds a reference parameter to an include.
func (p *parser) follow(inc *include, sp *Param) {
	p.use("", sp)
	inc.refs = append(inc.refs, sp.ID)
	if !sp.canonical {
		return
	}
	inc.canonical = append(inc.canonical, sp.ID)
	for _, t := range p.r.selfTargets(sp) {
		if inc.targets == nil || slices.Contains(inc.targets, t) {
			inc.selves = append(inc.selves, p.r.index(t).self)
		}
	}
}

// selfTargets are the types with a canonical URL of their own that a parameter
// may point to.
func (r *Registry) selfTargets(sp *Param) []string {
	targets := sp.Targets
	if len(targets) == 0 {
		targets = r.defs.ResourceTypes()
	}
	return slices.DeleteFunc(slices.Clone(targets), func(t string) bool { i := r.index(t); return i == nil || i.self == 0 })
}

// includeAllowed checks the rules of the types searched.
func (p *parser) includeAllowed(name, label, value string, parts []string) error {
	for _, t := range p.searched {
		rules := p.r.RulesOf(t)
		allow := rules.Includes
		if name == "_revinclude" {
			allow = rules.RevIncludes
		}
		if allow == nil || slices.Contains(allow, value) || len(parts) == 3 && slices.Contains(allow, parts[0]+":"+parts[1]) {
			continue
		}
		return fhir.Errorf(400, fhir.CodeNotSupported, "%s=%s: the server's configuration allows %s", label, value, list(allow))
	}
	return nil
}

// includes are the CTEs that find what the page includes: "page" (its matches),
// one for each round, and "inc", their union without the matches, in the order
// of rid from Query.IncludesAfter on. The rounds are whole: each depends on all
// of the one before it.
func (c *compilation) includes(keys []sortColumn) string {
	q := c.q
	ceiling := c.arg(int64(q.limits.Includes + 1))
	with := []string{"page AS MATERIALIZED (SELECT h.rid FROM hit h ORDER BY " + c.pageOrder("h", keys) + " LIMIT " + c.arg(int64(q.Count)) + ")"}
	round := func(n int, from string, list []include) {
		var arms []string
		for _, inc := range list {
			arms = append(arms, c.includeArm(inc, from))
			if inc.selves != nil {
				arms = append(arms, c.canonicalArm(inc, from))
			}
		}
		seen := "SELECT rid FROM page"
		for i := 1; i < n; i++ {
			seen += " UNION ALL SELECT rid FROM inc" + strconv.Itoa(i)
		}
		with = append(with, "inc"+strconv.Itoa(n)+" AS MATERIALIZED (SELECT DISTINCT u.rid FROM (\n"+strings.Join(arms, "\nUNION\n")+
			"\n) u WHERE u.rid NOT IN ("+seen+"))")
	}
	round(1, "page", q.includes)
	rounds := 1
	again := slices.DeleteFunc(slices.Clone(q.includes), func(i include) bool { return !i.iterate })
	if len(again) > 0 {
		for rounds < q.limits.Iterate {
			rounds++
			round(rounds, "inc"+strconv.Itoa(rounds-1), again)
		}
	}
	all := make([]string, rounds)
	for i := range all {
		all[i] = "SELECT rid FROM inc" + strconv.Itoa(i+1)
	}
	after := ""
	if q.IncludesAfter != 0 {
		after = " WHERE rid > " + c.arg(q.IncludesAfter)
	}
	return strings.Join(append(with, "inc AS MATERIALIZED (SELECT rid FROM ("+strings.Join(all, " UNION ALL ")+") i"+after+" ORDER BY rid LIMIT "+ceiling+")"), ",\n")
}

// includeArm finds what one include adds to the resources in a CTE.
func (c *compilation) includeArm(inc include, from string) string {
	ref, r := c.from(Ref, inc.sources, "r")
	res, x := c.from(Resource, inc.targets, "x")
	match := in(c, r+".p", ints(inc.refs))
	if inc.targets != nil {
		match = and(match, in(c, x+".rtype", c.numbers(inc.targets)))
	}
	if !inc.reverse {
		return "SELECT " + x + ".rid FROM " + from + " m JOIN " + ref + " ON " + r + ".rid = m.rid JOIN " + res + " ON " + x + ".rk = " + r + ".rk WHERE " + match
	}
	return "SELECT " + r + ".rid FROM " + from + " m JOIN " + res + " ON " + x + ".rid = m.rid JOIN " + ref + " ON " + r + ".rk = " + x + ".rk WHERE " + match
}

// canonicalArm finds what one include adds by canonical URL: the reference and
// the target's own URL have the same key.
func (c *compilation) canonicalArm(inc include, from string) string {
	ref, r := c.from(Ref, inc.sources, "r")
	self, u := c.from(Ref, nil, "u")
	match := and(in(c, r+".p", ints(inc.canonical)), in(c, u+".p", ints(inc.selves)))
	near, far := r, u
	if inc.reverse {
		near, far = u, r
	}
	return "SELECT " + far + ".rid FROM " + from + " m JOIN " + map[string]string{r: ref, u: self}[near] + " ON " + near + ".rid = m.rid JOIN " +
		map[string]string{r: ref, u: self}[far] + " ON " + far + ".rk = " + near + ".rk WHERE " + match
}
