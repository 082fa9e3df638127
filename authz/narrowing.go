package authz

import "slices"

// Narrowing is what SMART scopes and policies allow for one resource type and method. The
// zero Narrowing allows nothing. Allowed with no Alternatives is not narrowed;
// otherwise a resource is allowed if it meets at least one alternative.
type Narrowing struct {
	Allowed      bool          `json:"allowed"`
	Alternatives []Restriction `json:"alternatives,omitempty"`
}

// Restricted tells whether only some of the type's resources are allowed.
func (n Narrowing) Restricted() bool { return n.Allowed && len(n.Alternatives) > 0 }

// Restriction is a condition on a resource: all parts must hold. A condition
// that the reader cannot put to a resource (a parameter that is not known) is
// not met by any.
type Restriction struct {
	Patient string `json:"patient,omitempty"` // the logical id of the Patient whose compartment it must be in, "" for no such condition
	Query   string `json:"query,omitempty"`   // search parameters that it must match, as in a URL ("category=laboratory"), "" for none
	// Criteria are those of policies. A caller's own Query may not rest on what is
	// hidden from it; they may.
	Criteria string `json:"criteria,omitempty"`
}

// maxAlternatives bounds what one relation must be asked.
const maxAlternatives = 64

// and is what both allow.
func (n Narrowing) and(o Narrowing) Narrowing {
	switch {
	case !n.Allowed || !o.Allowed:
		return Narrowing{}
	case len(n.Alternatives) == 0:
		return o
	case len(o.Alternatives) == 0:
		return n
	}
	var out Narrowing
	for _, a := range n.Alternatives {
		for _, b := range o.Alternatives {
			r, ok := a.and(b)
			if ok && !slices.Contains(out.Alternatives, r) && len(out.Alternatives) < maxAlternatives {
				out.Alternatives = append(out.Alternatives, r)
			}
		}
	}
	out.Allowed = len(out.Alternatives) > 0
	return out
}

// and joins two conditions. Two patients at once is taken for nothing: less
// than the compartments may share, never more.
func (r Restriction) and(o Restriction) (Restriction, bool) {
	switch {
	case r.Patient == "":
		r.Patient = o.Patient
	case o.Patient != "" && o.Patient != r.Patient:
		return Restriction{}, false
	}
	r.Query = bothQueries(r.Query, o.Query)
	r.Criteria = bothQueries(r.Criteria, o.Criteria)
	return r, true
}

func bothQueries(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "" || a == b:
		return a
	}
	return a + "&" + b
}
