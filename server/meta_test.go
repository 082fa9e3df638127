package server_test

import (
	"fmt"
	"sync"
	"testing"

	"ingle/server/servertest"
)

func metaParameters(meta string) string {
	return `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":` + meta + `}]}`
}

const (
	returned = "parameter.0.valueMeta."
	labelAt  = `{"system":"urn:gen3:authz","code":"%s"}`
)

func TestMeta(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","meta":{"tag":[{"system":"http://t","code":"Old","display":"an old one"}]},"multipleBirthInteger":1}`).Is(201)
	before := s.Get("/Patient/p").Is(200)

	s.Post("/Patient/p/$meta-add", metaParameters(`{"tag":[{"system":"http://t","code":"New"},{"system":"http://t","code":"Old"}],
		"profile":["http://hl7.org/fhir/StructureDefinition/Patient"],"security":[{"system":"http://s","code":"R"}]}`)).Is(200).Has(`"New"`, `"an old one"`, `"R"`)
	after := s.Get("/Patient/p").Is(200)
	// R4 resource-operation-meta-add.html: no new version
	for _, at := range []string{"meta.versionId", "meta.lastUpdated"} {
		if before.Text(at) != after.Text(at) {
			t.Errorf("%s: %s became %s", at, before.Text(at), after.Text(at))
		}
	}
	if got := s.Get("/Patient/p/_history").Is(200); got.Text("total") != "1" {
		t.Errorf("history: %s", got.Body)
	}
	// the index follows
	for query, n := range map[string]int{"_tag=http://t|New": 1, "_tag=http://t|Old": 1, "_security=http://s|R": 1, "_profile=http://hl7.org/fhir/StructureDefinition/Patient": 1} {
		if got := s.Get("/Patient?" + query).Is(200).IDs("match"); len(got) != n {
			t.Errorf("%s: %v", query, got)
		}
	}

	s.Put("/Patient/q", `{"resourceType":"Patient","id":"q","meta":{"tag":[{"system":"http://t","code":"Q"}]}}`).Is(201)
	s.Put("/Group/g", `{"resourceType":"Group","id":"g","meta":{"tag":[{"system":"http://t","code":"G"}]},"type":"person","actual":true}`).Is(201)
	s.Get("/$meta").Is(200).Has(`"G"`, `"Q"`, `"New"`, `"Old"`, `"R"`, "StructureDefinition/Patient").Lacks("versionId")
	s.Get("/Patient/$meta").Is(200).Has(`"Q"`, `"New"`).Lacks(`"G"`)
	s.Get("/Patient/q/$meta").Is(200).Has(`"Q"`, "versionId").Lacks(`"New"`)
	s.Get("/Group/none/$meta").Is(404)

	if got := s.Post("/Patient/p/$meta-delete", metaParameters(`{"tag":[{"system":"http://t","code":"Old"},{"system":"http://t","code":"unknown"}],
		"profile":["http://hl7.org/fhir/StructureDefinition/Patient"],"security":[{"system":"http://s","code":"R"}]}`)).Is(200); got.Text(returned+"tag.0.code") != "New" {
		t.Errorf("%s", got.Body)
	}
	s.Get("/Patient/p").Is(200).Has(`"New"`, `"multipleBirthInteger": 1`).Lacks(`"Old"`, `"profile"`, `"security"`)
	for query, n := range map[string]int{"_tag=http://t|New": 1, "_tag=http://t|Old": 0, "_security=http://s|R": 0, "_profile=http://hl7.org/fhir/StructureDefinition/Patient": 0} {
		if got := s.Get("/Patient?" + query).Is(200).IDs("match"); len(got) != n {
			t.Errorf("%s after $meta-delete: %v", query, got)
		}
	}

	s.Post("/Patient/p/$meta-add", "").Is(400)
	s.Post("/Patient/p/$meta-add", metaParameters(`{"tag":"x"}`)).Is(400)
	s.Post("/Patient/p/$meta-add", `{"resourceType":"Parameters","parameter":[{"name":"other","valueMeta":{}}]}`).Is(400)
	s.Post("/Patient/p/$meta-add", metaParameters(`{"tag":[{"code":"x"}]}`), "If-Match", `W/"9"`).Is(412)
	s.Get("/Patient/p/$meta-add").Is(405)
	s.Delete("/Patient/q").Is(204)
	s.Post("/Patient/q/$meta-add", metaParameters(`{"tag":[{"code":"x"}]}`)).Is(410)
	s.Get("/$meta").Is(200).Lacks(`"Q"`)
	s.Get("/metadata").Is(200).Has("Resource-meta-add", "Resource-meta-delete", "OperationDefinition/Resource-meta\"")
}

