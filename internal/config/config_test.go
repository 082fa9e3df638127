package config

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func write(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "ingle.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDefaultsAreValid(t *testing.T) {
	t.Parallel()
	c, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.BasePath != "/fhir" || c.DataDir != "./data" || !c.Migrate || c.Demo {
		t.Errorf("defaults: %v", c)
	}
	if c.Limits.ResourceBody != 5_000_000 || c.Limits.SearchTime != 10*time.Second || c.Limits.BundleEntries != 5000 {
		t.Errorf("defaults of limits: %+v", c.Limits)
	}
}

func TestEnvironmentBeatsFile(t *testing.T) {
	t.Parallel()
	file := write(t, `
listen: 127.0.0.1:9000
demo: yes
limits:
  search_time: 3s
  resource_body: 2MiB
trusted_proxies: [10.0.0.0/8, 192.168.1.7]
packages: a.tgz, b.tgz
auth:
  issuers:
    - https://login.example.org
    - issuer: https://fence.example.org/user
      any_audience: true
  audiences: fhir
  roles:
    reader: {paths: [/], methods: [read]}
`)
	c, err := Load(file, []string{
		"INGLE_LISTEN=127.0.0.1:9001",
		"INGLE_LIMITS_QUEUE_TIME=250ms",
		"INGLE_SEARCH_COUNT=", // empty is unset
		`INGLE_AUTH_BASIC=[{"name": "loader", "password": "hash", "roles": ["reader"]}]`,
		"INGLE_AUTH_ALLOW_HOSTS=a.example.org, b.example.org",
		`INGLE_AUTH_POLICIES={"nameless": {"resources": {"Patient": {"hidden": ["name"], "read_only": true}, "*": {}}}}`,
		"INGLE_CONFIG=" + file,
		"INGLE_SERVICE_HOST=10.0.0.1", "INGLE_SERVICE_PORT_HTTP=8080", "INGLE_PORT=tcp://10.0.0.1:8080", "INGLE_PORT_8080_TCP_ADDR=10.0.0.1",
		"PATH=/bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range []struct{ got, want any }{
		{c.Listen, "127.0.0.1:9001"},
		{c.Demo, true},
		{c.Limits.SearchTime, 3 * time.Second},
		{c.Limits.QueueTime, 250 * time.Millisecond},
		{c.Limits.ResourceBody, Bytes(2 << 20)},
		{fmt.Sprint(c.TrustedProxies), "[10.0.0.0/8 192.168.1.7/32]"},
		{c.Packages, []string{"a.tgz", "b.tgz"}},
		{c.Search.Count, 50},
		{c.Auth.Issuers, []Issuer{{Issuer: "https://login.example.org"}, {Issuer: "https://fence.example.org/user", AnyAudience: true}}},
		{c.Auth.Roles, map[string]Role{"reader": {Paths: []string{"/"}, Methods: []string{"read"}}}},
		{c.Auth.Basic, []BasicUser{{Name: "loader", Password: "hash", Roles: []string{"reader"}}}},
		{c.Auth.AllowHosts, []string{"a.example.org", "b.example.org"}},
		{c.Auth.Policies, map[string]Policy{"nameless": {Resources: map[string]PolicyRule{"Patient": {Hidden: []string{"name"}, ReadOnly: true}, "*": {}}}}},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("got %#v, want %#v", check.got, check.want)
		}
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file string
		env        []string
		want       []string // each in the message
	}{
		{"unknown variable", "", []string{"INGLE_LISTN=:1"}, []string{"INGLE_LISTN is no environment variable of Ingle; did you mean INGLE_LISTEN?"}},
		{"unknown variable, nothing near", "", []string{"INGLE_COFFEE_TEMPERATURE=hot"}, []string{"INGLE_COFFEE_TEMPERATURE is no environment variable of Ingle"}},
		{"port that is no link", "", []string{"INGLE_PORT=8080"}, []string{"INGLE_PORT is no environment variable"}},
		{"unknown key", "limits:\n  serach_time: 1s\n", nil, []string{"line 2: limits.serach_time", "did you mean search_time?"}},
		{"unknown key in a list", "auth:\n  issuers:\n  - isuer: x\n", nil, []string{"line 3: auth.issuers[0].isuer", "did you mean issuer?"}},
		{"key twice", "demo: true\ndemo: false\n", nil, []string{"line 2: demo: stands twice"}},
		{"not YAML", "a: [", nil, []string{"line 1"}},
		{"a list at the top", "- a\n", nil, []string{"a mapping is expected"}},
		{"mapping for a value", "listen: {a: b}\n", nil, []string{"line 1: listen: a single value is expected"}},
		{"value for a mapping", "limits: 5\n", nil, []string{"a mapping is expected"}},
		{"no such file", "MISSING", nil, []string{"configuration file", "no such file"}},
		{"bad duration", "", []string{"INGLE_LIMITS_SEARCH_TIME=10"}, []string{`INGLE_LIMITS_SEARCH_TIME: "10" is not a duration`}},
		{"bad size", "", []string{"INGLE_LIMITS_RESOURCE_BODY=5"}, []string{`"5" is not a size`}},
		{"huge size", "", []string{"INGLE_LIMITS_RESOURCE_BODY=99999999999GB"}, []string{"too large"}},
		{"bad switch", "", []string{"INGLE_DEMO=maybe"}, []string{`"maybe" is neither true nor false`}},
		{"bad number", "", []string{"INGLE_SEARCH_COUNT=many"}, []string{`"many" is not a whole number`}},
		{"bad network", "", []string{"INGLE_TRUSTED_PROXIES=10.0.0.0/8,nowhere"}, []string{`[1]: "nowhere" is not a network`}},
		{"out of range", "", []string{"INGLE_SEARCH_COUNT=0", "INGLE_AUTH_LEEWAY=2m"}, []string{"INGLE_SEARCH_COUNT: 0 is less than 1", "INGLE_AUTH_LEEWAY: 2m is more than 60s", "2 faults"}},
		{"none of", "", []string{"INGLE_LOG_LEVEL=loud"}, []string{`INGLE_LOG_LEVEL: "loud" is none of debug, info, warn, error`}},
		{"count above maximum", "", []string{"INGLE_SEARCH_COUNT=100", "INGLE_SEARCH_COUNT_MAX=10"}, []string{"search.count: 100 is more than search.count_max, 10"}},
		{"open to the world", "", []string{"INGLE_LISTEN=:8080"}, []string{"auth.mode: open lets everyone"}},
		{"listen", "", []string{"INGLE_LISTEN=8080"}, []string{"listen:", "is not an address with a port"}},
		{"base path", "", []string{"INGLE_BASE_PATH=fhir"}, []string{"base_path"}},
		{"public URL", "", []string{"INGLE_PUBLIC_URL=fhir.example.org"}, []string{"public_url: is not an http or https URL"}},
		{"arborist without URL", "", []string{"INGLE_AUTH_MODE=arborist"}, []string{"auth.arborist.url", "auth.issuers: mode arborist needs an issuer"}},
		{"issuer without audience", "", []string{"INGLE_AUTH_MODE=jwt", "INGLE_AUTH_ISSUERS=https://a.example.org"}, []string{"auth.issuers[0]: names no audience"}},
		{"secret file missing", "", []string{"INGLE_DATABASE_URL_FILE=/nonexistent/secret"}, []string{"INGLE_DATABASE_URL_FILE", "no such file"}},
		{"secret twice", "", []string{"INGLE_DATABASE_URL=postgres://a/b", "INGLE_DATABASE_URL_FILE=/x"}, []string{"INGLE_DATABASE_URL is set too"}},
		{"file of no secret", "", []string{"INGLE_LISTEN_FILE=/x"}, []string{"INGLE_LISTEN_FILE is no environment variable"}},
		{"pending variable", "", []string{"INGLE_LIMITS_EXPORTS=5"}, []string{"INGLE_LIMITS_EXPORTS: is not available in this version"}},
		{"pending key", "limits:\n  exports: 5\n", nil, []string{"line 2: limits.exports: is not available"}},
		{"database URL", "", []string{"INGLE_DATABASE_URL=mysql://u:hunter2@h/d"}, []string{"database.url: is not a URL such as"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			file := ""
			switch c.file {
			case "":
			case "MISSING":
				file = "/nonexistent/ingle.yaml"
			default:
				file = write(t, c.file)
			}
			_, err := Load(file, c.env)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not in\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a password in the message: %v", err)
			}
		})
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	secret := write(t, "postgres://u:p@h/d\n")
	for name, load := range map[string]func() (*Config, error){
		"environment": func() (*Config, error) { return Load("", []string{"INGLE_DATABASE_URL_FILE=" + secret}) },
		"YAML":        func() (*Config, error) { return Load(write(t, "database: {url_file: "+secret+"}"), nil) },
	} {
		c, err := load()
		if err != nil {
			t.Fatal(name, err)
		}
		if c.Database.URL != "postgres://u:p@h/d" {
			t.Errorf("%s: url = %q", name, c.Database.URL)
		}
	}
}

