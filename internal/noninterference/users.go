package noninterference

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ingle/authz"
	"ingle/authz/arboristtest"
	"ingle/authz/redact"
	"ingle/fhir/r4"
)

// User is a caller, said twice: as grants and scopes for the server, and as
// rules for the one who restricts the database.
type User struct {
	Name       string
	Read       []string // roots; "/" is everything
	Write      []string // roots of create, update and delete, which are read as well
	NeedAll    bool
	Unlabelled bool
	Scopes     []string // SMART; nil for none
	// May tells what the scopes leave, by type ("*" for the others); nil: all.
	May map[string][]Condition
	// Policy, if any, holds for the user. What it leaves of types by criteria is
	// said in May as well.
	Policy *authz.Policy
	// Consent is enforced: what patients withhold is not seen, but by the patient.
	Consent bool
	// References are checked when something is written.
	References bool

	token string
}

// Condition is what a resource must meet: both parts, if not empty.
type Condition struct{ Patient, Query string }

// shared adds the types that are about no patient, which patient scopes read
// like anybody's.
func shared(may map[string][]Condition) map[string][]Condition {
	for _, typ := range []string{"Organization", "Practitioner", "PractitionerRole", "Location", "Medication", "ValueSet", "CodeSystem", "Questionnaire", "Substance"} {
		may[typ] = []Condition{{}}
	}
	return may
}

// Users are the kinds of caller, from none to everything.
func Users() []User {
	everything := []Condition{{}}
	return []User{
		{Name: "one percent", Read: []string{"/programs/rare"}},
		{Name: "one percent, writing", Read: []string{"/open"}, Write: []string{"/programs/rare/projects/one"}, References: true},
		{Name: "half", Read: []string{"/programs/a", "/open"}},
		{Name: "half, writing", Read: []string{"/open"}, Write: []string{"/programs/a"}},
		{Name: "half of all labels", Read: []string{"/programs/a", "/programs/b/projects/q0"}, Write: []string{"/programs/b/projects/q1"}, NeedAll: true},
		{Name: "all labels", Read: []string{"/programs", "/open"}},
		{Name: "everything", Read: []string{"/"}, Write: []string{"/"}, Unlabelled: true},
		{Name: "none"},
		{Name: "unlabelled", Read: []string{"/programs/b"}, Unlabelled: true},
		{Name: "patient", Read: []string{"/programs", "/open"}, Scopes: []string{"launch/patient", "patient/*.rs"}, May: shared(map[string][]Condition{"*": {{Patient: "demo-p02"}}})},
		{Name: "patient, writing", Read: []string{"/open"}, Write: []string{"/programs"}, Scopes: []string{"patient/Observation.cruds", "patient/Condition.cruds", "patient/Patient.r", "user/Practitioner.rs"},
			May: map[string][]Condition{"Observation": {{Patient: "demo-p02"}}, "Condition": {{Patient: "demo-p02"}}, "Patient": {{Patient: "demo-p02"}}, "Practitioner": everything}},
		{Name: "category", Read: []string{"/"}, Unlabelled: true, Scopes: []string{"user/Observation.rs?category=laboratory", "user/Patient.rs", "user/Encounter.s"},
			May: map[string][]Condition{"Observation": {{Query: "category=laboratory"}}, "Patient": everything, "Encounter": everything}},
		{Name: "patient or category", Read: []string{"/programs/a", "/programs/b", "/open"}, Scopes: []string{"patient/*.read", "user/Observation.rs?category=vital-signs", "user/Organization.rs"},
			May: shared(map[string][]Condition{"*": {{Patient: "demo-p02"}}, "Observation": {{Patient: "demo-p02"}, {Query: "category=vital-signs"}}})},
		{Name: "version 1", Read: []string{"/programs/a", "/open"}, Scopes: []string{"user/Patient.read", "user/Observation.read", "user/Condition.*"},
			May: map[string][]Condition{"Patient": everything, "Observation": everything, "Condition": everything}},
		{Name: "hidden elements", Read: []string{"/programs/a", "/open"}, Policy: nameless()},
		{Name: "hidden elements, writing", Read: []string{"/open"}, Write: []string{"/programs/a"}, Policy: nameless()},
		{Name: "policy", Read: []string{"/programs/a", "/open"}, Write: []string{"/programs/b"}, Policy: &authz.Policy{Resources: map[string]authz.Rule{
			"Observation": {Criteria: []string{"category=laboratory", "patient=%patient"}, Write: []string{"status=final"}}, "Patient": {ReadOnly: true}, "Encounter": {Hidden: []string{"period"}}, "Practitioner": {}}},
			May: map[string][]Condition{"Observation": {{Query: "category=laboratory"}, {Query: "patient=demo-p02"}}, "Patient": everything, "Encounter": everything, "Practitioner": everything}},
		{Name: "consent", Read: []string{"/programs/a", "/open"}, Consent: true},
		{Name: "consent, everything", Read: []string{"/"}, Unlabelled: true, Consent: true},
		{Name: "consent, patient", Read: []string{"/programs", "/open"}, Scopes: []string{"patient/*.rs"}, May: shared(map[string][]Condition{"*": {{Patient: "demo-p02"}}}), Consent: true},
	}
}

