package authz

// Permissions are the SMART scopes of one token, parsed.
type Permissions struct{}

// Narrow returns what they leave for one resource type and method.
func (p *Permissions) Narrow(resourceType string, m Method) Narrowing { return Narrowing{} }
