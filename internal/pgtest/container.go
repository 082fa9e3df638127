package pgtest

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/postgres"
)

// image is what deployments are told to use.
const image = "postgres:17-alpine"

// dockerAnswers tells whether a Docker engine can be reached. Only then is testcontainers asked, which otherwise
// takes seconds to find out.
func dockerAnswers(ctx context.Context) bool {
	var addresses []string
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		addresses = []string{host}
	} else {
		home, _ := os.UserHomeDir()
		addresses = []string{
			"unix:///var/run/docker.sock",
			"unix://" + filepath.Join(home, ".docker/run/docker.sock"),
			"unix://" + filepath.Join(home, ".colima/default/docker.sock"),
			"unix://" + filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "docker.sock"),
		}
	}
	dialer := net.Dialer{Timeout: time.Second}
	for _, address := range addresses {
		network, place, ok := strings.Cut(address, "://")
		if !ok || network != "unix" {
			network = "tcp"
		}
		conn, err := dialer.DialContext(ctx, network, place)
		if err != nil {
			continue
		}
		_ = conn.Close()
		provider, err := testcontainers.NewDockerProvider()
		if err != nil {
			return false
		}
		healthy := provider.Health(ctx) == nil
		_ = provider.Close()
		return healthy
	}
	return false
}

// startContainer runs PostgreSQL in a container with its files in memory. The library's own guard removes the
// container when this process is gone.
func startContainer(ctx context.Context) (string, error) {
	container, err := postgres.Run(ctx, image,
		postgres.WithDatabase("postgres"),
		postgres.WithUsername("ingle"),
		postgres.WithPassword("ingle"),
		postgres.BasicWaitStrategies(),
		testcontainers.WithTmpfs(map[string]string{"/var/lib/postgresql/data": "rw"}),
		testcontainers.WithCmd("postgres", "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
			"-c", "max_connections=500", "-c", "jit=off", "-c", "shared_buffers=128MB"),
		testcontainers.WithEnv(map[string]string{"POSTGRES_INITDB_ARGS": "--no-locale --encoding=UTF8"}),
	)
	if err != nil {
		return "", err
	}
	return container.ConnectionString(ctx, "sslmode=disable")
}
