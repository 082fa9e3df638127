package terminology_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir/r4"
	"ingle/store"
	"ingle/store/storetest"
	"ingle/terminology"
)

// TestLarge measures a code system of 500,000 concepts, depth 12, against a read
// by id and a COPY in the same run. INGLE_LARGE sets the number of concepts;
// without it 20,000, and the targets are not enforced.
func TestLarge(t *testing.T) {
	n, enforced := 20_000, false
	if v := os.Getenv("INGLE_LARGE"); v != "" {
		fmt.Sscan(v, &n)
		enforced = n >= 500_000
	}
	database := storetest.URL(t)
	srv := startServerOn(t, database, 2*time.Second)
	svc := terminology.New(terminology.Options{Concepts: srv.Database.Concepts()})
	const system = "http://e.org/made"
	m := generate(system, n, 12, 9)
	target := func(what string, got, limit float64) {
		t.Logf("%-60s %6.2f (target %g)", what, got, limit)
		if enforced && got > limit {
			t.Errorf("%s: %.2f", what, got)
		}
	}
	copied := importAndCopy(t, svc, m, database)
	target("import: time over COPY of the same rows", copied, 1/0.3)

	status, answer := send(t, "PUT", srv.Base+"/Patient/p", "", []byte(`{"resourceType":"Patient","id":"p"}`))
	if status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	for name, compose := range map[string]string{"all": `{"include":[{"system":"` + system + `"}]}`,
		"isa": `{"include":[{"system":"` + system + `","filter":[{"property":"concept","op":"is-a","value":"` + m.code(3) + `"}]}]}`} {
		body := strings.Replace(set(name, compose), `{"resourceType":"ValueSet",`, `{"resourceType":"ValueSet","id":"`+name+`",`, 1)
		if status, answer := send(t, "PUT", srv.Base+"/ValueSet/"+name, "", []byte(body)); status != 201 {
			t.Fatalf("%d %s", status, answer)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	code := func() string { return m.code(rnd.IntN(n)) }
	word := func() string { return syllables[rnd.IntN(len(syllables))] + syllables[rnd.IntN(len(syllables))] }
	two := func() string { return word() + " " + syllables[rnd.IntN(len(syllables))] }

	session := srv.Database.As(authz.Open())
	conf := store.NewConformance(srv.Database, time.Minute)
	static := terminology.Definitions(r4.Definitions())
	src := func() terminology.Source {
		return terminology.Sources{static, terminology.Stored(conf, session)}
	}
	must := func(_ []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	inside := map[string]func(){
		"read": func() {
			if r, err := session.Read(t.Context(), "Patient", "p"); r == nil || err != nil {
				t.Fatal(err)
			}
		},
		"in a value set": func() {
			must(svc.ValidateInValueSet(t.Context(), src(), params("url", "http://e.org/isa", "system", system, "code", code())))
		},
		"in the code system": func() {
			must(svc.ValidateInCodeSystem(t.Context(), src(), params("url", system, "code", code())))
		},
		"filter of a word": func() {
			must(svc.Expand(t.Context(), src(), params("url", "http://e.org/all", "filter", word(), "count", 20)))
		},
		"filter of two words": func() {
			must(svc.Expand(t.Context(), src(), params("url", "http://e.org/all", "filter", two(), "count", 20)))
		},
	}
	get := func(path string) {
		if status, body := send(t, http.MethodGet, srv.Base+"/"+path, "", nil); status != 200 {
			t.Fatalf("%s: %d %s", path, status, body)
		}
	}
	outside := map[string]func(){
		"read": func() { get("Patient/p") },
		"in a value set": func() {
			get("ValueSet/$validate-code?url=http://e.org/isa&system=" + system + "&code=" + code())
		},
		"in the code system": func() { get("CodeSystem/$validate-code?url=" + system + "&code=" + code()) },
		"filter of a word": func() {
			get("ValueSet/$expand?url=http://e.org/all&count=20&filter=" + word())
		},
		"filter of two words": func() {
			get("ValueSet/$expand?url=http://e.org/all&count=20&filter=" + url.QueryEscape(two()))
		},
	}
	for _, door := range []struct {
		name string
		do   map[string]func()
	}{{"in process", inside}, {"over HTTP", outside}} {
		times := measure(door.do, 600)
		r := times["read"]
		t.Logf("%s: read by id p50 %v p99 %v", door.name, r[0], r[1])
		for _, what := range []string{"in a value set", "in the code system"} {
			target(fmt.Sprintf("%s: $validate-code %s, p50 %v over a read's", door.name, what, times[what][0]), ratio(times[what][0], r[0]), 1.5)
			target(fmt.Sprintf("%s: $validate-code %s, p99 %v over a read's", door.name, what, times[what][1]), ratio(times[what][1], r[1]), 5)
		}
		for _, what := range []string{"filter of a word", "filter of two words"} {
			target(fmt.Sprintf("%s: $expand, %s, p50 %v over a read's", door.name, what, times[what][0]), ratio(times[what][0], r[0]), 20)
		}
	}
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	t.Logf("heap of server, client and generator after all: %d MB", mem.HeapAlloc>>20)
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// measure runs the actions in turn, so that a noisy moment hits all of them, and
// returns the median and the 99th percentile of each.
func measure(do map[string]func(), rounds int) map[string][2]time.Duration {
	times := map[string][]time.Duration{}
	for i := range rounds + 20 {
		for name, fn := range do {
			start := time.Now()
			fn()
			if i >= 20 {
				times[name] = append(times[name], time.Since(start))
			}
		}
	}
	out := map[string][2]time.Duration{}
	for name, d := range times {
		slices.Sort(d)
		out[name] = [2]time.Duration{d[len(d)/2], d[len(d)*99/100]}
	}
	return out
}

// importAndCopy imports the code system and returns how much longer that took
// than a COPY of the same rows into a table with the same indexes.
func importAndCopy(t *testing.T, svc *terminology.Service, m *made, database string) float64 {
	start := time.Now()
	res, err := svc.Import(t.Context(), m, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	imported := time.Since(start)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	cols := []string{"cs", "place", "abstract", "inactive", "parents", "below", "code", "fold", "display", "definition", "words", "more"}
	rows, err := conn.Query(t.Context(), fmt.Sprintf("SELECT %s FROM concept_%d", strings.Join(cols, ","), res.ID))
	if err != nil {
		t.Fatal(err)
	}
	var values [][]any
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	if _, err := conn.Exec(t.Context(), fmt.Sprintf("CREATE TABLE again (LIKE concept_%d INCLUDING ALL)", res.ID)); err != nil {
		t.Fatal(err)
	}
	start = time.Now()
	if _, err := conn.CopyFrom(t.Context(), pgx.Identifier{"again"}, cols, pgx.CopyFromRows(values)); err != nil {
		t.Fatal(err)
	}
	copied := time.Since(start)
	var spans, most, size int
	if err := conn.QueryRow(t.Context(), fmt.Sprintf("SELECT sum(cardinality(below))/2, max(cardinality(below))/2, pg_total_relation_size('concept_%d') FROM concept_%d", res.ID, res.ID)).Scan(&spans, &most, &size); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "DROP TABLE again"); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d concepts: import %v, COPY %v; %d spans, at most %d of one concept; %d MB", m.n, imported.Round(time.Millisecond), copied.Round(time.Millisecond), spans, most, size>>20)
	return imported.Seconds() / copied.Seconds()
}
