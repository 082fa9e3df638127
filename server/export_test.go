package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ingle/authz"
	"ingle/authz/arboristtest"
	"ingle/fhir/r4"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store"
	"ingle/store/storetest"
)

// manifest is the answer to an export.
type manifest struct {
	TransactionTime, Request string
	RequiresAccessToken      bool
	Output, Deleted, Error   []struct {
		Type, URL string
		Count     int
	}
}

// kickOff begins an export and returns its place.
func kickOff(t *testing.T, s *servertest.Server, target string, headers ...string) string {
	t.Helper()
	a := s.Get(target, append(headers, "Prefer", "respond-async")...).Is(202)
	return a.Header.Get("Content-Location")
}

// listed waits for the manifest.
func listed(t *testing.T, s *servertest.Server, place string, headers ...string) (m manifest) {
	t.Helper()
	a := answered(t, s, place, append(headers, "Accept", "application/json")...).Is(200)
	if a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Expires") == "" {
		t.Errorf("%v", a.Header)
	}
	if err := json.Unmarshal(a.Body, &m); err != nil || m.Output == nil || m.Deleted == nil || m.Error == nil {
		t.Fatalf("the manifest %s: %v", a.Body, err)
	}
	return m
}

// fetched reads the files of a manifest: the lines by reference, deletions with "-" before it.
func fetched(t *testing.T, s *servertest.Server, m manifest, headers ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, f := range m.Output {
		for line := range bytes.Lines(s.Get(f.URL, append(headers, "Accept", "application/fhir+ndjson")...).Is(200).Body) {
			var r struct{ ResourceType, ID string }
			if err := json.Unmarshal(line, &r); err != nil || r.ResourceType != f.Type || line[len(line)-1] != '\n' {
				t.Fatalf("a line of %s: %q: %v", f.Type, line, err)
			}
			if _, twice := out[r.ResourceType+"/"+r.ID]; twice {
				t.Errorf("%s/%s stands there twice", r.ResourceType, r.ID)
			}
			out[r.ResourceType+"/"+r.ID] = string(line)
		}
	}
	for _, f := range m.Deleted {
		for line := range bytes.Lines(s.Get(f.URL, headers...).Is(200).Body) {
			var b struct {
				ResourceType, Type string
				Entry              []struct{ Request struct{ Method, URL string } }
			}
			if err := json.Unmarshal(line, &b); err != nil || b.ResourceType != "Bundle" || b.Type != "transaction" || f.Type != "Bundle" {
				t.Fatalf("a line of deletions: %q: %v", line, err)
			}
			for _, e := range b.Entry {
				if e.Request.Method != "DELETE" {
					t.Errorf("%s", line)
				}
				out["-"+e.Request.URL] = string(line)
			}
		}
	}
	return out
}

// exported are the references in an export, sorted, and the manifest.
func exported(t *testing.T, s *servertest.Server, target string, headers ...string) (string, manifest) {
	t.Helper()
	place := kickOff(t, s, target, headers...)
	m := listed(t, s, place, headers...)
	refs := []string{}
	for ref := range fetched(t, s, m, headers...) {
		refs = append(refs, ref)
	}
	slices.Sort(refs)
	s.Delete(place, headers...).Is(202)
	return strings.Join(refs, " "), m
}

