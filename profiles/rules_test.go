package profiles

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/internal/testdata"
)

const named = `{"path":"Patient.name","min":1}`

// TestClaims: what the configuration says of profiles that a resource claims.
func TestClaims(t *testing.T) {
	t.Parallel()
	no := false
	profile := map[string]string{"Patient-named": named, "Patient-born": `{"path":"Patient.birthDate","min":1}`}
	with := func(r Rules) Config { return Config{Resources: map[string]Rules{"Patient": r}} }
	for _, c := range []struct {
		name  string
		cfg   Config
		src   string
		want  string // part of the error, "" for none
		notes string // part of a warning
	}{
		{"claimed and followed", Config{}, `{"resourceType":"Patient","meta":{"profile":["http://t/Patient-named"]},"name":[{"text":"x"}]}`, "", ""},
		{"claimed and broken", Config{}, `{"resourceType":"Patient","meta":{"profile":["http://t/Patient-named"]}}`, "Patient.name occurs 0 times", ""},
		{"unknown is a warning", Config{}, `{"resourceType":"Patient","meta":{"profile":["http://t/none"]}}`, "", "the profile http://t/none is not loaded"},
		{"unknown is an error", with(Rules{AllowUnknown: &no}), `{"resourceType":"Patient","meta":{"profile":["http://t/none"]}}`, "Patient.meta.profile[0]", ""},
		{"for another type", Config{}, `{"resourceType":"Group","type":"person","actual":true,"meta":{"profile":["http://t/Patient-named"]}}`, "is for Patient, not for Group", ""},
		{"the base definition", Config{}, `{"resourceType":"Patient","meta":{"profile":["http://hl7.org/fhir/StructureDefinition/Patient"]}}`, "", ""},
		{"not allowed", with(Rules{NotAllowed: []string{"http://t/Patient-named"}}), `{"resourceType":"Patient","meta":{"profile":["http://t/Patient-named"]},"name":[{"text":"x"}]}`, "may not be used", ""},
		{"not allowed in one version", with(Rules{NotAllowed: []string{"http://t/Patient-named|2"}}), `{"resourceType":"Patient","meta":{"profile":["http://t/Patient-named"]},"name":[{"text":"x"}]}`, "", ""},
		{"none of those asked for", with(Rules{AtLeastOne: []string{"http://t/Patient-named", "http://t/Patient-born"}}), `{"resourceType":"Patient"}`, "at least one of the profiles", ""},
		{"one of those asked for", with(Rules{AtLeastOne: []string{"http://t/Patient-named", "http://t/Patient-born"}}), `{"resourceType":"Patient","meta":{"profile":["http://t/Patient-born"]},"birthDate":"2000"}`, "", ""},
		{"rules of all types", Config{Resources: map[string]Rules{"Resource": {AtLeastOne: []string{"http://t/Patient-named"}}}}, `{"resourceType":"Patient"}`, "at least one", ""},
		{"default version", with(Rules{DefaultVersions: map[string]string{"http://t/Patient-named": "9"}, AllowUnknown: &no}), `{"resourceType":"Patient","meta":{"profile":["http://t/Patient-named"]}}`, "http://t/Patient-named|9 is not loaded", ""},
	} {
		v := custom(t, c.cfg, profile)
		issues := v.Validate(t.Context(), parse(t, []byte(c.src)), Request{Rules: true, Warnings: true})
		all := ""
		for _, is := range issues {
			all += describe(is) + "\n"
		}
		if c.want == "" && HasErrors(issues) || c.want != "" && (!HasErrors(issues) || !strings.Contains(all, c.want)) || !strings.Contains(all, c.notes) {
			t.Errorf("%s:\n%s", c.name, all)
		}
	}
}

// TestModes: off, warn and enforce, and the status of a refusal.
func TestModes(t *testing.T) {
	t.Parallel()
	broken := `{"resourceType":"Patient","birthDate":"x","zz":1}`
	lacking := `{"resourceType":"Patient","communication":[{"preferred":true}]}`
	against := `{"resourceType":"Patient","meta":{"profile":["http://t/Patient-named"]}}`
	for _, c := range []struct {
		mode   Mode
		src    string
		status int
		issues int
	}{
		{Off, broken, 400, 2}, {Warn, broken, 400, 2}, {Enforce, broken, 400, 2}, {"", broken, 400, 2},
		{Off, lacking, 0, 0}, {Warn, lacking, 0, 1}, {Enforce, lacking, 400, 1},
		{Off, against, 0, 0}, {Warn, against, 0, 1}, {Enforce, against, 422, 1},
	} {
		v := custom(t, Config{Mode: c.mode}, map[string]string{"Patient-named": named})
		issues, err := v.Gate().Validate(t.Context(), parse(t, []byte(c.src)).Root(), Around{})
		status := 0
		if e := fhir.AsError(err); e != nil {
			status, issues = e.Status, e.Issues
		} else if HasErrors(issues) {
			t.Errorf("%s: an error was let through as one", c.mode)
		}
		if status != c.status || len(issues) != c.issues {
			t.Errorf("%q of %s: status %d with %d issues, want %d with %d", c.mode, c.src, status, len(issues), c.status, c.issues)
		}
	}
	v := custom(t, Config{FailFast: true}, nil)
	if issues := v.Validate(t.Context(), parse(t, []byte(broken)), Request{}); len(issues) != 1 {
		t.Errorf("fail-fast finds %d issues", len(issues))
	}
	if _, err := New(NewRegistry(r4.Definitions()), Config{Mode: "some"}, nil); err == nil {
		t.Error("an unknown mode is taken")
	}
}

