//go:build !race

package testdata

// Race tells that the race detector is on.
const Race = false
