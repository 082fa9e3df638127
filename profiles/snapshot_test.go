package profiles

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
	"ingle/internal/testdata"
)

// facets is what counts of an element of a snapshot, without its prose.
func facets(e *element) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d..%d", e.sliceName, e.min, e.max)
	for _, t := range e.types {
		if t.code == "id" {
			t.code = "string" // of Resource.id, which newer publishers correct
		}
		fmt.Fprintf(&b, " %s(%s)(%s)", t.code, strings.Join(t.profiles, ","), strings.Join(t.targets, ","))
	}
	if e.fixed.Valid() {
		fmt.Fprintf(&b, " fixed %s", short(e.fixed))
	}
	if e.pattern.Valid() {
		fmt.Fprintf(&b, " pattern %s", short(e.pattern))
	}
	if e.binding != nil {
		fmt.Fprintf(&b, " binding %s %s", e.binding.strength, e.binding.valueSet)
	}
	if e.slicing != nil {
		fmt.Fprintf(&b, " slicing %v %s %v", e.slicing.discriminators, e.slicing.rules, e.slicing.ordered)
	}
	if e.contentRef != "" {
		fmt.Fprintf(&b, " content %s", e.contentRef)
	}
	var keys []string
	for _, c := range e.constraints {
		keys = append(keys, c.key)
	}
	slices.Sort(keys)
	fmt.Fprintf(&b, " %v modifier %v must %s", keys, e.modifier, e.node.Get("mustSupport").Text())
	return b.String()
}

// TestSnapshots makes the snapshots of published profiles out of their
// differentials and compares them with the published ones.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		load []string
		pkg  string
	}{
		{"US Core 6.1.0", []string{usCore}, usCore},
		{"AU Base 6.0.0", []string{auBase}, auBase},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := withPackages(t, Config{}, c.load...)
			p, err := readPackageFile(testdata.Path(t, "packages/"+c.pkg))
			if err != nil {
				t.Fatal(err)
			}
			passed, failed, elements, different := 0, 0, 0, 0
			for _, src := range p.Resources {
				doc := parse(t, src)
				if doc.Root().Get("resourceType").Text() != "StructureDefinition" || doc.Root().Get("derivation").Text() != "constraint" {
					continue
				}
				want, err := readStructure(doc)
				if err != nil {
					t.Fatal(err)
				}
				made, err := v.Snapshot(doc)
				if err != nil {
					failed++
					if missing := unknownBases[want.url]; missing != "" {
						t.Logf("%s: no snapshot, as its base is in %s, which is not at hand", want.name, missing)
					} else {
						t.Errorf("%s: %v", want.url, err)
					}
					continue
				}
				got, err := readStructure(parse(t, made))
				if err != nil {
					t.Fatal(err)
				}
				diffs := slices.DeleteFunc(compareSnapshots(want.snapshot, got.snapshot), func(d string) bool {
					// The publishers do not agree on whether a slice begins with
					// the base's children (US Core) or with the profile's (here).
					return want.name == "AUBaseImmunization" && strings.Contains(d, ".function\n")
				})
				elements += len(want.snapshot)
				different += len(diffs)
				if len(diffs) == 0 {
					passed++
					continue
				}
				failed++
				for i, d := range diffs {
					if i < 3 {
						t.Errorf("%s: %s", want.name, d)
					}
				}
			}
			t.Logf("snapshots of %s: %d passed, %d failed (%d of %d elements differ)", c.name, passed, failed, different, elements)
		})
	}
}

// unknownBases are profiles whose base is in a package that is not at hand.
var unknownBases = map[string]string{
	"http://hl7.org/fhir/us/core/StructureDefinition/us-core-questionnaireresponse": "hl7.fhir.uv.sdc",
	"http://hl7.org.au/fhir/StructureDefinition/au-timezone-usage":                  "hl7.fhir.uv.extensions.r4",
}

func compareSnapshots(want, got []*element) []string {
	var out []string
	have := map[string]*element{}
	var gotIDs, wantIDs []string
	for _, e := range got {
		have[e.id] = e
		gotIDs = append(gotIDs, e.id)
	}
	for _, e := range want {
		wantIDs = append(wantIDs, e.id)
		g := have[e.id]
		if g == nil {
			out = append(out, "lacks "+e.id)
			continue
		}
		if a, b := facets(e), facets(g); a != b {
			out = append(out, e.id+"\n      want "+a+"\n      got  "+b)
		}
	}
	for _, id := range gotIDs {
		if !slices.Contains(wantIDs, id) {
			out = append(out, "has also "+id)
		}
	}
	if len(out) == 0 && !slices.Equal(wantIDs, gotIDs) {
		out = append(out, "another order")
	}
	return out
}

// TestSnapshotFaults: a differential that does not fit its base is told.
func TestSnapshotFaults(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]string{
		`{"resourceType":"StructureDefinition","url":"http://x/a","derivation":"constraint","type":"Observation","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation",
		  "differential":{"element":[{"path":"Observation.valueBla","min":1}]}}`: "not 'Observation.valueBla'",
		`{"resourceType":"StructureDefinition","url":"http://x/a","derivation":"constraint","type":"Observation","baseDefinition":"http://hl7.org/fhir/StructureDefinition/Observation",
		  "differential":{"element":[{"path":"Observation.nothing","min":1}]}}`: "has no element 'nothing'",
		`{"resourceType":"StructureDefinition","url":"http://x/a","derivation":"constraint","type":"Observation","baseDefinition":"http://x/unknown"}`: "is not known",
		`{"resourceType":"StructureDefinition","url":"http://x/a","derivation":"constraint","type":"Observation","baseDefinition":"http://x/a"}`:       "is not known",
		`{"resourceType":"Patient"}`: "not a Patient",
	} {
		_, err := base().Snapshot(parse(t, []byte(src)))
		if e := fhir.AsError(err); e == nil || !strings.Contains(e.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestCircularBases: definitions that are built on one another end in an error.
func TestCircularBases(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, nil)
	for url, base := range map[string]string{"http://x/a": "http://x/b", "http://x/b": "http://x/a", "http://x/self": "http://x/self"} {
		src := `{"resourceType":"StructureDefinition","url":"` + url + `","derivation":"constraint","type":"Patient","baseDefinition":"` + base + `",
			"differential":{"element":[{"path":"Patient.extension","sliceName":"x","type":[{"code":"Extension","profile":["` + url + `"]}]},{"path":"Patient.extension.extension","id":"Patient.extension:x.extension","min":1}]}}`
		if err := v.Registry().Set(url, []byte(src)); err != nil {
			t.Fatal(err)
		}
	}
	for _, url := range []string{"http://x/a", "http://x/b", "http://x/self"} {
		issues := v.Validate(t.Context(), parse(t, []byte(`{"resourceType":"Patient","meta":{"profile":["`+url+`"]}}`)), Request{Warnings: true})
		if !slices.ContainsFunc(issues, func(is fhir.Issue) bool { return strings.Contains(is.Diagnostics, "built on itself") }) {
			t.Errorf("%s: %v", url, issues)
		}
	}
}
