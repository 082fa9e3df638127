// Package noninterference tries the promise that nobody sees what they may not: whatever a caller asks, the answer of
// the server is the answer of a server whose database holds only what the caller may see. Status, headers and body are
// compared byte for byte.
//
//	w := noninterference.NewWorld(t)
//	for _, u := range w.Users(t) {
//		p := w.Pair(t, u)      // two databases and a server on each
//		p.Try(seed, 200)       // random requests, writes included, to both
//	}
//
// What a user may see is told here from the labels and bodies in the tables, not by the code that is tried.
// docs/security.md says what the promise holds and what it does not.
package noninterference
