package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/search"
	"ingle/store"
	"ingle/store/storetest"
)

func patient(id string, version int, family string) []byte {
	return fmt.Appendf(nil, `{"resourceType":"Patient","id":%q,"meta":{"versionId":"%d"},"name":[{"family":%q}],"multipleBirthInteger":1.50}`, id, version, family)
}

func rowsOf(values ...string) *search.Rows {
	r := &search.Rows{}
	p := search.ParamIDOf("Patient", "family")
	for _, v := range values {
		r.Tokens = append(r.Tokens, search.TokenRow{H: search.TokenKey(p, "", v), P: p})
		r.Strings = append(r.Strings, search.StringRow{K: search.ValueKey(p), Val: v, SMin: true, SMax: true})
	}
	r.Quantities = []search.QuantityRow{{K: 1, Lo: "1.50", Hi: "Infinity"}}
	r.Dates = []search.DateRow{{K: 2, Lo: 5, Hi: 6}}
	r.Coded = []search.CodedToken{{H: 7, P: p, System: "s", Code: "c"}}
	return r
}

func create(db *store.DB, id string) store.Change {
	return store.Change{Op: store.OpCreate, Type: "Patient", ID: id, Version: 1, LastUpdated: db.Time(nil), Body: patient(id, 1, "A"), Rows: rowsOf("a")}
}

func update(db *store.DB, old *store.Resource, rows *search.Rows) store.Change {
	return store.Change{Op: store.OpUpdate, Old: old, Type: old.Type, ID: old.ID, Version: old.Version + 1, LastUpdated: db.Time(old),
		Body: patient(old.ID, old.Version+1, "B"), Rows: rows}
}

func TestVersionsAreKept(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t)
	s := db.As(authz.Open())
	must(t, s.Write(ctx, []store.Change{create(db, "p1"), create(db, "p2")}))
	one := read(t, s, "p1")
	if one.Version != 1 || one.Deleted() || !strings.Contains(string(one.Body), "1.50") {
		t.Fatalf("%+v %s", one, one.Body)
	}
	must(t, s.Write(ctx, []store.Change{update(db, one, rowsOf("b", "c"))}))
	two := read(t, s, "p1")
	must(t, s.Write(ctx, []store.Change{{Op: store.OpDelete, Old: two, Type: "Patient", ID: "p1", Version: 3, LastUpdated: db.Time(two)}}))
	gone := read(t, s, "p1")
	if !gone.Deleted() || gone.Version != 3 || gone.Body != nil {
		t.Fatalf("%+v", gone)
	}
	must(t, s.Write(ctx, []store.Change{update(db, gone, rowsOf("d"))}))
	for v, deleted := range map[int]bool{1: false, 2: false, 3: true, 4: false} {
		got, err := s.VRead(ctx, "Patient", "p1", v)
		if err != nil || got == nil || got.Deleted() != deleted {
			t.Errorf("version %d: %+v %v", v, got, err)
		}
	}
	if got, _ := s.VRead(ctx, "Patient", "p1", 5); got != nil {
		t.Errorf("version 5: %+v", got)
	}

	page, err := s.History(ctx, store.HistoryQuery{Type: "Patient", ID: "p1", Count: 3, WithTotal: true})
	must(t, err)
	if page.Total != 4 || len(page.Entries) != 3 || page.Entries[0].Version != 4 || page.Next == nil {
		t.Fatalf("%+v", page)
	}
	page, err = s.History(ctx, store.HistoryQuery{Type: "Patient", ID: "p1", Count: 3, After: page.Next})
	must(t, err)
	if len(page.Entries) != 1 || page.Entries[0].Version != 1 || page.Next != nil {
		t.Fatalf("%+v", page)
	}
	for _, q := range []store.HistoryQuery{{Type: "Patient", Count: 10, WithTotal: true}, {Count: 10, WithTotal: true}} {
		page, err = s.History(ctx, q)
		must(t, err)
		if page.Total != 5 || len(page.Entries) != 5 {
			t.Errorf("%+v: %d of %d", q, len(page.Entries), page.Total)
		}
	}
	at := two.LastUpdated
	next := at.Add(time.Microsecond)
	page, err = s.History(ctx, store.HistoryQuery{Type: "Patient", ID: "p1", Count: 10, AtFrom: &at, AtTo: &next})
	must(t, err)
	if len(page.Entries) != 1 || page.Entries[0].Version != 2 {
		t.Errorf("_at: %+v", page.Entries)
	}
}

