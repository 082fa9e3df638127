package search

import (
	"slices"
	"strconv"
	"strings"

	"ingle/fhir"
)

// _include and _revinclude (R4 3.1.1.5.4). A value is
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
	target  string   // type of what they point to, "" for any
	refs    []ParamID
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
			inc.sources = p.q.types
		}
	case !p.r.defs.IsResourceType(source):
		return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %q is not a resource type%s", label, value, source, didYouMean(source, p.r.defs.ResourceTypes()))
	default:
		inc.sources = []string{source}
		if !inc.reverse && !inc.iterate && !slices.Contains(p.q.types, source) {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: the search does not return resources of type %s; to follow included resources use %s:iterate", label, value, source, name)
		}
	}
	if len(parts) == 3 {
		if inc.target = parts[2]; !p.r.defs.IsResourceType(inc.target) {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %q is not a resource type%s", label, value, inc.target, didYouMean(inc.target, p.r.defs.ResourceTypes()))
		}
	}
	code := "*"
	if len(parts) > 1 {
		code = parts[1]
	} else if source != "*" {
		return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: the parameter is missing; use %s:* for every reference", label, value, source)
	}
	for _, typ := range inc.sources {
		if code == "*" {
			for _, sp := range p.r.Params(typ) {
				if sp.Type == "reference" && sp.indexed {
					inc.refs = append(inc.refs, sp.ID)
				}
			}
			continue
		}
		sp := p.r.Param(typ, code)
		if sp == nil || sp.Type != "reference" {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %s has no reference parameter %q%s", label, value, typ, code, didYouMean(code, p.r.codes(typ, "reference")))
		}
		if inc.target != "" && len(sp.Targets) > 0 && !slices.Contains(sp.Targets, inc.target) {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: %s.%s does not point to %s but to %s", label, value, typ, code, inc.target, list(sp.Targets))
		}
		inc.refs = append(inc.refs, sp.ID)
	}
	if len(p.q.includes) >= 32 {
		return fhir.Errorf(400, fhir.CodeTooCostly, "a search may have 32 _include and _revinclude; this one has more")
	}
	p.q.includes = append(p.q.includes, inc)
	return nil
}

// includes are the CTEs that find what the page includes: "page" (its matches),
// one for each round, and "inc", their union without the matches.
func (c *compilation) includes(keys []sortColumn) string {
	q := c.q
	ceiling := c.arg(int64(q.limits.Includes + 1))
	with := []string{"page AS MATERIALIZED (SELECT h.rid FROM hit h ORDER BY " + c.pageOrder("h", keys) + " LIMIT " + c.arg(int64(q.Count)) + ")"}
	round := func(n int, from string, list []include) {
		var arms []string
		for _, inc := range list {
			arms = append(arms, c.includeArm(inc, from))
		}
		seen := "SELECT rid FROM page"
		for i := 1; i < n; i++ {
			seen += " UNION ALL SELECT rid FROM inc" + strconv.Itoa(i)
		}
		with = append(with, "inc"+strconv.Itoa(n)+" AS MATERIALIZED (SELECT u.rid FROM (\n"+strings.Join(arms, "\nUNION\n")+
			"\n) u WHERE u.rid NOT IN ("+seen+") LIMIT "+ceiling+")")
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
	return strings.Join(append(with, "inc AS MATERIALIZED ("+strings.Join(all, " UNION ALL ")+" LIMIT "+ceiling+")"), ",\n")
}

// includeArm finds what one include adds to the resources in a CTE.
func (c *compilation) includeArm(inc include, from string) string {
	ref, r := c.from(Ref, inc.sources, "r")
	var targets []string
	if inc.target != "" {
		targets = []string{inc.target}
	}
	res, x := c.from(Resource, targets, "x")
	match := in(c, r+".p", ints(inc.refs))
	if targets != nil {
		match = and(match, in(c, x+".rtype", c.numbers(targets)))
	}
	if !inc.reverse {
		return "SELECT " + x + ".rid FROM " + from + " m JOIN " + ref + " ON " + r + ".rid = m.rid JOIN " + res + " ON " + x + ".rk = " + r + ".rk WHERE " + match
	}
	return "SELECT " + r + ".rid FROM " + from + " m JOIN " + res + " ON " + x + ".rid = m.rid JOIN " + ref + " ON " + r + ".rk = " + x + ".rk WHERE " + match
}
