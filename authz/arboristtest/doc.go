// Package arboristtest gives tests the real Arborist and an issuer of tokens.
//
//	issuer := arboristtest.NewIssuer(t)
//	server := arboristtest.Start(t, issuer) // skips where Arborist cannot be built
//	server.Apply(t, arboristtest.Sample)
//	token := issuer.Token(t, "alice@example.org", nil)
//
// Arborist is built from its module, outside of this one's module graph, into a
// folder of the user's cache; its migrations run on a database of package
// pgtest.
package arboristtest
