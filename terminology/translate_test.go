package terminology_test

import (
	"encoding/json"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/terminology"
)

type matched struct {
	Equivalence string
	System      string
	Code        string
	Source      string
}

func readMatches(t *testing.T, raw []byte) (result bool, out []matched) {
	var p struct {
		Parameter []struct {
			Name         string
			ValueBoolean bool
			Part         []struct {
				Name, ValueCode, ValueUri string
				ValueCoding               struct{ System, Code string }
			}
		}
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	for _, x := range p.Parameter {
		if x.Name == "result" {
			result = x.ValueBoolean
		}
		if x.Name != "match" {
			continue
		}
		m := matched{}
		for _, part := range x.Part {
			switch part.Name {
			case "equivalence":
				m.Equivalence = part.ValueCode
			case "concept":
				m.System, m.Code = part.ValueCoding.System, part.ValueCoding.Code
			case "source":
				m.Source = part.ValueUri
			}
		}
		out = append(out, m)
	}
	return result, out
}

// TestTranslateThereAndBack takes every mapping of R4's concept maps: what a
// code is translated to is translated back to the code.
func TestTranslateThereAndBack(t *testing.T) {
	svc := terminology.New(terminology.Options{})
	src := terminology.Definitions(r4.Definitions())
	pairs := 0
	for url, raw := range r4.Definitions().Each("ConceptMap") {
		doc, err := fhir.Parse(raw, fhir.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for g := doc.Root().Get("group").First(); g.Valid(); g = g.Next() {
			from, to := g.Get("source").Text(), g.Get("target").Text()
			if from == "" || to == "" {
				continue
			}
			n := 0
			for e := g.Get("element").First(); e.Valid() && n < 200; e = e.Next() {
				n++
				for x := e.Get("target").First(); x.Valid(); x = x.Next() {
					code, target, how := e.Get("code").Text(), x.Get("code").Text(), x.Get("equivalence").Text()
					if target == "" || x.Get("dependsOn").Valid() || code == "" || how == "" {
						continue
					}
					pairs++
					fwd, err := svc.Translate(t.Context(), src, params("url", url, "system", from, "code", code, "targetsystem", to))
					if err != nil {
						t.Fatalf("%s %s: %v", url, code, err)
					}
					ok, list := readMatches(t, fwd)
					found := false
					for _, m := range list {
						found = found || m.System == to && m.Code == target && m.Equivalence == how && strings.HasPrefix(m.Source, url)
					}
					if !found || ok != (how != "unmatched" && how != "disjoint") && len(list) == 1 {
						t.Errorf("%s: %s → %s %s: %s", url, code, target, how, fwd)
					}
					if how == "unmatched" {
						continue
					}
					back, err := svc.Translate(t.Context(), src, params("url", url, "system", to, "code", target, "targetsystem", from, "reverse", true))
					if err != nil {
						t.Fatal(err)
					}
					_, list = readMatches(t, back)
					found = false
					for _, m := range list {
						found = found || m.System == from && m.Code == code
					}
					if !found {
						t.Errorf("%s: %s ← %s: %s", url, code, target, back)
					}
				}
			}
		}
	}
	t.Logf("%d mappings there and back", pairs)
	if pairs < 80 {
		t.Errorf("only %d mappings", pairs)
	}
}

func TestTranslateDetails(t *testing.T) {
	svc := terminology.New(terminology.Options{})
	group := func(extra string) string {
		return `{"source":"http://e.org/a","target":"http://e.org/b","element":[
		{"code":"1","target":[{"code":"one","equivalence":"wider"}]},
		{"code":"2","target":[{"code":"two","equivalence":"equal","dependsOn":[{"property":"http://e.org/site","system":"http://e.org/s","value":"left"}],"product":[{"property":"http://e.org/p","system":"http://e.org/s","value":"x"}]}]},
		{"code":"3","target":[{"equivalence":"unmatched"}]}]` + extra + `}`
	}
	conceptMap := func(url, groups string) string {
		return `{"resourceType":"ConceptMap","url":"http://e.org/` + url + `","version":"1","status":"active","sourceUri":"http://e.org/vs-a","group":[` + groups + `]}`
	}
	src := listed(t, conceptMap("plain", group("")),
		conceptMap("fixed", group(`,"unmapped":{"mode":"fixed","code":"other"}`)),
		conceptMap("provided", group(`,"unmapped":{"mode":"provided"}`)),
		conceptMap("chained", group(`,"unmapped":{"mode":"other-map","url":"http://e.org/fixed"}`)),
		conceptMap("circle", group(`,"unmapped":{"mode":"other-map","url":"http://e.org/circle"}`)))
	depend, err := fhir.Parse([]byte(`{"coding":[{"system":"http://e.org/s","code":"left"}]}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		mapURL, code string
		depends      bool
		result       bool
		want         string
	}{
		{"plain", "1", false, true, "wider one"}, {"plain", "3", false, false, "unmatched "}, {"plain", "9", false, false, ""},
		{"plain", "2", false, false, ""}, {"plain", "2", true, true, "equal two"},
		{"fixed", "9", false, true, "relatedto other"}, {"provided", "9", false, true, "equal 9"}, {"chained", "9", false, true, "relatedto other"},
	} {
		p := params("url", "http://e.org/"+c.mapURL, "system", "http://e.org/a", "code", c.code)
		if c.depends {
			p.List = append(p.List, terminology.Parameter{Name: "dependency", Part: []terminology.Parameter{{Name: "element", Text: "http://e.org/site"}, {Name: "concept", Node: depend.Root()}}})
		}
		raw, err := svc.Translate(t.Context(), src, p)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		ok, list := readMatches(t, raw)
		got := ""
		for _, m := range list {
			got += m.Equivalence + " " + m.Code
		}
		if ok != c.result || got != c.want {
			t.Errorf("%+v: %s", c, raw)
		}
	}
	if _, err := svc.Translate(t.Context(), src, params("url", "http://e.org/circle", "system", "http://e.org/a", "code", "9")); fhir.AsError(err) == nil || fhir.AsError(err).Status != 422 {
		t.Errorf("circle: %v", err)
	}
	// several maps answer together
	raw, err := svc.Translate(t.Context(), src, params("system", "http://e.org/a", "code", "1", "source", "http://e.org/vs-a"))
	if _, list := readMatches(t, raw); err != nil || len(list) != 5 {
		t.Errorf("%s %v", raw, err)
	}
	// read backwards, "wider" is "narrower"
	raw, err = svc.Translate(t.Context(), src, params("url", "http://e.org/plain", "system", "http://e.org/b", "code", "one", "reverse", true))
	if _, list := readMatches(t, raw); err != nil || len(list) != 1 || list[0].Equivalence != "narrower" || list[0].Code != "1" {
		t.Errorf("%s %v", raw, err)
	}
}
