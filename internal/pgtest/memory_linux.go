package pgtest

import (
	"os"
	"syscall"
)

// memoryDir is /dev/shm when it has room for a test server (containers often give it 64 MB), else the temporary folder.
func memoryDir() string {
	const enough = 2 << 30
	var st syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &st); err == nil && st.Bavail*uint64(st.Bsize) >= enough {
		if dir, err := os.MkdirTemp("/dev/shm", "ingle-pgtest-probe-"); err == nil {
			_ = os.Remove(dir)
			return "/dev/shm"
		}
	}
	return os.TempDir()
}
