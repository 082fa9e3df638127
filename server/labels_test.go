package server_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"ingle/authz"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store"
)

// withUsers starts a server with these Basic users: their roles are "a" and "b"
// (everything under /programs/a and /programs/b), "read-a" and "all".
func withUsers(t *testing.T, users map[string][]string, change ...func(*store.Options)) (s *servertest.Server, as func(name string) []string) {
	t.Helper()
	cfg := authz.Config{Mode: authz.ModeJWT, Roles: map[string]authz.Role{
		"a":      {Paths: []string{"/programs/a"}, Methods: []string{"*"}},
		"b":      {Paths: []string{"/programs/b"}, Methods: []string{"*"}},
		"read-a": {Paths: []string{"/programs/a"}, Methods: []string{"read"}},
		"all":    {Paths: []string{"/"}, Methods: []string{"*"}},
		"admin":  {Paths: []string{"/"}, Methods: []string{"*"}, Admin: true},
	}}
	for name, roles := range users {
		hash := servertest.PasswordHash(t, name)
		cfg.Basic = append(cfg.Basic, authz.BasicUser{Name: name, Password: hash, Roles: roles})
	}
	resolver, err := authz.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	o := servertest.Options{Server: func(c *server.Config) { c.Resolver = resolver }}
	if len(change) > 0 {
		o.Store = change[0]
	}
	s = servertest.Start(t, o)
	return s, func(name string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+name))}
	}
}

func labelled(id, path string) string {
	return fmt.Sprintf(`{"resourceType":"Patient","id":"%s","meta":{"security":[{"system":"urn:gen3:authz","code":"%s"}]},"identifier":[{"value":"%s"}]}`, id, path, id)
}

func TestLabels(t *testing.T) {
	t.Parallel()
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "bob": {"b"}, "both": {"a", "b"}, "reader": {"read-a"}, "root": {"all"}})
	s.Get("/Patient").Is(401)

	// a new resource without a label gets the only path of its maker
	made := s.Post("/Patient", `{"resourceType":"Patient"}`, as("ann")...).Is(201)
	if made.Text("meta.security.0.code") != "/programs/a" || made.Text("meta.security.0.system") != "urn:gen3:authz" {
		t.Errorf("%s", made.Body)
	}
	if got := s.Get("/Patient?_security=urn:gen3:authz|/programs/a", as("ann")...).Is(200).IDs("match"); len(got) != 1 {
		t.Errorf("by its label: %v", got)
	}
	s.Post("/Patient", `{"resourceType":"Patient"}`, as("both")...).Is(403)
	s.Post("/Patient", `{"resourceType":"Patient"}`, append(as("both"), "X-Gen3-Resource-Path", "/programs/b/projects/p")...).Is(201).Has("/programs/b/projects/p")
	s.Post("/Patient", `{"resourceType":"Patient"}`, append(as("ann"), "X-Gen3-Resource-Path", "/programs/b")...).Is(403)
	s.Post("/Patient", `{"resourceType":"Patient"}`, as("reader")...).Is(403)
	s.Post("/Patient", labelled("x", "/programs/b"), as("ann")...).Is(403)
	s.Post("/Patient", labelled("x", "no path"), as("ann")...).Is(422)
	s.Post("", transaction(entryOf("", `{"resourceType":"Patient"}`, "POST", "Patient"), entryOf("", labelled("x", "/programs/b"), "POST", "Patient")), as("ann")...).Is(403)
	s.Post("", transaction(entryOf("", `{"resourceType":"Patient","active":true}`, "POST", "Patient")), append(as("both"), "X-Gen3-Resource-Path", "/programs/a")...).Is(200)

	// what may not be seen is not there
	s.Put("/Patient/b1", labelled("b1", "/programs/b"), as("bob")...).Is(201)
	none, hidden := s.Get("/Patient/none", as("ann")...).Is(404), s.Get("/Patient/b1", as("ann")...).Is(404)
	clean := func(a *servertest.Answer, id string) string {
		return strings.ReplaceAll(strings.ReplaceAll(string(a.Body), a.Text("id"), ""), id, "")
	}
	if clean(none, "none") != clean(hidden, "b1") {
		t.Errorf("%s and %s differ", none.Body, hidden.Body)
	}
	s.Get("/Patient/b1/_history", as("ann")...).Is(404)
	s.Get("/Patient/b1/_history/1", as("ann")...).Is(404)
	s.Delete("/Patient/b1", as("ann")...).Is(204)
	s.Get("/Patient/b1", as("bob")...).Is(200)
	s.Do("PATCH", "/Patient/b1", `[]`, append(as("ann"), "Content-Type", "application/json-patch+json")...).Is(404)
	if a := s.Put("/Patient/b1", labelled("b1", "/programs/a"), as("ann")...).Is(403); strings.Contains(string(a.Body), "/programs/b") {
		t.Errorf("%s", a.Body)
	}
	s.Put("/Patient?identifier=none", labelled("b1", "/programs/a"), as("ann")...).Is(403).Has("you may not write Patient/b1")
	s.Post("", transaction(entryOf("", labelled("a9", "/programs/a"), "PUT", "Patient/a9"), entryOf("", labelled("b1", "/programs/a"), "PUT", "Patient/b1")), as("ann")...).Is(403).Has("you may not write Patient/b1")
	s.Get("/Patient/a9", as("ann")...).Is(404)
	if a := s.Get("/Patient?identifier=b1&_total=accurate", as("ann")...).Is(200); a.Text("total") != "0" {
		t.Errorf("%s", a.Body)
	}
	if a := s.Get("/Patient/b1", as("root")...).Is(200); a.Text("meta.versionId") != "1" {
		t.Errorf("%s", a.Body)
	}

	// an update keeps the labels, or moves them where both ends are granted
	if a := s.Put("/Patient/b1", `{"resourceType":"Patient","id":"b1"}`, as("bob")...).Is(200); a.Text("meta.security.0.code") != "/programs/b" {
		t.Errorf("%s", a.Body)
	}
	s.Put("/Patient/b1", labelled("b1", "/programs/a"), as("bob")...).Is(403)
	s.Put("/Patient/b1", labelled("b1", "/programs/a"), as("both")...).Is(200)
	s.Get("/Patient/b1", as("bob")...).Is(404)
	s.Do("PATCH", "/Patient/b1", `[{"op":"remove","path":"/meta/security"}]`, append(as("ann"), "Content-Type", "application/json-patch+json")...).Is(403)
	s.Do("PATCH", "/Patient/b1", `[{"op":"add","path":"/active","value":true}]`, append(as("reader"), "Content-Type", "application/json-patch+json")...).Is(403)
	s.Delete("/Patient/b1", as("reader")...).Is(403)
	s.Delete("/Patient/b1", as("ann")...).Is(204)
}

