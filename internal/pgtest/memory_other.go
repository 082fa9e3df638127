//go:build !linux

package pgtest

import "os"

// memoryDir is the temporary folder: other systems have no file system in memory at a known place.
func memoryDir() string { return os.TempDir() }
