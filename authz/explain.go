package authz

// Source is one grant of a caller and where it comes from.
type Source struct {
	Root    string `json:"root"`    // path whose subtree it covers
	Service string `json:"service"` // as granted: the service's name or "*"
	Method  string `json:"method"`  // as granted: "read" … or "*"
	Via     string `json:"via"`     // "user:alice", "client:c1", "anonymous", "role:curator"
}
