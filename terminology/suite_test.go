package terminology_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
	"ingle/terminology"
)

// suite is test-cases.json of the terminology ecosystem's tests.
type suite struct {
	Suites []struct {
		Name  string   `json:"name"`
		Setup []string `json:"setup"`
		Tests []struct {
			Name           string `json:"name"`
			Operation      string `json:"operation"`
			Request        string `json:"request"`
			Response       string `json:"response"`
			AcceptLanguage string `json:"Accept-Language"`
			HTTPCode       string `json:"http-code"`
		} `json:"tests"`
	} `json:"suites"`
}

// suiteExceptions are the tests that do not pass, with the reason. Any other one
// that fails, and one of these that passes, fails the run.
var suiteExceptions = map[string]string{
	"metadata": "it wants the CapabilityStatement to instantiate R5's terminology-server; R4's own, http://hl7.org/fhir/terminology-server, asks for XML, " +
		"which is not spoken here. It also wants the claim, by an extension, to have passed a version of the whole suite, of which these tests are a part",
}

// judged counts one test and fails what is not as suiteExceptions have it.
func judged(t *testing.T, name, diff string, passed, failed *int) {
	t.Helper()
	reason := suiteExceptions[name]
	if diff == "" {
		*passed++
		if reason != "" {
			t.Errorf("%s passes, although it is listed", name)
		}
		return
	}
	*failed++
	if reason == "" {
		t.Errorf("%s: %s", name, diff)
		return
	}
	t.Logf("%s: %s (%s)", name, diff, reason)
}

func readSuite(t *testing.T, name string) []byte {
	return bytes.TrimPrefix(testdata.Read(t, path.Join("terminology", name)), []byte("\xef\xbb\xbf"))
}

// TestSuite runs the official suite against the operations themselves.
func TestSuite(t *testing.T) {
	var all suite
	if err := json.Unmarshal(readSuite(t, "test-cases.json"), &all); err != nil {
		t.Fatal(err)
	}
	svc := terminology.New(terminology.Options{})
	base := terminology.Definitions(r4.Definitions())
	passed, failed := 0, 0
	verbose := os.Getenv("INGLE_SUITE") != ""
	for _, s := range all.Suites {
		var listed terminology.Listed
		for _, f := range s.Setup {
			doc, err := fhir.Parse(readSuite(t, f), fhir.Limits{})
			if err != nil {
				t.Fatalf("%s: %v", f, err)
			}
			listed.AddDoc(doc, "suite|"+f, true)
		}
		src := terminology.Sources{&listed, base}
		for _, c := range s.Tests {
			diff := func() string {
				if c.Operation == "metadata" {
					return "the CapabilityStatement is the server's"
				}
				var want any
				if err := json.Unmarshal(readSuite(t, c.Response), &want); err != nil {
					return err.Error()
				}
				if c.Operation == "term-caps" {
					return match(want, toR5(decode(svc.Capabilities(t.Context(), src, terminology.Software{Name: "Ingle", Version: "0"}))), "capabilities")
				}
				p, err := terminology.ReadParameters(readSuite(t, c.Request))
				if err != nil {
					return err.Error()
				}
				p.AcceptLanguage = c.AcceptLanguage
				status, body := call(t, svc, src, c.Operation, &p)
				if (c.HTTPCode == "4xx") != (status >= 400 && status < 500) {
					return fmt.Sprintf("status %d: %s", status, body)
				}
				got := toR5(decode(body))
				if verbose && os.Getenv("INGLE_SUITE") == c.Name {
					t.Logf("%s", body)
				}
				return match(want, got, "$")
			}()
			judged(t, c.Name, diff, &passed, &failed)
		}
	}
	fmt.Printf("terminology: %d passed, %d failed\n", passed, failed)
}

func call(t *testing.T, svc *terminology.Service, src terminology.Source, op string, p *terminology.Parameters) (int, []byte) {
	run := map[string]string{"expand": "ValueSet/$expand", "validate-code": "ValueSet/$validate-code", "cs-validate-code": "CodeSystem/$validate-code",
		"lookup": "CodeSystem/$lookup", "subsumes": "CodeSystem/$subsumes", "translate": "ConceptMap/$translate"}[op]
	kind, name, _ := strings.Cut(run, "/$")
	for _, o := range svc.Operations() {
		if o.Name != name {
			continue
		}
		body, err := o.Do(t.Context(), src, &terminology.Call{Type: kind, Parameters: *p})
		if e := fhir.AsError(err); e != nil {
			return e.Status, fhir.AppendOutcome(nil, e.Issues, "")
		}
		if err != nil {
			return 500, []byte(fmt.Sprintf(`{"error":%q}`, err.Error()))
		}
		return 200, body
	}
	return 404, []byte(`{}`)
}

func decode(raw []byte) any {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return "not JSON: " + err.Error() + ": " + string(raw)
	}
	return v
}

const r5Ext = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."

