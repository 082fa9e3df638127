//go:build unix

package postgres

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fakeInstallation writes programs that only know their version.
func fakeInstallation(t *testing.T, dir, version string) string {
	t.Helper()
	bin := filepath.Join(dir, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		script := fmt.Sprintf("#!/bin/sh\necho '%s (PostgreSQL) %s'\n", name, version)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestFindBinariesInAFolder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		says  string
		major int // asked for
		want  string
		fails string
	}{
		{"15.4 (Debian 15.4-1)", 0, "15.4", ""},
		{"17.0", 17, "17.0", ""},
		{"18beta2", 0, "18beta2", ""},
		{"19devel", 0, "19devel", ""},
		{"13.9", 0, "", "no PostgreSQL 14 or newer found in"},
		{"16.1", 15, "", "made by PostgreSQL 15 (found: 16.1 in"},
		{"unknown", 0, "", "(found: none)"},
	} {
		t.Run(c.says, func(t *testing.T) {
			t.Parallel()
			bin := fakeInstallation(t, t.TempDir(), c.says)
			b, err := FindBinaries(t.Context(), bin, c.major)
			if c.fails != "" {
				if !errors.Is(err, ErrNoBinaries) || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("error = %v, want one with %q", err, c.fails)
				}
				return
			}
			if err != nil || b.Version != c.want || b.Dir != bin {
				t.Errorf("found %+v, %v; want %s in %s", b, err, c.want, bin)
			}
		})
	}
}

// The newest wins, wherever it is on the PATH, and a link to a program stands for the folder of its target.
func TestFindBinariesOnThePath(t *testing.T) {
	dir := t.TempDir()
	older := fakeInstallation(t, filepath.Join(dir, "a"), "98.1")
	newer := fakeInstallation(t, filepath.Join(dir, "b"), "99.2")
	links := filepath.Join(dir, "links")
	if err := os.Mkdir(links, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.Symlink(filepath.Join(newer, name), filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", older+":"+links+":/bin:/usr/bin")
	b, err := FindBinaries(t.Context(), "", 0)
	if err != nil || b.Dir != newer || b.Major != 99 {
		t.Errorf("found %+v, %v; want 99.2 in %s", b, err, newer)
	}
	if b, err = FindBinaries(t.Context(), "", 98); err != nil || b.Dir != older {
		t.Errorf("found %+v, %v; want 98.1 in %s", b, err, older)
	}
}

// repository serves an archive of an installation the way Maven Central does: a zip with a tar.xz in it.
func repository(t *testing.T, version string) *httptest.Server {
	t.Helper()
	if _, err := osexec.LookPath("xz"); err != nil {
		t.Skip("no xz to pack an archive with:", err)
	}
	bin := fakeInstallation(t, t.TempDir(), version)
	var tarball bytes.Buffer
	tw := tar.NewWriter(&tarball)
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		text, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := tw.WriteHeader(&tar.Header{Name: "bin/" + name, Mode: 0o755, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write(text); err != nil {
			t.Fatal(err)
		}
	}
	tw.Close()
	xz := osexec.Command("xz", "--stdout")
	xz.Stdin = &tarball
	packed, err := xz.Output()
	if err != nil {
		t.Fatal(err)
	}
	var jar bytes.Buffer
	zw := zip.NewWriter(&jar)
	w, err := zw.Create("postgres-linux.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(packed); err != nil {
		t.Fatal(err)
	}
	zw.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(jar.Bytes())
	}))
	t.Cleanup(server.Close)
	return server
}

func TestFetchOnce(t *testing.T) {
	t.Parallel()
	cache := filepath.Join(t.TempDir(), "cache")
	server := repository(t, "17.5")
	b, err := fetch(t.Context(), cache, 0, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if b.Major != 17 || !strings.HasPrefix(b.Dir, cache) {
		t.Errorf("fetched %+v", b)
	}
	server.Close()
	again, err := fetch(t.Context(), cache, 0, server.URL)
	if err != nil || again != b {
		t.Errorf("the second time %+v, %v; want %+v without the network", again, err, b)
	}
	entries, err := os.ReadDir(cache)
	if err != nil || len(entries) != 1 {
		t.Errorf("the cache holds %v, %v; want one folder", entries, err)
	}
}

func TestFetchFailsPlainly(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	_, err := fetch(t.Context(), t.TempDir(), 17, server.URL)
	if err == nil || !strings.Contains(err.Error(), "fetching PostgreSQL 17") {
		t.Errorf("error = %v", err)
	}
	if _, err := fetch(t.Context(), t.TempDir(), 9, server.URL); err == nil {
		t.Error("fetched a version that is not published")
	}
}

// With INGLE_TEST_FETCH=1: the published binaries run a server (downloads about 15 MB).
func TestFetchedServerRuns(t *testing.T) {
	if os.Getenv("INGLE_TEST_FETCH") == "" {
		t.Skip("downloads; set INGLE_TEST_FETCH=1 to run")
	}
	dir := tempDir(t)
	b, err := fetch(t.Context(), filepath.Join(filepath.Dir(filepath.Dir(dir)), "cache"), 0, "")
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, dir, Options{BinDir: b.Dir})
	if got := query[string](t, s.URL("postgres"), "SHOW server_version"); got != b.Version {
		t.Errorf("server %s, binaries %s", got, b.Version)
	}
}
