package authz

import (
	"fmt"
	"slices"
)

// compile turns a role into grants.
func (r Role) compile() (grantSet, error) {
	var g grantSet
	var which []Method
	for _, name := range r.Methods {
		ms := methodsNamed(name)
		if ms == nil {
			return g, fmt.Errorf("method %q is none of read, create, update, delete, *", name)
		}
		which = append(which, ms...)
	}
	for _, p := range r.Paths {
		path := "/"
		if p != "/" {
			var why string
			if path, why = NormalizePath(p); why != "" {
				return g, fmt.Errorf("path %q: %s", p, why)
			}
		}
		for _, m := range which {
			g.roots[m] = append(g.roots[m], path)
			if path == "/" {
				g.unlabelled[m] = true
			}
		}
	}
	for _, m := range which {
		g.unlabelled[m] = g.unlabelled[m] || r.Unlabelled
	}
	g.admin = r.Admin
	g.collapse()
	return g, nil
}

// methodsNamed returns the methods of a grant's method, nil for one of another
// kind of service ("read-storage").
func methodsNamed(name string) []Method {
	switch name {
	case "*":
		return []Method{Read, Create, Update, Delete}
	case "read":
		return []Method{Read}
	case "create":
		return []Method{Create}
	case "update":
		return []Method{Update}
	case "delete":
		return []Method{Delete}
	}
	return nil
}

// grantSet is what one subject is granted, before SMART scopes.
type grantSet struct {
	roots      [methods][]string // collapsed; "/" is everything that has a label
	unlabelled [methods]bool
	admin      bool
	sources    []Source
	policies   []*policy
	finished   *[methods]Grant // what grants returns, where it is kept
}

func (g *grantSet) collapse() {
	for m := range g.roots {
		g.roots[m] = Collapse(g.roots[m])
	}
}

// union is what either set grants.
func union(sets ...grantSet) grantSet {
	var out grantSet
	for _, g := range sets {
		for m := range g.roots {
			out.roots[m] = append(out.roots[m], g.roots[m]...)
			out.unlabelled[m] = out.unlabelled[m] || g.unlabelled[m]
		}
		out.admin = out.admin || g.admin
		out.sources = append(out.sources, g.sources...)
		out.policies = joinPolicies(out.policies, g.policies)
	}
	out.collapse()
	return out
}

// both is what both sets grant: a client that acts for a user has no more than
// either.
func both(a, b grantSet) grantSet {
	var out grantSet
	for m := range a.roots {
		out.roots[m] = Intersect(a.roots[m], b.roots[m])
		out.unlabelled[m] = a.unlabelled[m] && b.unlabelled[m]
	}
	out.admin = a.admin && b.admin
	out.sources = slices.Concat(a.sources, b.sources)
	out.policies = joinPolicies(a.policies, b.policies)
	return out
}

// finish keeps the outward form, so that all scopes made of the set share it.
func (g *grantSet) finish(needAll bool) {
	out := g.grants(needAll)
	g.finished = &out
}

// grants gives the set its outward form.
func (g *grantSet) grants(needAll bool) [methods]Grant {
	if g.finished != nil {
		return *g.finished
	}
	var out [methods]Grant
	for m := range out {
		if len(g.roots[m]) == 1 && g.roots[m][0] == "/" && g.unlabelled[m] {
			out[m] = Grant{All: true}
			continue
		}
		out[m] = Grant{Roots: g.roots[m], Unlabelled: g.unlabelled[m], NeedAll: needAll || Method(m) != Read, ID: lastGrant.Add(1)}
	}
	return out
}
