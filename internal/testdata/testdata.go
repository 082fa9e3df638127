// Package testdata finds the official test suites and example resources that
// tests run against. They are not part of the project: they are looked for in
// the folder that the environment variable INGLE_TESTDATA names, else in
// ../shared/data beside the project's root, and a test that needs them skips
// where they are absent.
package testdata

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// Dir returns the folder of the test data and skips the test if there is none.
func Dir(t testing.TB) string {
	t.Helper()
	dir, why := find()
	if dir == "" {
		t.Skip("test data: " + why)
	}
	return dir
}

// Root returns the project's root: the nearest folder at or above the working
// directory that holds go.mod, "" if there is none.
func Root() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

var find = sync.OnceValues(func() (dir, why string) {
	if dir := os.Getenv("INGLE_TESTDATA"); dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return "", fmt.Sprintf("INGLE_TESTDATA names %q, which is not a folder", dir)
		}
		return dir, ""
	}
	root := Root()
	if root == "" {
		return "", "INGLE_TESTDATA is not set and no go.mod is above the working directory"
	}
	dir = filepath.Join(root, "..", "shared", "data")
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", "INGLE_TESTDATA is not set and there is no ../shared/data beside the project's root"
	}
	return dir, ""
})

// Path returns the path of a file or folder in the test data, given with
// slashes, and skips the test if it is absent.
func Path(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(Dir(t), filepath.FromSlash(name))
	if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("test data: %s is absent", name)
	}
	return p
}

// Read returns the content of a file in the test data, decompressed if its
// name ends in ".zst" (frames with windows up to 128 MiB are accepted). It
// skips the test if the file is absent.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, ".zst") {
		return raw
	}
	out, err := unzstd(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

func unzstd(raw []byte) ([]byte, error) {
	dec, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderMaxWindow(1<<27), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	return io.ReadAll(dec)
}

// File is one regular file of an archive.
type File struct {
	Name string // as in the archive, with slashes
	Data []byte // shared by every reader: not to be changed
}

var tars sync.Map // path → func() ([]File, error)

// Files returns the regular files of a .tar.zst archive in the archive's
// order. An archive is read once in a process. The test is skipped if the
// archive is absent.
func Files(t testing.TB, name string) []File {
	t.Helper()
	p := Path(t, name)
	load, _ := tars.LoadOrStore(p, sync.OnceValues(func() ([]File, error) { return untar(p) }))
	files, err := load.(func() ([]File, error))()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return files
}

// Tar walks the regular files of a .tar.zst archive: name in the archive and
// content, which must not be changed.
func Tar(t testing.TB, name string) iter.Seq2[string, []byte] {
	t.Helper()
	files := Files(t, name)
	return func(yield func(string, []byte) bool) {
		for _, f := range files {
			if !yield(f.Name, f.Data) {
				return
			}
		}
	}
}

// TarFile returns the one file of a .tar.zst archive whose name is the given
// one or ends in a slash and it. It skips the test if there is none.
func TarFile(t testing.TB, archive, name string) []byte {
	t.Helper()
	for _, f := range Files(t, archive) {
		if f.Name == name || strings.HasSuffix(f.Name, "/"+name) {
			return f.Data
		}
	}
	t.Skipf("test data: %s holds no %s", archive, name)
	return nil
}

func untar(path string) ([]File, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	plain, err := unzstd(raw)
	if err != nil {
		return nil, err
	}
	var files []File
	for r := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files = append(files, File{strings.TrimPrefix(h.Name, "./"), data})
	}
}
