// Command ncpigen makes the embedded form of the NCPI implementation guide out
// of its compiled archive: one resource a line, without narrative and other
// prose, compressed.
package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"ingle/internal/testdata"
)

func main() {
	log.SetFlags(0)
	in := flag.String("in", "", "the archive (ncpi/ncpi-ig-2-0.2.0.tar.zst in the test data)")
	out := flag.String("out", "ncpi.ndjson.zst", "the file to write")
	flag.Parse()
	if *in == "" {
		dir := os.Getenv("INGLE_TESTDATA")
		if dir == "" {
			dir = filepath.Join(testdata.Root(), "..", "shared", "data")
		}
		*in = filepath.Join(dir, "ncpi", "ncpi-ig-2-0.2.0.tar.zst")
	}
	if err := generate(*in, *out); err != nil {
		log.Fatal("ncpigen: ", err)
	}
}

// folders of the archive that are taken; examples and logical models are not.
var folders = map[string]bool{"profiles": true, "extensions": true, "datatypes": true, "valuesets": true, "codesystems": true}

func generate(in, out string) error {
	f, err := os.Open(in)
	if err != nil {
		return err
	}
	defer f.Close()
	dec, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<27))
	if err != nil {
		return err
	}
	defer dec.Close()
	type resource struct {
		url  string
		body []byte
	}
	var list []resource
	version := ""
	for r := tar.NewReader(dec); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg || !strings.HasSuffix(h.Name, ".json") || !folders[path.Base(path.Dir(h.Name))] {
			continue
		}
		d := json.NewDecoder(r)
		d.UseNumber()
		var m map[string]any
		if err := d.Decode(&m); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if v, _ := m["version"].(string); v > version {
			version = v
		}
		strip(m)
		body, err := json.Marshal(m)
		if err != nil {
			return err
		}
		url, _ := m["url"].(string)
		list = append(list, resource{url, body})
	}
	slices.SortFunc(list, func(a, b resource) int { return cmp.Compare(a.url, b.url) })
	var plain bytes.Buffer
	fmt.Fprintf(&plain, "{\"name\":\"ncpi-fhir-implementation-guide-v2\",\"version\":%q}\n", version)
	for _, r := range list {
		plain.Write(r.body)
		plain.WriteByte('\n')
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression))
	if err != nil {
		return err
	}
	packed := enc.EncodeAll(plain.Bytes(), nil)
	log.Printf("%d resources, %d bytes, %d compressed", len(list), plain.Len(), len(packed))
	return os.WriteFile(out, packed, 0o644)
}

// strip takes out of a conformance resource what nobody computes with and what
// it is valid without: narrative, mappings, remarks on elements.
func strip(m map[string]any) {
	for _, key := range []string{"text", "mapping"} {
		delete(m, key)
	}
	for _, part := range []string{"snapshot", "differential"} {
		p, _ := m[part].(map[string]any)
		elements, _ := p["element"].([]any)
		for _, e := range elements {
			el, _ := e.(map[string]any)
			for _, key := range []string{"comment", "requirements", "alias", "mapping", "example"} {
				delete(el, key)
			}
			constraints, _ := el["constraint"].([]any)
			for _, c := range constraints {
				con, _ := c.(map[string]any)
				delete(con, "xpath")
				delete(con, "requirements")
			}
		}
	}
}
