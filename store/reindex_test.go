package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/search"
	"ingle/store"
	"ingle/store/storetest"
)

// A resource that cannot be indexed ends a job after some tries, visibly; what
// was done before it stays done.
func TestReindexFails(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), storetest.URL(t)
	db := storetest.OpenURL(t, url)
	must(t, db.As(authz.Open()).Write(ctx, []store.Change{create(db, "p1"), create(db, "p2")}))
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer func() { _ = conn.Close(ctx) }()
	run := func(sql string) {
		t.Helper()
		_, err := conn.Exec(ctx, sql)
		must(t, err)
	}
	run(`UPDATE resource SET body = '{"resourceType":"Nothing"}' WHERE fhir_id = 'p2'`)
	work := db.As(authz.System("test"))
	id, err := work.StartReindex(ctx, "test", nil, 0)
	must(t, err)
	for try := 1; ; try++ {
		job, err := work.RunReindex(ctx)
		if job == nil {
			t.Fatalf("try %d: no job", try)
		}
		if job.State == "failed" {
			if try != 6 || err != nil || job.Message == "" {
				t.Errorf("given up at try %d: %+v %v", try, job, err)
			}
			break
		}
		if err == nil || try > 6 {
			t.Fatalf("try %d: %+v", try, job)
		}
		if job, err := work.RunReindex(ctx); job != nil || err != nil {
			t.Errorf("it does not rest: %+v %v", job, err)
		}
		run(`UPDATE job SET begins = now()`)
	}
	job, err := work.ReindexJob(ctx, id)
	if err != nil || job.State != "failed" || job.Message == "" {
		t.Errorf("%+v %v", job, err)
	}
	if list, err := db.Reindexing(ctx); err != nil || len(list) != 1 || list[0].State != "failed" || list[0].For != "test" {
		t.Errorf("%+v %v", list, err)
	}
	// mended and asked again, it is done
	run(`UPDATE resource SET body = '{"resourceType":"Patient"}' WHERE fhir_id = 'p2'`)
	_, err = work.StartReindex(ctx, "test", nil, 0)
	must(t, err)
	if job, err := work.RunReindex(ctx); err != nil || job.State != "done" || job.Done != 2 {
		t.Errorf("%+v %v", job, err)
	}
	if list, err := db.Reindexing(ctx); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

// A database whose index was made by another release is indexed anew.
func TestExtraction(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), storetest.URL(t)
	db := storetest.OpenURL(t, url)
	work := db.As(authz.System("test"))
	wants := func(job bool) {
		t.Helper()
		if id, err := work.CatchUpExtraction(ctx); err != nil || id != 0 != job {
			t.Errorf("job %d, %v", id, err)
		}
	}
	wants(false) // an empty database is up to date
	must(t, db.As(authz.Open()).Write(ctx, []store.Change{create(db, "p1")}))
	wants(false)
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer func() { _ = conn.Close(ctx) }()
	for _, sql := range []string{`DELETE FROM setting WHERE name = 'extraction'`, `INSERT INTO setting VALUES ('extraction', '0')`} {
		_, err := conn.Exec(ctx, sql)
		must(t, err)
		wants(true)
		wants(true) // until it is done
		if job, err := work.RunReindex(ctx); err != nil || job.State != "done" {
			t.Errorf("%+v %v", job, err)
		}
		wants(false)
		_, err = conn.Exec(ctx, `DELETE FROM setting WHERE name = 'extraction'`)
		must(t, err)
	}
	if _, err := db.As(authz.Open()).CatchUpExtraction(ctx); err == nil {
		t.Error("a caller may start it")
	}
}

// Full text that is switched on later has what was there before indexed, each time.
func TestFullTextLater(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), storetest.URL(t)
	plain := storetest.OpenURL(t, url)
	must(t, plain.As(authz.Open()).Write(ctx, []store.Change{create(plain, "p1")}))
	text := storetest.OpenURL(t, url, func(o *store.Options) { o.Registry.EnableFullText() })
	catchUp := func(db *store.DB) bool {
		t.Helper()
		job, err := db.As(authz.System("test")).CatchUpExtraction(ctx)
		must(t, err)
		return job != 0
	}
	work := text.As(authz.System("test"))
	for range 2 {
		if !catchUp(text) {
			t.Fatal("the words of what was there are not indexed")
		}
		if job, err := work.RunReindex(ctx); err != nil || job.State != "done" {
			t.Fatalf("%+v %v", job, err)
		}
		if catchUp(text) || catchUp(plain) {
			t.Error("it is done twice")
		}
	}
}

// References that spell out the server's own URL are found as such once it is
// known, whatever it was when they were stored.
func TestPublicURLLater(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), storetest.URL(t)
	at := func(bases ...string) *store.DB {
		return storetest.OpenURL(t, url, func(o *store.Options) { o.Registry = search.NewRegistry(o.Defs, bases...) })
	}
	before, after := at(), at("https://x.org/fhir")
	body := []byte(`{"resourceType":"Observation","id":"o","meta":{"versionId":"1"},"status":"final","code":{"text":"x"},"subject":{"reference":"https://x.org/fhir/Patient/p1"}}`)
	doc, err := fhir.Parse(body, fhir.Limits{})
	must(t, err)
	rows, err := search.NewRegistry(r4.Definitions()).IndexRows(doc)
	must(t, err)
	must(t, before.As(authz.Open()).Write(ctx, []store.Change{create(before, "p1"),
		{Op: store.OpCreate, Type: "Observation", ID: "o", Version: 1, LastUpdated: before.Time(nil), Body: body, Rows: rows}}))
	found := func() int {
		t.Helper()
		q, _, err := search.NewRegistry(r4.Definitions()).Parse(search.Request{Type: "Observation", Params: []search.KV{{Name: "subject:Patient._id", Value: "p1"}}, Strict: true})
		must(t, err)
		page, err := after.As(authz.Open()).Search(ctx, q)
		must(t, err)
		return len(page.Matches)
	}
	if n := found(); n != 0 {
		t.Errorf("%d found before", n)
	}
	work := after.As(authz.System("test"))
	if job, err := work.CatchUpExtraction(ctx); err != nil || job == 0 {
		t.Fatalf("job %d, %v", job, err)
	}
	if job, err := work.RunReindex(ctx); err != nil || job.State != "done" {
		t.Fatalf("%+v %v", job, err)
	}
	if job, err := work.CatchUpExtraction(ctx); err != nil || job != 0 {
		t.Errorf("job %d, %v", job, err)
	}
	if n := found(); n != 1 {
		t.Errorf("%d found", n)
	}
}
