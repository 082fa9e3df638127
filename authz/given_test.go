package authz

import (
	"context"
	"testing"
	"time"
)

// list is Grants of one moment.
type list []Given

func (l list) Given(_ context.Context, principals []string, _ time.Time) (out []Given, err error) {
	for _, g := range l {
		for _, p := range principals {
			if g.Principal == p {
				out = append(out, g)
			}
		}
	}
	return out, nil
}

// TestGivenPrincipals proves that a principal has one spelling, whoever wrote it.
func TestGivenPrincipals(t *testing.T) {
	arborist := &Resolver{cfg: Config{Mode: ModeArborist}}
	tokens := &Resolver{cfg: Config{Mode: ModeJWT}}
	for text, want := range map[string]string{"user:Alice": "user:alice", "user:Alice|client:Portal": "user:alice|client:Portal", "client:Portal": "client:Portal",
		"basic:Loader": "basic:Loader", "cert:Loader": "cert:Loader", "user:https://i.test|Alice": "user:https://i.test|Alice", "": ""} {
		if got := arborist.Principal(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if got := tokens.Principal(text); got != text {
			t.Errorf("%s: %s", text, got)
		}
	}
	for _, id := range []identity{{Kind: kindUser, Name: "Alice"}, {Kind: kindBasic, Name: "Loader"}, {Kind: kindUser, Name: "Alice", Client: "Portal"}} {
		if got, want := arborist.principals(id)[0], arborist.Principal(id.principal()); got != want {
			t.Errorf("%+v: asked for as %s, given to %s", id, got, want)
		}
	}
}

// TestGivenBeside proves that a role counts whatever it grants.
func TestGivenBeside(t *testing.T) {
	ctx := context.Background()
	r := &Resolver{cfg: Config{Mode: ModeArborist, Now: time.Now, Grants: list{{Principal: "user:alice", Role: "chief"}, {Principal: "user:bob", Role: "open"}}}, roles: map[string]grantSet{}}
	for name, role := range map[string]Role{"chief": {Admin: true}, "open": {Methods: []string{"read"}, Unlabelled: true}} {
		set, err := role.compile()
		if err != nil {
			t.Fatal(err)
		}
		r.roles[name] = set
	}
	chief, _ := r.given(ctx, identity{Kind: kindUser, Name: "Alice"})
	open, _ := r.given(ctx, identity{Kind: kindUser, Name: "bob"})
	nobody, err := r.given(ctx, identity{Kind: kindUser, Name: "carl"})
	if err != nil || !chief.beside(grantSet{}).admin || !open.beside(grantSet{}).unlabelled[Read] {
		t.Errorf("%v %+v %+v", err, chief, open)
	}
	if !nobody.none || nobody.beside(grantSet{}).admin {
		t.Errorf("%+v", nobody)
	}
}
