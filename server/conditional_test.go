package server_test

import (
	"testing"
	"time"

	"ingle/interaction"
	"ingle/server"
	"ingle/server/servertest"
	"ingle/store"
)

func TestConditional(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	body := func(id, value string) string {
		return `{"resourceType":"Patient",` + id + `"identifier":[{"system":"http://s","value":"` + value + `"}]}`
	}
	first := s.Post("/Patient", body("", "1"), "If-None-Exist", "identifier=http://s|1").Is(201)
	again := s.Post("/Patient", body("", "1"), "If-None-Exist", "identifier=http://s|1").Is(200)
	if again.Header.Get("Location") != first.Header.Get("Location") || again.Header.Get("ETag") != `W/"1"` {
		t.Errorf("found %v, want %v", again.Header, first.Header)
	}
	s.Post("/Patient", body("", "1"), "If-None-Exist", "Patient?identifier=http%3A%2F%2Fs%7C1").Is(200)
	s.Post("/Patient", body("", "1")).Is(201)
	s.Post("/Patient", body("", "1"), "If-None-Exist", "identifier=http://s|1").Is(412)
	s.Post("/Patient", body("", "1"), "If-None-Exist", "colour=red").Is(400)
	s.Post("/Patient", body("", "1"), "If-None-Exist", "_count=1").Is(400)

	// update
	s.Put("/Patient?identifier=http://s|1", body("", "1")).Is(412)
	made := s.Put("/Patient?identifier=http://s|2", body("", "2")).Is(201)
	if made.ID() == "" {
		t.Errorf("no Location in %v", made.Header)
	}
	up := s.Put("/Patient?identifier=http://s|2", body("", "2")).Is(200)
	if up.ID() != made.ID() || up.Header.Get("ETag") != `W/"2"` {
		t.Errorf("updated %v", up.Header)
	}
	s.Put("/Patient?identifier=http://s|2", body(`"id":"`+made.ID()+`",`, "2")).Is(200)
	s.Put("/Patient?identifier=http://s|2", body(`"id":"other",`, "2")).Is(400)
	s.Put("/Patient?identifier=http://s|3", body(`"id":"three",`, "3")).Is(201)
	s.Put("/Patient?identifier=http://s|4", body(`"id":"three",`, "4")).Is(409)
	s.Put("/Patient", body("", "4")).Is(412)

	// patch
	const op = `[{"op":"add","path":"/active","value":true}]`
	s.Do("PATCH", "/Patient?identifier=http://s|3", op, "Content-Type", "application/json-patch+json").Is(200).Has(`"active":true`)
	s.Do("PATCH", "/Patient?identifier=http://s|1", op, "Content-Type", "application/json-patch+json").Is(412)
	s.Do("PATCH", "/Patient?identifier=http://s|9", op, "Content-Type", "application/json-patch+json").Is(404)

	// delete
	s.Delete("/Patient?identifier=http://s|9").Is(204)
	s.Delete("/Patient?identifier=http://s|1", "Prefer", "return=OperationOutcome").Is(200).Has("2 resources")
	if a := s.Get("/Patient?identifier=http://s|1&_summary=count").Is(200); a.Text("total") != "0" {
		t.Errorf("left: %s", a.Body)
	}
	s.Delete("/Patient").Is(412)
	s.Delete("/Patient?").Is(412)
	s.Delete("/Patient?identifier=").Is(400)
}

func TestConditionalDeleteCeiling(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.DeleteLimit = 10 }})
	for range 11 {
		s.Post("/Observation", `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://l","code":"x"}]}}`).Is(201)
	}
	s.Delete("/Observation?code=http://l|x").Is(412)
	if a := s.Get("/Observation?code=http://l|x&_summary=count").Is(200); a.Text("total") != "11" {
		t.Errorf("left: %s", a.Text("total"))
	}
	off := servertest.Start(t, servertest.Options{Interaction: func(c *interaction.Config) { c.DeleteLimit = -1 }})
	off.Delete("/Observation?code=x").Is(405)
}

// patient64 lets 64 writes wait for each other, also on a slow machine.
var patient64 = servertest.Options{
	Server: func(c *server.Config) { c.Writes, c.QueueTime, c.RequestTime = 64, time.Minute, time.Minute },
	Store:  func(o *store.Options) { o.LockTimeout = time.Minute },
}

// 64 clients send the same conditional create at once: one resource.
func TestConditionalCreateIsRaceSafe(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, patient64)
	statuses := make(chan int, 64)
	for range 64 {
		go func() {
			a := s.Post("/Patient", `{"resourceType":"Patient","identifier":[{"system":"http://s","value":"1"}]}`, "If-None-Exist", "identifier=http://s|1")
			statuses <- a.Status
		}()
	}
	count := map[int]int{}
	for range 64 {
		count[<-statuses]++
	}
	if count[201] != 1 || count[200] != 63 {
		t.Errorf("statuses %v, want one 201 and 63 times 200", count)
	}
	if a := s.Get("/Patient?identifier=http://s|1&_summary=count").Is(200); a.Text("total") != "1" {
		t.Errorf("%s resources", a.Text("total"))
	}
}

// The same for conditional updates and for transactions.
func TestConditionalWritesAreRaceSafe(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, patient64)
	const body = `{"resourceType":"Patient","identifier":[{"system":"http://s","value":"1"}]}`
	done := make(chan int, 32)
	for i := range 32 {
		go func() {
			if i%2 == 0 {
				done <- s.Put("/Patient?identifier=http://s|1", body).Status
				return
			}
			done <- s.Post("", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+body+`,"request":{"method":"PUT","url":"Patient?identifier=http://s|1"}}]}`).Status
		}()
	}
	for range 32 {
		if st := <-done; st != 200 && st != 201 {
			t.Errorf("status %d", st)
		}
	}
	a := s.Get("/Patient?identifier=http://s|1").Is(200)
	if a.Text("total") != "1" || a.Text("entry.0.resource.meta.versionId") != "32" {
		t.Errorf("total %s, version %s; want 1, 32", a.Text("total"), a.Text("entry.0.resource.meta.versionId"))
	}
}
