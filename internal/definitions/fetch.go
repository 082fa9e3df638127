package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	packageName = "hl7.fhir.r4.examples@4.0.1"
	packageFile = "hl7.fhir.r4.examples-4.0.1.tgz"
	packageSum  = "dce87f1b5b9341867033f7d1f544fa1b5232503f6d62813887ac6b8a8b6cb682"
)

// bundleNames are the Bundles that definitions are taken from, in the order in
// which their content is written.
var bundleNames = []string{
	"resources", "types", "searchParams", "valuesets", "v3-valuesets", "v2-valuesets",
	"conceptmaps", "extensions", "profiles-others", "externals", "terminologies",
}

// fetch returns the path of the package, from the cache or by npm.
func fetch() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "ingle")
	path := filepath.Join(dir, packageFile)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(dir, "npm-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.Command("npm", "pack", "--silent", packageName)
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w (put the file at %s to go without npm)\n%s", packageName, err, path, out)
	}
	if err := os.Rename(filepath.Join(tmp, packageFile), path); err != nil {
		return "", err
	}
	return path, nil
}

// entry is one resource of a Bundle.
type entry struct {
	fullURL  string
	resource *object
}

// readBundles checks the archive's checksum and reads the Bundles out of it.
func readBundles(archive string) (map[string][]entry, error) {
	data, err := os.ReadFile(archive)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != packageSum {
		return nil, fmt.Errorf("%s has SHA-256 %x, want %s", archive, sum, packageSum)
	}
	want := map[string]bool{}
	for _, name := range bundleNames {
		want[name] = true
	}
	gz, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	bundles := map[string][]entry{}
	for files := tar.NewReader(gz); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		name, found := strings.CutPrefix(header.Name, "package/Bundle-")
		name = strings.TrimSuffix(name, ".json")
		if !found || !want[name] {
			continue
		}
		text, err := io.ReadAll(files)
		if err != nil {
			return nil, err
		}
		bundle, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", header.Name, err)
		}
		for _, e := range bundle.(*object).list("entry") {
			e := e.(*object)
			bundles[name] = append(bundles[name], entry{e.str("fullUrl"), e.object("resource")})
		}
	}
	for _, name := range bundleNames {
		if len(bundles[name]) == 0 {
			return nil, fmt.Errorf("%s holds no Bundle-%s.json", archive, name)
		}
	}
	return bundles, nil
}
