package deploy

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"ingle/internal/config"
)

// compose is the part of a compose file that Ingle uses; the decoder refuses any other key.
type compose struct {
	Name     string
	Services map[string]struct {
		Image string
		Build struct {
			Context, Dockerfile string
		}
		DependsOn  map[string]struct{ Condition string } `yaml:"depends_on"`
		Env        map[string]string                     `yaml:"environment"`
		Entrypoint []string
		Command    []string
		Ports      []string
		Volumes    []string
		ShmSize    string `yaml:"shm_size"`
		ReadOnly   bool   `yaml:"read_only"`
		Tmpfs      []string
		CapDrop    []string `yaml:"cap_drop"`
		Security   []string `yaml:"security_opt"`
		Health     struct {
			Test        []string
			Interval    time.Duration
			Timeout     time.Duration
			StartPeriod time.Duration `yaml:"start_period"`
			Retries     int
		} `yaml:"healthcheck"`
		StopGrace time.Duration `yaml:"stop_grace_period"`
		Restart   string
	}
	Volumes map[string]any
}

func readCompose(t *testing.T, name string) compose {
	t.Helper()
	f, err := os.Open("../" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	var c compose
	if err := d.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

var substitution = regexp.MustCompile(`\$\{(\w+):-([^}]*)\}`)

// substitute does what compose does for ${NAME:-default} with no variable set.
func substitute(s string) string { return substitution.ReplaceAllString(s, "$2") }

func TestComposeServices(t *testing.T) {
	t.Parallel()
	c := readCompose(t, "docker-compose.yml")
	ingle, postgres := c.Services["ingle"], c.Services["postgres"]
	if ingle.Build.Context != "." || ingle.Build.Dockerfile != "deploy/Dockerfile" {
		t.Errorf("ingle is built from %+v", ingle.Build)
	}
	if !strings.HasPrefix(postgres.Image, "postgres:17") {
		t.Errorf("PostgreSQL image %q", postgres.Image)
	}
	if got := ingle.DependsOn["postgres"].Condition; got != "service_healthy" {
		t.Errorf("ingle starts when PostgreSQL is %q", got)
	}
	if !slices.Equal(ingle.Health.Test, []string{"CMD", "/ingle", "healthcheck"}) {
		t.Errorf("health of ingle is asked by %q", ingle.Health.Test)
	}
	if len(postgres.Health.Test) != 2 || !strings.HasPrefix(postgres.Health.Test[1], "pg_isready") {
		t.Errorf("health of PostgreSQL is asked by %q", postgres.Health.Test)
	}
}

var (
	published = regexp.MustCompile(`^127\.0\.0\.1:(\d{2,5}):(\d{2,5})$`)
	mounted   = regexp.MustCompile(`^(\./[\w./-]+|\w+):(/[\w./-]+)(:ro)?$`)
)

// What holds for every compose file.
func TestComposeFiles(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"docker-compose.yml", gen3Compose} {
		t.Run(file, func(t *testing.T) {
			c := readCompose(t, file)
			for name, s := range c.Services {
				if s.Image == "" && s.Build.Dockerfile == "" {
					t.Errorf("%s is made of nothing", name)
				}
				for other, d := range s.DependsOn {
					on, ok := c.Services[other]
					switch d.Condition {
					case "service_healthy":
						ok = ok && len(on.Health.Test) > 0
					case "service_completed_successfully":
						ok = ok && on.Restart == ""
					default:
						ok = false
					}
					if !ok {
						t.Errorf("%s waits for %s to be %q, which it never is", name, other, d.Condition)
					}
				}
				for _, v := range s.Volumes {
					m := mounted.FindStringSubmatch(v)
					if m == nil {
						t.Errorf("%s mounts %s: it is written as source:/target", name, v)
					} else if _, ok := c.Volumes[m[1]]; !ok && !strings.HasPrefix(m[1], "./") {
						t.Errorf("%s mounts %s, which is not declared", name, m[1])
					}
				}
				for _, p := range s.Ports {
					if !published.MatchString(substitute(p)) {
						t.Errorf("%s publishes %s: only to this machine, as 127.0.0.1:port:port", name, p)
					}
				}
				for variable, value := range s.Env {
					if strings.Contains(variable, "PASSWORD") && !substitution.MatchString(value) {
						t.Errorf("%s has %s in clear", name, variable)
					}
				}
			}
		})
	}
}

// The settings in the compose file and the image are ones that Ingle has, and it would start with them.
func TestSettingsAreValid(t *testing.T) {
	t.Parallel()
	env := imageEnv(t)
	if !slices.Contains(env, "INGLE_LISTEN=:8080") {
		t.Errorf("the image does not listen on :8080: %q", env)
	}
	for name, value := range readCompose(t, "docker-compose.yml").Services["ingle"].Env {
		env = append(env, name+"="+substitute(value))
	}
	c, err := config.Load("", env)
	if err != nil {
		t.Fatal(err)
	}
	if want := "postgres://ingle:development@postgres:5432/ingle?sslmode=disable"; c.Database.URL != want {
		t.Errorf("database URL %q, want %q", c.Database.URL, want)
	}
	if got := readCompose(t, "docker-compose.yml").Services["ingle"].StopGrace; got <= c.Limits.DrainTime {
		t.Errorf("Docker kills after %v, the server drains for %v", got, c.Limits.DrainTime)
	}
}

var variable = regexp.MustCompile(`\bINGLE_\w+`)

// What begins with INGLE_ is a setting: whoever exports another such name for
// compose could not start the binary any more, which refuses names that it does not know.
func TestVariablesAreSettings(t *testing.T) {
	t.Parallel()
	reference := config.Reference()
	for _, file := range []string{"Dockerfile", "../docker-compose.yml", "../" + gen3Compose} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range variable.FindAllString(string(text), -1) {
			if !strings.Contains(reference, "`"+strings.TrimSuffix(name, "_FILE")+"`") {
				t.Errorf("%s: %s is no setting", file, name)
			}
		}
	}
}

