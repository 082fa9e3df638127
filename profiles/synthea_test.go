package profiles

import (
	"encoding/json"
	"os"
	"regexp"
	"sort"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

var numbers = regexp.MustCompile(`[0-9]+`)

// TestSynthea validates the resources of the Synthea Bundles: all of them
// against the base definitions, and those that claim US Core against it.
func TestSynthea(t *testing.T) {
	t.Parallel()
	limit := 12 // Bundles of each set
	if os.Getenv("INGLE_ALL_SYNTHEA") != "" {
		limit = 1 << 30
	}
	for _, c := range []struct {
		name, file string
		cfg        Config
		load       []string
		faults     map[string]string
	}{
		{"synthea 2019 against base", "synthea/synthea-2.4.0-2019.tar.zst", Config{}, nil, syntheaFaults},
		{"synthea 2021 against US Core", "synthea/synthea-2021-uscore.tar.zst", Config{}, []string{usCore}, syntheaFaults},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := withPackages(t, c.cfg, c.load...)
			files, resources, wrong := 0, 0, 0
			reasons, samples := map[string]int{}, map[string]string{}
			for name, src := range testdata.Tar(t, c.file) {
				if !strings.HasSuffix(name, ".json") {
					continue
				}
				if files++; files > limit {
					break
				}
				doc, err := fhir.Parse(src, fhir.Limits{Nodes: 10_000_000})
				if err != nil {
					t.Fatal(err)
				}
				for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
					resources++
					bad := false
					for _, is := range errorsOf(v.ValidateNode(t.Context(), e.Get("resource"), Request{})) {
						reason := e.Get("resource").Get("resourceType").Text() + ": " + numbers.ReplaceAllString(is.Diagnostics, "N")
						known := false
						for part := range c.faults {
							known = known || strings.Contains(is.Diagnostics, part)
						}
						if !known {
							bad = true
							reasons[reason]++
							samples[reason] = describe(is)
						}
					}
					if bad {
						wrong++
					}
				}
				issues := errorsOf(v.Validate(t.Context(), doc, Request{}))
				for _, is := range issues {
					if len(is.Expression) > 0 && !strings.Contains(is.Expression[0], ".resource") {
						t.Errorf("%s: %s", name, describe(is))
					}
				}
			}
			t.Logf("%s: %d passed, %d failed", c.name, resources-wrong, wrong)
			var keys []string
			for k := range reasons {
				keys = append(keys, k)
			}
			sort.Slice(keys, func(i, j int) bool { return reasons[keys[i]] > reasons[keys[j]] })
			for i, k := range keys {
				if i < 25 {
					t.Errorf("%d × %s", reasons[k], samples[k])
				}
			}
		})
	}
}

// syntheaFaults are errors that are really in the data: a part of the message,
// and why.
var syntheaFaults = map[string]string{
	"us-core-17: NPI check digit must be valid": "the provider numbers are made up",
}

// decodeTree is what the benchmarks compare with: encoding/json into a tree.
func decodeTree(b []byte) error {
	var v any
	return json.Unmarshal(b, &v)
}