// What holds for everybody is for administrators to write; what a project
// writes is its own.
func TestSteering(t *testing.T) {
	t.Parallel()
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "root": {"all"}, "chief": {"admin"}})
	set := func(id, security string) string {
		return `{"resourceType":"ValueSet","id":"` + id + `","url":"http://x.org/` + id + `","status":"active"` + security + `}`
	}
	param := `{"resourceType":"SearchParameter","id":"sp","url":"http://x.org/sp","name":"x","status":"active","description":"x","code":"x","base":["Patient"],"type":"string","expression":"Patient.language"}`
	labelA := `,"meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/a"}]}`
	s.Put("/SearchParameter/sp", param, as("root")...).Is(403).Has("administrators")
	s.Put("/SearchParameter/sp", param, as("chief")...).Is(201)
	s.Delete("/SearchParameter/sp", as("root")...).Is(403)
	s.Put("/ValueSet/own", set("own", ""), as("ann")...).Is(201).Has("/programs/a") // it gets her label
	s.Put("/ValueSet/own", set("own", ""), as("root")...).Is(200).Has("/programs/a")
	s.Post("/ValueSet/own/$meta-delete", metaParameters(`{"security":[`+fmt.Sprintf(labelAt, "/programs/a")+`]}`), as("root")...).Is(403)
	s.Put("/ValueSet/all", set("all", ""), as("root")...).Is(403)
	s.Put("/ValueSet/all", set("all", ""), as("chief")...).Is(201)
	s.Put("/ValueSet/all", set("all", labelA), as("root")...).Is(403)
	s.Do("PATCH", "/ValueSet/all", `[{"op":"add","path":"/name","value":"N"}]`, append(as("root"), "Content-Type", "application/json-patch+json")...).Is(403)
	s.Post("", transaction(entryOf("", set("two", ""), "PUT", "ValueSet/two")), as("root")...).Is(403)
	s.Put("/ConceptMap/m", `{"resourceType":"ConceptMap","id":"m","status":"draft"}`, as("root")...).Is(201)
}

// Who may not see everything gets no estimate: where the exact total takes too
// long it is left out, and the answer says so.
func TestTotalLeftOut(t *testing.T) {
	t.Parallel()
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "root": {"all"}}, func(o *store.Options) { o.CountTime = time.Nanosecond })
	for i := range 4 {
		s.Put(fmt.Sprintf("/Patient/p%d", i), fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i), as("ann")...).Is(201)
	}
	s.Get("/Patient?_count=2&_total=estimate", as("ann")...).Is(200).Lacks(`"total"`).Has("left out", `"outcome"`)
	s.Get("/Patient?_count=2&_total=estimate", as("root")...).Is(200).Has(`"total"`, "estimate").Lacks("left out")
	s.Get("/Patient?_count=2", as("ann")...).Is(200).Lacks("left out")
}

// A page link is worth nothing in other hands.
func TestCursorsAreBoundToTheCaller(t *testing.T) {
	t.Parallel()
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "twin": {"a"}})
	for i := range 4 {
		s.Put(fmt.Sprintf("/Patient/p%d", i), fmt.Sprintf(`{"resourceType":"Patient","id":"p%d"}`, i), as("ann")...).Is(201)
	}
	for _, link := range []string{
		s.Get("/Patient?_count=2", as("ann")...).Is(200).Link("next"),
		s.Get("/Patient/_history?_count=2", as("ann")...).Is(200).Link("next"),
		s.Post("/Patient/_search", "_count=2", append(as("ann"), "Content-Type", "application/x-www-form-urlencoded")...).Is(200).Link("next"),
	} {
		s.Get(link, as("ann")...).Is(200)
		s.Get(link, as("twin")...).Is(400)
	}
}
