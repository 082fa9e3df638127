package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// pair starts two servers on one database.
func pair(t *testing.T) (list []*child, url string) {
	t.Helper()
	_, url = startDurable(t)
	for range 2 {
		c := newChild(t, url)
		if err := c.start(); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list, url
}

// tally counts statuses and keeps an example of each.
type tally struct {
	mu      sync.Mutex
	counts  map[int]int
	example map[int]string
}

func (y *tally) add(a answer) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.counts == nil {
		y.counts, y.example = map[int]int{}, map[int]string{}
	}
	if y.counts[a.status]++; y.counts[a.status] == 1 {
		y.example[a.status] = a.String()
	}
}

// check fails the test for every status that is not allowed.
func (y *tally) check(t *testing.T, allowed ...int) {
	t.Helper()
	t.Logf("statuses: %v", y.counts)
next:
	for status, n := range y.counts {
		for _, a := range allowed {
			if status == a {
				continue next
			}
		}
		t.Errorf("status %d, %d times: %s", status, n, y.example[status])
	}
}

// TestConditionalCreates lets the clients of two servers create the same
// resources if none exists (R4 http.html#ccreate), alone and in transactions:
// there must be exactly one for each key.
func TestConditionalCreates(t *testing.T) {
	t.Parallel()
	keys, requests := 20, 1200
	if long {
		keys, requests = 1000, 100_000
	}
	servers, url := pair(t)
	var y tally
	var next atomic.Int64
	var wg sync.WaitGroup
	for c := range 64 {
		base := servers[c%2].base
		random := rand.New(rand.NewPCG(11, uint64(c)))
		wg.Go(func() {
			for {
				n := int(next.Add(1))
				if n > requests {
					return
				}
				// neighbours in time want the same key
				key := fmt.Sprintf("key-%d", (n/(requests/keys))%keys)
				patient := fmt.Sprintf(`{"resourceType":"Patient","identifier":[{"system":"urn:race","value":"%s"}]}`, key)
				var a answer
				if random.IntN(4) > 0 {
					a = send(context.Background(), http.MethodPost, base+"/Patient", patient, "If-None-Exist", "identifier=urn:race|"+key)
				} else {
					a = send(context.Background(), http.MethodPost, base, fmt.Sprintf(`{"resourceType":"Bundle","type":"transaction","entry":[`+
						`{"fullUrl":"urn:uuid:7e0d8a0c-0000-4000-8000-000000000001","resource":%s,"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=urn:race|%s"}},`+
						`{"resource":{"resourceType":"Basic","code":{"text":"x"},"subject":{"reference":"urn:uuid:7e0d8a0c-0000-4000-8000-000000000001"}},"request":{"method":"POST","url":"Basic"}}]}`, patient, key))
				}
				y.add(a)
			}
		})
	}
	wg.Wait()
	y.check(t, 200, 201, 409, 429, 503)
	if done := y.counts[200] + y.counts[201]; done < requests/2 {
		t.Errorf("only %d of %d requests were carried out", done, requests)
	}
	conn := connect(t, url)
	rows, err := conn.Query(t.Context(), `SELECT body->'identifier'->0->>'value', count(*) FROM resource WHERE body->>'resourceType' = 'Patient' AND op <> 4 GROUP BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for rows.Next() {
		var key string
		var n int
		if err := rows.Scan(&key, &n); err != nil {
			t.Fatal(err)
		}
		if found++; n != 1 {
			t.Errorf("%s: %d resources", key, n)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if found != keys {
		t.Errorf("%d keys of %d have a resource", found, keys)
	}
	var dangling int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM resource AS b WHERE b.body->>'resourceType' = 'Basic' AND NOT EXISTS
		(SELECT 1 FROM resource AS p WHERE 'Patient/' || p.fhir_id = b.body->'subject'->>'reference')`).Scan(&dangling); err != nil || dangling > 0 {
		t.Errorf("%d references to a conditional create lead nowhere, %v", dangling, err)
	}
	all := stored(t, conn)
	checkVersions(t, all)
	checkIndex(t, conn, all)
}

// TestCrossingTransactions lets transactions of two servers change the same few
// resources in every order. Some meet; each is carried out wholly or refused with 409 or 503.
func TestCrossingTransactions(t *testing.T) {
	t.Parallel()
	requests := 600
	if long {
		requests = 20_000
	}
	servers, url := pair(t)
	const shared = 8
	var l ledger
	for i := range shared {
		m := fmt.Sprintf("first-%d", i)
		a := send(t.Context(), http.MethodPut, fmt.Sprintf("%s/Observation/shared-%d", servers[0].base, i), crossing(m, i))
		if a.status != http.StatusCreated {
			t.Fatal(a)
		}
		l.add(entry{marker: m, outcome: acknowledged, count: 1})
	}
	var y tally
	var next atomic.Int64
	var wg sync.WaitGroup
	for c := range 64 {
		base := servers[c%2].base
		random := rand.New(rand.NewPCG(13, uint64(c)))
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(requests) {
					return
				}
				m := fmt.Sprintf("tx-%d", n)
				chosen := random.Perm(shared)[:2+random.IntN(3)]
				var parts []string
				for _, i := range chosen {
					parts = append(parts, fmt.Sprintf(`{"resource":%s,"request":{"method":"PUT","url":"Observation/shared-%d"}}`, crossing(m, i), i))
				}
				a := send(context.Background(), http.MethodPost, base, `{"resourceType":"Bundle","type":"transaction","entry":[`+strings.Join(parts, ",")+`]}`)
				y.add(a)
				e := entry{marker: m, count: len(chosen), outcome: refused}
				if a.ok() {
					e.outcome = acknowledged
				} else if a.unknown() {
					e.outcome = unknown
				}
				l.add(e)
			}
		})
	}
	wg.Wait()
	y.check(t, 200, 409, 412, 429, 503)
	if y.counts[200] < requests*9/10 { // they wait for each other
		t.Errorf("only %d of %d transactions went through", y.counts[200], requests)
	}
	conn := connect(t, url)
	all := stored(t, conn)
	checkVersions(t, all)
	checkLedger(t, &l, all)
	checkIndex(t, conn, all)
}

func crossing(marker string, i int) string {
	return fmt.Sprintf(`{"resourceType":"Observation","id":"shared-%d","status":"final","identifier":[{"system":"urn:marker","value":"%s"}],"code":{"text":"%s"}}`, i, marker, marker)
}
