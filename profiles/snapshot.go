package profiles

import (
	"fmt"

	"ingle/fhir"
)

// withSnapshot makes the snapshot of a profile that has only a differential.
func (e *engine) withSnapshot(s *structure) (*structure, error) {
	return nil, fmt.Errorf("profiles: %s has no snapshot", s.url)
}

func (e *engine) differentialFaults(n fhir.Node) []string { return nil }
