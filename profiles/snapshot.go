package profiles

import "fmt"

// withSnapshot makes the snapshot of a profile that has only a differential.
func (e *engine) withSnapshot(s *structure) (*structure, error) {
	return nil, fmt.Errorf("profiles: %s has no snapshot", s.url)
}
