package crashtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/fhir"
	"ingle/internal/pgtest"
	"ingle/internal/postgres"
	"ingle/internal/testdata"
)

var long = os.Getenv("INGLE_LONG") != ""

// built is the folder of the program, once it was built.
var built string

// binary builds the program once for the test binary.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ingle-crashtest-")
	if err != nil {
		return "", err
	}
	built = dir
	out := filepath.Join(dir, "ingle-under-test")
	return out, testdata.Build(out)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// child is a server in a process of its own, which can be killed.
type child struct {
	t      *testing.T
	binary string
	env    []string
	addr   string
	base   string
	log    *os.File

	mu  sync.Mutex
	cmd *exec.Cmd
}

// startDurable starts PostgreSQL with full durability and a database in it.
func startDurable(t *testing.T) (*postgres.Server, string) {
	t.Helper()
	pg := pgtest.Private(t, nil)
	if err := pg.EnsureDatabase(t.Context(), "ingle"); err != nil {
		t.Fatal(err)
	}
	return pg, pg.URL("ingle")
}

// newChild prepares a server on the database; start starts it.
func newChild(t *testing.T, database string) *child {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	log, err := os.Create(filepath.Join(t.TempDir(), "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, binary: path, addr: addr, base: "http://" + addr + "/fhir", log: log,
		env: append(environment(), "INGLE_LISTEN="+addr, "INGLE_DATABASE_URL="+database, "INGLE_DATA_DIR="+t.TempDir())}
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			var told []string
			for line := range strings.Lines(string(text)) {
				if strings.Contains(line, `"ERROR"`) || strings.Contains(line, "panic") || strings.Contains(line, `"status":500`) {
					told = append(told, line)
				}
			}
			t.Logf("errors in the server's log: %s", strings.Join(told[max(0, len(told)-20):], ""))
		}
		_ = log.Close()
	})
	return c
}

// environment is this process's without what is meant for tests: the server
// refuses variables of its own prefix that it does not know.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "INGLE_") })
}

// start runs the server and waits until it is ready.
func (c *child) start() error {
	cmd := exec.Command(c.binary, "serve")
	cmd.Env, cmd.Stdout, cmd.Stderr = c.env, c.log, c.log
	if err := cmd.Start(); err != nil {
		return err
	}
	c.mu.Lock()
	c.cmd = cmd
	c.mu.Unlock()
	return c.ready(60 * time.Second)
}

// ready waits until the server says that it can serve.
func (c *child) ready(patience time.Duration) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get("http://" + c.addr + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
	text, _ := os.ReadFile(c.log.Name())
	return fmt.Errorf("the server is not ready after %s: %s", patience, text[max(0, len(text)-3000):])
}

// kill ends the server with SIGKILL: it has no chance to say goodbye.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cmd != nil {
		_ = c.cmd.Process.Signal(syscall.SIGKILL)
		_ = c.cmd.Wait()
		c.cmd = nil
	}
}

var client = &http.Client{
	Timeout:   90 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 128},
}

// answer is what came back. A status of 0 means that nothing did.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// unknown tells whether the request may have been carried out or not.
func (a answer) unknown() bool {
	return a.status == 0 || a.status == 500 && bytes.Contains(a.body, []byte(`"incomplete"`))
}

func (a answer) ok() bool { return a.status >= 200 && a.status < 300 }

// version is that of the ETag, 0 for none.
func (a answer) version() int {
	v := 0
	_, _ = fmt.Sscanf(a.header.Get("ETag"), `W/"%d"`, &v)
	return v
}

func (a answer) String() string { return fmt.Sprintf("%d %.400s", a.status, a.body) }

func send(ctx context.Context, method, url, body string, header ...string) answer {
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, in)
	if err != nil {
		return answer{}
	}
	req.Header.Set("Content-Type", "application/fhir+json")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	// The transport would repeat a request on a connection that broke; the
	// ledger has to know of each.
	req.GetBody = nil
	resp, err := client.Do(req)
	if err != nil {
		return answer{}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}
	}
	return answer{resp.StatusCode, resp.Header, text}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func parse(t *testing.T, body []byte) fhir.Node {
	t.Helper()
	doc, err := fhir.Parse(body, fhir.Limits{})
	if err != nil {
		t.Fatalf("a stored body: %v: %s", err, body)
	}
	return doc.Root()
}