// TestRegistry: versions, replacement and removal, active without a restart.
func TestRegistry(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, nil)
	reg := v.Registry()
	put := func(id, version, element string) {
		t.Helper()
		src := `{"resourceType":"StructureDefinition","url":"http://t/p","version":"` + version + `","name":"P","status":"active","kind":"resource","abstract":false,"type":"Patient",
			"baseDefinition":"http://hl7.org/fhir/StructureDefinition/Patient","derivation":"constraint","differential":{"element":[{"path":"Patient.` + element + `","min":1}]}}`
		if err := reg.Changed("StructureDefinition", id, []byte(src)); err != nil {
			t.Fatal(err)
		}
	}
	missing := func(profile string) string {
		t.Helper()
		src := `{"resourceType":"Patient","meta":{"profile":["` + profile + `"]}}`
		var out []string
		for _, is := range v.Validate(t.Context(), parse(t, []byte(src)), Request{Warnings: true}) {
			if is.Code == fhir.CodeRequired || is.Code == fhir.CodeNotFound {
				out = append(out, strings.Fields(is.Diagnostics)[0])
			}
		}
		return strings.Join(out, " ")
	}
	if got := missing("http://t/p"); got != "the" { // "the profile … is not loaded"
		t.Errorf("before: %q", got)
	}
	put("a", "1.9.0", "name")
	put("b", "1.10.0", "birthDate")
	for profile, want := range map[string]string{"http://t/p": "Patient.birthDate", "http://t/p|1.9.0": "Patient.name", "http://t/p|1.10": "Patient.birthDate", "http://t/p|2": "the"} {
		if got := missing(profile); got != want {
			t.Errorf("%s: %q, want %q", profile, got, want)
		}
	}
	put("b", "1.10.0", "gender")
	if got := missing("http://t/p"); got != "Patient.gender" {
		t.Errorf("after an update: %q", got)
	}
	if err := reg.Changed("StructureDefinition", "b", nil); err != nil || missing("http://t/p") != "Patient.name" {
		t.Errorf("after a delete: %v, %q", err, missing("http://t/p"))
	}
	if err := reg.Changed("Patient", "x", []byte(`{}`)); err != nil {
		t.Errorf("a Patient is no matter of the registry: %v", err)
	}
	if err := reg.Changed("ValueSet", "x", []byte(`{"resourceType":"ValueSet"}`)); err == nil {
		t.Error("a value set without url is taken")
	}
	// Nobody redefines a base type.
	put("c", "9", "name")
	evil := `{"resourceType":"StructureDefinition","url":"http://hl7.org/fhir/StructureDefinition/Patient","type":"Patient","kind":"resource","snapshot":{"element":[{"path":"Patient"}]}}`
	if err := reg.Changed("StructureDefinition", "evil", []byte(evil)); err != nil {
		t.Fatal(err)
	}
	if issues := v.Validate(t.Context(), parse(t, []byte(`{"resourceType":"Patient","gender":"male"}`)), Request{}); HasErrors(issues) {
		t.Errorf("the base definition was replaced: %s", describe(issues[0]))
	}
}

// The codes that would be right stand in the order of their definition.
func TestChoicesAreInOrder(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, nil)
	for src, want := range map[string]string{
		`{"resourceType":"Patient","gender":"x"}`:                              "its codes are male, female, other, unknown",
		`{"resourceType":"Observation","status":"x","code":{"text":"weight"}}`: "its codes are registered, preliminary, final, amended, corrected, cancelled, entered-in-error, unknown",
	} {
		if issues := v.Validate(t.Context(), parse(t, []byte(src)), Request{}); len(issues) != 1 || !strings.HasSuffix(issues[0].Diagnostics, want) {
			t.Errorf("%s: %v", src, issues)
		}
	}
}

