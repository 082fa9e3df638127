//go:build race

package authz

// The race detector slows this process and not Arborist: times mean nothing.
const raceEnabled = true
