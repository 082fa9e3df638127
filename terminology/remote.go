package terminology

// Remote is another terminology server.
type Remote struct{}

func (r *Remote) handles(url string) bool           { return false }
func (r *Remote) system(url, version string) System { return nil }
func (r *Remote) urls() []string                    { return nil }
