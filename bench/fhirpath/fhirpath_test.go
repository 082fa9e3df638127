// Package fhirpathbench measures this project's FHIRPath beside fhirpath.js: the
// invariants of R4 that concern the examples of Patient and Observation, on the
// same machine in one run. See README.md.
package fhirpathbench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/fhirpath"
	"ingle/internal/testdata"
)

// seconds is how long each side is timed.
const seconds = 3

// benchCase is an invariant on an element.
type benchCase struct {
	Key        string `json:"key"`
	Expression string `json:"expression"`
	Resource   string `json:"resource"`
	Base       string `json:"base"`  // the path of the element's definition
	Steps      []any  `json:"steps"` // members and places that lead to the element

	expr  *fhirpath.Expr
	focus fhirpath.Value
	env   *fhirpath.Env
}

type constraint struct{ Key, Expression string }

func constraints(t testing.TB) map[string][]constraint {
	byPath := map[string][]constraint{}
	for _, src := range r4.Definitions().Each("StructureDefinition") {
		var sd struct {
			Derivation string
			Snapshot   struct {
				Element []struct {
					Path       string
					Constraint []constraint
				}
			}
		}
		if err := json.Unmarshal(src, &sd); err != nil {
			t.Fatal(err)
		}
		if sd.Derivation == "constraint" {
			continue
		}
		for _, el := range sd.Snapshot.Element {
			byPath[el.Path] = append(byPath[el.Path], el.Constraint...)
		}
	}
	return byPath
}

// collect makes the cases of an element and of the complex elements in it.
func collect(t testing.TB, byPath map[string][]constraint, root, n fhir.Node, typ, base string, steps []any) []benchCase {
	var out []benchCase
	seen := map[string]bool{}
	for _, path := range []string{base, typ} {
		for _, c := range byPath[path] {
			if c.Expression == "" || seen[c.Key] {
				continue
			}
			seen[c.Key] = true
			e, err := fhirpath.Compile(c.Expression)
			if err != nil {
				t.Fatal(err)
			}
			v, _ := fhirpath.Element(n, fhir.Node{}, typ)
			res := fhirpath.Resource(root)
			out = append(out, benchCase{c.Key, c.Expression, string(root.Doc().Source()), base, append([]any{}, steps...),
				e, v, &fhirpath.Env{Resource: res, RootResource: res}})
		}
	}
	def := r4.Definitions().Type(typ)
	for c := n.First(); c.Valid(); c = c.Next() {
		f, name, extra := def.Member(c.Key())
		if f == nil || extra {
			continue
		}
		path := def.Name + "." + f.Name
		if f.Choice {
			path += "[x]"
		}
		if c.Kind() == fhir.Array {
			i := 0
			for x := c.First(); x.Valid(); x = x.Next() {
				if x.Kind() == fhir.Object {
					out = append(out, collect(t, byPath, root, x, name, path, append(append([]any{}, steps...), c.Key(), i))...)
				}
				i++
			}
		} else if c.Kind() == fhir.Object {
			out = append(out, collect(t, byPath, root, c, name, path, append(append([]any{}, steps...), c.Key()))...)
		}
	}
	return out
}

func cases(t testing.TB) []benchCase {
	byPath := constraints(t)
	var out []benchCase
	for _, name := range []string{"Patient-example.json", "Observation-example.json"} {
		d, err := fhir.Parse(testdata.TarFile(t, "r4-examples.tar.zst", name), fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		typ := d.Root().Get("resourceType").Text()
		out = append(out, collect(t, byPath, d.Root(), d.Root(), typ, typ, nil)...)
	}
	return out
}

func loop(t testing.TB, cs []benchCase, d time.Duration) (n int, took time.Duration) {
	ctx := context.Background()
	start := time.Now()
	for took < d {
		for i := range cs {
			if _, err := cs[i].expr.Holds(ctx, cs[i].env, cs[i].focus); err != nil {
				t.Fatalf("%s at %s: %v", cs[i].Key, cs[i].Base, err)
			}
		}
		n += len(cs)
		took = time.Since(start)
	}
	return n, took
}

// TestRatio prints how many times as fast as fhirpath.js the invariants are
// evaluated.
func TestRatio(t *testing.T) {
	if _, err := os.Stat("node_modules/fhirpath"); err != nil {
		t.Skip("fhirpath.js is not installed here: npm install")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node")
	}
	cs := cases(t)
	file := filepath.Join(t.TempDir(), "cases.json")
	src, err := json.Marshal(map[string]any{"seconds": seconds, "cases": cs})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, src, 0o600); err != nil {
		t.Fatal(err)
	}
	loop(t, cs, time.Second)
	n, took := loop(t, cs, seconds*time.Second)
	cmd := exec.Command(node, "run.mjs", file)
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var js struct {
		Evaluations, NS float64
		Ready           int
		Refused         []struct{ Key, Base, Why string }
	}
	if err := json.Unmarshal(answer, &js); err != nil {
		t.Fatal(err)
	}
	for _, r := range js.Refused {
		t.Logf("refused by fhirpath.js: %s at %s: %s", r.Key, r.Base, r.Why)
	}
	ours, theirs := float64(took.Nanoseconds())/float64(n), js.NS/js.Evaluations
	fmt.Printf("invariants of Patient and Observation: %d cases (%d by fhirpath.js); ingle %.0f ns, fhirpath.js %.0f ns each: %.1f times as fast\n",
		len(cs), js.Ready, ours, theirs, theirs/ours)
	if theirs/ours < 20 {
		t.Errorf("less than 20 times as fast as fhirpath.js")
	}
}

func BenchmarkInvariants(b *testing.B) {
	cs := cases(b)
	ctx := context.Background()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		c := &cs[i%len(cs)]
		if _, err := c.expr.Holds(ctx, c.env, c.focus); err != nil {
			b.Fatal(err)
		}
	}
}
