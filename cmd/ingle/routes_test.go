package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ingle/authz/arboristtest"
	"ingle/interaction"
	"ingle/internal/config"
	"ingle/internal/pgtest"
	"ingle/server"
)

var allMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// mark is in every resource of the project; who is of another project never sees it.
const mark = "Zebra4711"

// matrix is a server as the configuration makes it, asked by alice, who does all in
// project a, by bob, who does so in b, and by an administrator.
type matrix struct {
	t                 *testing.T
	h                 *instance
	at                *httptest.Server
	alice, bob, admin string
	types             []string // whose routes are tried
	names             []string // of operations
	later             string   // id of an export of alice's that is fetched later
}

// TestRouteMatrix asks the router which routes there are, and sends each without a
// token, with bad ones, as another project, as the right one, and with the methods
// that it does not have. What another project is told of a resource is, byte for byte, what it is told of one
// that never was.
func TestRouteMatrix(t *testing.T) {
	t.Parallel()
	t.Run("roles", func(t *testing.T) {
		t.Parallel()
		issuer := arboristtest.NewIssuer(t)
		m := newMatrix(t, issuer, "INGLE_AUTH_MODE=jwt", "INGLE_AUTH_ROLES_CLAIM=roles",
			`INGLE_AUTH_ROLES={"a":{"paths":["/programs/a"],"methods":["*"]},"b":{"paths":["/programs/b"],"methods":["*"]},"admin":{"paths":["/"],"methods":["*"],"admin":true}}`)
		token := func(role string) string {
			return "Bearer " + issuer.Token(t, role, map[string]any{"sub": role, "roles": role})
		}
		m.alice, m.bob, m.admin = token("a"), token("b"), token("admin")
		m.try()
	})
	t.Run("Arborist", func(t *testing.T) {
		t.Parallel()
		issuer := arboristtest.NewIssuer(t)
		arborist := arboristtest.Start(t, issuer)
		arborist.Apply(t, arboristtest.Policies{
			Resources: []string{"/programs/a", "/programs/b", "/services/fhir/admin"}, Roles: map[string][]string{"everything": {"fhir:*"}},
			Policies: []arboristtest.Policy{{ID: "a", Resources: []string{"/programs/a"}, Roles: []string{"everything"}}, {ID: "b", Resources: []string{"/programs/b"}, Roles: []string{"everything"}},
				{ID: "admin", Resources: []string{"/programs", "/services/fhir/admin"}, Roles: []string{"everything"}}},
			Users: map[string][]string{"alice": {"a"}, "bob": {"b"}, "admin": {"admin"}},
		})
		m := newMatrix(t, issuer, "INGLE_AUTH_MODE=arborist", "INGLE_AUTH_ARBORIST_URL="+arborist.URL, `INGLE_AUTH_ROLES={"admin":{"paths":["/"],"methods":["*"],"admin":true}}`)
		token := func(user string) string { return "Bearer " + issuer.Token(t, user, nil) }
		m.alice, m.bob, m.admin = token("alice"), token("bob"), token("admin")
		m.try()
	})
}

