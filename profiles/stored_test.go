package profiles

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"ingle/fhir"
)

// known makes a Stored over fixed resources, and counts what is asked.
func known(t *testing.T, asked *[][]string, resources ...string) *Stored {
	t.Helper()
	bodies := map[string][]byte{}
	for _, src := range resources {
		n := parse(t, []byte(src)).Root()
		bodies[n.Get("resourceType").Text()+"/"+n.Get("id").Text()] = []byte(src)
	}
	return NewStored(func(_ context.Context, refs []string) (map[string][]byte, error) {
		slices.Sort(refs)
		*asked = append(*asked, refs)
		return bodies, nil
	}, []string{"http://me/fhir"}, base().Registry().Definitions().IsResourceType)
}

const (
	// an Observation whose subject must be a named Patient, and whose performer
	// must be there
	ofNamed = `{"path":"Observation","constraint":[{"key":"t-1","severity":"error","human":"the performer is there","expression":"performer.all(resolve().exists())"}]},
		{"path":"Observation.subject","type":[{"code":"Reference","targetProfile":["http://t/Patient-named"]}]}`
	observed = `{"resourceType":"Observation","meta":{"profile":["http://t/Observation-of"]},"status":"final","code":{"text":"x"},"subject":{"reference":"SUBJECT"},"performer":[{"reference":"Practitioner/1"}]}`
)

// TestStored: what is stored counts for resolve() and for the profiles of
// references, and is read once and together.
func TestStored(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, map[string]string{"Patient-named": named, "Observation-of": ofNamed})
	anna, nobody, doctor := `{"resourceType":"Patient","id":"a","name":[{"family":"A"}]}`, `{"resourceType":"Patient","id":"n"}`, `{"resourceType":"Practitioner","id":"1"}`
	for _, c := range []struct {
		subject string
		stored  []string
		want    []string // parts of the errors
	}{
		{"Patient/a", []string{anna, doctor}, nil},
		{"http://me/fhir/Patient/a", []string{anna, doctor}, nil},
		{"Patient/a", []string{anna}, []string{"t-1"}},
		{"Patient/n", []string{nobody, doctor}, []string{"follows none of the profiles"}},
		{"http://me/fhir/Patient/n", []string{nobody, doctor}, []string{"follows none of the profiles"}},
		{"http://other/fhir/Patient/n", []string{nobody, doctor}, nil}, // not of this server
		{"Patient/z", []string{doctor}, nil},                           // not there, or not to be seen: nothing is known of it
		{"Patient/z", nil, []string{"t-1"}},
	} {
		var asked [][]string
		around := Around{Stored: known(t, &asked, c.stored...)}
		doc := parse(t, []byte(strings.Replace(observed, "SUBJECT", c.subject, 1)))
		for range 2 {
			issues := errorsOf(v.Validate(t.Context(), doc, Request{Around: around}))
			if len(issues) != len(c.want) || len(issues) > 0 && !strings.Contains(issues[0].Diagnostics, c.want[0]) {
				t.Errorf("%s among %v: %v, want %v", c.subject, c.stored, issues, c.want)
			}
		}
		if len(asked) != 1 {
			t.Errorf("%s: asked %v, not once", c.subject, asked)
		}
		if around.Stored.Err() != nil {
			t.Error(around.Stored.Err())
		}
	}
}

// TestStoredFails: a verdict without an answer of the store is none.
func TestStoredFails(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, map[string]string{"Patient-named": named, "Observation-of": ofNamed})
	down := errors.New("down")
	around := Around{Stored: NewStored(func(context.Context, []string) (map[string][]byte, error) { return nil, down }, nil, base().Registry().Definitions().IsResourceType)}
	doc := parse(t, []byte(strings.Replace(observed, "SUBJECT", "Patient/a", 1)))
	if _, err := v.Gate().Validate(t.Context(), doc.Root(), around); !errors.Is(err, down) {
		t.Errorf("got %v", err)
	}
	alone := custom(t, Config{Alone: true}, map[string]string{"Patient-named": named, "Observation-of": ofNamed})
	if _, err := alone.Gate().Validate(t.Context(), doc.Root(), around); fhir.AsError(err) == nil || !strings.Contains(err.Error(), "t-1") {
		t.Errorf("alone: %v", err)
	}
}

// TestProjects: atLeastOne binds the projects it is for.
func TestProjects(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{Projects: []string{"/programs/a"}, LabelSystem: "urn:l", Resources: map[string]Rules{"Patient": {AtLeastOne: []string{"http://t/Patient-named"}}}}, map[string]string{"Patient-named": named})
	for path, bound := range map[string]bool{"/programs/a": true, "/programs/a/projects/x": true, "/programs/ab": false, "/programs/b": false, "": false} {
		src := `{"resourceType":"Patient","meta":{"security":[{"system":"urn:other","code":"/programs/a"},{"system":"urn:l","code":"` + path + `"}]}}`
		if path == "" {
			src = `{"resourceType":"Patient"}`
		}
		_, err := v.Gate().Validate(t.Context(), parse(t, []byte(src)).Root(), Around{})
		if (err != nil) != bound {
			t.Errorf("%q: %v", path, err)
		}
		if _, err = v.Gate().Validate(t.Context(), parse(t, []byte(`{"resourceType":"Patient"}`)).Root(), Around{Project: path}); (err != nil) != bound {
			t.Errorf("into %q: %v", path, err)
		}
	}
}
