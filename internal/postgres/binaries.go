package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the oldest PostgreSQL that Ingle supports.
const oldestMajor = 14

// Binaries is an installation that can run a server.
type Binaries struct {
	Dir     string // holds `postgres` and `initdb`
	Major   int    // 15
	Version string // "15.4"
}

// places are patterns of folders where packages put the server's binaries; they are usually not on the PATH.
var places = []string{
	"/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
	"/usr/pgsql-*/bin",                                   // the project's own RPMs
	"/usr/lib/postgresql*/bin",                           // SUSE
	"/usr/libexec/postgresql*",                           // Alpine
	"/opt/homebrew/opt/postgresql@*/bin",                 // Homebrew, Apple silicon
	"/usr/local/opt/postgresql@*/bin",                    // Homebrew, Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",    // Homebrew, Linux
	"/opt/local/lib/postgresql*/bin",                     // MacPorts
	"/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
	"/usr/local/pgsql/bin",                               // built from source
	"/usr/local/bin",
	"/usr/bin",
}

// FindBinaries looks for an installation of PostgreSQL 14 or newer: in dir alone when it is given, else on the PATH,
// where `pg_config --bindir` points, and in the places of the usual packages. A major version of 0 takes the newest;
// another one takes only that version, because no other can read a cluster made by it. The error wraps
// ErrNoBinaries when nothing fits.
func FindBinaries(ctx context.Context, dir string, major int) (Binaries, error) {
	var found []Binaries
	var seen []string
	for _, candidate := range candidates(ctx, dir) {
		if real, err := filepath.EvalSymlinks(filepath.Join(candidate, "postgres")); err == nil {
			candidate = filepath.Dir(real)
		}
		if slices.Contains(seen, candidate) {
			continue
		}
		seen = append(seen, candidate)
		if b, ok := inspect(ctx, candidate); ok {
			found = append(found, b)
		}
	}
	slices.SortStableFunc(found, func(a, b Binaries) int { return b.Major - a.Major })
	for _, b := range found {
		if b.Major >= oldestMajor && (major == 0 || b.Major == major) {
			return b, nil
		}
	}
	return Binaries{}, notFound(dir, major, found)
}

// candidates lists folders worth a look, in no order of preference.
func candidates(ctx context.Context, dir string) []string {
	if dir != "" {
		return []string{dir}
	}
	list := filepath.SplitList(os.Getenv("PATH"))
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		list = append(list, strings.TrimSpace(string(out)))
	}
	// Links such as /usr/local/bin/initdb point at the true folder.
	for _, p := range list {
		if real, err := filepath.EvalSymlinks(filepath.Join(p, "initdb")); err == nil {
			list = append(list, filepath.Dir(real))
		}
	}
	for _, pattern := range places {
		matches, _ := filepath.Glob(pattern) // the patterns are well formed
		list = append(list, matches...)
	}
	return slices.DeleteFunc(list, func(p string) bool {
		return p == "" || !executable(filepath.Join(p, "postgres")) || !executable(filepath.Join(p, "initdb"))
	})
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

var versionPattern = regexp.MustCompile(`\b(\d+)(?:\.\d+|beta\d+|rc\d+|devel)?\b`)

// inspect asks the binary for its version: "postgres (PostgreSQL) 15.4 (Debian …)".
func inspect(ctx context.Context, dir string) (Binaries, bool) {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return Binaries{}, false
	}
	_, after, _ := strings.Cut(string(out), "PostgreSQL) ")
	m := versionPattern.FindStringSubmatch(after)
	if m == nil {
		return Binaries{}, false
	}
	major, err := strconv.Atoi(m[1])
	return Binaries{Dir: dir, Major: major, Version: m[0]}, err == nil
}

func notFound(dir string, major int, found []Binaries) error {
	var have []string
	for _, b := range found {
		have = append(have, b.Version+" in "+b.Dir)
	}
	hint := "install PostgreSQL (Debian and Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17), " +
		"name its folder in INGLE_POSTGRES_BIN, or give a database URL in INGLE_DATABASE_URL"
	switch {
	case major != 0:
		return fmt.Errorf("%w that can read this cluster: it was made by PostgreSQL %d (found: %s); install that version, or "+
			"move the cluster away to begin with an empty one", ErrNoBinaries, major, orNone(have))
	case dir != "":
		return fmt.Errorf("%w in %s (found: %s); %s", ErrNoBinaries, dir, orNone(have), hint)
	}
	return fmt.Errorf("%w on the PATH, by pg_config or in the usual places (found: %s); %s", ErrNoBinaries, orNone(have), hint)
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// clusterMajor is the major version that made the cluster, 0 when there is no cluster.
func clusterMajor(cluster string) int {
	text, err := os.ReadFile(filepath.Join(cluster, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	major, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return major
}
