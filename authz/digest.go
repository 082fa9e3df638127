package authz

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
)

// Digest is the same for scopes that allow the same to the same caller, in this
// process and in others: by it, what was made for a caller is given to no other,
// and not after rights were taken away. When the credentials end is no part of it.
func (s Scope) Digest() []byte {
	if s.s == nil || s.s.system {
		sum := sha256.Sum256([]byte(s.Principal()))
		return sum[:]
	}
	type rules struct {
		Policy string
		Rules  map[string]Rule
	}
	of := struct {
		snapshot
		Policies []rules
	}{snapshot: s.s.snapshot()}
	of.Who.Roles, of.Who.Plan = nil, "" // what they give is in the grants
	for _, one := range of.Smart {
		slices.Sort(one.Scopes)
	}
	for _, p := range s.s.policies {
		of.Policies = append(of.Policies, rules{p.name, p.rules})
	}
	slices.SortFunc(of.Policies, func(a, b rules) int { return strings.Compare(a.Policy, b.Policy) })
	raw, err := json.Marshal(of)
	if err != nil {
		panic("authz: a scope without a digest: " + err.Error()) // strings and booleans only
	}
	sum := sha256.Sum256(raw)
	return sum[:]
}
