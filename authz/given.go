package authz

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Grants are what administrators give besides the configuration. The servers of a
// database share them: they are asked at every request, so that what is given or
// taken away, or ends, takes effect with the next one.
type Grants interface {
	// Given lists what holds at a time for any of the principals.
	Given(ctx context.Context, principals []string, now time.Time) ([]Given, error)
}

// Given is a role or a plan that a principal was given.
type Given struct {
	Principal string    `json:"principal"`
	Role      string    `json:"role,omitempty"` // one of both
	Plan      string    `json:"plan,omitempty"`
	Expires   time.Time `json:"expires,omitzero"` // zero: never
	By        string    `json:"by,omitempty"`     // principal of who gave it
	At        time.Time `json:"at,omitzero"`
}

// given is what one caller has by a plan and was given.
type given struct {
	grants grantSet
	until  time.Time // the first end of any of it, zero for none
	key    string    // the same for what is the same
	none   bool      // it names no role
}

// given asks for what a caller was given. A plan that was given takes the place
// of the token's. What is given to a user holds under any client that acts for
// the user where roles decide; where Arborist does, a client has no more than what
// the user has through it: it is given to both together.
func (r *Resolver) given(ctx context.Context, id identity) (given, error) {
	if r.cfg.Grants == nil && id.Plan == "" {
		return given{none: true}, nil
	}
	var roles []string
	var out given
	plan := id.Plan
	if r.cfg.Grants != nil {
		list, err := r.cfg.Grants.Given(ctx, r.principals(id), r.cfg.Now())
		if err != nil {
			return out, fmt.Errorf("read what the caller was given: %w", err)
		}
		for _, g := range list {
			if g.Role != "" {
				roles = append(roles, g.Role)
			} else {
				plan = g.Plan
			}
			if e := g.Expires; !e.IsZero() && (out.until.IsZero() || e.Before(out.until)) {
				out.until = e
			}
		}
	}
	roles = append(roles, r.cfg.Plans[plan]...)
	slices.Sort(roles)
	out.key = strings.Join(roles, "\n") + "\n" + out.until.String()
	out.grants, out.none = r.rolesNamed(roles), len(roles) == 0
	return out, nil
}

// principals are the names under which a caller may be given something.
func (r *Resolver) principals(id identity) []string {
	id = r.folded(id)
	names := []string{id.principal()}
	if id.Kind == kindUser && id.Client != "" && r.cfg.Mode != ModeArborist {
		id.Client = ""
		names = append(names, id.principal())
	}
	return names
}

// folded is a caller under the name that it has here: Arborist folds the case of
// users' names, with this very function.
func (r *Resolver) folded(id identity) identity {
	if r.cfg.Mode == ModeArborist && id.Issuer == "" && id.Kind == kindUser {
		id.Name = strings.ToLower(id.Name)
	}
	return id
}

// Principal spells a principal as a caller's is: what is given to it holds under
// this name.
func (r *Resolver) Principal(text string) string {
	if id, ok := identityOf(text); ok && r.cfg.Mode == ModeArborist {
		return r.folded(id).principal()
	}
	return text
}

// beside adds what was given to Arborist's grants, which others may share.
func (g given) beside(grants grantSet) grantSet {
	if g.none {
		return grants
	}
	return union(grants, g.grants)
}

// Known tells whether something can be given: its role or plan is configured, and
// the principal is of a kind that has roles.
func (r *Resolver) Known(g Given) bool {
	kind, name, _ := strings.Cut(g.Principal, ":")
	if name == "" || len(g.Principal) > 1024 || !slices.Contains([]string{kindUser, kindClient, kindBasic, kindCert}, kind) {
		return false
	}
	_, role := r.roles[g.Role]
	_, plan := r.cfg.Plans[g.Plan]
	return role && g.Plan == "" || plan && g.Role == ""
}