// ward is a small hospital: Patients p and q with an Observation each, a third Observation of nobody,
// a Group of p and, inactive, q.
func ward(t *testing.T, s *servertest.Server, headers ...string) {
	t.Helper()
	put := func(ref, rest string) {
		t.Helper()
		typ, id, _ := strings.Cut(ref, "/")
		s.Put("/"+ref, `{"resourceType":"`+typ+`","id":"`+id+`",`+rest+`}`, headers...).Is(201)
	}
	put("Patient/p", `"name":[{"family":"Pape"}],"gender":"male"`)
	put("Patient/q", `"name":[{"family":"Quast"}],"birthDate":"1970-01-01","link":[{"other":{"reference":"Patient/p"},"type":"seealso"}]`)
	put("Observation/op", `"status":"final","code":{"coding":[{"system":"http://t","code":"a,b"}]},"subject":{"reference":"Patient/p"}`)
	put("Observation/oq", `"status":"preliminary","code":{"coding":[{"system":"http://t","code":"c"}]},"subject":{"reference":"Patient/q"},"valueQuantity":{"value":1e2}`)
	put("Observation/none", "\n"+`"status":"final","valueQuantity":{"value":1e2},`+"\r\n"+`"code":{"text":"x"}`)
	put("Practitioner/d", `"active":true`)
	put("Group/g", `"type":"person","actual":true,"member":[{"entity":{"reference":"Patient/p"}},{"entity":{"reference":"Patient/q"},"inactive":true},`+
		`{"entity":{"reference":"Patient/q"},"period":{"end":"2001"}},{"entity":{"reference":"Practitioner/d"}}]`)
}

