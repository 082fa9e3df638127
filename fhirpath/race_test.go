//go:build race

package fhirpath

// With the race detector sync.Pool forgets things on purpose.
func init() { raceDetector = true }
