package server_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingle/server/servertest"
	"ingle/store"
	"ingle/store/storetest"
)

// TestConsentAmongWrites denies and permits again and again while others write and
// read what is the patient's, on two servers. From the answer to a denial until a
// permit is sent nobody is told anything of it, on neither; in the end all is seen.
// The long form takes 30 s (INGLE_LONG=1).
func TestConsentAmongWrites(t *testing.T) {
	t.Parallel()
	span := 2 * time.Second
	if os.Getenv("INGLE_LONG") != "" {
		span = 30 * time.Second
	}
	resolver, as := consentCallers(t)
	url := storetest.URL(t)
	servers := []*servertest.Server{enforcing(t, url, store.ConsentOptOut, resolver), enforcing(t, url, store.ConsentOptOut, resolver)}
	admin, all := as("admin"), as("all")
	servers[0].Put("/Patient/p", of("Patient", "p", "p", "/programs/a", ""), admin...).Is(201)
	servers[0].Put("/Observation/o0-0", of("Observation", "o0-0", "p", "/programs/a", observed), admin...).Is(201)
	servers[0].Put("/Patient/other", of("Patient", "other", "other", "/programs/a", ""), admin...).Is(201)

	var phase atomic.Int64 // odd while a denial is acknowledged and no permit was sent
	var done atomic.Bool
	var denied, writes atomic.Int64
	var wait sync.WaitGroup
	spawn := func(f func(i int)) {
		wait.Go(func() {
			for i := 1; !done.Load(); i++ {
				f(i)
			}
		})
	}
	// writers: what is new, what changes, what comes from and goes to another patient, in Bundles too
	for w, s := range servers {
		spawn(func(i int) {
			id := fmt.Sprintf("o%d-%d", w, i%7)
			patient := "p"
			if i%5 == 0 {
				patient = "other"
			}
			body := of("Observation", id, patient, fmt.Sprintf("/programs/%d", i%3), observed)
			var a *servertest.Answer
			if i%2 == 0 {
				a = s.Put("/Observation/"+id, body, admin...)
			} else {
				a = s.Post("", transaction(entryOf("", body, "PUT", "Observation/"+id), entryOf("", strings.Replace(of("Condition", "", "p", "/programs/a", ""), `"id":"",`, "", 1), "POST", "Condition")), admin...)
			}
			if a.Status >= 300 && a.Status != 409 && a.Status != 503 {
				t.Errorf("a write: %d %s", a.Status, a.Body)
			}
			writes.Add(1)
		})
	}
	// readers
	const bundle = `{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Patient/p"}},{"request":{"method":"GET","url":"Observation?subject=Patient/p"}}]}`
	for _, s := range servers {
		spawn(func(i int) {
			targets := []string{"/Patient/p", "/Patient/p/_history", "/Observation?subject=Patient/p", "/Observation?subject=Patient/p&_summary=count", "/Observation/o0-0/_history/1",
				"/Condition?patient=p&_total=accurate", "/Patient?_id=p&_revinclude=Observation:subject", "/Observation?patient._id=p", "/Patient/p/Observation", "/Patient?_has:Observation:patient:status=final&_id=p"}
			before := phase.Load()
			var a *servertest.Answer
			if i%9 == 0 {
				a = s.Post("", bundle, all...)
			} else {
				a = s.Get(targets[i%len(targets)], all...)
			}
			if before%2 == 0 || phase.Load() != before {
				return
			}
			denied.Add(1)
			text := string(a.Body)
			if strings.Contains(text, `"reference":"Patient/p"`) || strings.Contains(text, "/Patient/p\",\"resource\"") || strings.HasPrefix(text, `{"resourceType":"Patient"`) || strings.Contains(text, `"total":`) && !strings.Contains(text, `"total":0`) {
				t.Errorf("told after the denial: %.700s", text)
			}
		})
	}
	consent := func(more string) {
		t.Helper()
		a := servers[0].Put("/Consent/c", of("Consent", "c", "p", "/programs/a", more), admin...)
		for a.Status == 409 || a.Status == 503 {
			a = servers[0].Put("/Consent/c", of("Consent", "c", "p", "/programs/a", more), admin...)
		}
		a.Is(200, 201)
	}
	for end := time.Now().Add(span); time.Now().Before(end); {
		consent(denies)
		phase.Add(1)
		time.Sleep(30 * time.Millisecond)
		phase.Add(1)
		consent(permits)
		time.Sleep(5 * time.Millisecond)
	}
	done.Store(true)
	wait.Wait()
	t.Logf("%d writes, %d denials, %d reads under one", writes.Load(), phase.Load()/2, denied.Load())
	if denied.Load() == 0 || writes.Load() == 0 {
		t.Error("nothing was tried")
	}
	for _, s := range servers {
		for _, target := range []string{"/Observation", "/Condition", "/Patient"} {
			everything, seen := s.Get(target+"?_summary=count", admin...).Is(200).Text("total"), s.Get(target+"?_summary=count", all...).Is(200).Text("total")
			if everything != seen {
				t.Errorf("%s: %s of %s are seen in the end", target, seen, everything)
			}
		}
	}
}
