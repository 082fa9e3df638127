package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/internal/pgtest"
	"ingle/internal/testdata"
)

// profileOf is a StructureDefinition over Patient with one rule.
func profileOf(element, rule string) string {
	return fmt.Sprintf(`{"resourceType":"StructureDefinition","id":"p","url":"http://t/p","name":"P","status":"active","kind":"resource","abstract":false,"type":"Patient",
		"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"%[1]s","path":"%[1]s",%[2]s}]}}`, element, rule)
}

// soon posts until the answer is as wanted: another server has to hear first.
func soon(t *testing.T, url, body string, want int, holds string) {
	t.Helper()
	var status int
	var text string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if status, text = request(t, http.MethodPost, url, body); status == want && strings.Contains(text, holds) {
			return
		}
	}
	t.Fatalf("%s: %d %s, want %d with %q", url, status, text, want, holds)
}

// What is stored on one server steers the other one on the same database soon:
// a profile that is new, changed and deleted, and a value set and its code
// system that a profile binds to.
func TestConformanceOfSeveralServers(t *testing.T) {
	t.Parallel()
	database := served(t)
	one, _ := start(t, database)
	two, _ := start(t, database)
	claim := `{"resourceType":"Patient","meta":{"profile":["http://t/p"]},"gender":"male"}`
	store := func(base, path, body string) {
		t.Helper()
		if status, text := request(t, http.MethodPut, base+"/"+path, body); status >= 300 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	soon(t, two+"/Patient", claim, 201, "") // a profile that is not known is a warning
	store(one, "StructureDefinition/p", profileOf("Patient.birthDate", `"min":1`))
	soon(t, one+"/Patient", claim, 422, "Patient.birthDate")
	soon(t, two+"/Patient", claim, 422, "Patient.birthDate")
	store(two, "StructureDefinition/p", profileOf("Patient.name", `"min":1`))
	soon(t, one+"/Patient", claim, 422, "Patient.name")
	store(one, "CodeSystem/c", `{"resourceType":"CodeSystem","id":"c","url":"http://t/c","status":"active","content":"complete","concept":[{"code":"a"}]}`)
	store(one, "ValueSet/v", `{"resourceType":"ValueSet","id":"v","url":"http://t/v","status":"active","compose":{"include":[{"system":"http://t/c"}]}}`)
	store(one, "StructureDefinition/p", profileOf("Patient.maritalStatus", `"binding":{"strength":"required","valueSet":"http://t/v"}`))
	married := func(code string) string {
		return strings.Replace(claim, `"gender"`, `"maritalStatus":{"coding":[{"system":"http://t/c","code":"`+code+`"}]},"gender"`, 1)
	}
	soon(t, two+"/Patient", married("b"), 422, "http://t/v")
	soon(t, two+"/Patient", married("a"), 201, "")
	store(two, "CodeSystem/c", `{"resourceType":"CodeSystem","id":"c","url":"http://t/c","status":"active","content":"complete","concept":[{"code":"b"}]}`)
	soon(t, one+"/Patient", married("b"), 201, "")
	soon(t, one+"/Patient", married("a"), 422, "http://t/v")
	if status, text := request(t, http.MethodDelete, one+"/StructureDefinition/p", ""); status >= 300 {
		t.Fatalf("%d %s", status, text)
	}
	soon(t, two+"/Patient", strings.Replace(claim, "male", "other", 1), 201, "")
}

// A definition that another server gave to a project is no longer in force here,
// though its version is the same and a newer definition was stored beside it.
func TestLabelOfAnotherServer(t *testing.T) {
	t.Parallel()
	database := served(t)
	one, _ := start(t, database)
	two, _ := start(t, database)
	send := func(method, url, body string) {
		t.Helper()
		if status, text := request(t, method, url, body); status >= 300 {
			t.Fatalf("%s: %d %s", url, status, text)
		}
	}
	claim := `{"resourceType":"Patient","meta":{"profile":["http://t/p"]},"gender":"male"}`
	send(http.MethodPut, one+"/StructureDefinition/p", profileOf("Patient.birthDate", `"min":1`))
	send(http.MethodPut, one+"/StructureDefinition/q", strings.NewReplacer("http://t/p", "http://t/q", `"id":"p"`, `"id":"q"`).Replace(profileOf("Patient.name", `"min":1`)))
	soon(t, one+"/Patient", claim, 422, "Patient.birthDate")
	soon(t, two+"/Patient", claim, 422, "Patient.birthDate")
	db, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if _, err := db.Exec(t.Context(), "UPDATE resource SET lu = lu - interval '1 hour' WHERE fhir_id = 'p'"); err != nil {
		t.Fatal(err)
	}
	soon(t, one+"/Patient", claim, 422, "Patient.birthDate")
	time.Sleep(followEvery + followEvery/2)
	send(http.MethodPost, two+"/StructureDefinition/p/$meta-add",
		`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"security":[{"system":"urn:gen3:authz","code":"/programs/a"}]}}]}`)
	send(http.MethodPut, two+"/StructureDefinition/q", strings.NewReplacer("http://t/p", "http://t/q", `"id":"p"`, `"id":"q"`).Replace(profileOf("Patient.name", `"max":"1"`)))
	soon(t, one+"/Patient", claim, 201, "")
}

// The packages of the configuration, and the guide that is built in, are found
// by search, are what $validate goes by, and are stored once. The package is US
// Core, of which only what is about patients without INGLE_LONG=1.
func TestPackagesAreStored(t *testing.T) {
	t.Parallel()
	database := pgtest.New(t)
	packed := testdata.Path(t, "packages/hl7.fhir.us.core-6.1.0.tgz")
	if os.Getenv("INGLE_LONG") == "" {
		packed = excerpt(t, packed, regexp.MustCompile(`^package/(package|ImplementationGuide-.*|StructureDefinition-us-core-(patient|race|ethnicity|birthsex)|ValueSet-(birthsex|.*race.*)|CodeSystem-condition-category|SearchParameter-us-core-race)\.json$`))
	}
	profile := "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
	for range 2 {
		base, stop := start(t, database, "INGLE_PACKAGES="+packed)
		for _, query := range []string{
			"StructureDefinition?url=" + url.QueryEscape(profile), "StructureDefinition?url=" + url.QueryEscape(profile) + "&version=6.1.0",
			"StructureDefinition/us-core-patient", "ValueSet?url=http://hl7.org/fhir/us/core/ValueSet/birthsex", "CodeSystem?url=http://hl7.org/fhir/us/core/CodeSystem/condition-category",
			"SearchParameter?url=http://hl7.org/fhir/us/core/SearchParameter/us-core-race", "ImplementationGuide?_source=https://packages.fhir.org/hl7.fhir.us.core/6.1.0",
			"StructureDefinition?url=https://nih-ncpi.github.io/ncpi-fhir-ig-2/StructureDefinition/ncpi-participant",
		} {
			status, text := request(t, http.MethodGet, base+"/"+query, "")
			if status != 200 || strings.Contains(query, "?") && strings.Count(text, `"fullUrl"`) != 1 || !strings.Contains(text, `"versionId": "1"`) {
				t.Errorf("%s: %d %.300s", query, status, text)
			}
		}
		if status, text := request(t, http.MethodPost, base+"/Patient", `{"resourceType":"Patient","meta":{"profile":["`+profile+`"]}}`); status != 422 || !strings.Contains(text, "Patient.name") {
			t.Errorf("%d %.300s", status, text)
		}
		status, text := request(t, http.MethodPost, base+"/Patient/$validate?profile="+url.QueryEscape(profile), `{"resourceType":"Patient"}`)
		if status != 200 || !strings.Contains(text, profile+"|6.1.0") {
			t.Errorf("%d %.300s", status, text)
		}
		stop()
	}
}

// excerpt is a package with some files of another.
func excerpt(t *testing.T, packed string, keep *regexp.Regexp) string {
	t.Helper()
	from, err := os.Open(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	zr, err := gzip.NewReader(from)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tr, tw := tar.NewReader(zr), tar.NewWriter(zw)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && keep.MatchString(h.Name) {
			if err = tw.WriteHeader(h); err == nil {
				_, err = io.Copy(tw, tr)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(t.TempDir(), "excerpt.tgz")
	if err := errors.Join(tw.Close(), zw.Close(), os.WriteFile(name, out.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return name
}

// resolve() in a constraint finds what is stored, and what the same transaction
// stores.
func TestResolveThroughTheStore(t *testing.T) {
	t.Parallel()
	base, _ := start(t, served(t))
	if status, text := request(t, http.MethodPut, base+"/StructureDefinition/p", profileOf("Patient",
		`"constraint":[{"key":"t-1","severity":"error","human":"the organization is active","expression":"managingOrganization.resolve().active = true"}]`)); status != 201 {
		t.Fatalf("%d %s", status, text)
	}
	patient := func(to string) string {
		return `{"resourceType":"Patient","meta":{"profile":["http://t/p"]},"managingOrganization":{"reference":"` + to + `"}}`
	}
	post := func(path, body string, want int, holds string) {
		t.Helper()
		if status, text := request(t, http.MethodPost, base+path, body); status != want || !strings.Contains(text, holds) {
			t.Errorf("%s: %d %s, want %d with %q", body, status, text, want, holds)
		}
	}
	post("/Patient", patient("Organization/o"), 422, "t-1")
	for _, active := range []string{"false", "true"} {
		if status, text := request(t, http.MethodPut, base+"/Organization/o", `{"resourceType":"Organization","id":"o","name":"O","active":`+active+`}`); status >= 300 {
			t.Fatalf("%d %s", status, text)
		}
		post("/Patient", patient("Organization/o"), map[string]int{"false": 422, "true": 201}[active], "")
	}
	transaction := func(kind, to, active string) string {
		return `{"resourceType":"Bundle","type":"` + kind + `","entry":[{"request":{"method":"POST","url":"Patient"},"resource":` + patient(to) + `},
			{"fullUrl":"urn:uuid:7d1c1b1e-3e1b-4c1e-8f4b-1f0e3a4b5c6d","request":{"method":"POST","url":"Organization"},"resource":{"resourceType":"Organization","name":"N","active":` + active + `}}]}`
	}
	const inside = "urn:uuid:7d1c1b1e-3e1b-4c1e-8f4b-1f0e3a4b5c6d"
	post("", transaction("transaction", inside, "true"), 200, "201 Created")
	post("", transaction("transaction", inside, "false"), 422, "t-1")
	post("", transaction("transaction", "Organization/o", "false"), 200, "201 Created")
	post("", transaction("transaction", "Organization/none", "true"), 422, "t-1")
}

// $validate-stored tells what a new profile means for the data that is there.
func TestValidateStored(t *testing.T) {
	t.Parallel()
	base, _ := start(t, served(t))
	for i, name := range []string{`"name":[{"family":"A"}],`, `"name":[{"family":"B"}],`, ``} {
		if status, text := request(t, http.MethodPut, fmt.Sprintf("%s/Patient/%d", base, i), fmt.Sprintf(`{"resourceType":"Patient","id":"%d",%s"gender":"male"}`, i, name)); status != 201 {
			t.Fatal(status, text)
		}
	}
	if status, text := request(t, http.MethodGet, base+"/Patient/$validate-stored?profile=http://t/p", ""); status != 404 {
		t.Errorf("%d %s", status, text)
	}
	if status, text := request(t, http.MethodPut, base+"/StructureDefinition/p", profileOf("Patient.name", `"min":1`)); status != 201 {
		t.Fatal(status, text)
	}
	resp, err := http.Get(base + "/Patient/$validate-stored?profile=http://t/p")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 202 {
		t.Fatal(resp.Status)
	}
	var text string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var status int
		if status, text = request(t, http.MethodGet, resp.Header.Get("Content-Location"), ""); status == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(status, text)
		}
	}
	for _, part := range []string{`{"name":"resources","valueInteger":3},{"name":"failed","valueInteger":1}`, `{"name":"url","valueCanonical":"http://t/p"},{"name":"valid","valueInteger":2},{"name":"invalid","valueInteger":1}`,
		`{"name":"url","valueCanonical":"http://hl7.org/fhir/StructureDefinition/Patient"},{"name":"valid","valueInteger":3},{"name":"invalid","valueInteger":0}`} {
		if !strings.Contains(text, part) {
			t.Errorf("the report lacks %s: %s", part, text)
		}
	}
	_, data, _ := strings.Cut(text, `"data":"`)
	data, _, _ = strings.Cut(data, `"`)
	lines, err := base64.StdEncoding.DecodeString(data)
	if err != nil || strings.Count(string(lines), "\n") != 1 || !strings.Contains(string(lines), `{"reference":"Patient/2/_history/1","outcome":`) || !strings.Contains(string(lines), "Patient.name") {
		t.Errorf("the failures are %s, %v", lines, err)
	}
}
