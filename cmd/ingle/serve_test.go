package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/internal/config"
	"ingle/internal/demo"
	"ingle/internal/pgtest"
)

// start runs the server with the demo cohort on a database of its own, until
// the test ends, and returns its base URL.
func start(t *testing.T, url string, env ...string) (base string, stop func()) {
	t.Helper()
	return startWith(t, http.DefaultClient, url, env...)
}

// startWith is start for a server that only this client can ask.
func startWith(t *testing.T, client *http.Client, url string, env ...string) (base string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	c, err := config.Load("", append([]string{"INGLE_DATABASE_URL=" + url, "INGLE_LISTEN=" + address, "INGLE_LOG_LEVEL=error", "INGLE_ACCESS_AUDIT=false"}, env...))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, c, io.Discard) }()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	}
	t.Cleanup(stop)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		resp, err := client.Get(scheme(c) + address + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		if err == nil && resp.StatusCode == http.StatusOK {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
		select {
		case err := <-ended:
			done = true
			t.Fatal("serve ended: ", err)
		default:
		}
	}
	return scheme(c) + address + "/fhir", stop
}

// served makes a database that a server has run on before: migrated, and with the
// guide that is built in. Its key is its own.
func served(t *testing.T) string {
	t.Helper()
	url := pgtest.Template(t, "served", func(url string) error {
		_, stop := start(t, url)
		stop()
		return nil
	})
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	if _, err := db.Exec(t.Context(), "UPDATE setting SET value = sha256(gen_random_uuid()::text::bytea) WHERE name = 'cursor-key'"); err != nil {
		t.Fatal(err)
	}
	return url
}

func request(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// eventually asks until the answer is as wanted.
func eventually(t *testing.T, url string, want int, holds string) {
	t.Helper()
	var status int
	var text string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if status, text = request(t, http.MethodGet, url, ""); status == want && strings.Contains(text, holds) {
			return
		}
	}
	t.Fatalf("%s: %d %s", url, status, text)
}

// The demo cohort is there, each example that a newcomer is shown answers with
// something, a second start changes nothing, and the tour in the README works.
func TestDemo(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t)
	for _, again := range []bool{false, true} {
		base, stop := start(t, url, "INGLE_DEMO=true")
		eventually(t, base+"/"+demo.Marker, 200, `"versionId": "1"`)
		for _, x := range demo.Examples(base) {
			status, text := request(t, http.MethodGet, x.URL, "")
			var bundle struct{ Entry []json.RawMessage }
			if err := json.Unmarshal([]byte(text), &bundle); err != nil || status != 200 || len(bundle.Entry) == 0 {
				t.Errorf("%s: %d %.200s", x.URL, status, text)
			}
		}
		if again {
			t.Run("README", func(t *testing.T) { tour(t, base) })
		}
		stop()
	}
}

// A search parameter of a user's is refused while it is built, then finds what
// was stored before it and after it, survives a restart, and goes.
func TestSearchParameterOfAUser(t *testing.T) {
	t.Parallel()
	url := served(t)
	base, stop := start(t, url)
	patient := func(id, status string) {
		if code, text := request(t, http.MethodPut, base+"/Patient/"+id, fmt.Sprintf(`{"resourceType":"Patient","id":%q,"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":%q}]}}`, id, status)); code != 201 {
			t.Fatal(text)
		}
	}
	patient("before", "M")
	define := func(expression string) (int, string) {
		return request(t, http.MethodPut, base+"/SearchParameter/marital", `{"resourceType":"SearchParameter","id":"marital","url":"http://example.org/SearchParameter/marital","name":"marital",
			"status":"active","description":"The marital status","code":"marital","base":["Patient"],"type":"token","expression":"`+expression+`"}`)
	}
	if code, text := define("Patient.where("); code != 400 || !strings.Contains(text, "SearchParameter.expression") {
		t.Errorf("a faulty expression: %d %s", code, text)
	}
	if code, text := define("Patient.maritalStatus"); code != 201 {
		t.Fatal(text)
	}
	find := base + "/Patient?marital=M&_summary=count"
	if code, text := request(t, http.MethodGet, find, ""); code != 400 || !strings.Contains(text, "marital") {
		t.Errorf("while it is built: %d %s", code, text)
	}
	patient("after", "M")
	patient("other", "S")
	eventually(t, find, 200, `"total":2`)
	stop()
	base, stop = start(t, url)
	find = base + "/Patient?marital=M&_summary=count"
	if code, text := request(t, http.MethodGet, find, ""); code != 200 || !strings.Contains(text, `"total":2`) {
		t.Errorf("after a restart: %d %s", code, text)
	}
	if code, text := request(t, http.MethodPost, base+"/Patient/before/$reindex", ""); code != 200 {
		t.Errorf("$reindex of one: %d %s", code, text)
	}
	if code, text := request(t, http.MethodPost, base+"/Patient/$reindex", ""); code != 202 {
		t.Errorf("$reindex of a type: %d %s", code, text)
	}
	if code, text := request(t, http.MethodDelete, base+"/SearchParameter/marital", ""); code != 204 {
		t.Fatal(text)
	}
	if code, text := request(t, http.MethodGet, find, ""); code != 400 {
		t.Errorf("after its deletion: %d %s", code, text)
	}
	stop()
}

