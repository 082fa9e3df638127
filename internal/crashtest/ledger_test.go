package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// outcome is what a client knows of a write.
type outcome int

const (
	acknowledged outcome = iota
	refused              // answered with an error that says it was not done
	unknown              // no answer, or one that says so
)

// entry is one write in the ledger. Each resource version that a write makes
// holds its marker.
type entry struct {
	marker  string
	outcome outcome
	count   int    // versions that the write makes: 1, or the entries of a transaction
	ref     string // "Observation/x" where known
	version int    // acknowledged version of ref, 0 if not known
	deleted bool   // the write is a delete: it leaves no marker
}

// ledger collects what all writers did.
type ledger struct {
	mu      sync.Mutex
	entries []entry
	odd     []string // answers that no server should give
}

func (l *ledger) add(e entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
}

func (l *ledger) strange(a answer, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.odd) < 20 {
		l.odd = append(l.odd, what+": "+a.String())
	}
}

// writer is one client with resources of its own.
type writer struct {
	*rand.Rand
	name   string
	base   string
	ledger *ledger
	gate   *sync.RWMutex // closed while the books are checked
	own    []held
	n      int
	writes *atomic.Int64
}

// held is a resource as the writer last saw it; version 0: to be read again.
type held struct {
	ref     string
	version int
}

// run writes until ctx ends.
func (w *writer) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.gate.RLock()
		a := w.step(context.WithoutCancel(ctx))
		w.gate.RUnlock()
		switch {
		case a.ok():
			w.writes.Add(1)
		case a.status == 0 || a.status >= 500: // the server or the database is away
			time.Sleep(5*time.Millisecond + rand.N(20*time.Millisecond))
		}
	}
}

func (w *writer) marker() string {
	w.n++
	return fmt.Sprintf("%s-%06d", w.name, w.n)
}

// resource makes an Observation with rows in every index table.
func (w *writer) resource(marker, id string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return fmt.Sprintf(`{"resourceType":"Observation",%s"status":"%s","identifier":[{"system":"urn:marker","value":"%s"}],"code":{"coding":[{"system":"http://loinc.org","code":"%d-%d"}],"text":"%s"},`+
		`"subject":{"reference":"https://example.org/Patient/%d"},"effectiveDateTime":"20%02d-%02d-%02dT10:00:00Z","valueQuantity":{"value":%d.%d,"unit":"mg","system":"http://unitsofmeasure.org","code":"mg"}}`,
		id, []string{"final", "amended"}[w.IntN(2)], marker, 1000+w.IntN(50), w.IntN(9), strings.Repeat("lorem ipsum ", 1+w.IntN(60)), w.IntN(100), w.IntN(25), 1+w.IntN(12), 1+w.IntN(28), w.IntN(500), w.IntN(100))
}

func (w *writer) step(ctx context.Context) answer {
	switch p := w.IntN(10); {
	case p < 3 || len(w.own) < 4:
		return w.create(ctx)
	case p < 6:
		return w.update(ctx)
	case p < 7:
		return w.delete(ctx)
	}
	return w.transaction(ctx)
}

// judge tells what is known of a write that was answered thus.
func (w *writer) judge(a answer, what string) outcome {
	switch {
	case a.unknown():
		return unknown
	case a.ok():
		return acknowledged
	case a.status == 503, a.status == 409, a.status == 412, a.status == 410, a.status == 404, a.status == 429, a.status == 507:
		return refused
	}
	w.ledger.strange(a, what)
	return unknown
}

func (w *writer) create(ctx context.Context) answer {
	m := w.marker()
	a := send(ctx, http.MethodPost, w.base+"/Observation", w.resource(m, ""), "Prefer", "return=minimal")
	e := entry{marker: m, outcome: w.judge(a, "create"), count: 1}
	if e.outcome == acknowledged {
		e.ref, e.version = located(a.header.Get("Location"))
		w.own = append(w.own, held{e.ref, e.version})
	}
	w.ledger.add(e)
	return a
}