func TestExport(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	ward(t, s)
	s.Get("/metadata").Is(200).Has(`"instantiates":["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"]`, `{"name":"export","definition":"http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"`,
		`"http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export"`, `"http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export"`)
	everything := "Group/g Observation/none Observation/op Observation/oq Patient/p Patient/q Practitioner/d"
	refs, m := exported(t, s, "/$export")
	if refs != everything || m.Request != s.Base+"/$export" || m.RequiresAccessToken || m.Output[0].Count == 0 {
		t.Errorf("%s %+v", refs, m)
	}
	since := m.TransactionTime
	double := url.QueryEscape("Observation?status=" + url.QueryEscape("preliminary") + ",Observation?code=" + url.QueryEscape(`http://t|a\,b`) + ",x,Patient?family=pape")
	for query, want := range map[string]string{
		"/$export?_type=Patient":              "Patient/p Patient/q",
		"/$export?_type=Patient,Practitioner": "Patient/p Patient/q Practitioner/d",
		"/$export?_type=Patient&_type=Group&_outputFormat=application/fhir%2Bndjson": "Group/g Patient/p Patient/q",
		"/$export?_outputFormat=application/fhir+ndjson&_type=Patient":               "Patient/p Patient/q",
		"/$export?_outputFormat=ndjson&_type=Account":                                "",
		"/$export?_since=2001-01-01T00:00:00Z":                                       everything,
		"/$export?_since=2001-01-01T00:00:00+02:00&_type=Patient":                    "Patient/p Patient/q",
		"/$export?_until=2001-01-01T00:00:00Z":                                       "",
		"/$export?_since=" + url.QueryEscape(since):                                  "",
		"/$export?_until=" + url.QueryEscape(since) + "&_type=Patient":               "Patient/p Patient/q",
		"/$export?_typeFilter=" + double:                                             "Group/g Observation/op Observation/oq Patient/p Practitioner/d",
		"/$export?_type=Patient&_typeFilter=Patient%3Ffamily%3Dpape":                 "Patient/p",
		"/$export?_type=Patient&_typeFilter=Patient%3F_has:Observation:subject:status=preliminary&_typeFilter=Patient%3Fgender%3Dmale%26family%3Dquast": "Patient/q",
		"/$export?_type=Observation&_typeFilter=Observation%3Fsubject:Patient.family%3Dquast":                                                           "Observation/oq",
		"/Patient/$export":                           "Group/g Observation/op Observation/oq Patient/p Patient/q",
		"/Patient/$export?_type=Observation":         "Observation/op Observation/oq",
		"/Group/g/$export":                           "Group/g Observation/op Patient/p",
		"/Group/g/$export?_type=Observation,Patient": "Observation/op Patient/p",
		"/Group/g/$export?_typeFilter=Observation%3Fstatus%3Dpreliminary&_type=Observation": "",
	} {
		if got, _ := exported(t, s, query); got != want {
			t.Errorf("%s exports %s, not %s", query, got, want)
		}
	}

	// elements, of all types and of one; lines are whole, numbers as they were written
	place := kickOff(t, s, "/$export?_elements=gender,Observation.status")
	found := fetched(t, s, listed(t, s, place))
	if !strings.Contains(found["Patient/p"], `"gender":"male"`) || strings.Contains(found["Patient/p"], "Pape") || !strings.Contains(found["Patient/p"], "SUBSETTED") ||
		strings.Contains(found["Observation/oq"], "valueQuantity") || !strings.Contains(found["Observation/oq"], `"code"`) {
		t.Errorf("%v", found)
	}
	if whole := fetched(t, s, listed(t, s, kickOff(t, s, "/$export?_elements=Patient.gender"))); !strings.Contains(whole["Observation/none"], "1e2") || strings.Contains(whole["Patient/p"], "Pape") {
		t.Errorf("%v", whole)
	}

	// by POST, for some patients
	ask := func(path string, parameters string, headers ...string) *servertest.Answer {
		return s.Post(path, `{"resourceType":"Parameters","parameter":[`+parameters+`]}`, append(headers, "Prefer", "respond-async")...)
	}
	patient := func(id string) string {
		return `{"name":"patient","valueReference":{"reference":"Patient/` + id + `"}}`
	}
	posted := func(path, parameters, want string) {
		t.Helper()
		place := ask(path, parameters).Is(202).Header.Get("Content-Location")
		refs := []string{}
		for ref := range fetched(t, s, listed(t, s, place)) {
			refs = append(refs, ref)
		}
		slices.Sort(refs)
		if got := strings.Join(refs, " "); got != want {
			t.Errorf("%s %s exports %s, not %s", path, parameters, got, want)
		}
		s.Delete(place).Is(202)
	}
	posted("/$export", `{"name":"_type","valueString":"Patient"},{"name":"_since","valueInstant":"2001-01-01T00:00:00Z"}`, "Patient/p Patient/q")
	posted("/Patient/$export", patient("q")+`,{"name":"_type","valueString":"Patient,Observation"}`, "Observation/oq Patient/q")
	posted("/Group/g/$export", patient("p")+`,{"name":"_type","valueString":"Observation"}`, "Observation/op")
	ask("/Group/g/$export", patient("q")).Is(400).Has("not a member")
	ask("/Patient/$export", patient("zzz")).Is(400).Has("zzz")
	ask("/$export", patient("p")).Is(400).Has("patient")
	ask("/$export", `{"name":"_type","valueCoding":{"code":"Patient"}}`).Is(400)
	s.Post("/$export", `{"resourceType":"Patient"}`, "Prefer", "respond-async").Is(400)

	// what is refused at once
	for query, why := range map[string]string{
		"/$export?_outputFormat=text/csv": "_outputFormat", "/$export?_type=Pateint": "did you mean", "/$export?_type=": "_type", "/$export?colour=red": "colour",
		"/$export?_since=yesterday": "_since", "/$export?_elements=": "_elements", "/$export?_since=2020-01-01": "_since", "/Patient/$export?_type=Practitioner": "compartment",
		"/$export?_type=Patient&_typeFilter=Observation%3Fstatus=final": "_type", "/$export?_typeFilter=Observation%3Fcolour=red": "colour", "/$export?_typeFilter=Observation%3F_sort=date": "_sort",
		"/$export?organizeOutputBy=Patient": "organizeOutputBy", "/Patient/$export?includeAssociatedData=x": "includeAssociatedData", "/Patient/$export?patient=Patient/p": "patient",
	} {
		s.Get(query, "Prefer", "respond-async").Is(400).Has(why)
	}
	s.Get("/$export").Is(400).Has("respond-async")
	s.Get("/Group/absent/$export", "Prefer", "respond-async").Is(404)
	s.Put("/$export", `{}`).Is(405)
	s.Get("/Patient/p/$export", "Prefer", "respond-async").Is(404)
	s.Get("/Group/$export", "Prefer", "respond-async").Is(404)
	s.Get("/Observation/$export", "Prefer", "respond-async").Is(404)
	// or left out and told, where the client likes it so
	a := s.Get("/Patient/$export?organizeOutputBy=Patient&_type=Patient,Practitioner,Pateint&includeAssociatedData=x", "Prefer", "respond-async, handling=lenient").Is(202).Has("organizeOutputBy", "Practitioner", "Pateint", "left out")
	if m := listed(t, s, a.Header.Get("Content-Location")); len(m.Output) != 1 || m.Output[0].Type != "Patient" || m.Output[0].Count != 2 {
		t.Errorf("%+v", m)
	}
	s.Get("/Patient/$export?_type=Practitioner", "Prefer", "respond-async, handling=lenient").Is(400)

	// the snapshot holds: what is changed and deleted afterwards is given as it was
	place = kickOff(t, s, "/$export?_type=Patient,Observation")
	m = listed(t, s, place)
	s.Put("/Patient/p", `{"resourceType":"Patient","id":"p","name":[{"family":"Later"}]}`).Is(200)
	s.Delete("/Observation/op").Is(200, 204)
	s.Put("/Observation/fresh", `{"resourceType":"Observation","id":"fresh","status":"final","code":{"text":"c"}}`).Is(201)
	found = fetched(t, s, m)
	if len(found) != 5 || !strings.Contains(found["Patient/p"], "Pape") || !strings.Contains(found["Observation/op"], "final") {
		t.Errorf("%v", found)
	}
	// and what came after it comes with the next one
	if refs, m := exported(t, s, "/$export?_since="+url.QueryEscape(m.TransactionTime)); refs != "-Observation/op Observation/fresh Patient/p" || len(m.Deleted) != 1 || m.Deleted[0].Count != 1 {
		t.Errorf("%s %+v", refs, m)
	}
	if refs, _ := exported(t, s, "/Group/g/$export?_since="+url.QueryEscape(m.TransactionTime)); refs != "-Observation/op Patient/p" {
		t.Errorf("%s", refs)
	}

	// each file has one address, with one spelling
	file := m.Output[0].URL
	for _, wrong := range []string{file + "x", strings.TrimSuffix(file, "/1") + "/0", strings.TrimSuffix(file, "/1") + "/01", strings.TrimSuffix(file, "/1") + "/9", strings.TrimSuffix(file, "/1") + "/-1", file + "/1"} {
		s.Get(wrong).Is(404)
	}
	s.Put(file, `{}`).Is(405)
	s.Delete(file).Is(405)
	if h := s.Do("HEAD", file, "").Is(200); h.Header.Get("Content-Type") != "application/fhir+ndjson" || len(h.Body) != 0 {
		t.Errorf("%v", h.Header)
	}
	if z := s.Get(file, "Accept-Encoding", "gzip").Is(200); z.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%v", z.Header)
	}
	s.Delete(place).Is(202)
	s.Get(file).Is(404)
	s.Get(place).Is(404)
	s.Delete(place).Is(404)
	s.Post("", transaction(`{"request":{"method":"GET","url":"$export"}}`)).Is(400)
}