// A search parameter or profile that belongs to a project is not in force for
// everybody.
func TestConformanceOfAProject(t *testing.T) {
	t.Parallel()
	base, _ := start(t, served(t))
	label := `"meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/a"}]},`
	if code, text := request(t, http.MethodPut, base+"/SearchParameter/tongue", `{"resourceType":"SearchParameter","id":"tongue",`+label+`"url":"http://example.org/SearchParameter/tongue","name":"tongue",
		"status":"active","description":"The language","code":"tongue","base":["Patient"],"type":"token","expression":"Patient.language"}`); code != 201 {
		t.Fatal(text)
	}
	if code, text := request(t, http.MethodPost, base+"/StructureDefinition", `{"resourceType":"StructureDefinition",`+label+`"url":"http://example.org/p","name":"P","status":"active","kind":"resource","abstract":false,
		"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}]}}`); code != 201 {
		t.Fatal(text)
	}
	if code, text := request(t, http.MethodPost, base+"/Patient", `{"resourceType":"Patient","meta":{"profile":["http://example.org/p"]}}`); code != 201 {
		t.Errorf("a project's profile is in force: %d %s", code, text)
	}
	time.Sleep(2 * followEvery)
	if code, text := request(t, http.MethodGet, base+"/Patient?tongue=en", ""); code != 400 || strings.Contains(text, "index") {
		t.Errorf("a project's search parameter is in force: %d %s", code, text)
	}
}

// A profile that is stored is in force at once.
func TestStoredProfile(t *testing.T) {
	t.Parallel()
	base, _ := start(t, served(t))
	if code, text := request(t, http.MethodPost, base+"/StructureDefinition", `{"resourceType":"StructureDefinition","url":"http://example.org/p","name":"P","status":"active","kind":"resource","abstract":false,
		"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient","path":"Patient"},{"id":"Patient.birthDate","path":"Patient.birthDate","min":1}]}}`); code != 201 {
		t.Fatal(text)
	}
	claim := `{"resourceType":"Patient","meta":{"profile":["http://example.org/p"]}%s}`
	if code, text := request(t, http.MethodPost, base+"/Patient", fmt.Sprintf(claim, "")); code != 422 || !strings.Contains(text, "Patient.birthDate") {
		t.Errorf("without birthDate: %d %s", code, text)
	}
	if code, text := request(t, http.MethodPost, base+"/Patient", fmt.Sprintf(claim, `,"birthDate":"1980"`)); code != 201 {
		t.Errorf("with birthDate: %d %s", code, text)
	}
}

// tour takes the tour of the README, command by command: it works.
func tour(t *testing.T, base string) {
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not on this machine", tool)
		}
	}
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, commands, ok := strings.Cut(string(text), "## A tour")
	if !ok {
		t.Fatal("the README has no tour")
	}
	_, commands, _ = strings.Cut(commands, "```sh\n")
	commands, _, _ = strings.Cut(commands, "```")
	for _, line := range strings.Split(commands, "\n") {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		cmd := exec.Command("bash", "-c", "B="+base+"\n"+strings.Replace(line, "curl ", `curl -sS -w '\n%{http_code}' `, 1))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v %s", line, err, out)
			continue
		}
		status := string(out[bytes.LastIndexByte(out, '\n')+1:])
		want := "2"
		if strings.Contains(line, "13-01") { // the wrong input of the tour
			want = "4"
		}
		if !strings.HasPrefix(status, want) || !bytes.Contains(out, []byte(`"resourceType"`)) {
			t.Errorf("%s: %s", line, out)
		}
	}
}
