package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ingle/internal/config"
)

// bindingHeap is how much the live heap may grow by 10,000 validations against
// required bindings to a large code system, in bytes.
const bindingHeap = 64 << 20

// treeOf writes n codes as CSV, each the parent of eight others.
func treeOf(t *testing.T, n int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tree.csv")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	fmt.Fprint(w, "code,display,parent\nC0,Concept 0,\n")
	for i := 1; i < n; i++ {
		fmt.Fprintf(w, "C%d,Concept %d,C%d\n", i, i, (i-1)/8)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// belowOne tells whether code i of treeOf is C1 or below it.
func belowOne(i int) bool {
	for ; i > 1; i = (i - 1) / 8 {
	}
	return i == 1
}

// TestBindingToLargeSystem validates 1,500 resources against required bindings
// to an imported code system of 20,000 codes (with INGLE_LONG=1, 10,000 and
// 500,000), half of them to all of it and half to a part by hierarchy: each verdict is right,
// and the codes do not gather in memory.
func TestBindingToLargeSystem(t *testing.T) {
	size, validations := 20_000, 1_500
	if os.Getenv("INGLE_LONG") != "" {
		size, validations = 500_000, 10_000
	}
	const clients = 4
	database := served(t)
	base, _ := start(t, database)

	c := &config.Config{}
	c.Database.URL = database
	cmd := terminologyCommand(func() (*config.Config, error) { return c, nil })
	cmd.SetOut(&bytes.Buffer{})
	cmd.SetArgs([]string{"import", treeOf(t, size), "--url", "http://t/tree", "--code-system-version", "1"})
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	put := func(path, body string) {
		t.Helper()
		if status, text := request(t, http.MethodPut, base+"/"+path, body); status != 201 {
			t.Fatalf("%s: %d %s", path, status, text)
		}
	}
	for id, filter := range map[string]string{"whole": "", "some": `,"filter":[{"property":"concept","op":"is-a","value":"C1"}]`} {
		put("ValueSet/"+id, `{"resourceType":"ValueSet","id":"`+id+`","url":"http://t/`+id+`","status":"active","compose":{"include":[{"system":"http://t/tree"`+filter+`}]}}`)
		profile := profileOf("Patient.maritalStatus", `"binding":{"strength":"required","valueSet":"http://t/`+id+`"}`)
		put("StructureDefinition/"+id, strings.NewReplacer(`"id":"p"`, `"id":"`+id+`"`, `"http://t/p"`, `"http://t/of-`+id+`"`).Replace(profile))
	}
	claim := func(profile, code string) string {
		return `{"resourceType":"Patient","meta":{"profile":["http://t/of-` + profile + `"]},"maritalStatus":{"coding":[{"system":"http://t/tree","code":"` + code + `"}]}}`
	}
	soon(t, base+"/Patient/$validate", claim("whole", "none"), 200, "required value set http://t/whole") // once the import is known

	// one code of each ten is not one of the system
	one := func(i int) {
		at := int(uint64(i) * 2654435761 % uint64(size))
		code, profile, right := fmt.Sprint("C", at), "whole", true
		if i%2 == 0 {
			profile, right = "some", belowOne(at)
		}
		if i%10 == 9 {
			code, right = fmt.Sprint("C", size+i), false
		}
		status, text := request(t, http.MethodPost, base+"/Patient/$validate", claim(profile, code))
		refused := strings.Contains(text, "required value set http://t/"+profile)
		if status != 200 || refused == right || refused != strings.Contains(text, `"error"`) {
			t.Errorf("%s of %s: %d %s", code, profile, status, text)
		}
	}
	for i := 0; i < 200 && !t.Failed(); i++ {
		one(i)
	}
	runtime.GC()
	before, most := liveHeap(), uint64(0)
	var next atomic.Int64
	var workers sync.WaitGroup
	begin := time.Now()
	for range clients {
		workers.Go(func() {
			for i := next.Add(1); i <= int64(validations) && !t.Failed(); i = next.Add(1) {
				one(int(i))
			}
		})
	}
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()
	for running := true; running; {
		select {
		case <-ended:
			running = false
			runtime.GC()
		case <-time.After(20 * time.Millisecond):
		}
		most = max(most, liveHeap())
	}
	took := time.Since(begin)
	growth := int64(most) - int64(before)
	t.Logf("%d validations against a binding to %d codes: %v each by %d clients; live heap %d kB before, at most %d kB more, %d kB more in the end",
		validations, size, (took / time.Duration(validations)).Round(time.Microsecond), clients, before>>10, growth>>10, (int64(liveHeap())-int64(before))>>10)
	if growth > bindingHeap {
		t.Errorf("the live heap grew by %d MB", growth>>20)
	}
}

// liveHeap is what the last garbage collection found in use, in bytes.
func liveHeap() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
