package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"ingle/terminology"
)

// systemOf is a CodeSystem of n concepts, ten roots with the others below them.
func systemOf(n int) string {
	var b strings.Builder
	b.WriteString(`{"resourceType":"CodeSystem","id":"large","url":"http://t/large","status":"active","content":"complete","hierarchyMeaning":"is-a","concept":[`)
	for root := range 10 {
		if root > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"code":"r%d","display":"Root %d","concept":[`, root, root)
		for i := 1; i < n/10; i++ {
			if i > 1 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"code":"c%d-%d","display":"%d of %d"}`, root, i, i, root)
		}
		b.WriteString(`]}`)
	}
	b.WriteString(`]}`)
	return b.String()
}

// What is stored is compiled before anybody asks for it: after a write on this
// server or another, after a change of what it is made of, and after a restart.
func TestTerminologyIsPrepared(t *testing.T) {
	t.Parallel()
	database := served(t)
	base, stop := start(t, database)
	other, _ := start(t, database)
	store := func(path, body string) {
		t.Helper()
		if status, text := request(t, http.MethodPut, base+"/"+path, body); status >= 300 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	// until waits for a state of all that is named, with its size
	until := func(base string, want map[string]string) {
		t.Helper()
		var got map[string]string
		var text string
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			var status int
			if status, text = request(t, http.MethodGet, strings.TrimSuffix(base, "/fhir")+"/admin/terminology", ""); status != 200 {
				t.Fatalf("%d %s", status, text)
			}
			var out struct{ Content []terminology.Prepared }
			if err := json.Unmarshal([]byte(text), &out); err != nil {
				t.Fatal(err)
			}
			got = map[string]string{}
			same := true
			for _, x := range out.Content {
				size := -1
				if x.Size != nil {
					size = *x.Size
				}
				got[x.Type+"/"+x.ID] = fmt.Sprintf("%s %d %s", x.State, size, x.Reason)
			}
			for name, w := range want {
				same = same && strings.HasPrefix(got[name], w)
			}
			if same {
				return
			}
		}
		t.Fatalf("%v, want %v", got, want)
	}
	store("ValueSet/all", `{"resourceType":"ValueSet","id":"all","url":"http://t/all","status":"active","compose":{"include":[{"system":"http://t/large"}]}}`)
	until(base, map[string]string{"ValueSet/all": "failed -1 A definition for CodeSystem 'http://t/large' could not be found"}) // what it needs is not there yet
	store("CodeSystem/large", systemOf(12_000))
	store("ValueSet/below", `{"resourceType":"ValueSet","id":"below","url":"http://t/below","status":"active","compose":{"include":[{"system":"http://t/large","filter":[{"property":"concept","op":"is-a","value":"r3"}]}]}}`)
	store("ValueSet/odd", `{"resourceType":"ValueSet","id":"odd","url":"http://t/odd","status":"active","compose":{"include":[{"system":"http://t/large","filter":[{"property":"nothing","op":"=","value":"r3"}]}]}}`)
	whole := map[string]string{"CodeSystem/large": "ready 12000", "ValueSet/all": "ready 12000", "ValueSet/below": "ready 1200", "ValueSet/odd": "failed -1 "}
	until(base, whole)
	until(other, whole)

	for id, code := range map[string]string{"in": `"system":"http://t/large","code":"c9-555"`, "below": `"system":"http://t/large","code":"c3-7"`, "out": `"system":"http://t/other","code":"c3-7"`} {
		store("Observation/"+id, `{"resourceType":"Observation","id":"`+id+`","subject":{"display":"x"},"status":"final","code":{"coding":[{`+code+`}]}}`)
	}
	first := func(base string) {
		t.Helper()
		for path, holds := range map[string]string{"/Observation?code:in=http://t/all&_total=accurate": `"total":2,`, "/Observation?code:in=http://t/below&_total=accurate": `"total":1,`,
			"/Observation?code:not-in=http://t/all&_id=in,below,out": `"total":1,`, "/ValueSet/$expand?url=http://t/all&count=10": `"code":"r0"`, "/CodeSystem/$lookup?system=http://t/large&code=c9-555": `555 of 9`} {
			begin := time.Now()
			if status, text := request(t, http.MethodGet, base+path, ""); status != 200 || !strings.Contains(text, holds) {
				t.Fatalf("%s: %d %.2000s, want %s", path, status, text, holds)
			}
			took := time.Since(begin)
			t.Logf("first %s: %v", path, took)
			if took > 5*time.Second {
				t.Errorf("the first %s took %v", path, took)
			}
		}
	}
	first(base)

	store("CodeSystem/large", systemOf(6_000))
	half := map[string]string{"CodeSystem/large": "ready 6000", "ValueSet/all": "ready 6000", "ValueSet/below": "ready 600"}
	until(base, half)
	until(other, half)

	stop()
	base, _ = start(t, database)
	until(base, half)
	first(base)

	if status, text := request(t, http.MethodDelete, base+"/CodeSystem/large", ""); status >= 300 {
		t.Fatalf("%d %s", status, text)
	}
	until(base, map[string]string{"ValueSet/all": "failed -1 ", "ValueSet/below": "failed -1 "})

	store("CodeSystem/large", systemOf(110_000)) // more than a search may use, short of an import
	until(base, map[string]string{"CodeSystem/large": "ready 110000", "ValueSet/all": "ready 110000 searches cannot use it", "ValueSet/below": "ready 11000"})
	if status, text := request(t, http.MethodGet, base+"/Observation?code:in=http://t/all", ""); status != 400 || !strings.Contains(text, "import") {
		t.Errorf("%d %s", status, text)
	}
}