// A literal reference can lead to a resource, of another version of FHIR perhaps.
func TestReferencesLeadSomewhere(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, nil)
	for text, ok := range map[string]bool{
		"Patient/1": true, "Patient/1/_history/2": true, "ActorDefinition/x": true, "http://h/fhir/Patient/1": true, "http://h/x": true, "urn:uuid:8c5d6a5e-4b2a-4f5e-9d4a-2f8f6d1c3b10": true, "Patient?identifier=s|1": true,
		"1": false, "Patient": false, "patient/1": false, "/Patient/1": false, "Patient/a_b": false, " Patient/1": false, "Paitent?identifier=s|1": false, "Patient/1/_history/": false,
	} {
		src := `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"` + text + `"}}`
		issues := v.Validate(t.Context(), parse(t, []byte(src)), Request{})
		if ok == HasErrors(issues) || !ok && issues[0].Expression[0] != "Observation.subject" {
			t.Errorf("%q: %v", text, issues)
		}
	}
}

// TestConcurrent validates while the registry changes.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, map[string]string{"Patient-named": named})
	doc := parse(t, []byte(`{"resourceType":"Patient","meta":{"profile":["http://t/Patient-named"]},"contact":[{"name":{"text":"x"}}]}`))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				if i == 0 {
					src := `{"resourceType":"ValueSet","url":"http://t/vs` + itoa(j%3) + `"}`
					if err := v.Registry().Changed("ValueSet", itoa(j%3), []byte(src)); err != nil {
						t.Error(err)
					}
					if j%10 == 5 {
						v.Forget()
					}
					continue
				}
				if n := len(errorsOf(v.Validate(context.Background(), doc, Request{}))); n != 1 {
					t.Errorf("%d errors", n)
				}
			}
		})
	}
	wg.Wait()
}