// The index rows always agree with what was written last.
func TestIndexRowsFollowTheResource(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := storetest.URL(t)
	db := storetest.OpenURL(t, url)
	s := db.As(authz.Open())
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer conn.Close(ctx)
	vals := func() (out string) {
		must(t, conn.QueryRow(ctx, `SELECT coalesce(string_agg(val, ',' ORDER BY val), '') || ';' || (SELECT count(*) FROM idx_token) || ';' ||
			(SELECT count(*) FROM idx_quantity) || ';' || (SELECT count(*) FROM idx_date) FROM idx_string`).Scan(&out))
		return out
	}
	must(t, s.Write(ctx, []store.Change{create(db, "p1")}))
	for _, step := range []struct {
		rows *search.Rows
		want string
	}{{rowsOf("a", "b"), "a,b;2;1;1"}, {rowsOf("b", "c"), "b,c;2;1;1"}, {rowsOf("b"), "b;1;1;1"}, {rowsOf(), ";0;1;1"}, {rowsOf("z"), "z;1;1;1"}} {
		must(t, s.Write(ctx, []store.Change{update(db, read(t, s, "p1"), step.rows)}))
		if got := vals(); got != step.want {
			t.Errorf("got %s, want %s", got, step.want)
		}
	}
	old := read(t, s, "p1")
	must(t, s.Write(ctx, []store.Change{{Op: store.OpDelete, Old: old, Type: "Patient", ID: "p1", Version: old.Version + 1, LastUpdated: db.Time(old)}}))
	if got := vals(); got != ";0;0;0" {
		t.Errorf("after the deletion: %s", got)
	}
}

func TestOnlyOneWriterWins(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t)
	s := db.As(authz.Open())
	for round := range 2 { // creating, then updating the same resource
		var old *store.Resource
		if round == 1 {
			old = read(t, s, "p1")
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 16 {
			wg.Go(func() {
				c := create(db, "p1")
				if old != nil {
					c = update(db, old, rowsOf("u"))
				}
				err := s.Write(ctx, []store.Change{c})
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won++
				} else if !errors.Is(err, store.ErrConflict) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Errorf("round %d: %d writers won", round, won)
		}
	}
	page, err := s.History(ctx, store.HistoryQuery{Type: "Patient", ID: "p1", WithTotal: true})
	must(t, err)
	if page.Total != 2 {
		t.Errorf("%d versions", page.Total)
	}
}

func TestReferencesAreChecked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t, func(o *store.Options) { o.CheckReferences = true })
	s := db.As(authz.Open())
	refers := func(id, to string) store.Change {
		c := create(db, id)
		doc, err := fhir.Parse(fmt.Appendf(nil, `{"resourceType":"Patient","link":[{"other":{"reference":%q}}]}`, to), fhir.Limits{})
		must(t, err)
		c.Rows, err = search.NewRegistry(r4.Definitions()).IndexRows(doc)
		must(t, err)
		return c
	}
	err := s.Write(ctx, []store.Change{create(db, "a"), refers("b", "Patient/missing")})
	if e := fhir.AsError(err); e == nil || e.Status != 422 || !strings.Contains(err.Error(), "Patient/missing") || e.Issues[0].Expression[0] != "Patient.link[0].other" {
		t.Fatalf("%v", err)
	}
	if read(t, s, "a") != nil {
		t.Fatal("a part was stored")
	}
	must(t, s.Write(ctx, []store.Change{refers("c", "Patient/d"), create(db, "d")}))
	d, c := read(t, s, "d"), read(t, s, "c")
	del := func(r *store.Resource) store.Change {
		return store.Change{Op: store.OpDelete, Old: r, Type: r.Type, ID: r.ID, Version: r.Version + 1, LastUpdated: db.Time(r)}
	}
	err = s.Write(ctx, []store.Change{del(d)})
	if e := fhir.AsError(err); e == nil || e.Status != 409 || !strings.Contains(err.Error(), "Patient/c") {
		t.Fatalf("%v", err)
	}
	must(t, s.Write(ctx, []store.Change{del(d), del(c)}))
}

func TestLabelsBoundReadingAndWriting(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t)
	all, none := db.As(authz.Open()), db.As(authz.Scope{})
	c := create(db, "p1")
	c.Labels = []string{"/programs/a"}
	must(t, all.Write(ctx, []store.Change{c}))
	if got := read(t, all, "p1"); got == nil || len(got.Labels) != 1 || got.Labels[0] != "/programs/a" {
		t.Errorf("%+v", got)
	}
	if got := read(t, none, "p1"); got != nil {
		t.Errorf("the zero scope sees %+v", got)
	}
	if page, err := none.History(ctx, store.HistoryQuery{Count: 10, WithTotal: true}); err != nil || page.Total != 0 || len(page.Entries) != 0 {
		t.Errorf("the zero scope sees %+v %v", page, err)
	}
	if err := none.Write(ctx, []store.Change{create(db, "p2")}); fhir.AsError(err) == nil || fhir.AsError(err).Status != 403 {
		t.Errorf("the zero scope writes: %v", err)
	}
}

func TestInTxRunsAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := storetest.Open(t)
	s := db.As(authz.Open())
	must(t, s.Write(ctx, []store.Change{create(db, "p1")}))
	const writers, rounds = 8, 5
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range rounds {
				if err := s.InTx(ctx, func(tx *store.Tx) error {
					if err := tx.Lock(ctx, []string{"Patient?x=1", "Patient?a=2"}); err != nil {
						return err
					}
					old, err := tx.Read(ctx, "Patient", "p1")
					if err != nil {
						return err
					}
					return tx.Write(ctx, []store.Change{update(db, old, rowsOf("x"))})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := read(t, s, "p1").Version; got != 1+writers*rounds {
		t.Errorf("version %d", got)
	}
}

func read(t *testing.T, s *store.Session, id string) *store.Resource {
	t.Helper()
	r, err := s.Read(context.Background(), "Patient", id)
	must(t, err)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