// fillSecrets sets every secret of the configuration, however deep, to a text with the marker.
func fillSecrets(v reflect.Value, tag reflect.StructTag, marker string) (n int) {
	switch {
	case isScalar(v.Type()):
		switch tag.Get("secret") {
		case "true":
			v.SetString(marker)
			return 1
		case "url":
			v.SetString("postgres://user:" + marker + "@host/db?sslpassword=" + marker)
			return 1
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			n += fillSecrets(v.Field(i), v.Type().Field(i).Tag, marker)
		}
	case v.Kind() == reflect.Slice && !isScalar(v.Type().Elem()):
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			n += fillSecrets(v.Index(i), "", marker)
		}
	}
	return n
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	c, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := fillSecrets(reflect.ValueOf(c).Elem(), "", "hunter2"); n < 4 {
		t.Fatalf("only %d secrets found", n)
	}
	c.PublicURL = "https://u:hunter2@host/fhir" // not declared a secret, a password all the same
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("configuration", "config", c)
	for name, text := range map[string]string{
		"String": c.String(), "%v": fmt.Sprintf("%v", c), "%+v": fmt.Sprintf("%+v", *c), "%#v": fmt.Sprintf("%#v", c), "slog": log.String(),
	} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("%s prints a secret:\n%s", name, text)
		}
		if !strings.Contains(text, hidden) {
			t.Errorf("%s does not show that secrets are set", name)
		}
	}
	c.Database.URL = "host=h user=u password=hunter2"
	if s := c.String(); strings.Contains(s, "hunter2") {
		t.Error("a secret in keyword form is printed")
	}
}