// Labels move by $meta-add and $meta-delete only where the caller may update
// before and after.
func TestMetaObeysLabels(t *testing.T) {
	t.Parallel()
	s, as := withUsers(t, map[string][]string{"ann": {"a"}, "bob": {"b"}, "both": {"a", "b"}, "reader": {"read-a"}})
	a, b := fmt.Sprintf(labelAt, "/programs/a"), fmt.Sprintf(labelAt, "/programs/b/projects/x")
	s.Put("/Patient/p", labelled("p", "/programs/a"), as("ann")...).Is(201)

	s.Post("/Patient/p/$meta-add", metaParameters(`{"security":[`+b+`]}`), as("ann")...).Is(403)
	s.Post("/Patient/p/$meta-add", metaParameters(`{"tag":[{"code":"x"}]}`), as("reader")...).Is(403)
	s.Post("/Patient/p/$meta-delete", metaParameters(`{"security":[`+a+`]}`), as("reader")...).Is(403)
	s.Post("/Patient/p/$meta-delete", metaParameters(`{"security":[`+a+`]}`), as("ann")...).Is(403) // it would belong to nobody
	s.Post("/Patient/p/$meta-add", metaParameters(`{"security":[{"system":"urn:gen3:authz","code":"no path"}]}`), as("both")...).Is(422)
	hidden, none := s.Post("/Patient/p/$meta-add", metaParameters(`{"tag":[{"code":"x"}]}`), as("bob")...).Is(404), s.Post("/Patient/z/$meta-add", metaParameters(`{"tag":[{"code":"x"}]}`), as("bob")...).Is(404)
	if hidden.Text("issue.0.diagnostics") != "Patient/p is not known" || none.Text("issue.0.diagnostics") != "Patient/z is not known" {
		t.Errorf("%s and %s differ", hidden.Body, none.Body)
	}
	s.Get("/Patient?identifier=p", as("bob")...).Is(200).Lacks(`"fullUrl"`)

	// the alias is the same label, in its one spelling
	s.Post("/Patient/p/$meta-add", metaParameters(`{"security":[{"system":"gen3-security","code":"/programs/b/projects/x/"},{"system":"gen3-security","code":"/programs/a"}]}`), as("both")...).
		Is(200).Has("/programs/b/projects/x\"").Lacks("gen3-security")
	if got := s.Get("/Patient?identifier=p&_security=urn:gen3:authz|/programs/b/projects/x", as("bob")...).Is(200).IDs("match"); len(got) != 1 {
		t.Errorf("after $meta-add bob finds %v", got)
	}
	s.Post("/Patient/p/$meta-delete", metaParameters(`{"security":[`+a+`]}`), as("bob")...).Is(403)
	s.Post("/Patient/p/$meta-delete", metaParameters(`{"security":[`+a+`]}`), as("both")...).Is(200).Lacks("/programs/a")
	s.Get("/Patient/p", as("ann")...).Is(404)
	if got := s.Get("/Patient?identifier=p", as("ann")...).Is(200).IDs("match"); len(got) != 0 {
		t.Errorf("after $meta-delete ann finds %v", got)
	}
	s.Get("/Patient/p", as("bob")...).Is(200)

	// what is in use, as each may see
	s.Get("/$meta", as("ann")...).Is(200).Lacks("/programs/b")
	s.Get("/Patient/$meta", as("bob")...).Is(200).Has("/programs/b/projects/x")
	s.Get("/$meta").Is(401)
}

// A write that read the resource before its labels moved does not win.
func TestMetaAgainstWrites(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p"}`).Is(201)
	const n = 12
	var work sync.WaitGroup
	for i := range n {
		work.Go(func() {
			s.Post("/Patient/p/$meta-add", metaParameters(fmt.Sprintf(`{"tag":[{"system":"http://t","code":"t%d"}]}`, i))).Is(200, 409)
		})
		work.Go(func() {
			s.Do("PATCH", "/Patient/p", fmt.Sprintf(`[{"op":"add","path":"/multipleBirthInteger","value":%d}]`, i), "Content-Type", "application/json-patch+json").Is(200, 409, 412)
		})
	}
	work.Wait()
	body := s.Get("/Patient/p").Is(200)
	for i := range n {
		tag := fmt.Sprintf("t%d", i)
		has := 0
		for j := range n {
			if body.Text(fmt.Sprintf("meta.tag.%d.code", j)) == tag {
				has++
			}
		}
		if found := len(s.Get("/Patient?_tag=http://t|" + tag).Is(200).IDs("match")); found != has {
			t.Errorf("tag %s: %d in the resource, %d in the index", tag, has, found)
		}
	}
}