// TestExportCallers proves that an export is under the caller's scope, when it is
// made and when it is fetched.
func TestExportCallers(t *testing.T) {
	t.Parallel()
	issuer := arboristtest.NewIssuer(t)
	role := func(policy string, paths ...string) authz.Role {
		r := authz.Role{Paths: paths, Methods: []string{"*"}}
		if policy != "" {
			r.Policies = []string{policy}
		}
		return r
	}
	admin := role("", "/")
	admin.Admin = true
	resolver, err := authz.New(authz.Config{Mode: authz.ModeJWT, RolesClaim: "roles", Definitions: r4.Definitions(),
		AllowHosts: []string{strings.TrimPrefix(issuer.KeysURL[:strings.LastIndex(issuer.KeysURL, "/.well")], "http://")},
		Issuers:    []authz.Issuer{{Issuer: issuer.URL, KeysURL: issuer.KeysURL, Audiences: []string{"fhir"}, UserClaim: "context.user.name"}},
		Policies: map[string]authz.Policy{"aimless": {Resources: map[string]authz.Rule{"Observation": {Hidden: []string{"subject"}}, "*": {}}},
			"closed": {Resources: map[string]authz.Rule{"Group": {Hidden: []string{"member"}}, "*": {}}}, "nameless": {Resources: map[string]authz.Rule{"Patient": {Hidden: []string{"name"}}, "Observation": {Criteria: []string{"status=final"}}, "*": {}}}},
		Roles: map[string]authz.Role{"a": role("", "/programs/a"), "b": role("", "/programs/b"), "none": {}, "admin": admin, "nameless": role("nameless", "/programs"), "aimless": role("aimless", "/programs"), "closed": role("closed", "/programs")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(resolver.Close)
	as := func(name string, roles []string, claims ...any) []string {
		set := map[string]any{"roles": roles}
		for i := 0; i+1 < len(claims); i += 2 {
			set[claims[i].(string)] = claims[i+1]
		}
		return []string{"Authorization", "Bearer " + issuer.Token(t, name, set)}
	}
	var trail lines
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) { c.Resolver, c.Audit = resolver, slog.New(slog.NewJSONHandler(&trail, nil)) },
		Store: func(o *store.Options) { o.Consent = store.ConsentOptOut }})
	root := as("root", []string{"admin"})
	put := func(typ, id, patient, label, more string) {
		t.Helper()
		s.Put("/"+typ+"/"+id, of(typ, id, patient, label, more), root...).Is(200, 201)
	}
	const final = `,"status":"final","code":{"text":"c"}`
	for _, p := range []string{"a", "b"} {
		put("Patient", "p"+p, "", "/programs/"+p, `,"name":[{"family":"Schmidtmeyer"}]`)
		put("Observation", "o"+p, "p"+p, "/programs/"+p, final)
		s.Put("/Group/g"+p, strings.Replace(of("Patient", "g"+p, "", "/programs/"+p, `,"type":"person","actual":true,"member":[{"entity":{"reference":"Patient/pa"}},{"entity":{"reference":"Patient/pb"}}]`), "Patient", "Group", 1), root...).Is(201)
	}
	put("Observation", "draft", "pa", "/programs/a", `,"status":"preliminary","code":{"text":"c"}`)
	put("Observation", "across", "pb", "/programs/a", final) // about a Patient of another project
	ann, bob, nobody, both := as("ann", []string{"a"}), as("bob", []string{"b"}), as("nil", []string{"none"}), as("eve", []string{"a", "b"})
	nameless := as("non", []string{"nameless"})
	smart := func(scopes ...string) []string {
		return as("app", []string{"a", "b"}, "scope", append(scopes, "openid"), "patient", "pa")
	}
	const ofA, ofB = "Group/ga Observation/across Observation/draft Observation/oa Patient/pa", "Group/gb Observation/ob Patient/pb"
	for _, try := range []struct {
		who          []string
		target, want string
	}{
		{ann, "/$export", ofA},
		{bob, "/$export", ofB},
		{nobody, "/$export", ""},
		{both, "/$export?_type=Patient", "Patient/pa Patient/pb"},
		{ann, "/Patient/$export?_type=Observation", "Observation/draft Observation/oa"},
		{both, "/Patient/$export?_type=Observation", "Observation/across Observation/draft Observation/oa Observation/ob"},
		{ann, "/Group/ga/$export?_type=Observation,Patient", "Observation/draft Observation/oa Patient/pa"},
		{bob, "/Group/gb/$export?_type=Observation,Patient", "Observation/ob Patient/pb"},
		{nameless, "/$export?_type=Observation,Patient", "Observation/across Observation/oa Observation/ob Patient/pa Patient/pb"},
		{smart("system/*.rs"), "/$export?_type=Observation,Patient", "Observation/across Observation/draft Observation/oa Observation/ob Patient/pa Patient/pb"},
		{smart("system/*.read"), "/$export?_type=Patient", "Patient/pa Patient/pb"},
		{smart("system/Observation.rs"), "/$export", "Observation/across Observation/draft Observation/oa Observation/ob"},
		{smart("system/Observation.rs"), "/Patient/$export", ""}, // whose Patients it may not see
		{smart("system/Observation.rs?status=preliminary"), "/$export", "Observation/draft"},
		{smart("system/Patient.s", "system/Observation.r"), "/$export", ""},
		{smart("patient/*.rs"), "/$export?_type=Observation,Patient", "Observation/draft Observation/oa Patient/pa"},
		{smart("patient/*.rs"), "/Patient/$export?_type=Observation,Patient", "Observation/draft Observation/oa Patient/pa"},
	} {
		if got, m := exported(t, s, try.target, try.who...); got != try.want || !m.RequiresAccessToken {
			t.Errorf("%s exports %s, not %s", try.target, got, try.want)
		}
	}
	s.Get("/$export", "Prefer", "respond-async").Is(401)
	if found := fetched(t, s, listed(t, s, kickOff(t, s, "/$export", nameless...), nameless...), nameless...); strings.Contains(fmt.Sprint(found), "Schmidtmeyer") || found["Patient/pa"] == "" {
		t.Errorf("a hidden name shows: %v", found)
	}
	aimless, closed := as("aim", []string{"aimless"}), as("clo", []string{"closed"})
	s.Get("/Patient/$export?_type=Observation", append(aimless, "Prefer", "respond-async")...).Is(403).Has("subject")
	s.Get("/Group/ga/$export", append(closed, "Prefer", "respond-async")...).Is(403).Has("member")
	left := s.Get("/Patient/$export", append(aimless, "Prefer", "respond-async")...).Is(202).Has("left out", "subject")
	if found := fetched(t, s, listed(t, s, left.Header.Get("Content-Location"), aimless...), aimless...); found["Patient/pa"] == "" || found["Group/ga"] == "" || len(found) != 4 {
		t.Errorf("%v", found)
	}
	// no filter asks for what is hidden, and what may not be seen is as absent
	s.Get("/$export?_typeFilter=Patient%3Ffamily=Schmidtmeyer", append(nameless, "Prefer", "respond-async")...).Is(403).Has("family")
	absent := s.Get("/Group/nil/$export", append(ann, "Prefer", "respond-async", "X-Request-Id", "r")...).Is(404)
	if hidden := s.Get("/Group/gb/$export", append(ann, "Prefer", "respond-async", "X-Request-Id", "r")...).Is(404); strings.ReplaceAll(string(hidden.Body), "gb", "nil") != string(absent.Body) {
		t.Errorf("%s\n%s", hidden.Body, absent.Body)
	}

	// between the manifest and the files
	place := kickOff(t, s, "/$export?_type=Patient,Observation", both...)
	m := listed(t, s, place, both...)
	if got := len(fetched(t, s, m, both...)); got != 6 {
		t.Errorf("%d lines", got)
	}
	file := m.Output[0].URL
	never := s.Get("/_async/none/1", append(ann, "X-Request-Id", "r")...).Is(404)
	for _, who := range [][]string{ann, as("eve", []string{"a"}), as("eve", []string{"a", "b"}, "scope", []string{"openid", "user/Patient.rs"})} { // another, and the same with fewer rights
		for _, at := range []string{file, place} {
			if a := s.Get(at, append(who, "X-Request-Id", "r")...).Is(404); !bytes.Equal(a.Body, never.Body) {
				t.Errorf("%s\n%s", a.Body, never.Body)
			}
		}
	}
	s.Delete(place, ann...).Is(404)
	s.Get(file).Is(401)
	put("Patient", "pb", "", "/programs/c", `,"name":[{"family":"Moved"}]`)                               // to a project that the caller does not see
	put("Observation", "oa", "pa", "/programs/a", final+`,"language":"en"`)                               // an old version now
	s.Put("/Consent/c", of("Consent", "c", "pb", "/programs/b", `,"status":"inactive"`), root...).Is(201) // withdraws what is about pb
	found := fetched(t, s, m, both...)
	if refs := fmt.Sprint(len(found), found["Patient/pb"] == "", found["Observation/ob"] == "", found["Observation/across"] == ""); refs != "3 true true true" || strings.Contains(found["Observation/oa"], "language") {
		t.Errorf("%v", found)
	}
	if got, _ := exported(t, s, "/$export?_type=Patient,Observation", both...); got != "Observation/draft Observation/oa Patient/pa" {
		t.Errorf("after the withdrawal: %s", got)
	}
	if got, _ := exported(t, s, "/$export?_type=Patient", root...); got != "Patient/pa Patient/pb" {
		t.Errorf("an administrator: %s", got)
	}
	// the trail tells of the beginning and of each fetching, and nothing of the content
	for _, want := range []string{`"operation":"export"`, `"interaction":"async-file","reference":"_async/`, `"interaction":"async-status"`} {
		if !strings.Contains(trail.String(), want) {
			t.Errorf("the trail lacks %s", want)
		}
	}
	if strings.Contains(trail.String(), "Schmidtmeyer") {
		t.Error("the trail holds content")
	}
	// nobody has many at once
	statuses := map[int]int{}
	for range 12 {
		statuses[s.Get("/$export", append(ann, "Prefer", "respond-async")...).Status]++
	}
	if statuses[202] == 0 || statuses[202]+statuses[429] != 12 {
		t.Errorf("%v", statuses)
	}
}

