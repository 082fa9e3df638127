package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ingle/internal/postgres"
)

// startTime bounds the start of the server; pulling an image or fetching binaries for the first time is part of it.
const startTime = 5 * time.Minute

// startShared returns the admin URL of the server for this test binary.
func startShared(ctx context.Context) (string, error) {
	if url := os.Getenv("INGLE_TEST_DATABASE_URL"); url != "" {
		return url, nil
	}
	if dockerAnswers(ctx) {
		return startContainer(ctx)
	}
	return startPrivate()
}

// startPrivate runs a server from the machine's binaries. Nothing in this process stops it: the guard does, when the
// process is gone.
func startPrivate() (string, error) {
	dir, err := scratchDir(memoryDir())
	if err != nil {
		return "", err
	}
	return startIn(dir)
}

func startIn(dir string) (string, error) {
	s, err := postgres.Start(context.Background(), privateOptions(dir, map[string]string{"max_connections": "500"}, true))
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", err
	}
	if _, err := watch(dir, serverDir(dir)); err != nil {
		_ = s.Stop(context.Background())
		_ = os.RemoveAll(dir)
		return "", err
	}
	return s.URL("postgres"), nil
}

func serverDir(dir string) string { return filepath.Join(dir, "postgres") }

func privateOptions(dir string, settings map[string]string, volatile bool) postgres.Options {
	return postgres.Options{
		Dir:      serverDir(dir),
		BinDir:   os.Getenv("INGLE_POSTGRES_BIN"),
		Volatile: volatile,
		Settings: settings,
	}
}

// scratchDir is a new folder that the server's account may pass through.
func scratchDir(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "ingle-pgtest-")
	if err != nil {
		return "", fmt.Errorf("making a folder for the test server: %w", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return "", fmt.Errorf("making a folder for the test server: %w", err)
	}
	return dir, nil
}