// What is printed can be read again.
func TestPrintedConfigurationLoads(t *testing.T) {
	t.Parallel()
	first, err := Load("", []string{"INGLE_PACKAGES=a,b", "INGLE_LIMITS_BODY_RATE=0B", "INGLE_TRUSTED_PROXIES=::1", `INGLE_AUTH_ROLES={reader: {paths: [/]}}`})
	if err != nil {
		t.Fatal(err)
	}
	second, err := Load(write(t, first.String()), nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := first.String(), second.String(); a != b {
		t.Errorf("printed\n%s\nread back as\n%s", a, b)
	}
}

func TestVariablesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, f := range fieldsOf(reflect.ValueOf(new(Config)).Elem()) {
		if other, twice := seen[f.variable]; twice {
			t.Errorf("%s is %s and %s", f.variable, other, f.path)
		}
		seen[f.variable] = f.path
		if f.tag.Get("doc") == "" {
			t.Errorf("%s has no doc", f.path)
		}
		if strings.HasSuffix(f.path, "_file") && seen[strings.TrimSuffix(f.variable, "_FILE")] != "" {
			t.Errorf("%s looks like the file of a secret", f.path)
		}
	}
	for _, name := range []string{"INGLE_LISTEN", "INGLE_DATABASE_URL", "INGLE_DATA_DIR", "INGLE_BASE_PATH", "INGLE_PUBLIC_URL", "INGLE_AUTH_MODE", "INGLE_DEMO"} {
		if seen[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != Reference() {
		t.Error("docs/configuration.md is out of date; run go generate ./internal/config")
	}
}

func TestBytesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := Bytes(rapid.Int64Range(0, 1<<60).Draw(t, "size"))
		if rapid.Bool().Draw(t, "round") {
			b = b / (1 << 20) * (1 << 20)
		}
		back, err := ParseBytes(b.String())
		if err != nil || back != b {
			t.Fatalf("%d is printed as %s and read as %d, %v", int64(b), b, int64(back), err)
		}
	})
}

func FuzzFile(f *testing.F) {
	f.Add("listen: :8080\n")
	f.Add("auth: {issuers: [a, {issuer: b}], roles: {x: {paths: /}}}\n")
	f.Add("a: &a [*a]\nlimits: *a\n")
	f.Add("search: {types: {? [x] : y}}\n")
	f.Add("<<: {demo: true}\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		name := filepath.Join(dir, "fuzz.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(name, nil); err == nil {
			_ = c.String()
		}
	})
}