func newMatrix(t *testing.T, issuer *arboristtest.Issuer, env ...string) *matrix {
	t.Helper()
	url := pgtest.New(t)
	c, err := config.Load("", append([]string{"INGLE_DATABASE_URL=" + url, "INGLE_LISTEN=127.0.0.1:0", "INGLE_AUTH_GRANTS=true", "INGLE_PUBLIC_URL=https://fhir.test/fhir",
		`INGLE_AUTH_ISSUERS=[{"issuer":"` + issuer.URL + `","audiences":["fhir"],"keys_url":"` + issuer.KeysURL + `"}]`, "INGLE_AUTH_ALLOW_HOSTS=127.0.0.1"}, env...))
	if err != nil {
		t.Fatal(err)
	}
	h, err := open(t.Context(), c, authorization(c, ""), url, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	at := httptest.NewServer(server.New(h.listening()).Handler())
	t.Cleanup(at.Close)
	return &matrix{t: t, h: h, at: at}
}

// try sends everything.
func (m *matrix) try() {
	t := m.t
	m.ask(m.admin, "PUT", "/fhir/StructureDefinition/ViewDefinition", viewDefinition).is(201)
	m.types = []string{"Patient", "Observation", "ViewDefinition"}
	m.operations()
	for _, typ := range m.types {
		m.reset(typ)
	}
	routes := m.routes()
	t.Logf("%d routes", len(routes))
	for _, r := range routes {
		m.strangers(r)
	}
	for _, r := range routes {
		m.otherProject(r)
	}
	for _, typ := range m.types {
		m.ask(m.admin, "GET", "/fhir/"+typ+"/"+kept, "").is(200).holds(`"versionId": "1"`, mark)
	}
	for _, r := range routes {
		m.rightProject(r)
	}
	m.wrongMethods(routes)
	m.administration()
}

// operations finds out which there are, and adds the types that some are for alone.
func (m *matrix) operations() {
	var statement struct {
		Rest []struct {
			Operation []struct{ Name string }
			Resource  []struct {
				Type      string
				Operation []struct{ Name string }
			}
		}
	}
	if err := json.Unmarshal([]byte(m.ask("", "GET", "/fhir/metadata", "").is(200).text), &statement); err != nil {
		m.t.Fatal(err)
	}
	names := map[string]bool{}
	for _, op := range statement.Rest[0].Operation {
		names[op.Name] = true
	}
	common := map[string]bool{}
	for _, r := range statement.Rest[0].Resource {
		for _, op := range r.Operation {
			names[op.Name] = true
			if r.Type == "Patient" {
				common[op.Name] = true
			}
		}
	}
	for _, r := range statement.Rest[0].Resource {
		if slices.ContainsFunc(r.Operation, func(op struct{ Name string }) bool { return !common[op.Name] }) && !slices.Contains(m.types, r.Type) {
			m.types = append(m.types, r.Type)
		}
	}
	m.names = slices.Sorted(maps.Keys(names))
	if len(m.names) < 10 {
		m.t.Errorf("the CapabilityStatement names the operations %v alone", m.names)
	}
}

// kept is the id of a resource of project a for each type; never of none.
const kept, never = "kept", "none"

// resource is one of project a.
func (m *matrix) resource(typ string) string {
	rest, ok := map[string]string{
		"Patient":             `"name":[{"family":"` + mark + `"}]`,
		"Observation":         `"status":"final","code":{"text":"` + mark + `"},"subject":{"reference":"Patient/` + kept + `"}`,
		"ViewDefinition":      `"name":"` + mark + `","resource":"Patient"`,
		"CodeSystem":          `"url":"http://t/c","status":"active","content":"complete","concept":[{"code":"` + mark + `"}]`,
		"ValueSet":            `"url":"http://t/v","status":"active","compose":{"include":[{"system":"http://t/c","concept":[{"code":"` + mark + `"}]}]}`,
		"ConceptMap":          `"url":"http://t/m","status":"active","title":"` + mark + `"`,
		"Group":               `"type":"person","actual":true,"name":"` + mark + `","member":[{"entity":{"reference":"Patient/` + kept + `"}}]`,
		"StructureDefinition": `"url":"http://t/s","name":"` + mark + `","status":"active","kind":"resource","abstract":false,"type":"Patient","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"id":"Patient","path":"Patient"}]}`,
	}[typ]
	if !ok {
		m.t.Fatalf("%s has operations of its own: say here what such a resource is", typ)
	}
	return `{"resourceType":"` + typ + `","id":"` + kept + `","meta":{"security":[{"system":"urn:gen3:authz","code":"/programs/a"}]},` + rest + `}`
}

func (m *matrix) reset(typ string) {
	m.t.Helper()
	m.ask(m.admin, "PUT", "/fhir/"+typ+"/"+kept, m.resource(typ)).is(200, 201)
}

// route is one that the router knows.
type route struct {
	method, path string
	req          *interaction.Request
}

// routes asks the router about all paths that can be made of what paths are made of.
func (m *matrix) routes() []route {
	m.later = m.async()
	words := []string{kept, "1", "*", "metadata", "_async", m.later, "_history", "_search"}
	paths, level := []string{""}, []string{""}
	for _, parts := range [][]string{slices.Concat(m.types, words), words, slices.Concat(m.types, words), words} {
		var next []string
		for _, above := range level {
			for _, part := range parts {
				next = append(next, above+"/"+part)
			}
			for _, name := range m.names {
				if strings.Count(above, "/") < 3 {
					paths = append(paths, above+"/$"+name)
				}
			}
		}
		paths, level = append(paths, next...), next
	}
	var out []route
	kinds, called := map[interaction.Kind]bool{}, map[string]bool{}
	for _, path := range paths {
		for _, method := range allMethods {
			req, err := m.h.service.Resolve(method, path)
			if err != nil || !m.meant(req) {
				continue
			}
			kinds[req.Kind] = true
			if req.Operation != nil {
				called[req.Operation.Name] = true
			}
			out = append(out, route{method, path, req})
		}
	}
	for k := interaction.Read; k <= interaction.AsyncCancel; k++ {
		if !kinds[k] {
			m.t.Errorf("no route is a %v", k)
		}
	}
	for _, name := range m.names {
		if !called[name] {
			m.t.Errorf("no route is $%s", name)
		}
	}
	return out
}

// meant leaves out what differs from another route by a name alone: ids that mean
// nothing, and the common routes of types that are there for their operations.
func (m *matrix) meant(req *interaction.Request) bool {
	switch {
	case req.Kind == interaction.AsyncStatus || req.Kind == interaction.AsyncFile || req.Kind == interaction.AsyncCancel:
		return req.ID == m.later && (req.File == "" || req.File == "1")
	case req.ID != "" && req.ID != kept || req.CompartmentID != "" && req.CompartmentID != kept || req.Version != "" && req.Version != "1":
		return false
	}
	return req.Operation != nil || req.Type == "" || slices.Index(m.types, req.Type) < 3
}

// async makes an export and waits for it.
func (m *matrix) async() string {
	m.t.Helper()
	place := strings.TrimPrefix(m.ask(m.alice, "GET", "/fhir/$export?_type=Patient", "", "Prefer", "respond-async").is(202).header.Get("Content-Location"), "https://fhir.test")
	for m.ask(m.alice, "GET", place, "").status == 202 {
		time.Sleep(5 * time.Millisecond)
	}
	return place[strings.LastIndex(place, "/")+1:]
}

// forget deletes an answer that is fetched later: there may not be many.
func (m *matrix) forget(who string, a *got) {
	if place, ok := strings.CutPrefix(a.header.Get("Content-Location"), "https://fhir.test"); ok {
		m.ask(who, "DELETE", place, "")
	}
}

// body is one that the route takes.
func (m *matrix) body(r route) (body string, header []string) {
	meta := `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}`
	switch k := r.req.Kind; {
	case r.method == "POST" && (k == interaction.SearchType || k == interaction.SearchSystem):
		return "_count=5", []string{"Content-Type", "application/x-www-form-urlencoded"}
	case k == interaction.Create || k == interaction.Update:
		return m.resource(r.req.Type), nil
	case k == interaction.Patch:
		return `[{"op":"add","path":"/language","value":"en"}]`, []string{"Content-Type", "application/json-patch+json"}
	case k == interaction.Batch:
		return `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/` + kept + `"}},{"request":{"method":"GET","url":"Observation?subject=Patient/` + kept + `"}}]}`, nil
	case k == interaction.Operate && r.req.Operation.Name == "export":
		return "", []string{"Prefer", "respond-async"}
	case r.method == "POST" && strings.HasPrefix(r.req.Operation.Name, "meta-"):
		return meta, nil
	case r.method == "POST":
		return `{"resourceType":"Parameters"}`, nil
	}
	return "", nil
}

// target is the URL of a route; interactions that need an id have a condition without one.
func (m *matrix) target(r route) string {
	if r.req.ID == "" && slices.Contains([]interaction.Kind{interaction.Update, interaction.Patch, interaction.Delete}, r.req.Kind) {
		return "/fhir" + r.path + "?_id=" + kept
	}
	return "/fhir" + r.path
}

func (m *matrix) as(who string, r route) *got {
	m.t.Helper()
	body, header := m.body(r)
	return m.ask(who, r.method, m.target(r), body, header...)
}

// strangers are callers without a token, and with bad ones.
func (m *matrix) strangers(r route) {
	if r.req.Kind == interaction.Capabilities {
		m.as("", r).is(200)
		m.as("Bearer x.y.z", r).is(200)
		return
	}
	for _, token := range []string{"", "Bearer x.y.z", "Bearer ", "Basic eDp5", m.alice + "x"} {
		a := m.as(token, r).is(401).lacks(mark)
		if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer ") {
			m.t.Errorf("%s: WWW-Authenticate is %q", a.what, a.header.Get("WWW-Authenticate"))
		}
	}
}

