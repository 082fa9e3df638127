package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const viewDefinition = `{"resourceType":"StructureDefinition","id":"ViewDefinition","url":"http://t/StructureDefinition/ViewDefinition","name":"ViewDefinition","status":"active",
	"kind":"resource","abstract":false,"type":"ViewDefinition","baseDefinition":"http://hl7.org/fhir/StructureDefinition/DomainResource","derivation":"specialization",
	"differential":{"element":[{"id":"ViewDefinition","path":"ViewDefinition","short":"A view","definition":"A view"},
		{"id":"ViewDefinition.name","path":"ViewDefinition.name","definition":"Its name","min":1,"max":"1","type":[{"code":"string"}]},
		{"id":"ViewDefinition.resource","path":"ViewDefinition.resource","definition":"Of what","min":1,"max":"1","type":[{"code":"code"}]},
		{"id":"ViewDefinition.subject","path":"ViewDefinition.subject","definition":"For whom","min":0,"max":"1","type":[{"code":"Reference","targetProfile":["http://hl7.org/fhir/StructureDefinition/Patient"]}]},
		{"id":"ViewDefinition.select","path":"ViewDefinition.select","definition":"Columns","min":0,"max":"*","type":[{"code":"BackboneElement"}]},
		{"id":"ViewDefinition.select.path","path":"ViewDefinition.select.path","definition":"Where","min":1,"max":"1","type":[{"code":"string"}]}]}}`