// toR5 turns the extensions by which R4 carries expansion properties into the
// elements of R5, in which the suite is written.
func toR5(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = toR5(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = toR5(v[k])
		}
		exts, _ := v["extension"].([]any)
		var keep, props []any
		for _, e := range exts {
			x, _ := e.(map[string]any)
			url, _ := x["url"].(string)
			if !strings.HasPrefix(url, r5Ext) {
				keep = append(keep, e)
				continue
			}
			p := map[string]any{}
			for _, part := range x["extension"].([]any) {
				part := part.(map[string]any)
				for k, val := range part {
					if !strings.HasPrefix(k, "value") {
						continue
					}
					if name := part["url"].(string); name == "value" {
						p[k] = val
					} else {
						p[name] = val
					}
				}
			}
			props = append(props, p)
		}
		if len(props) > 0 {
			v["property"] = props
			if len(keep) > 0 {
				v["extension"] = keep
			} else {
				delete(v, "extension")
			}
		}
	}
	return v
}

var wildcards = map[string]*regexp.Regexp{
	"id":      regexp.MustCompile(`^[A-Za-z0-9\-.]{1,64}$`),
	"uuid":    regexp.MustCompile(`^(urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`),
	"instant": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`),
	"date":    regexp.MustCompile(`^\d{4}(-\d\d(-\d\d(T.*)?)?)?$`),
	"url":     regexp.MustCompile(`^(https?|urn):.+$`),
	"token":   regexp.MustCompile(`^\S+$`),
	"string":  regexp.MustCompile(`.+`),
	"version": regexp.MustCompile(`^.+$`),
	"semver":  regexp.MustCompile(`^\d+\.\d+`),
}

func text(want, got string) bool {
	if !strings.Contains(want, "$") {
		return want == got
	}
	if strings.HasPrefix(want, "$") && strings.HasSuffix(want, "$") {
		parts := strings.Split(strings.Trim(want, "$"), ":")
		switch parts[0] {
		case "external":
			if len(parts) > 2 {
				return strings.Contains(got, strings.Join(parts[2:], ":"))
			}
			return got != ""
		case "choice":
			return slices.Contains(strings.Split(parts[1], "|"), got)
		case "fragments":
			return strings.Contains(got, parts[1])
		}
		if re := wildcards[parts[0]]; re != nil {
			return re.MatchString(got)
		}
	}
	re := regexp.QuoteMeta(want)
	for name := range wildcards {
		re = strings.ReplaceAll(re, regexp.QuoteMeta("$"+name+"$"), `.+`)
	}
	return regexp.MustCompile("^" + re + "$").MatchString(got)
}

func optional(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return false
	}
	switch o := m["$optional$"].(type) {
	case bool:
		return o
	case string:
		return o != "version:5" // this is R4
	}
	return false
}

// match compares an answer with its template: the order of arrays does not
// matter, and OperationOutcome.issue.location, which R4 deprecates, is left out.
func match(want, got any, at string) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return fmt.Sprintf("%s: %v is not an object", at, short(got))
		}
		maybe := map[string]bool{"location": true}
		if list, ok := w["$optional-properties$"].([]any); ok {
			for _, k := range list {
				maybe[k.(string)] = true
			}
		}
		counted := map[string]bool{}
		if list, ok := w["$count-arrays$"].([]any); ok {
			for _, k := range list {
				counted[k.(string)] = true
			}
		}
		for k, v := range w {
			if strings.HasPrefix(k, "$") {
				continue
			}
			x, there := g[k]
			switch {
			case k == "location":
			case !there && (maybe[k] || optional(v) || allOptional(v)):
			case !there:
				return fmt.Sprintf("%s.%s is missing", at, k)
			case k == "compose" || k == "contained": // optional, and not compared
			case counted[k]:
				if len(x.([]any)) != len(v.([]any)) {
					return fmt.Sprintf("%s.%s has %d entries, not %d", at, k, len(x.([]any)), len(v.([]any)))
				}
			default:
				if d := match(v, x, at+"."+k); d != "" {
					return d
				}
			}
		}
		for k := range g {
			if _, there := w[k]; !there && !maybe[k] && !strings.HasPrefix(at, "capabilities") {
				return fmt.Sprintf("%s.%s is not expected: %s", at, k, short(g[k]))
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok {
			return fmt.Sprintf("%s: %v is not an array", at, short(got))
		}
		used := make([]bool, len(g))
		for _, x := range w {
			found, why := false, ""
			for i := range g {
				if used[i] {
					continue
				}
				d := match(x, g[i], at+"[]")
				if d == "" {
					used[i], found = true, true
					break
				}
				if len(d) > len(why) {
					why = d
				}
			}
			if !found && !optional(x) {
				return fmt.Sprintf("%s: nothing like %s (%s)", at, short(x), why)
			}
		}
		if at == "capabilities.expansion.parameter" {
			return "" // a server may know more of them
		}
		for i := range g {
			if !used[i] {
				return fmt.Sprintf("%s: %s is not expected", at, short(g[i]))
			}
		}
		return ""
	case string:
		g, ok := got.(string)
		if !ok || !text(w, g) {
			return fmt.Sprintf("%s: got %v, want %q", at, short(got), w)
		}
		return ""
	}
	if want != got {
		return fmt.Sprintf("%s: got %v, want %v", at, got, want)
	}
	return ""
}

func allOptional(v any) bool {
	list, ok := v.([]any)
	if !ok {
		return false
	}
	for _, x := range list {
		if !optional(x) {
			return false
		}
	}
	return true
}

func short(v any) string {
	b, _ := json.Marshal(v)
	if len(b) > 600 {
		b = append(b[:600:600], "…"...)
	}
	return string(b)
}