// located reads "…/Observation/x/_history/1".
func located(location string) (ref string, version int) {
	i := strings.LastIndex(location, "Observation/")
	if i < 0 {
		return "", 0
	}
	ref, v, _ := strings.Cut(location[i:], "/_history/")
	_, _ = fmt.Sscanf(v, "%d", &version)
	return ref, version
}

// known makes sure that the writer knows the current version of one of its
// resources; ok is false while the server is away or the resource is gone.
func (w *writer) known(ctx context.Context) (h *held, ok bool) {
	i := w.IntN(len(w.own))
	h = &w.own[i]
	if h.version > 0 {
		return h, true
	}
	a := send(ctx, http.MethodGet, w.base+"/"+h.ref, "")
	switch a.status {
	case http.StatusOK:
		h.version = a.version()
		return h, h.version > 0
	case http.StatusGone:
		w.own = append(w.own[:i], w.own[i+1:]...)
	case http.StatusNotFound:
		w.ledger.strange(a, "read of "+h.ref+", which was acknowledged")
	}
	return nil, false
}

func (w *writer) update(ctx context.Context) answer {
	h, ok := w.known(ctx)
	if !ok {
		return answer{}
	}
	m := w.marker()
	_, id, _ := strings.Cut(h.ref, "/")
	a := send(ctx, http.MethodPut, w.base+"/"+h.ref, w.resource(m, id), "If-Match", fmt.Sprintf(`W/"%d"`, h.version), "Prefer", "return=minimal")
	e := entry{marker: m, outcome: w.judge(a, "update"), count: 1, ref: h.ref}
	before := h.version
	h.version = 0
	if e.outcome == acknowledged {
		e.version = a.version()
		if e.version != before+1 {
			w.ledger.strange(a, fmt.Sprintf("update of version %d gave version %d", before, e.version))
		}
		h.version = e.version
	}
	w.ledger.add(e)
	return a
}

func (w *writer) delete(ctx context.Context) answer {
	h, ok := w.known(ctx)
	if !ok {
		return answer{}
	}
	a := send(ctx, http.MethodDelete, w.base+"/"+h.ref, "", "If-Match", fmt.Sprintf(`W/"%d"`, h.version))
	e := entry{outcome: w.judge(a, "delete"), ref: h.ref, deleted: true, version: h.version + 1}
	w.ledger.add(e)
	h.version = 0 // gone, or to be read again
	return a
}

// transaction creates some resources that refer to each other, and changes one of the writer's own.
func (w *writer) transaction(ctx context.Context) answer {
	h, ok := w.known(ctx)
	if !ok {
		return answer{}
	}
	m := w.marker()
	var b strings.Builder
	b.WriteString(`{"resourceType":"Bundle","type":"transaction","entry":[`)
	n := 2 + w.IntN(5)
	for i := range n {
		body := strings.Replace(w.resource(m, ""), `"subject":`, fmt.Sprintf(`"derivedFrom":[{"reference":"urn:uuid:00000000-0000-4000-8000-%012d"}],"subject":`, (i+1)%n), 1)
		fmt.Fprintf(&b, `{"fullUrl":"urn:uuid:00000000-0000-4000-8000-%012d","resource":%s,"request":{"method":"POST","url":"Observation"}},`, i, body)
	}
	_, id, _ := strings.Cut(h.ref, "/")
	fmt.Fprintf(&b, `{"fullUrl":"%s","resource":%s,"request":{"method":"PUT","url":"%s","ifMatch":"W/\"%d\""}}]}`, w.base+"/"+h.ref, w.resource(m, id), h.ref, h.version)
	a := send(ctx, http.MethodPost, w.base, b.String(), "Prefer", "return=minimal")
	w.ledger.add(entry{marker: m, outcome: w.judge(a, "transaction"), count: n + 1})
	h.version = 0
	return a
}
