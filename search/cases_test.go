package search

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ingle/fhir"
	"ingle/fhir/r4"
)

// searchCase is one line of testdata/cases.
type searchCase struct {
	line   int
	text   string
	answer []string
	fail   string
	clause string
}

// TestCases runs the cases of testdata/cases. README.md there tells the language.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases")
	}
	passed, failed := 0, 0
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			reg := NewRegistry(r4.Definitions(), "http://localhost/fhir")
			reg.EnableFullText()
			w := newWorld(t, reg)
			for _, c := range readCases(t, w, f) {
				if err := w.check(t, c); err != nil {
					t.Errorf("%s:%d: %s (%s)\n\t%v", f, c.line, c.text, c.clause, err)
					failed++
				} else {
					passed++
				}
			}
		})
	}
	t.Logf("search cases: %d passed, %d failed", passed, failed)
	if passed+failed < 300 {
		t.Errorf("%d cases: at least 300 are promised", passed+failed)
	}
}

func readCases(t *testing.T, w *world, file string) []searchCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []searchCase
	loading := false
	from := len(w.docs)
	lu := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	sc := bufio.NewScanner(bytes.NewReader(data))
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimRight(sc.Text(), "\r")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line == "load":
			loading = true
		case line == "end":
			loading = false
			w.flush(t, from)
			from = len(w.docs)
		case loading:
			lu = lu.Add(time.Hour)
			if w.add(t, []byte(line), lu) == nil {
				t.Fatalf("%s:%d: the id is taken", file, n)
			}
		default:
			text, rest, ok := strings.Cut(line, " => ")
			i := strings.LastIndex(rest, " | ")
			if !ok || i < 0 {
				t.Fatalf("%s:%d: search => answer | clause is expected", file, n)
			}
			c := searchCase{line: n, text: text, clause: rest[i+3:]}
			answer := rest[:i]
			if fail, is := strings.CutPrefix(answer, "400"); is {
				c.fail = "400" + fail
			} else if answer != "-" {
				c.answer = strings.Fields(answer)
			}
			out = append(out, c)
		}
	}
	return out
}

// check runs a case.
func (w *world) check(t *testing.T, c searchCase) error {
	text, lenient := strings.CutPrefix(c.text, "lenient ")
	req := request(text)
	req.Strict = !lenient
	req.BaseURLs = []string{"http://localhost/fhir"}
	req.Terminology = caseTerms{}
	if strings.Contains(c.clause, "no terminology service") {
		req.Terminology = nil
	}
	q, _, err := w.reg.Parse(req)
	if c.fail != "" {
		e := fhir.AsError(err)
		if e == nil {
			return fmt.Errorf("a refusal was expected, got %v", err)
		}
		if want := strings.TrimSpace(strings.TrimPrefix(c.fail, "400")); e.Status != 400 || !strings.Contains(e.Issues[0].Diagnostics, want) {
			return fmt.Errorf("the refusal is %v", e)
		}
		return nil
	}
	if err != nil {
		return err
	}
	var want, included []string
	for _, a := range c.answer {
		if name, ok := strings.CutPrefix(a, "+"); ok {
			included = append(included, name)
		} else {
			want = append(want, a)
		}
	}
	short := func(rid int64) string {
		if rid >= containedFrom {
			return w.insideAt(rid)
		}
		s := w.docs[rid-1]
		if len(q.Types) == 1 {
			return s.id
		}
		return s.typ + "/" + s.id
	}
	names := func(rids []int64) []string {
		out := make([]string, len(rids))
		for i, r := range rids {
			out[i] = short(r)
		}
		return out
	}
	forward, back, total, err := w.pages(t, req, 2)
	if err != nil {
		return err
	}
	got := names(forward)
	if !slices.Equal(forward, back) {
		return fmt.Errorf("forward %v, backward %v", got, names(back))
	}
	if int(total) != len(got) {
		return fmt.Errorf("found %d, counted %d", len(got), total)
	}
	if len(q.Sort) == 0 {
		got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("found %v, want %v", got, want)
	}
	if len(q.includes) == 0 {
		return nil
	}
	st, err := w.reg.Compile(q, tables{})
	if err != nil {
		return err
	}
	hits, err := w.run(t, st)
	if err != nil {
		return err
	}
	var inc []string
	for _, h := range hits {
		if h.mode == 1 {
			s := w.docs[h.rid-1]
			inc = append(inc, s.typ+"/"+s.id)
		}
	}
	slices.Sort(inc)
	slices.Sort(included)
	if !slices.Equal(inc, included) {
		return fmt.Errorf("included %v, want %v", inc, included)
	}
	return nil
}

// caseTerms is the terminology of the cases: the code system http://codes, in
// which "animal" subsumes "dog" and "cat", and "dog" subsumes "poodle"; and the
// value set http://vs of dog and cat.
type caseTerms struct{}

var caseTree = map[string][]string{"animal": {"animal", "dog", "cat", "poodle"}, "dog": {"dog", "poodle"}, "cat": {"cat"}, "poodle": {"poodle"}}

func (caseTerms) CodeSet(modifier, value string) (*CodeSet, error) {
	set := &CodeSet{}
	system, code, _ := strings.Cut(value, "|")
	switch modifier {
	case "below":
		for _, c := range caseTree[code] {
			set.Codes = append(set.Codes, Code{system, c})
		}
		return set, nil
	case "above":
		for c, below := range caseTree {
			if slices.Contains(below, code) {
				set.Codes = append(set.Codes, Code{system, c})
			}
		}
		return set, nil
	}
	switch value {
	case "http://vs":
		set.Codes = []Code{{"http://codes", "dog"}, {"http://codes", "cat"}}
	case "http://vs/large": // the same, told by a condition
		set.Where = func(system, code string, arg func(any) string) string {
			return system + " = " + arg("http://codes") + " AND " + code + " = ANY(" + arg([]string{"dog", "cat"}) + ")"
		}
	case "http://vs/gender", "ValueSet/gender":
		set.Codes = []Code{{"http://hl7.org/fhir/administrative-gender", "male"}, {"http://hl7.org/fhir/administrative-gender", "other"}}
	case "http://vs/empty":
	default:
		return nil, fhir.Errorf(400, fhir.CodeNotFound, "the value set %s is not known", value)
	}
	return set, nil
}