// A stored StructureDefinition adds a resource type to the server: it is stored,
// validated, searched, patched and told of like those of FHIR, on every server of
// the database and after a restart, until it is deleted.
func TestAddedResourceType(t *testing.T) {
	t.Parallel()
	database := served(t)
	base, stop := start(t, database)
	keys := t.TempDir()
	other, _ := start(t, database, "INGLE_AUTH_MODE=jwt",
		`INGLE_AUTH_ISSUERS=[{"issuer":"https://issuer.test","audiences":["fhir"],"keys_file":"`+keys+`/jwks.json","user_claim":"context.user.name"}]`,
		`INGLE_AUTH_ROLES={"writer":{"paths":["/"],"methods":["*"],"unlabelled":true,"policies":["nameless"]}}`, `INGLE_AUTH_POLICIES={"nameless":{"resources":{"Patient":{"hidden":["name"]},"*":{}}}}`, "INGLE_AUTH_DEFAULT_ROLES=writer")
	ann := []string{"Authorization", bearer(t, keys, "ann")}
	try := func(method, path, body string, want int, holds ...string) {
		t.Helper()
		status, text := request(t, method, base+path, body)
		for _, part := range holds {
			if !strings.Contains(text, part) {
				status = 0
			}
		}
		if status != want {
			t.Fatalf("%s %s: %d %.1500s, want %d with %q", method, path, status, text, want, holds)
		}
	}
	const view = `{"resourceType":"ViewDefinition","id":"v","name":"patients","resource":"Patient","subject":{"reference":"Patient/p"},"select":[{"path":"id"}]}`
	try("POST", "/ViewDefinition", view, 404)
	if resp, text := ask(t, http.DefaultClient, "PUT", other+"/StructureDefinition/ViewDefinition", viewDefinition, ann...); resp.StatusCode != 403 {
		t.Errorf("who is no administrator: %d %s", resp.StatusCode, text)
	}
	try("PUT", "/StructureDefinition/x", strings.NewReplacer(`"StructureDefinition","id":"ViewDefinition"`, `"StructureDefinition","id":"x"`, `"ViewDefinition`, `"Patient`).Replace(viewDefinition), 422, "a type of FHIR")
	try("PUT", "/StructureDefinition/ViewDefinition", viewDefinition, 201)
	try("PUT", "/StructureDefinition/y", strings.NewReplacer("http://t/Str", "http://u/Str", `"StructureDefinition","id":"ViewDefinition"`, `"StructureDefinition","id":"y"`).Replace(viewDefinition), 422, "already")
	try("PUT", "/ViewDefinition/v", view, 201)
	try("POST", "/ViewDefinition", `{"resourceType":"ViewDefinition","name":"none","select":[{}]}`, 400, "ViewDefinition.resource is required")
	try("POST", "/ViewDefinition", `{"resourceType":"ViewDefinition","name":"n","resource":"Patient","what":1}`, 400, "what")
	try("PUT", "/SearchParameter/view-name", `{"resourceType":"SearchParameter","id":"view-name","url":"http://t/SearchParameter/view-name","name":"n","status":"active","description":"d",
		"code":"name","base":["ViewDefinition"],"type":"string","expression":"ViewDefinition.name"}`, 201)
	try("PUT", "/SearchParameter/view-patient", `{"resourceType":"SearchParameter","id":"view-patient","url":"http://t/SearchParameter/view-patient","name":"n","status":"active","description":"d",
		"code":"patient","base":["ViewDefinition"],"type":"reference","expression":"ViewDefinition.subject","target":["Patient"]}`, 201)
	try("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"ViewDefinition/w"},"resource":{"resourceType":"ViewDefinition","id":"w","name":"others","resource":"Group"}}]}`, 200)
	try("PATCH", "/ViewDefinition/w", `{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"ViewDefinition.resource"},{"name":"value","valueCode":"List"}]}]}`, 200, "List")
	try("GET", "/ViewDefinition/w/_history", "", 200, `"total":2`)
	try("GET", "/ViewDefinition?_id=v,w&_sort=-_lastUpdated", "", 200, "ViewDefinition/v", "ViewDefinition/w")
	try("GET", "/?_type=ViewDefinition", "", 200, "ViewDefinition/v")
	try("POST", "/ViewDefinition/$validate", `{"resourceType":"ViewDefinition","name":"n"}`, 200, "ViewDefinition.resource")
	eventually(t, base+"/ViewDefinition?name=pat", 200, `ViewDefinition/v"`)
	eventually(t, base+"/ViewDefinition?patient=Patient/p&_include=ViewDefinition:patient", 200, `ViewDefinition/v"`)
	try("PUT", "/Provenance/pv", `{"resourceType":"Provenance","id":"pv","target":[{"reference":"ViewDefinition/v"}],"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}`, 201)
	try("GET", "/ViewDefinition?_id=v&_revinclude=Provenance:target", "", 200, "Provenance/pv")
	try("GET", "/ViewDefinition?_has:Provenance:target:recorded=2020", "", 200, `ViewDefinition/v"`)
	try("GET", "/Provenance?target:ViewDefinition.name=pat", "", 200, "Provenance/pv")
	eventually(t, base+"/metadata", 200, "http://t/StructureDefinition/ViewDefinition")

	// another server, that has heard of it
	resp, text := ask(t, http.DefaultClient, "PUT", other+"/ViewDefinition/theirs", strings.Replace(view, `"id":"v"`, `"id":"theirs"`, 1), ann...)
	if resp.StatusCode != 201 {
		t.Errorf("the other server: %d %s", resp.StatusCode, text)
	}
	// where a policy hides what a Patient is called
	try("PUT", "/ViewDefinition/v", strings.Replace(view, `"reference":"Patient/p"`, `"reference":"Patient/p","display":"Ann"`, 1), 200, "Ann")
	if resp, text := ask(t, http.DefaultClient, "GET", other+"/ViewDefinition/v", "", ann...); resp.StatusCode != 200 || !strings.Contains(text, "Patient/p") || strings.Contains(text, "Ann") {
		t.Errorf("under a policy: %d %s", resp.StatusCode, text)
	}
	// who is no administrator learns nothing of what there is of a type
	for _, id := range []string{"ViewDefinition", "other"} {
		abstract := strings.NewReplacer(`"abstract":false`, `"abstract":true`, `"StructureDefinition","id":"ViewDefinition"`, `"StructureDefinition","id":"`+id+`"`).Replace(viewDefinition)
		for _, req := range [][3]string{{"POST", "/StructureDefinition", abstract}, {"PUT", "/StructureDefinition/" + id, abstract}} {
			if resp, text := ask(t, http.DefaultClient, req[0], other+req[1], req[2], ann...); resp.StatusCode != 403 {
				t.Errorf("%s %s by ann: %d %s", req[0], req[1], resp.StatusCode, text)
			}
		}
	}
	if resp, text := ask(t, http.DefaultClient, "DELETE", other+"/StructureDefinition/ViewDefinition", "", ann...); resp.StatusCode != 403 {
		t.Errorf("DELETE by ann: %d %s", resp.StatusCode, text)
	}
	try("POST", "/StructureDefinition", strings.Replace(viewDefinition, `"abstract":false`, `"abstract":true`, 1), 201)
	// and the same one, started again
	stop()
	base, _ = start(t, database)
	try("PUT", "/ViewDefinition/v", strings.Replace(view, `"reference":"Patient/p"`, `"reference":"Patient/p","display":"Ann"`, 1), 200) // whatever else has the URL of its type's definition
	try("GET", "/ViewDefinition/theirs", "", 200, "patients")
	try("GET", "/ViewDefinition?name="+url.QueryEscape("patients"), "", 200, "ViewDefinition/theirs")

	// policies name added types like those of FHIR
	named, _ := start(t, database, "INGLE_AUTH_MODE=jwt",
		`INGLE_AUTH_ISSUERS=[{"issuer":"https://issuer.test","audiences":["fhir"],"keys_file":"`+keys+`/jwks.json","user_claim":"context.user.name"}]`,
		`INGLE_AUTH_ROLES={"reader":{"paths":["/"],"methods":["*"],"unlabelled":true}}`, "INGLE_AUTH_DEFAULT_ROLES=reader",
		`INGLE_AUTH_POLICIES={"views":{"resources":{"ViewDefinition":{"criteria":["name=patients"],"hidden":["subject"],"read_only":true}}}}`, "INGLE_AUTH_DEFAULT_POLICIES=views")
	for path, want := range map[string]int{"/ViewDefinition/v": 200, "/ViewDefinition/w": 404, "/ViewDefinition?patient=Patient/p": 403} {
		if resp, text := ask(t, http.DefaultClient, "GET", named+path, "", ann...); resp.StatusCode != want || strings.Contains(text, "Patient/p\"") {
			t.Errorf("a policy for ViewDefinition, %s: %d %s", path, resp.StatusCode, text)
		}
	}
	if resp, text := ask(t, http.DefaultClient, "DELETE", named+"/ViewDefinition/v", "", ann...); resp.StatusCode != 403 {
		t.Errorf("a policy for ViewDefinition, read-only: %d %s", resp.StatusCode, text)
	}

	// the definition stays as long as there are resources
	try("DELETE", "/StructureDefinition/ViewDefinition", "", 409, "delete these first")
	try("DELETE", "/StructureDefinition?url=http://t/StructureDefinition/ViewDefinition", "", 409)
	try("POST", "", `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"StructureDefinition/ViewDefinition"}}]}`, 409)
	try("PUT", "/StructureDefinition/ViewDefinition", strings.ReplaceAll(viewDefinition, `ViewDefinition.`, `View.`), 422)
	try("PUT", "/StructureDefinition/ViewDefinition", strings.Replace(viewDefinition, `"abstract":false`, `"abstract":true`, 1), 409)
	try("DELETE", "/Provenance/pv", "", 204)
	for _, id := range []string{"v", "w", "theirs"} {
		try("DELETE", "/ViewDefinition/"+id, "", 204)
	}
	try("DELETE", "/StructureDefinition/ViewDefinition", "", 204)
	try("GET", "/ViewDefinition", "", 404)
	try("GET", "/_history?_count=100", "", 200, "ViewDefinition/theirs")
	try("PUT", "/StructureDefinition/ViewDefinition", viewDefinition, 201)
	try("GET", "/ViewDefinition/theirs/_history", "", 200, "patients")
}
