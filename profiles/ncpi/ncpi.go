// Package ncpi holds the NCPI FHIR Implementation Guide, version 2, without its
// prose: the profiles and extensions that data of the NIH Cloud Platform
// Interoperability effort follow, their value sets and code systems. The guide
// is in the public domain (CC0).
package ncpi

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"ingle/fhir"
	"ingle/profiles"
)

//go:generate go run ../internal/ncpigen -out ncpi.ndjson.zst

//go:embed ncpi.ndjson.zst
var data []byte

// Package returns the guide as a FHIR package. It is unpacked anew each time.
func Package() (*profiles.Package, error) {
	dec, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("ncpi: %w", err)
	}
	defer dec.Close()
	plain, err := io.ReadAll(dec)
	if err != nil {
		return nil, fmt.Errorf("ncpi: %w", err)
	}
	lines := bytes.Split(bytes.TrimSpace(plain), []byte{'\n'})
	head, err := fhir.Parse(lines[0], fhir.Limits{})
	if err != nil {
		return nil, fmt.Errorf("ncpi: %w", err)
	}
	return &profiles.Package{
		Name: head.Root().Get("name").Text(), Version: head.Root().Get("version").Text(),
		FHIRVersions: []string{"4.0.1"}, Dependencies: map[string]string{"hl7.fhir.r4.core": "4.0.1"},
		Resources: lines[1:],
	}, nil
}

// Profiles lists the canonical URLs of the guide's profiles on resources, by
// resource type: what a project that takes only conformant data asks of its
// resources (profiles.Rules.AtLeastOne).
func Profiles() (map[string][]string, error) {
	p, err := Package()
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, src := range p.Resources {
		doc, err := fhir.Parse(src, fhir.Limits{})
		if err != nil {
			return nil, fmt.Errorf("ncpi: %w", err)
		}
		n := doc.Root()
		if n.Get("resourceType").Text() == "StructureDefinition" && n.Get("kind").Text() == "resource" && n.Get("derivation").Text() == "constraint" {
			typ := n.Get("type").Text()
			out[typ] = append(out[typ], n.Get("url").Text())
		}
	}
	return out, nil
}