// TestExportPending proves that what was being written when an export looked, with a time before it, comes
// with the changes since then; and that a lost, failed or stopped export says so.
func TestExportPending(t *testing.T) {
	t.Parallel()
	at := storetest.URL(t)
	s := servertest.Start(t, servertest.Options{URL: at})
	conn, run := besideServer(t, at)
	people(t, s, 2)
	run(`BEGIN`)
	run(`UPDATE resource SET tx = pg_current_xact_id(), version = 2, lu = now(), body = jsonb_set(body, '{language}', '"en"') WHERE fhir_id = 'p001' /*scope*/`)
	time.Sleep(2 * time.Millisecond)
	refs, m := exported(t, s, "/$export")
	if refs != "Patient/p000 Patient/p001" {
		t.Errorf("%s", refs)
	}
	run(`COMMIT`)
	since := "/$export?_since=" + url.QueryEscape(m.TransactionTime)
	if refs, m = exported(t, s, since); refs != "Patient/p001" {
		t.Errorf("what was being written is lost: %q", refs)
	}
	if refs, _ = exported(t, s, "/$export?_since="+url.QueryEscape(m.TransactionTime)); refs != "" {
		t.Errorf("twice: %s", refs)
	}
	// of a list that is broken no part is given as the whole
	place := kickOff(t, s, "/$export")
	m = listed(t, s, place)
	run(`UPDATE export_file SET count = count + 1`)
	if resp, err := http.Get(m.Output[0].URL); err == nil {
		defer resp.Body.Close()
		if text, err := io.ReadAll(resp.Body); err == nil {
			t.Errorf("a broken file ends well: %s", text)
		}
	}
	// resources of a type that is gone are no deletions
	run(`UPDATE export_file SET rtype = 30000`)
	s.Get(m.Output[0].URL).Is(404)
	run(`UPDATE async_request SET done = false, leased = now() - interval '1 second'`)
	s.Get(place).Is(500).Has("ask again")
	s.Get(m.Output[0].URL).Is(404)
	run(`UPDATE async_request SET done = true, expires = now() - interval '1 second'`)
	s.Get(place).Is(404)
	s.Get(m.Output[0].URL).Is(404)
	if err := s.Database.ForgetAsync(context.Background()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := conn.QueryRow(context.Background(), `SELECT count(*) FROM export_file`).Scan(&left); err != nil || left != 0 {
		t.Errorf("%d files are left: %v", left, err)
	}
	s.Service.Close()
	answered(t, s, kickOff(t, s, "/$export")).Is(200, 503)
}