func dockerfile(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	var lines []string
	for line := range strings.Lines(joined) {
		if line = strings.Join(strings.Fields(line), " "); line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

func imageEnv(t *testing.T) []string {
	t.Helper()
	var env []string
	for _, line := range dockerfile(t) {
		if rest, ok := strings.CutPrefix(line, "ENV "); ok {
			env = append(env, strings.Fields(rest)...)
		}
	}
	return env
}

func TestDockerfile(t *testing.T) {
	t.Parallel()
	lines := dockerfile(t)
	final := slices.IndexFunc(lines, func(l string) bool { return l == "FROM scratch" })
	if final < 0 {
		t.Fatal("the image is not made from scratch")
	}
	for _, want := range []string{
		`USER 65532:65532`,
		`ENTRYPOINT ["/ingle"]`,
		`CMD ["serve"]`,
	} {
		if !slices.Contains(lines[final:], want) {
			t.Errorf("no line %q in the final stage", want)
		}
	}
	if !slices.ContainsFunc(lines[final:], func(l string) bool {
		return strings.HasPrefix(l, "HEALTHCHECK ") && strings.HasSuffix(l, `CMD ["/ingle", "healthcheck"]`)
	}) {
		t.Error("no health check in the final stage")
	}
	if !slices.ContainsFunc(lines[:final], func(l string) bool {
		return strings.Contains(l, "CGO_ENABLED=0 go build -trimpath") && strings.Contains(l, "-s -w")
	}) {
		t.Error("the binary is not static, trimmed and stripped")
	}
	text, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(text)
	if want := "FROM golang:" + string(m[1]) + "-alpine AS build"; lines[0] != want {
		t.Errorf("first line %q, want %q", lines[0], want)
	}
	// Nothing that the build copies or embeds may be kept from it.
	ignored, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(ignored)) {
		if name := strings.TrimSpace(line); name == "cmd" || name == "web" || name == "migrations" || name == "*" {
			t.Errorf(".dockerignore keeps %s from the build", name)
		}
	}
}

// Where the compose client is installed its own check is the better one.
func TestComposeConfig(t *testing.T) {
	t.Parallel()
	if exec.Command("docker", "compose", "version").Run() != nil {
		t.Skip("no docker compose on this machine")
	}
	for _, file := range []string{"docker-compose.yml", gen3Compose} {
		cmd := exec.Command("docker", "compose", "-f", "../"+file, "config", "--quiet")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("docker compose config %s: %v\n%s", file, err, out)
		}
	}
}

// TestBuildContextIsWhole asks the go command which of the project's folders the binary is made of; none may be kept
// from the image's build.
func TestBuildContextIsWhole(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-f", "{{.ImportPath}}", "./cmd/ingle")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Skip("go list fails:", err)
	}
	text, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	ignored := strings.Fields(string(text))
	for path := range strings.Lines(string(out)) {
		if folder, ours := strings.CutPrefix(strings.TrimSpace(path), "ingle/"); ours {
			if top, _, _ := strings.Cut(folder, "/"); slices.Contains(ignored, top) {
				t.Errorf("%s is part of the binary, and .dockerignore keeps %s from its build", path, top)
			}
		}
	}
}
