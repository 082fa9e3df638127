package testdata

import "testing"

// Some tells whether a sweep takes case i: all of them, or one of each n with the race detector. `make test` runs the
// packages with such sweeps once more without it, whole.
func Some(i, n int) bool { return !Race || i%n == 0 }

// Whole skips a test on one goroutine that is long with the race detector, as Some does its cases.
func Whole(t testing.TB) {
	t.Helper()
	if Race {
		t.Skip("runs without the race detector")
	}
}
