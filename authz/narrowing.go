package authz

// Narrowing is what SMART scopes allow for one resource type and method. The
// zero Narrowing allows nothing. Allowed with no Alternatives is not narrowed;
// otherwise a resource is allowed if it meets at least one alternative.
type Narrowing struct {
	Allowed      bool
	Alternatives []Restriction
}

// Restricted tells whether only some of the type's resources are allowed.
func (n Narrowing) Restricted() bool { return n.Allowed && len(n.Alternatives) > 0 }

// Restriction is a condition on a resource: both parts must hold.
type Restriction struct {
	Patient string // the logical id of the Patient whose compartment it must be in, "" for no such condition
	Query   string // search parameters that it must match, as in a URL ("category=laboratory"), "" for none
}