func archive(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	tw := tar.NewWriter(zw)
	for name, text := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestReadPackage: what an archive may hold.
func TestReadPackage(t *testing.T) {
	t.Parallel()
	head := `{"name":"a.b","version":"1.0.0","fhirVersions":["4.0.1"],"dependencies":{"c.d":"2.0.x"}}`
	vs := `{"resourceType":"ValueSet","url":"http://t/vs"}`
	p, err := ReadPackage(bytes.NewReader(archive(t, map[string]string{"package/package.json": head, "package/ValueSet-x.json": vs,
		"package/example/Patient-x.json": `{"resourceType":"Patient"}`, "package/other.txt": "x", "package/bad.json": "{"})))
	if err != nil || p.ID() != "a.b#1.0.0" || len(p.Resources) != 1 || p.Dependencies["c.d"] != "2.0.x" {
		t.Errorf("%+v, %v", p, err)
	}
	for name, files := range map[string]map[string]string{
		"leads out":              {"package/package.json": head, "package/../../etc/passwd.json": vs},
		"package.json with name": {"package/x.json": vs},
	} {
		if _, err := ReadPackage(bytes.NewReader(archive(t, files))); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadPackage(strings.NewReader("no archive")); err == nil {
		t.Error("text is taken for an archive")
	}

	dir := t.TempDir()
	write := func(name string, files map[string]string) {
		if err := os.WriteFile(filepath.Join(dir, name), archive(t, files), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.tgz", map[string]string{"package/package.json": head, "package/v.json": vs})
	reg := NewRegistry(r4.Definitions())
	loaded, missing, err := reg.LoadFiles(dir)
	if err != nil || len(loaded) != 1 || len(missing) != 1 || !strings.HasPrefix(missing[0], "c.d#2.0.x") {
		t.Errorf("loaded %v, missing %v, %v", loaded, missing, err)
	}
	write("c.tgz", map[string]string{"package/package.json": `{"name":"c.d","version":"2.0.7"}`})
	if loaded, missing, err = reg.LoadFiles(dir); err != nil || len(loaded) != 2 || len(missing) != 0 {
		t.Errorf("loaded %v, missing %v, %v", loaded, missing, err)
	}
	if _, ok := reg.Canonical("ValueSet", "http://t/vs"); !ok {
		t.Error("the value set of the package is not there")
	}
	if !reg.Remove("a.b#1.0.0") || reg.Has("ValueSet", "http://t/vs") {
		t.Error("the package cannot be removed")
	}
	if err := reg.Load(&Package{Name: "r5", Version: "1", FHIRVersions: []string{"5.0.0"}}); err == nil {
		t.Error("a package for R5 is taken")
	}
}

// TestPackageBomb: a file in an archive is read up to a limit.
func TestPackageBomb(t *testing.T) {
	t.Parallel()
	testdata.Whole(t)
	bomb := archive(t, map[string]string{"package/package.json": `{"name":"a.b","version":"1.0.0"}`, "package/big.json": strings.Repeat(" ", maxPackageFile+1)})
	if _, err := ReadPackage(bytes.NewReader(bomb)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("a file of %d bytes: %v", maxPackageFile+1, err)
	}
}

// TestOperate: $validate with its parameters.
func TestOperate(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{Resources: map[string]Rules{"Patient": {AtLeastOne: []string{"http://t/Patient-named"}}}}, map[string]string{"Patient-named": named})
	doc := func(s string) *fhir.Doc { return parse(t, []byte(s)) }
	plain := doc(`{"resourceType":"Patient","id":"a"}`)
	params := func(rest string) *fhir.Doc {
		return doc(`{"resourceType":"Parameters","parameter":[{"name":"resource","resource":{"resourceType":"Patient"}}` + rest + `]}`)
	}
	there := func(context.Context) (*fhir.Doc, error) { return plain, nil }
	absent := func(context.Context) (*fhir.Doc, error) { return nil, nil }
	for _, c := range []struct {
		name   string
		call   Call
		errors string // part of an issue of severity error, "" for none
		status int    // of a call that is refused
	}{
		{"the resource", Call{Type: "Patient", Body: plain}, "", 0},
		{"in a Parameters", Call{Type: "Patient", Body: params("")}, "", 0},
		{"with a profile", Call{Type: "Patient", Body: params(`,{"name":"profile","valueUri":"http://t/Patient-named"}`)}, "Patient.name occurs 0", 0},
		{"with a profile in the URL", Call{Type: "Patient", Body: plain, Profiles: []string{"http://t/Patient-named"}}, "Patient.name occurs 0", 0},
		{"with an unknown profile", Call{Type: "Patient", Body: plain, Profiles: []string{"http://t/none"}}, "is not loaded", 0},
		{"mode create obeys the rules", Call{Type: "Patient", Body: params(`,{"name":"mode","valueCode":"create"}`)}, "at least one of the profiles", 0},
		{"mode update", Call{Type: "Patient", ID: "b", Mode: "update", Body: plain}, "must be 'b'", 0},
		{"another type", Call{Type: "Observation", Body: plain}, "the resource is a Patient", 0},
		{"the stored resource", Call{Type: "Patient", ID: "a", Stored: there}, "", 0},
		{"a resource that is not there", Call{Type: "Patient", ID: "a", Stored: absent}, "", 404},
		{"mode delete", Call{Type: "Patient", ID: "a", Mode: "delete", Stored: there}, "", 0},
		{"mode delete without an instance", Call{Type: "Patient", Mode: "delete"}, "", 400},
		{"mode profile without one", Call{Type: "Patient", Mode: "profile", Body: plain}, "", 400},
		{"an unknown mode", Call{Type: "Patient", Mode: "some", Body: plain}, "", 400},
		{"nothing", Call{Type: "Patient"}, "", 400},
		{"a Parameters itself", Call{Type: "Parameters", Body: doc(`{"resourceType":"Parameters","parameter":[{"name":"x"}]}`)}, "inv-1", 0},
	} {
		issues, err := v.Operate(t.Context(), c.call)
		status := 0
		if e := fhir.AsError(err); e != nil {
			status = e.Status
		}
		if status != c.status || err == nil && len(issues) == 0 {
			t.Errorf("%s: status %d, %d issues, %v", c.name, status, len(issues), err)
			continue
		}
		all := ""
		for _, is := range errorsOf(issues) {
			all += describe(is) + "\n"
		}
		if c.errors == "" && all != "" || !strings.Contains(all, c.errors) {
			t.Errorf("%s: %q, want %q", c.name, all, c.errors)
		}
	}
}

// TestOperateSnapshot: $snapshot of a definition that is sent, or named.
func TestOperateSnapshot(t *testing.T) {
	t.Parallel()
	v := custom(t, Config{}, map[string]string{"Patient-named": named})
	for name, call := range map[string]SnapshotCall{
		"by url":        {URL: "http://t/Patient-named"},
		"in Parameters": {Body: parse(t, []byte(`{"resourceType":"Parameters","parameter":[{"name":"url","valueUri":"http://t/Patient-named"}]}`))},
	} {
		out, err := v.OperateSnapshot(t.Context(), call)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s, err := readStructure(parse(t, out))
		if err != nil || len(s.snapshot) < 40 || s.snapshot[0].path != "Patient" {
			t.Errorf("%s: %d elements, %v", name, len(s.snapshot), err)
		}
	}
	for _, call := range []SnapshotCall{{}, {URL: "http://t/none"}} {
		if _, err := v.OperateSnapshot(t.Context(), call); fhir.AsError(err) == nil {
			t.Errorf("%+v: %v", call, err)
		}
	}
}
