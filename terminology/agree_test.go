package terminology_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
	"ingle/terminology"
)

func params(list ...any) *terminology.Parameters {
	p := &terminology.Parameters{}
	for i := 0; i < len(list); i += 2 {
		switch v := list[i+1].(type) {
		case string:
			p.List = append(p.List, terminology.Parameter{Name: list[i].(string), Text: v})
		case []terminology.Parameter:
			p.List = append(p.List, terminology.Parameter{Name: list[i].(string), Part: v})
		case fhir.Node:
			p.List = append(p.List, terminology.Parameter{Name: list[i].(string), Node: v})
		case int, bool:
			p.List = append(p.List, terminology.Parameter{Name: list[i].(string), Text: fmt.Sprint(v)})
		}
	}
	return p
}

type contains struct {
	System, Code, Version string
	Contains              []contains
}

func flatten(list []contains, out []contains) []contains {
	for _, c := range list {
		out = append(out, c)
		out = flatten(c.Contains, out)
	}
	return out
}

func expandAll(t *testing.T, svc *terminology.Service, src terminology.Source, url string) ([]contains, error) {
	raw, err := svc.Expand(t.Context(), src, params("url", url, "count", 10000))
	if err != nil {
		return nil, err
	}
	var vs struct {
		Expansion struct {
			Total    *int
			Contains []contains
		}
	}
	if err := json.Unmarshal(raw, &vs); err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	out := flatten(vs.Expansion.Contains, nil)
	if vs.Expansion.Total != nil && *vs.Expansion.Total <= 10000 && *vs.Expansion.Total != len(out) {
		t.Errorf("%s: total %d, %d entries", url, *vs.Expansion.Total, len(out))
	}
	return out, nil
}

func isMember(t *testing.T, svc *terminology.Service, src terminology.Source, url, system, code string) bool {
	raw, err := svc.ValidateInValueSet(t.Context(), src, params("url", url, "system", system, "code", code))
	if err != nil {
		t.Errorf("%s %s#%s: %v", url, system, code, err)
		return false
	}
	return strings.Contains(string(raw), `{"name":"result","valueBoolean":true}`)
}

// ncpi is the content of the NCPI implementation guide.
func ncpi(t *testing.T) (*terminology.Listed, []string) {
	var listed terminology.Listed
	var urls []string
	for name, data := range testdata.Tar(t, "ncpi/ncpi-ig-2-0.2.0.tar.zst") {
		if !strings.HasSuffix(name, ".json") || strings.Contains(name, "openapi") {
			continue
		}
		doc, err := fhir.Parse(data, fhir.Limits{})
		if err != nil {
			continue
		}
		switch doc.Root().Get("resourceType").Text() {
		case "ValueSet":
			urls = append(urls, doc.Root().Get("url").Text())
			fallthrough
		case "CodeSystem", "ConceptMap":
			listed.AddDoc(doc, "ncpi|"+name, true)
		}
	}
	return &listed, urls
}

// TestExpandAndValidateAgree takes every value set of R4 and of the NCPI guide:
// each member that $expand lists is valid, and codes from its code systems that
// $expand does not list are not.
func TestExpandAndValidateAgree(t *testing.T) {
	svc := terminology.New(terminology.Options{CacheWeight: 5_000_000})
	defs := terminology.Definitions(r4.Definitions())
	guide, more := ncpi(t)
	src := terminology.Sources{guide, defs}
	var urls []string
	for url := range r4.Definitions().Each("ValueSet") {
		urls = append(urls, url)
	}
	urls = append(urls, more...)
	rnd := rand.New(rand.NewPCG(1, 2))
	expanded, refused, members, strangers := 0, map[string]int{}, 0, 0
	pool := map[string][]contains{} // codes by system
	sets := map[string][]contains{}
	for _, url := range urls {
		list, err := expandAll(t, svc, src, url)
		if err != nil {
			e := fhir.AsError(err)
			if e == nil {
				t.Errorf("%s: %v", url, err)
				continue
			}
			why := e.Issues[0].Details + e.Issues[0].Diagnostics
			refused[why]++
			continue
		}
		expanded++
		sets[url] = list
		for _, c := range list {
			pool[c.System] = append(pool[c.System], c)
		}
	}
	partial := map[string]bool{} // code systems of which only a part is known
	for url, raw := range r4.Definitions().Each("CodeSystem") {
		if !strings.Contains(string(raw), `"content":"complete"`) {
			partial[url] = true
		}
	}
	for url, list := range sets {
		for i, c := range list {
			if i > 300 && rnd.IntN(20) != 0 {
				continue
			}
			if strings.HasPrefix(c.System, "#") { // an example that means to be wrong
				continue
			}
			members++
			if !isMember(t, svc, src, url, c.System, c.Code) {
				t.Errorf("%s lists %s#%s, which is not valid", url, c.System, c.Code)
			}
		}
		systems := map[string]bool{}
		for _, c := range list {
			systems[c.System] = true
		}
		for s := range systems {
			for range 20 {
				c := pool[s][rnd.IntN(len(pool[s]))]
				if slices.ContainsFunc(list, func(x contains) bool { return x.System == c.System && strings.EqualFold(x.Code, c.Code) }) {
					continue
				}
				strangers++
				if isMember(t, svc, src, url, c.System, c.Code) {
					t.Errorf("%s#%s is valid in %s, which does not list it", c.System, c.Code, url)
				}
			}
			if isMember(t, svc, src, url, s, "no-such-code") && !partial[s] && !strings.Contains(s, "ncpi-family-types") {
				t.Errorf("no-such-code of %s is valid in %s", s, url)
			}
		}
	}
	for why, n := range refused {
		t.Logf("%d × %.200s", n, why)
	}
	t.Logf("%d of %d value sets expanded; %d members and %d non-members checked", expanded, len(urls), members, strangers)
	if expanded < 1000 {
		t.Errorf("only %d value sets expanded", expanded)
	}
}
