package crashtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestKillWhileBuilding kills a server in the midst of building a search
// parameter: another takes over from where it was, no search is answered in
// part meanwhile, and in the end it finds every resource.
func TestKillWhileBuilding(t *testing.T) {
	t.Parallel()
	_, url := startDurable(t)
	server := newChild(t, url)
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	const n = 6000
	for from := 0; from < n; from += 1000 {
		var b strings.Builder
		b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
		for i := from; i < from+1000; i++ {
			if i > from {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"resource":{"resourceType":"Patient","maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]}},"request":{"method":"POST","url":"Patient"}}`)
		}
		b.WriteString(`]}`)
		if a := send(t.Context(), "POST", server.base, b.String()); a.status != 200 {
			t.Fatal(a)
		}
	}
	if a := send(t.Context(), "PUT", server.base+"/SearchParameter/marital", `{"resourceType":"SearchParameter","id":"marital","url":"http://example.org/SearchParameter/marital","name":"marital",
		"status":"active","description":"The marital status","code":"marital","base":["Patient"],"type":"token","expression":"Patient.maritalStatus"}`); a.status != 201 {
		t.Fatal(a)
	}
	conn := connect(t, url)
	var state string
	var done, position int64
	look := func() {
		t.Helper()
		err := conn.QueryRow(t.Context(), `SELECT coalesce(max(state), ''), coalesce(max(done), 0), coalesce(max(position), 0) FROM job WHERE subject LIKE 'SearchParameter/%'`).Scan(&state, &done, &position)
		if err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(60 * time.Second); done < 400; time.Sleep(2 * time.Millisecond) {
		if look(); time.Now().After(end) || state == "done" {
			t.Fatalf("the building was not seen: %s, %d", state, done)
		}
	}
	server.kill()
	look()
	t.Logf("killed when %d of %d were built", done, n)
	if state != "running" || done >= n {
		t.Fatalf("%s, %d: it was not in the midst", state, done)
	}
	before := done
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	find := server.base + "/Patient?marital=M&_summary=count"
	for end := time.Now().Add(120 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		a := send(t.Context(), "GET", find, "")
		if a.status == 200 {
			if !strings.Contains(string(a.body), fmt.Sprintf(`"total":%d`, n)) {
				t.Errorf("it is active and finds %s", a)
			}
			break
		}
		if a.status != 400 || !strings.Contains(string(a.body), "being built") {
			t.Fatalf("while it is built: %s", a)
		}
		if time.Now().After(end) {
			t.Fatal("it is not built")
		}
	}
	if look(); state != "done" || done != n {
		t.Errorf("%s, %d resources were built, %d before the kill", state, done, before)
	}
}
