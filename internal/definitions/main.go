// Command definitions writes the generated files of a FHIR version's package
// (fhir/r4) from the official definitions. `go generate ./fhir/...` runs it.
//
// The input is an npm package with a pinned checksum, fetched once with `npm
// pack` into the user's cache directory (a file put there by hand serves as
// well). The output is the same, byte for byte, for the same input and the same
// go.mod:
//
//	types.zst          the types and their elements
//	search.zst         search parameters and compartments
//	canonical.idx.zst  canonical URL → place in canonical.zst
//	canonical.zst      conformance and terminology resources without prose
//	resourcetypes.go   the list of resource types
//	model_*.go         Go types for the resources the server reads and writes
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("definitions: ")
	out := flag.String("out", ".", "the folder of the package to write")
	archive := flag.String("archive", "", "read this .tgz instead of fetching the package")
	flag.Parse()
	if err := run(*archive, *out); err != nil {
		log.Fatal(err)
	}
}

func run(archive, out string) error {
	if archive == "" {
		var err error
		if archive, err = fetch(); err != nil {
			return err
		}
	}
	bundles, err := readBundles(archive)
	if err != nil {
		return err
	}
	files, err := generate(bundles)
	if err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(out, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// generate makes the files, by name.
func generate(bundles map[string][]entry) (map[string][]byte, error) {
	files := map[string][]byte{}
	types, err := readTypes(append(bundles["types"], bundles["resources"]...))
	if err != nil {
		return nil, err
	}
	if files["types.zst"], err = compress(types.text()); err != nil {
		return nil, err
	}
	search, err := searchText(bundles["searchParams"], bundles["resources"], types)
	if err != nil {
		return nil, err
	}
	if files["search.zst"], err = compress(search); err != nil {
		return nil, err
	}
	var all []entry
	for _, name := range bundleNames {
		all = append(all, bundles[name]...)
	}
	if files["canonical.idx.zst"], files["canonical.zst"], err = canonicals(all); err != nil {
		return nil, err
	}
	if files["resourcetypes.go"], err = resourceTypesGo(types); err != nil {
		return nil, err
	}
	models, err := modelsGo(types)
	if err != nil {
		return nil, err
	}
	for name, content := range models {
		files[name] = content
	}
	for name, content := range files {
		if len(content) == 0 {
			return nil, fmt.Errorf("%s is empty", name)
		}
	}
	return files, nil
}