// otherProject is bob.
func (m *matrix) otherProject(r route) {
	body, header := m.body(r)
	a := m.ask(m.bob, r.method, m.target(r), body, header...)
	if strings.Contains(a.text, mark) && !strings.Contains(body, mark) {
		m.t.Errorf("%s tells another project: %.500s", a.what, a.text)
	}
	m.forget(m.bob, a)
	id := kept
	if r.req.ID == m.later {
		id = m.later
	}
	if strings.Contains(m.target(r)+body, id) {
		absent := strings.NewReplacer(id, never)
		b := m.ask(m.bob, r.method, absent.Replace(m.target(r)), absent.Replace(body), header...)
		m.forget(m.bob, b)
		if x, y := absent.Replace(a.told()), absent.Replace(b.told()); x != y {
			m.t.Errorf("%s tells another project that it is there:\n%s\n%s", a.what, x, y)
		}
	}
	switch k := r.req.Kind; {
	case k == interaction.Create || k == interaction.Update:
		a.is(403)
	case r.req.ID == "" && k == interaction.Delete:
		a.is(204)
	case k == interaction.Delete:
		a.is(204, 404)
	case r.req.ID != "" && r.req.Operation != nil && r.req.Operation.AffectsState:
		a.is(403, 404)
	case r.req.ID != "" && r.req.Operation == nil || k == interaction.Patch:
		a.is(404)
	case r.req.Operation == nil:
		a.is(200)
	}
}

