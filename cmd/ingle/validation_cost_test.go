package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/internal/pgtest"
	"ingle/internal/testdata"
)

// validationCost is how much longer a transaction may take with validation on.
const validationCost = 1.5

// TestValidationCost sends a transaction of 1,000 to 2,000 entries to two
// servers on one database in turn, A B B A, one with validation and one
// without, and compares the medians: of the time of the clock, and of the
// processor time of server and client without PostgreSQL. It runs with
// INGLE_LONG=1.
func TestValidationCost(t *testing.T) {
	if os.Getenv("INGLE_LONG") == "" {
		t.Skip("runs with INGLE_LONG=1")
	}
	for _, c := range []struct{ name, archive, pack string }{
		{"base definitions", "synthea/synthea-2.4.0-2019.tar.zst", ""},
		{"claimed US Core profiles", "synthea/synthea-2021-uscore.tar.zst", "packages/hl7.fhir.us.core-6.1.0.tgz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			body, entries, first := transactionOf(t, c.archive)
			env := []string{}
			if c.pack != "" {
				env = append(env, "INGLE_PACKAGES="+testdata.Path(t, c.pack))
			}
			database := pgtest.New(t)
			on, _ := start(t, database, append(env, "INGLE_VALIDATION_MODE=enforce")...)
			off, _ := start(t, database, append(env, "INGLE_VALIDATION_MODE=off")...)
			const wrong = `{"resourceType":"Observation","code":{"text":"no status"}}`
			for url, want := range map[string]int{on: 400, off: 201} {
				if status, text := request(t, http.MethodPost, url+"/Observation", wrong); status != want {
					t.Fatalf("%d %s", status, text)
				}
			}
			for _, bundle := range first {
				if status, text := request(t, http.MethodPost, off, string(bundle)); status != http.StatusOK {
					t.Fatalf("%d %.2000s", status, text)
				}
			}
			var clock, processor [2][]float64
			send := func(which int, keep bool) {
				url := []string{on, off}[which]
				begin, used := time.Now(), processorTime(t)
				resp, err := http.Post(url, "application/fhir+json", bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || bytes.Count(text, []byte(`"201`)) != entries {
					t.Fatalf("%d %v %.2000s", resp.StatusCode, err, text)
				}
				if keep {
					clock[which] = append(clock[which], time.Since(begin).Seconds())
					processor[which] = append(processor[which], (processorTime(t) - used).Seconds())
				}
			}
			for _, which := range []int{0, 1, 1, 0} {
				send(which, false)
			}
			for range 6 {
				for _, which := range []int{0, 1, 1, 0} {
					send(which, true)
				}
			}
			ratio := median(clock[0]) / median(clock[1])
			t.Logf("%d entries, %d kB: %.3f s with validation, %.3f s without, ratio %.2f; processor time of the server %.3f s and %.3f s, ratio %.2f",
				entries, len(body)>>10, median(clock[0]), median(clock[1]), ratio, median(processor[0]), median(processor[1]), median(processor[0])/median(processor[1]))
			if ratio > validationCost {
				t.Errorf("a transaction takes %.2f times as long with validation", ratio)
			}
		})
	}
}

// transactionOf returns the first transaction of an archive with 1,000 to 2,000
// entries, and the Bundles of organizations and practitioners that it refers to.
func transactionOf(t *testing.T, archive string) (body []byte, entries int, first [][]byte) {
	t.Helper()
	for name, src := range testdata.Tar(t, archive) {
		if body != nil || !strings.HasSuffix(name, ".json") || strings.Contains(name, "Information") {
			continue
		}
		doc, err := fhir.Parse(src, fhir.Limits{Nodes: 10_000_000})
		if err != nil {
			t.Fatal(err)
		}
		if n := doc.Root().Get("entry").Len(); n >= 1000 && n <= 2000 {
			body, entries = src, n
		}
	}
	if body == nil {
		t.Fatalf("%s has no transaction of 1,000 to 2,000 entries", archive)
	}
	for _, kind := range []string{"hospitalInformation", "practitionerInformation"} {
		for name, src := range testdata.Tar(t, archive) {
			if strings.Contains(name, kind) {
				first = append(first, src)
			}
		}
	}
	return body, entries, first
}

func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[(len(x)-1)/2] + x[len(x)/2]) / 2
}
