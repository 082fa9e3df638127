//go:build race

package testdata

// Race tells that the race detector is on. Under it work takes ten times as long, and it finds nothing in what one
// goroutine does: a long sweep over many like cases takes Some of them then.
const Race = true