// nameless hides what a person or a value is.
func nameless() *authz.Policy {
	return &authz.Policy{Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name", "identifier", "contact.name", "birthDate"}},
		"Observation": {Hidden: []string{"value", "component.value", "performer"}}, "Practitioner": {Hidden: []string{"name"}}, "*": {}}}
}

// fields are the elements that the user does not see, nil for none.
func (u *User) fields(t testing.TB) *redact.Fields {
	t.Helper()
	if u.Policy == nil {
		return nil
	}
	paths := map[string][]string{}
	for typ, r := range u.Policy.Resources {
		paths[typ] = r.Hidden
	}
	f, err := redact.New(r4.Definitions(), paths)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// resolvers make tokens and read them.
type resolvers struct {
	any, all *authz.Resolver
}

// admit gives each user a token, and makes the resolvers that know them.
func admit(t testing.TB, users []User) resolvers {
	t.Helper()
	issuer := arboristtest.NewIssuer(t)
	cfg := authz.Config{Mode: authz.ModeJWT, RolesClaim: "roles", Roles: map[string]authz.Role{}, Policies: map[string]authz.Policy{}, Definitions: r4.Definitions(), AllowHosts: []string{strings.TrimPrefix(issuer.KeysURL[:strings.LastIndex(issuer.KeysURL, "/.well")], "http://")},
		Issuers: []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}, UserClaim: "context.user.name"}}}
	for i := range users {
		u := &users[i]
		reads, writes := u.Name+" reads", u.Name+" writes"
		var policies []string
		if u.Policy != nil {
			policies = []string{u.Name}
			cfg.Policies[u.Name] = *u.Policy
		}
		cfg.Roles[reads] = authz.Role{Paths: slices.Concat(u.Read, u.Write), Methods: []string{"read"}, Unlabelled: u.Unlabelled, Policies: policies}
		cfg.Roles[writes] = authz.Role{Paths: u.Write, Methods: []string{"create", "update", "delete"}}
		scope := []string{"openid"}
		claims := map[string]any{"roles": []string{reads, writes}, "exp": time.Now().Add(24 * time.Hour).Unix(), "patient": "demo-p02"}
		claims["scope"] = append(scope, u.Scopes...)
		if u.Consent && u.Scopes != nil {
			claims["fhirUser"] = "Patient/demo-p02"
		}
		u.token = issuer.Token(t, u.Name, claims)
	}
	open := func(needAll bool) *authz.Resolver {
		c := cfg
		c.NeedAll = needAll
		r, err := authz.New(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.Close)
		return r
	}
	return resolvers{any: open(false), all: open(true)}
}

// sees tells whether labels are among what the user reads.
func (u *User) sees(labels []string) bool {
	if i := slices.Index(labels, "!consent"); i >= 0 { // stands beside the labels of what is withheld
		if u.Consent && u.Scopes == nil {
			return false
		}
		labels = slices.Delete(slices.Clone(labels), i, i+1)
	}
	if slices.Contains(u.Read, "/") {
		return true
	}
	if len(labels) == 0 {
		return u.Unlabelled
	}
	granted := 0
	for _, l := range labels {
		for _, root := range slices.Concat(u.Read, u.Write) {
			if l == root || strings.HasPrefix(l, root+"/") {
				granted++
				break
			}
		}
	}
	if u.NeedAll {
		return granted == len(labels)
	}
	return granted > 0
}

// conditions are what the scopes ask of a type: whole where nothing, none where
// the type is not to be had.
func (u *User) conditions(typ string) (list []Condition, whole bool) {
	if u.May == nil {
		return nil, true
	}
	list, ok := u.May[typ]
	if !ok {
		list = u.May["*"]
	}
	return list, slices.Contains(list, Condition{})
}