// rightProject is alice; what she may not, an administrator may.
func (m *matrix) rightProject(r route) {
	if r.req.ID == m.later {
		r.path = strings.Replace(r.path, m.later, m.async(), 1)
	}
	a := m.as(m.alice, r)
	if r.req.Kind == interaction.Delete {
		a.is(204, 409) // others refer to it
	} else if r.req.Operation == nil {
		a.is(200, 201, 202)
	} else if a.status == 403 {
		a = m.as(m.admin, r).is(200, 202)
	}
	if slices.Contains([]int{401, 403, 404, 405, 415}, a.status) && !strings.Contains(a.text, `"urn:`) || a.status >= 500 {
		m.t.Errorf("%s by who may: %d %.500s", a.what, a.status, a.text)
	}
	m.forget(m.alice, a)
	if r.req.Kind.Writes() && r.req.Type != "" {
		m.reset(r.req.Type)
	}
}

func (m *matrix) wrongMethods(routes []route) {
	allowed := map[string][]string{}
	for _, r := range routes {
		allowed[r.path] = append(allowed[r.path], r.method)
	}
	for path, have := range allowed {
		for _, method := range append([]string{"TRACE", "PROPFIND"}, allMethods...) {
			if slices.Contains(have, method) {
				continue
			}
			if a := m.ask(m.alice, method, "/fhir"+path, "").is(405); a.header.Get("Allow") != strings.Join(have, ", ") {
				m.t.Errorf("%s: Allow is %q, not %q", a.what, a.header.Get("Allow"), have)
			}
			m.ask("", method, "/fhir"+path, "").is(401)
		}
	}
}

// administration is for administrators alone.
func (m *matrix) administration() {
	for _, path := range []string{"/admin", "/admin/", "/admin/authz", "/admin/authz/grants/more"} {
		for _, who := range []string{"", m.alice, m.admin} {
			m.ask(who, "GET", path, "").is(404)
		}
	}
	paths := server.Administration{}
	for _, a := range m.h.administration() {
		maps.Copy(paths, a)
	}
	for path, have := range paths {
		for _, method := range allMethods {
			for _, who := range []string{"", "Bearer x.y.z"} {
				m.ask(who, method, path, "").is(401)
			}
			m.ask(m.alice, method, path, "").is(403)
			a := m.ask(m.admin, method, path, "")
			if have[method] != nil {
				a.is(200, 204, 400, 404)
			} else if a.is(405); a.header.Get("Allow") != strings.Join(slices.Sorted(maps.Keys(have)), ", ") {
				m.t.Errorf("%s: Allow is %q", a.what, a.header.Get("Allow"))
			}
		}
	}
}

// got is an answer.
type got struct {
	m      *matrix
	what   string
	status int
	header http.Header
	text   string
}

func (m *matrix) ask(who, method, target, body string, header ...string) *got {
	m.t.Helper()
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.at.URL+target, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	if who != "" {
		req.Header.Set("Authorization", who)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/fhir+json")
	}
	req.Header.Set("X-Request-Id", "r")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := m.at.Client().Do(req)
	if err != nil {
		m.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	return &got{m, method + " " + target, resp.StatusCode, resp.Header, string(text)}
}

func (a *got) is(wanted ...int) *got {
	a.m.t.Helper()
	if !slices.Contains(wanted, a.status) {
		a.m.t.Errorf("%s: %d, not %v: %.500s", a.what, a.status, wanted, a.text)
	}
	return a
}

func (a *got) holds(part ...string) *got {
	a.m.t.Helper()
	for _, p := range part {
		if !strings.Contains(a.text, p) {
			a.m.t.Errorf("%s lacks %q: %.500s", a.what, p, a.text)
		}
	}
	return a
}

func (a *got) lacks(part string) *got {
	a.m.t.Helper()
	if strings.Contains(a.text, part) {
		a.m.t.Errorf("%s holds %q: %.500s", a.what, part, a.text)
	}
	return a
}

var drawn = regexp.MustCompile(`"lastUpdated":"[^"]*"|_cursor=[\w-]+`)

// told is all of the answer but times, and cursors, which are encrypted anew each time.
func (a *got) told() string {
	h := a.header.Clone()
	h.Del("Date")
	h.Del("Content-Length")
	h.Del("Content-Location") // of an answer later
	var b strings.Builder
	b.WriteString(http.StatusText(a.status) + "\n")
	_ = h.Write(&b)
	return b.String() + drawn.ReplaceAllString(a.text, "")
}
