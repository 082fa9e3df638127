package server_test

import (
	"bytes"
	"io"

	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"ingle/interaction"
	"ingle/server"
	"ingle/server/servertest"
)

// Wrong input: each gets the right 4xx, nothing is stored, and the server goes on.
func TestWrongInput(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	deep := func(n int) string {
		return `{"resourceType":"Patient","extension":` + strings.Repeat(`[{"url":"http://x","extension":`, n/2) + `[{"url":"http://x","valueCode":"y"}]` + strings.Repeat(`}]`, n/2) + `}`
	}
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"empty":                       {"", 400},
		"white space":                 {"  \n ", 400},
		"truncated":                   {`{"resourceType":"Patient","name":[{"family":"A`, 400},
		"not JSON":                    {`<Patient/>`, 400},
		"trailing content":            {`{"resourceType":"Patient"} {}`, 400},
		"comment":                     {`{"resourceType":"Patient" /* x */}`, 400},
		"trailing comma":              {`{"resourceType":"Patient",}`, 400},
		"single quotes":               {`{'resourceType':'Patient'}`, 400},
		"byte order mark":             {"\ufeff" + `{"resourceType":"Patient"}`, 400},
		"duplicate key":               {`{"resourceType":"Patient","gender":"male","gender":"female"}`, 400},
		"duplicate key by an escape":  {`{"resourceType":"Patient","gender":"male","gende\u0072":"female"}`, 400},
		"bad UTF-8":                   {"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\xff\xfe\"}]}", 400},
		"overlong UTF-8":              {"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"\xc0\xaf\"}]}", 400},
		"NUL escaped":                 {`{"resourceType":"Patient","name":[{"family":"A\u0000B"}]}`, 400},
		"NUL":                         {"{\"resourceType\":\"Patient\",\"name\":[{\"family\":\"A\x00B\"}]}", 400},
		"control character":           {`{"resourceType":"Patient","name":[{"family":"A\u0001B"}]}`, 400},
		"lone surrogate":              {`{"resourceType":"Patient","name":[{"family":"\ud800"}]}`, 400},
		"depth 65":                    {deep(66), 400},
		"depth 100,000":               {deep(100_000), 400},
		"arrays 100,000 deep":         {strings.Repeat("[", 100_000), 400},
		"1e10000000":                  {`{"resourceType":"Observation","valueQuantity":{"value":1e10000000}}`, 400},
		"18 kB of 1e131071":           {`{"resourceType":"Patient","extension":[` + strings.Repeat(`{"url":"http://x","valueDecimal":1e131071},`, 450) + `{"url":"http://x","valueDecimal":1}]}`, 400},
		"a number of 100,000 digits":  {`{"resourceType":"Patient","extension":[{"url":"http://x","valueDecimal":` + strings.Repeat("7", 100_000) + `}]}`, 400},
		"hexadecimal":                 {`{"resourceType":"Patient","multipleBirthInteger":0x1}`, 400},
		"leading zero":                {`{"resourceType":"Patient","multipleBirthInteger":01}`, 400},
		"plus sign":                   {`{"resourceType":"Patient","multipleBirthInteger":+1}`, 400},
		"NaN":                         {`{"resourceType":"Patient","multipleBirthInteger":NaN}`, 400},
		"array":                       {`[]`, 400},
		"string":                      {`"Patient"`, 400},
		"null":                        {`null`, 400},
		"no resourceType":             {`{"gender":"male"}`, 400},
		"unknown resourceType":        {`{"resourceType":"Patience"}`, 400},
		"resourceType a number":       {`{"resourceType":7}`, 400},
		"another resourceType":        {`{"resourceType":"Practitioner"}`, 400},
		"abstract resourceType":       {`{"resourceType":"DomainResource"}`, 400},
		"data type":                   {`{"resourceType":"HumanName","family":"A"}`, 400},
		"unknown element":             {`{"resourceType":"Patient","colour":"red"}`, 400},
		"unknown nested element":      {`{"resourceType":"Patient","name":[{"colour":"red"}]}`, 400},
		"element of another case":     {`{"resourceType":"Patient","Gender":"male"}`, 400},
		"boolean a string":            {`{"resourceType":"Patient","active":"true"}`, 400},
		"boolean a number":            {`{"resourceType":"Patient","active":1}`, 400},
		"code a number":               {`{"resourceType":"Patient","gender":1}`, 400},
		"code a boolean":              {`{"resourceType":"Patient","gender":true}`, 400},
		"code an array":               {`{"resourceType":"Patient","gender":["male"]}`, 400},
		"code an object":              {`{"resourceType":"Patient","gender":{"value":"male"}}`, 400},
		"code with spaces":            {`{"resourceType":"Patient","gender":" male"}`, 400},
		"empty string":                {`{"resourceType":"Patient","gender":""}`, 400},
		"list an object":              {`{"resourceType":"Patient","name":{"family":"A"}}`, 400},
		"list of strings":             {`{"resourceType":"Patient","name":["A"]}`, 400},
		"object a string":             {`{"resourceType":"Patient","maritalStatus":"M"}`, 400},
		"empty object":                {`{"resourceType":"Patient","maritalStatus":{}}`, 400},
		"empty array":                 {`{"resourceType":"Patient","name":[]}`, 400},
		"null element":                {`{"resourceType":"Patient","gender":null}`, 400},
		"null in a list":              {`{"resourceType":"Patient","name":[null]}`, 400},
		"null beside nothing":         {`{"resourceType":"Patient","name":[{"given":["A",null]}]}`, 400},
		"extension part a string":     {`{"resourceType":"Patient","_gender":"x"}`, 400},
		"extension part of an object": {`{"resourceType":"Patient","_maritalStatus":{"id":"x"}}`, 400},
		"integer with a fraction":     {`{"resourceType":"Patient","multipleBirthInteger":1.5}`, 400},
		"integer too great":           {`{"resourceType":"Patient","multipleBirthInteger":2147483648}`, 400},
		"integer a string":            {`{"resourceType":"Patient","multipleBirthInteger":"1"}`, 400},
		"date with slashes":           {`{"resourceType":"Patient","birthDate":"1970/01/01"}`, 400},
		"date of February 30":         {`{"resourceType":"Patient","birthDate":"1970-02-30"}`, 400},
		"date with time":              {`{"resourceType":"Patient","birthDate":"1970-01-01T00:00:00Z"}`, 400},
		"date a number":               {`{"resourceType":"Patient","birthDate":1970}`, 400},
		"dateTime without zone":       {`{"resourceType":"Patient","deceasedDateTime":"1970-01-01T00:00:00"}`, 400},
		"two types of a choice":       {`{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"1970"}`, 400},
		"type not in a choice":        {`{"resourceType":"Patient","deceasedString":"x"}`, 400},
		"uri with a space":            {`{"resourceType":"Patient","identifier":[{"system":"http://a b"}]}`, 400},
		"extension without url":       {`{"resourceType":"Patient","extension":[{"valueCode":"x"}]}`, 400},
		"reference a string":          {`{"resourceType":"Patient","managingOrganization":"Organization/1"}`, 400},
		"contained without type":      {`{"resourceType":"Patient","contained":[{"id":"x"}]}`, 400},
		"contained of unknown type":   {`{"resourceType":"Patient","contained":[{"resourceType":"Foo","id":"x"}]}`, 400},
		"id too long":                 {`{"resourceType":"Patient","id":"` + strings.Repeat("a", 65) + `"}`, 400},
		"id with an underscore":       {`{"resourceType":"Patient","id":"a_b"}`, 400},
		"id a number":                 {`{"resourceType":"Patient","id":7}`, 400},
	} {
		a := s.Post("/Patient", c.body, "Content-Type", "application/fhir+json")
		if a.Status != c.status {
			t.Errorf("%s: status %d, want %d: %.300s", name, a.Status, c.status, a.Body)
			continue
		}
		a.Is(c.status)
	}
	for name, c := range map[string]struct {
		method, target, body string
		status               int
	}{
		"required element":       {"POST", "/Observation", `{"resourceType":"Observation","status":"final"}`, 400},
		"PUT without id":         {"PUT", "/Patient/p", `{"resourceType":"Patient"}`, 400},
		"PUT with another id":    {"PUT", "/Patient/p", `{"resourceType":"Patient","id":"q"}`, 400},
		"PUT to a bad id":        {"PUT", "/Patient/" + strings.Repeat("a", 65), `{"resourceType":"Patient","id":"` + strings.Repeat("a", 65) + `"}`, 400},
		"PUT to an underscore":   {"PUT", "/Patient/a_b", `{"resourceType":"Patient","id":"a_b"}`, 400},
		"PUT with id in capital": {"PUT", "/Patient/p", `{"resourceType":"Patient","id":"P"}`, 400},
		"PUT of another type":    {"PUT", "/Patient/p", `{"resourceType":"Group","id":"p","type":"person","actual":true}`, 400},
		"Bundle of Bundles":      {"POST", "", batchOf(`{"resource":{"resourceType":"Bundle","type":"batch"},"request":{"method":"POST","url":""}}`), 200},
		"POST to an instance":    {"POST", "/Patient/p", `{"resourceType":"Patient","id":"p"}`, 405},
		"5,001 entries":          {"POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[` + strings.Repeat(`{"request":{"method":"GET","url":"Patient"}},`, 5000) + `{"request":{"method":"GET","url":"Patient"}}]}`, 413},
		"entry an object":        {"POST", "", `{"resourceType":"Bundle","type":"transaction","entry":{}}`, 400},
		"type a number":          {"POST", "", `{"resourceType":"Bundle","type":1}`, 400},
	} {
		a := s.Do(c.method, c.target, c.body).Is(c.status)
		if name == "Bundle of Bundles" && a.Text("entry.0.response.status") != "400 Bad Request" {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	long := strings.Repeat("x,", 10_000) + "x"
	for target, status := range map[string]int{
		"/Patient?family=%00":                            400,
		"/Patient?family=a%00b":                          400,
		"/Patient?family=%ff%fe":                         400,
		"/Patient?identifier=%00|x":                      400,
		"/Patient?_id=%00":                               400,
		"/Patient?family=%zz":                            400,
		"/Patient?%zz=1":                                 400,
		"/Patient?=1":                                    400,
		"/Patient?birthdate=xx1970":                      400,
		"/Patient?birthdate=ge":                          400,
		"/Patient?birthdate=1970-13":                     400,
		"/Patient?birthdate=zz1970":                      400,
		"/Observation?value-quantity=abc":                400,
		"/Observation?value-quantity=gt":                 400,
		"/Observation?value-quantity=1e99999":            400,
		"/RiskAssessment?probability=x":                  400,
		"/Patient?_count=x":                              400,
		"/Patient?_count=-1":                             400,
		"/Patient?_sort=colour":                          400,
		"/Patient?_total=maybe":                          400,
		"/Patient?_summary=maybe":                        400,
		"/Patient?_lastUpdated=soon":                     400,
		"/Patient?_has:Observation=x":                    400,
		"/Patient?_has:Foo:subject:code=x":               400,
		"/Patient?general-practitioner.foo=x":            400,
		"/Patient?_type=Foo":                             400,
		"/?_type=Foo":                                    400,
		"/Observation?code-value-quantity=a$":            400,
		"/Patient?_include=x":                            400,
		"/Patient?family=" + strings.Repeat("a", 20_000): 414,
	} {
		a := s.Get(target)
		if a.Status != status {
			t.Errorf("GET %.60s: %d, want %d: %.300s", target, a.Status, status, a.Body)
			continue
		}
		a.Is(status)
	}
	s.Post("/Patient/_search", "family="+long, "Content-Type", "application/x-www-form-urlencoded").Is(400, 413)
	s.Post("/Patient/_search", "family=%zz", "Content-Type", "application/x-www-form-urlencoded").Is(400)
	s.Post("/Patient/_search", strings.Repeat("family=x&", 100), "Content-Type", "application/x-www-form-urlencoded").Is(400, 413)
	// every prefix on types that have none is part of the value or refused, never a fault of the server
	for _, prefix := range []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"} {
		for _, p := range []string{"family", "gender", "identifier", "general-practitioner", "_profile", "_id", "active"} {
			if a := s.Get("/Patient?" + p + "=" + prefix + "1"); a.Status != 200 && a.Status != 400 {
				t.Errorf("%s=%s1: %d", p, prefix, a.Status)
			}
		}
	}
	if n := s.Get("/_history?_count=0").Is(200).Text("total"); n != "0" {
		t.Errorf("wrong input left %s versions", n)
	}
	s.Put("/Patient/p", patient).Is(201)
}

func batchOf(entries ...string) string { return batch(entries...) }

func TestFaultsHavePlaces(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	a := s.Post("/Patient", "{\n  \"resourceType\": \"Patient\",\n  \"name\": [{\"given\": [\"A\", 7]}]\n}").Is(400)
	issue := a.Root().Get("issue").First()
	if issue.Get("expression").First().Text() != "Patient.name[0].given[1]" || servertest.At(issue, "extension.1.valueInteger").Text() != "3" || servertest.At(issue, "extension.2.valueInteger").Text() != "28" {
		t.Errorf("%s", a.Body)
	}
	if a.Text("id") != a.Header.Get("X-Request-Id") || a.Text("id") == "" {
		t.Errorf("the outcome's id is %q, the request's %q", a.Text("id"), a.Header.Get("X-Request-Id"))
	}
	a = s.Post("/Patient", "{\n  \"resourceType\": \"Patient\",\n  \"name\": [}").Is(400)
	if !strings.Contains(a.Text("issue.0.diagnostics"), "line 3") {
		t.Errorf("%s", a.Body)
	}
	a = s.Post("/Patient", `{"resourceType":"Patient","colour":1,"gender":7,"birthDate":"x"}`).Is(400)
	if n := a.Root().Get("issue").Len(); n != 3 {
		t.Errorf("%d issues, want all 3: %s", n, a.Body)
	}
}

// compressed is the text in a content coding.
func compressed(t *testing.T, coding, body string) string {
	t.Helper()
	var b bytes.Buffer
	var z io.WriteCloser = gzip.NewWriter(&b)
	if coding == "zstd" {
		var err error
		if z, err = zstd.NewWriter(&b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := z.Write([]byte(body)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBodies(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Server: func(c *server.Config) { c.ResourceBody, c.BundleBody, c.BinaryBody = 200_000, 3_000_000, 300_000 }})
	big := `{"resourceType":"Patient","name":[{"text":"` + strings.Repeat("x", 200_000) + `"}]}`
	s.Post("/Patient", big).Is(413)
	s.Post("/Bundle", `{"resourceType":"Bundle","type":"collection","entry":[{"resource":`+big+`}]}`).Is(201)
	s.Post("/Binary", strings.Repeat("x", 250_000), "Content-Type", "text/plain").Is(201)
	s.Post("/Binary", strings.Repeat("x", 300_001), "Content-Type", "text/plain").Is(413)
	s.Post("", `{"resourceType":"Bundle","type":"batch","entry":[`+strings.Repeat(" ", 3_000_000)+`]}`).Is(413)
	s.Post("/Patient", patient, "Content-Encoding", "br").Is(415)
	for range 30 {
		s.Post("/Patient", patient).Is(201)
	}
	for _, coding := range []string{"gzip", "zstd"} {
		s.Post("/Patient", compressed(t, coding, patient), "Content-Encoding", coding).Is(201)
		s.Post("/Patient", "of another kind", "Content-Encoding", coding).Is(400)
		s.Post("/Patient", compressed(t, coding, patient)[:40], "Content-Encoding", coding).Is(400)
		s.Post("/Patient", compressed(t, coding, big), "Content-Encoding", coding).Is(413)
		s.Post("", compressed(t, coding, `{"resourceType":"Bundle","type":"batch"`+strings.Repeat(" ", 2_500_000)+`}`), "Content-Encoding", coding).Is(413)

		a := s.Get("/Patient", "Accept-Encoding", coding).Is(200)
		if a.Header.Get("Content-Encoding") != coding || !strings.Contains(a.Header.Get("Vary"), "Accept-Encoding") {
			t.Fatalf("%v", a.Header)
		}
		var z io.Reader
		var err error
		if z, err = gzip.NewReader(bytes.NewReader(a.Body)); coding == "zstd" {
			z, err = zstd.NewReader(bytes.NewReader(a.Body))
		}
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || !bytes.HasSuffix(b, []byte("}")) || len(a.Body) > len(b)/4 {
			t.Errorf("%s: %v; %d of %d bytes", coding, err, len(a.Body), len(b))
		}
	}
	for accept, want := range map[string]string{
		"": "", "br": "", "gzip;q=0": "", "gzip;q=0.000, br": "", "*;q=0": "", "gzip;q=x": "", "identity, gzip;q=0.5": "",
		"gzip, deflate, br": "gzip", "gzip, deflate, br, zstd": "zstd", "gzip;q=1.0, zstd;q=0.5": "gzip",
		"*": "zstd", "zstd;q=0, *;q=0.1": "gzip", " GZIP ; q=1": "gzip",
	} {
		if a := s.Get("/Patient", "Accept-Encoding", accept).Is(200); a.Header.Get("Content-Encoding") != want {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q, want %q", accept, a.Header.Get("Content-Encoding"), want)
		}
	}
	if a := s.Get("/Patient/none", "Accept-Encoding", "gzip").Is(404); a.Header.Get("Content-Encoding") != "" {
		t.Error("a small answer was compressed")
	}
}

func TestPanicsAndFaultsTellNothing(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Register: func(svc *interaction.Service) {
		svc.Register(panicking("panic"))
		svc.Register(failing("fail"))
		svc.Register(late("late"))
	}})
	for _, path := range []string{"/$panic", "/$fail"} {
		a := s.Get(path).Is(500)
		a.Lacks("secret")
		if a.Text("id") == "" || a.Text("issue.0.code") != "exception" {
			t.Errorf("%s: %s", path, a.Body)
		}
	}
	a := s.Get("/$late").Is(503)
	if a.Header.Get("Retry-After") == "" || a.Text("issue.0.code") != "timeout" {
		t.Errorf("%v %s", a.Header, a.Body)
	}
	s.Get("/Patient").Is(200)
	// operations are there, where they were registered
	s.Get("/Patient/$fail").Is(404)
	s.Do("DELETE", "/$fail", "").Is(405)
	if m := s.Get("/metadata").Is(200); !strings.Contains(string(m.Body), `{"name":"fail"`) {
		t.Error("the operation is not in the CapabilityStatement")
	}
}
