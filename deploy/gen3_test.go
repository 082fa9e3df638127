package deploy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ingle/authz/arboristtest"
	"ingle/internal/config"
	"ingle/internal/pgtest"
	"ingle/internal/testdata"
)

const gen3Compose = "docker-compose.gen3.yml"

func TestGen3Compose(t *testing.T) {
	t.Parallel()
	c := readCompose(t, gen3Compose)
	for service, wants := range map[string]map[string]string{
		"arborist": {"postgres": "service_healthy"},
		"seed":     {"arborist": "service_healthy"},
		"ingle":    {"postgres": "service_healthy", "seed": "service_completed_successfully", "token": "service_completed_successfully"},
	} {
		for other, condition := range wants {
			if got := c.Services[service].DependsOn[other].Condition; got != condition {
				t.Errorf("%s starts when %s is %q, not %q", service, other, got, condition)
			}
		}
	}
	for _, service := range []string{"ingle", "token"} {
		if s := c.Services[service]; s.Build.Dockerfile != "deploy/Dockerfile" || s.Image != "ingle:${IMAGE_TAG:-development}" {
			t.Errorf("%s is built from %+v as %s", service, s.Build, s.Image)
		}
	}
	// files that are mounted are there
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			if file, _, _ := strings.Cut(v, ":"); strings.HasPrefix(file, "./") {
				if _, err := os.Stat(filepath.Join("..", file)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
	}
	// the tokens are for the server
	settings := gen3Settings(t, nil)
	if len(settings.Auth.Issuers) != 1 || settings.Auth.Mode != "arborist" || settings.Auth.Issuers[0].KeysFile != "/keys/jwks.json" ||
		!slices.Contains(c.Services["token"].Entrypoint, settings.Auth.Issuers[0].Issuer) || !slices.Contains(settings.Auth.Issuers[0].Audiences, "fhir") {
		t.Errorf("%+v and %q do not fit", settings.Auth.Issuers, c.Services["token"].Entrypoint)
	}
	if _, port, _ := net.SplitHostPort(strings.TrimPrefix(settings.Auth.Arborist.URL, "http://")); !strings.HasSuffix(c.Services["arborist"].Ports[0], ":"+port) {
		t.Errorf("Arborist listens on %q, Ingle asks %s", c.Services["arborist"].Ports, settings.Auth.Arborist.URL)
	}
	image, err := os.ReadFile("gen3/arborist.Dockerfile")
	if err != nil || !strings.Contains(string(image), "ARBORIST="+arboristtest.Version+"\n") || !strings.Contains(string(image), arboristtest.Module+"@") {
		t.Errorf("the image has another Arborist than %s@%s (%v)", arboristtest.Module, arboristtest.Version, err)
	}
}

// gen3Settings are the server's of the compose file, with some changed.
func gen3Settings(t *testing.T, changed map[string]string) *config.Config {
	t.Helper()
	c, err := config.Load("", gen3Environment(t, changed))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func gen3Environment(t *testing.T, changed map[string]string) []string {
	t.Helper()
	env := imageEnv(t)
	for name, value := range readCompose(t, gen3Compose).Services["ingle"].Env {
		env = append(env, name+"="+substitute(value))
	}
	for name, value := range changed {
		env = slices.DeleteFunc(env, func(s string) bool { return strings.HasPrefix(s, name+"=") })
		env = append(env, name+"="+value)
	}
	return env
}

// TestGen3Guide does what docs/guides/gen3.md says, with a real Arborist, the
// seed and the settings of the compose file; what stands in for Docker only
// makes tokens.
func TestGen3Guide(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl on this machine")
	}
	arborist := arboristtest.Start(t, arboristtest.NewIssuer(t))
	dir := t.TempDir()
	binary := filepath.Join(dir, "ingle")
	if err := testdata.Build(binary); err != nil {
		t.Fatal(err)
	}
	run(t, ".", []string{"ARBORIST=" + arborist.URL}, "sh", "gen3/seed.sh")
	run(t, ".", []string{"ARBORIST=" + arborist.URL}, "sh", "gen3/seed.sh") // once more is harmless

	entry := readCompose(t, gen3Compose).Services["token"].Entrypoint
	token := append([]string{binary}, entry[1:]...)
	token[slices.Index(token, "/data")] = dir
	run(t, ".", nil, token[0], token[1:]...) // makes the key

	address := free(t)
	issuers := strings.ReplaceAll(readCompose(t, gen3Compose).Services["ingle"].Env["INGLE_AUTH_ISSUERS"], "/keys/", dir+"/")
	server := exec.Command(binary, "serve")
	server.Env = append(gen3Environment(t, map[string]string{"INGLE_DATABASE_URL": pgtest.New(t), "INGLE_AUTH_ARBORIST_URL": arborist.URL,
		"INGLE_AUTH_ISSUERS": issuers, "INGLE_LISTEN": address, "INGLE_DATA_DIR": dir}), "HOME="+dir)
	var log bytes.Buffer
	server.Stderr = &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = server.Process.Signal(os.Interrupt)
		if err := server.Wait(); err != nil || t.Failed() {
			t.Logf("the server ended: %v\n%s", err, log.Bytes())
		}
	}()
	ready(t, "http://"+address+"/readyz")

	docker := "#!/bin/sh\ncase \"$*\" in\n*' up '*|*' down '*) exit 0 ;;\n*' run --rm -T token '*) shift 7; exec " + strings.Join(token, " ") + " \"$@\" ;;\n" +
		"*) echo \"no docker here: $*\" >&2; exit 1 ;;\nesac\n"
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(docker), 0o755); err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../docs/guides/gen3.md")
	if err != nil {
		t.Fatal(err)
	}
	script, want := guideScript(string(guide))
	script = strings.NewReplacer("localhost:8080", address, "http://localhost:8081", arborist.URL).Replace(script)
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader("set -u\n" + script)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stderr.Len() > 0 {
		t.Errorf("%v\n%s", err, stderr.Bytes())
	}
	if got := stdout.String(); got != want {
		t.Errorf("the guide's commands print\n%s\nnot\n%s", got, want)
	}
}

var fenced = regexp.MustCompile("(?ms)^```(sh|text)\n(.*?)^```$")

// guideScript takes the commands out of a guide, and what it says that they
// print, with a line before each step's.
func guideScript(guide string) (script, output string) {
	for i, m := range fenced.FindAllStringSubmatch(guide, -1) {
		if m[1] == "text" {
			output += m[2]
			continue
		}
		mark := fmt.Sprintf("# step %d\n", i)
		script += "echo '" + strings.TrimSpace(mark) + "'\n" + m[2]
		output += mark
	}
	return script, output
}

func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func ready(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not ready: %v", url, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
