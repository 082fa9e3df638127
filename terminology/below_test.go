package terminology_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"ingle/store/concepts"
	"ingle/store/storetest"
	"ingle/terminology"
)

// grouped is a generated code system that also holds some codes in use, below
// groups of it.
type grouped struct {
	*made
	groups map[string][]string
}

func (g *grouped) Checksum() ([]byte, error) { return []byte(fmt.Sprint(g.groups)), nil }

func (g *grouped) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	if err := g.made.Read(ctx, codesOnly, to); err != nil {
		return err
	}
	for group, codes := range g.groups {
		if err := to.Concept(&terminology.Concept{Code: group, Display: group}); err != nil {
			return err
		}
		if err := to.Parent(group, g.code(7)); err != nil {
			return err
		}
		for _, c := range codes {
			if err := to.Concept(&terminology.Concept{Code: c, Display: c}); err != nil {
				return err
			}
			if err := to.Parent(c, group); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestBelowAsList holds Observation?code:below= against the same codes as a list:
// the same answers, and about the time. INGLE_TEST_BELOW_BASE and
// INGLE_TEST_BELOW_DATABASE name a server with Observations of LOINC codes and
// its database, where the version "0" of LOINC is made for the length of the test;
// then the ratio must be at most 3. Without them a small server is filled.
func TestBelowAsList(t *testing.T) {
	base, database := os.Getenv("INGLE_TEST_BELOW_BASE"), os.Getenv("INGLE_TEST_BELOW_DATABASE")
	system, size, codes := "http://loinc.org", 100_000, []string(nil)
	large := base != ""
	if !large {
		database, system, size = storetest.URL(t), "http://e.org/used", 500
		base = startServerOn(t, database, 0).Base
		codes = fillObservations(t, base, system)
	}
	pool, err := pgxpool.New(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	if large {
		rows, err := pool.Query(t.Context(), `SELECT DISTINCT upper(code) FROM token WHERE system = $1 ORDER BY 1`, system)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var c string
			if err := rows.Scan(&c); err != nil {
				t.Fatal(err)
			}
			codes = append(codes, c)
		}
	}
	g := &grouped{made: generate(system, size, 12, 5), groups: map[string][]string{"few": codes[:min(len(codes), 3)], "half": codes[len(codes)/2:], "all": codes}}
	g.info.Version, g.info.CaseSensitive = "0", false
	store := concepts.New(pool)
	svc := terminology.New(terminology.Options{Concepts: store})
	if _, err := svc.Import(t.Context(), g, true, nil); err != nil {
		t.Fatal(err)
	}
	defer store.Remove(context.Background(), system, "0")
	time.Sleep(2500 * time.Millisecond) // the server hears of an import after two seconds
	ask := func(query string) (ids []string, took time.Duration) {
		start := time.Now()
		resp, err := http.Get(base + "/Observation?" + query)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		took = time.Since(start)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%s: %d %s %v", query, resp.StatusCode, body, err)
		}
		var b struct {
			Total int
			Entry []struct{ Resource struct{ ID string } }
		}
		if err := json.Unmarshal(body, &b); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, fmt.Sprint(b.Total))
		for _, e := range b.Entry {
			ids = append(ids, e.Resource.ID)
		}
		return ids, took
	}
	for _, more := range []string{"", "&_summary=count", "&_sort=-date"} {
		for group, list := range g.groups {
			values := make([]string, len(list))
			for i, c := range list {
				values[i] = url.QueryEscape(system + "|" + c)
			}
			below, listed := "code:below="+url.QueryEscape(system+"|"+group)+more, "code="+strings.Join(values, ",")+more
			var one, other []time.Duration
			for range 15 {
				a, x := ask(below)
				b, y := ask(listed)
				one, other = append(one, x), append(other, y)
				if !slices.Equal(a, b) || len(a) < 2 && !strings.Contains(more, "count") {
					t.Fatalf("%s: %d matches, of the list %d", below, len(a)-1, len(b)-1)
				}
			}
			slices.Sort(one)
			slices.Sort(other)
			r := ratio(one[7], other[7])
			t.Logf("%-5s %4d codes %-16s below %v, as a list %v, ratio %.2f", group, len(list), more, one[7], other[7], r)
			if large && r > 3 {
				t.Errorf("%s: %.2f times the list", below, r)
			}
		}
	}
}

func fillObservations(t *testing.T, base, system string) []string {
	rnd := rand.New(rand.NewPCG(1, 4))
	var codes, entries []string
	for i := range 20 {
		codes = append(codes, fmt.Sprint("U", i))
	}
	for range 200 {
		entries = append(entries, fmt.Sprintf(`{"resource":{"resourceType":"Observation","status":"final","effectiveDateTime":"20%02d","code":{"coding":[{"system":%q,"code":%q}]}},"request":{"method":"POST","url":"Observation"}}`,
			10+rnd.IntN(15), system, codes[rnd.IntN(len(codes))]))
	}
	if status, answer := send(t, "POST", base, "", []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`+strings.Join(entries, ",")+`]}`)); status != 200 {
		t.Fatalf("%d %s", status, answer)
	}
	return codes
}
