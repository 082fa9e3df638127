package authz

// Source is one grant of a caller and where it comes from.
type Source struct {
	Root    string `json:"root"`    // path whose subtree it covers
	Service string `json:"service"` // as granted: the service's name or "*"
	Method  string `json:"method"`  // as granted: "read" … or "*"
	Via     string `json:"via"`     // "user:alice@example.org", "client:portal", "anonymous", "role:curator"
}

// Explanation tells why a caller may or may not do something to a resource, for
// administrators. It speaks of labels and grants, never of content.
type Explanation struct {
	Principal string      `json:"principal"`
	Method    string      `json:"method"`
	Allowed   bool        `json:"allowed"` // by labels; Scopes narrow further
	Why       string      `json:"why"`
	Labels    []LabelWhy  `json:"labels"`
	NeedAll   bool        `json:"needAll"` // every label must be granted, not just one
	Scopes    []string    `json:"scopes,omitempty"`
	Policies  []PolicyWhy `json:"policies,omitempty"`  // that hold for the caller
	Narrowing []Narrowing `json:"narrowing,omitempty"` // for the resource's type, by scopes and policies; none: not narrowed
}

// PolicyWhy is what a policy says of the resource's type. Without a rule, Rule is
// nil: the type is out of reach.
type PolicyWhy struct {
	Policy string `json:"policy"`
	Rule   *Rule  `json:"rule"`
}

// LabelWhy is one label of the resource with the grants that cover it. Where a
// client acts for a user, both must have one.
type LabelWhy struct {
	Path    string   `json:"path"`
	Allowed bool     `json:"allowed"`
	Grants  []Source `json:"grants"`
}

// Explain tells why the caller may or may not do m to a resource of this type
// with these labels.
func (s Scope) Explain(m Method, resourceType string, paths []string) Explanation {
	g := s.Grant(m)
	e := Explanation{Principal: s.Principal(), Method: m.String(), Allowed: g.AllowsPaths(paths), NeedAll: g.NeedAll, Labels: []LabelWhy{}}
	for _, p := range paths {
		e.Labels = append(e.Labels, LabelWhy{Path: p, Allowed: g.AllowsPaths([]string{p}), Grants: s.covering(m, p)})
	}
	switch {
	case s.s == nil:
		e.Why = "there is no caller"
	case g.All:
		e.Why = "everything is granted"
	case len(paths) == 0 && e.Allowed:
		e.Why = "the resource has no label and the caller's grants reach such resources"
	case len(paths) == 0:
		e.Why = "the resource has no label, and only administrators reach such resources"
	case e.Allowed && g.NeedAll:
		e.Why = "every label is granted"
	case e.Allowed:
		e.Why = "at least one label is granted"
	case g.NeedAll:
		e.Why = "not every label is granted"
	default:
		e.Why = "no label is granted"
	}
	if s.s == nil || s.s.smart == nil && len(s.s.policies) == 0 {
		return e
	}
	for _, p := range s.s.policies {
		why := PolicyWhy{Policy: p.name}
		if r, ok := p.rule(resourceType); ok {
			why.Rule = &r
		}
		e.Policies = append(e.Policies, why)
	}
	for p := s.s.smart; p != nil; p = p.and {
		for _, sc := range p.scopes {
			e.Scopes = append(e.Scopes, sc.text)
		}
	}
	n := s.Narrow(resourceType, m)
	e.Narrowing = []Narrowing{n}
	if !n.Allowed {
		e.Allowed = false
		e.Why = "the scopes of the token do not allow it"
		if s.s.smart == nil || s.s.smart.narrow(resourceType, m).Allowed {
			e.Why = "the access policy does not allow it"
		}
	} else if n.Restricted() && e.Allowed {
		e.Why += ", if the resource meets one of the conditions of scopes and policies"
	}
	return e
}

// covering returns the grants for a method whose subtree holds the path.
func (s Scope) covering(m Method, path string) []Source {
	if m == Search {
		m = Read
	}
	out := []Source{}
	if s.s == nil {
		return out
	}
	for _, src := range s.s.sources {
		if Covers(src.Root, path) && (src.Method == "*" || src.Method == m.String()) {
			out = append(out, src)
		}
	}
	return out
}
