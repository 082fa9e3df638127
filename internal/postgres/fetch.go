package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	embedded "github.com/fergusstrange/embedded-postgres"
)

// fetchable are the versions whose binaries are published for every platform, by major version; 0 is the one for a
// new cluster.
var fetchable = map[int]embedded.PostgresVersion{
	0:  embedded.V17,
	14: embedded.V14,
	15: embedded.V15,
	16: embedded.V16,
	17: embedded.V17,
	18: embedded.V18,
}

// fetchTime bounds the download of about 10 to 30 MB.
const fetchTime = 5 * time.Minute

// fetch downloads and unpacks the binaries of a major version into a folder below cache, once. The repository is
// Maven Central when empty.
//
// The library has no call that only fetches: its Start goes on to run the server in its own way, which cannot work
// as root. It is therefore given a data folder that it takes for a cluster and that no server accepts, so that Start
// always ends right after unpacking; what counts is whether the binaries are there afterwards.
func fetch(ctx context.Context, cache string, major int, repository string) (Binaries, error) {
	version, ok := fetchable[major]
	if !ok {
		return Binaries{}, fmt.Errorf("no published binaries of PostgreSQL %d", major)
	}
	root := filepath.Join(cache, string(version))
	if b, ok := inspect(ctx, filepath.Join(root, "bin")); ok {
		return b, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return Binaries{}, fmt.Errorf("making the folder of fetched binaries: %w", err)
	}
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return Binaries{}, fmt.Errorf("making a scratch folder: %w", err)
	}
	defer os.RemoveAll(scratch)
	decoy := filepath.Join(scratch, "decoy")
	if err := os.Mkdir(decoy, 0o700); err != nil {
		return Binaries{}, fmt.Errorf("making a scratch folder: %w", err)
	}
	made := major
	if made == 0 {
		made, _ = strconv.Atoi(string(version[:2]))
	}
	if err := os.WriteFile(filepath.Join(decoy, "PG_VERSION"), fmt.Appendf(nil, "%d\n", made), 0o600); err != nil {
		return Binaries{}, fmt.Errorf("making a scratch folder: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return Binaries{}, err
	}
	config := embedded.DefaultConfig().
		Version(version).
		Port(port).
		CachePath(scratch).
		BinariesPath(filepath.Join(scratch, "unpacked")).
		RuntimePath(filepath.Join(scratch, "runtime")).
		DataPath(decoy).
		Logger(io.Discard)
	if repository != "" {
		config = config.BinaryRepositoryURL(repository)
	}

	// The library takes no context; a download that outlives ctx is left behind to end by itself.
	done := make(chan error, 1)
	go func() { done <- embedded.NewDatabase(config).Start() }()
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	var startErr error
	select {
	case startErr = <-done:
	case <-ctx.Done():
		return Binaries{}, fmt.Errorf("fetching PostgreSQL %s: %w", version, ctx.Err())
	}
	unpacked := filepath.Join(scratch, "unpacked")
	if _, ok := inspect(ctx, filepath.Join(unpacked, "bin")); !ok {
		if startErr == nil {
			startErr = errors.New("the archive holds no server for this platform")
		}
		return Binaries{}, fmt.Errorf("fetching PostgreSQL %s: %w", version, startErr)
	}
	// A rename is atomic: another process finds all of the binaries or none. It may also have been first.
	if err := os.Chmod(unpacked, 0o755); err != nil {
		return Binaries{}, fmt.Errorf("keeping the fetched binaries: %w", err)
	}
	if err := os.Rename(unpacked, root); err != nil && !errors.Is(err, os.ErrExist) {
		return Binaries{}, fmt.Errorf("keeping the fetched binaries: %w", err)
	}
	b, ok := inspect(ctx, filepath.Join(root, "bin"))
	if !ok {
		return Binaries{}, fmt.Errorf("the fetched PostgreSQL %s does not run on this machine", version)
	}
	return b, nil
}

// freePort is a TCP port that nobody listens on; the library insists on one though no server will take it.
func freePort() (uint32, error) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	return uint32(l.Addr().(*net.TCPAddr).Port), nil
}
