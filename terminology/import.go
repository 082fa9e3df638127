package terminology

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/store/concepts"
)

// Distribution is a code system as it is published, opened for import.
type Distribution interface {
	// Info says which code system and version it is. Properties that Read meets
	// beyond Info's are added to it.
	Info() *SystemInfo
	// Checksum identifies the content.
	Checksum() ([]byte, error)
	// Read gives all concepts and their parents, in any order. It is called
	// twice and must give the same each time. With codesOnly the concepts need
	// their code only.
	Read(ctx context.Context, codesOnly bool, to Receiver) error
}

// Receiver takes what a Distribution reads.
type Receiver interface {
	// Concept takes a concept; it may be reused after the call.
	Concept(c *Concept) error
	// Parent says that child lies directly below parent.
	Parent(child, parent string) error
}

// Progress is told how far an import is: pass 1 reads the codes, pass 2 writes
// the concepts.
type Progress func(pass, concepts int)

// Import reads a distribution into the database. It is idempotent: the same
// distribution again does nothing (Result.Unchanged), a changed one of the same
// version takes its place, another version stands beside it. Readers see the
// old content until the new one is complete.
func (s *Service) Import(ctx context.Context, d Distribution, again bool, progress Progress) (*concepts.Result, error) {
	if s.opt.Concepts == nil {
		return nil, errors.New("terminology: import: there is no database")
	}
	info := d.Info()
	switch {
	case !absolute(info.URL):
		return nil, fhir.Errorf(422, fhir.CodeInvalid, "the code system needs an absolute URL, not %q", info.URL)
	case strings.Contains(info.URL, "|") || strings.Contains(info.Version, "|"):
		return nil, fhir.Errorf(422, fhir.CodeInvalid, "neither the URL nor the version of a code system may hold \"|\"")
	}
	sum, err := d.Checksum()
	if err != nil {
		return nil, err
	}
	pass := 0
	return s.opt.Concepts.Load(ctx, concepts.Import{
		URL: info.URL, Version: info.Version, Checksum: sum, Again: again,
		Fill: func(ctx context.Context, to concepts.Sink) error {
			pass++
			return d.Read(ctx, pass == 1, &importer{to: to, info: info, codesOnly: pass == 1, props: map[string]int16{}})
		},
		Info: func() ([]byte, error) {
			if info.Content == "" {
				info.Content = "complete"
			}
			return json.Marshal(info)
		},
		Progress: progress,
	})
}

// importer turns concepts into rows.
type importer struct {
	to        concepts.Sink
	info      *SystemInfo
	codesOnly bool
	props     map[string]int16
	row       concepts.Row
}

const maxNames = 4000 // bytes of a concept's words

func (i *importer) Concept(c *Concept) error {
	i.row = concepts.Row{Code: c.Code}
	if len(c.Code) > 500 || strings.ContainsRune(c.Code, 0) {
		return fmt.Errorf("terminology: import: %.40q is not a code", c.Code)
	}
	if i.codesOnly {
		return i.to.Concept(&i.row)
	}
	i.row.Display, i.row.Definition = clean(c.Display), clean(c.Definition)
	i.row.Abstract, i.row.Inactive = c.Abstract, c.Inactive
	i.row.Words = append(words(c.Code), words(c.Display)...)
	size := 0
	for k := range c.Designations {
		c.Designations[k].Value = clean(c.Designations[k].Value)
		if size += len(c.Designations[k].Value); size < maxNames {
			i.row.Words = append(i.row.Words, words(c.Designations[k].Value)...)
		}
	}
	for k := range c.Properties {
		p := &c.Properties[k]
		p.Value = clean(p.Value)
		v := p.Value
		if p.Type == "Coding" {
			v = p.Coding.Code
		}
		i.row.Properties = append(i.row.Properties, concepts.Value{Prop: i.property(p), Value: v})
	}
	if len(c.Designations) > 0 || len(c.Properties) > 0 {
		raw, err := json.Marshal(more{c.Designations, c.Properties})
		if err != nil {
			return fmt.Errorf("terminology: import: %w", err)
		}
		i.row.More = string(raw)
	}
	return i.to.Concept(&i.row)
}

func (i *importer) Parent(child, parent string) error {
	if !i.codesOnly {
		return nil
	}
	return i.to.Parent(child, parent)
}

// clean makes text that PostgreSQL accepts.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// property returns the number of a property, adding it to the system's if it is
// new.
func (i *importer) property(p *Property) int16 {
	if n, ok := i.props[p.Code]; ok {
		return n
	}
	n := slices.IndexFunc(i.info.Properties, func(x PropertyInfo) bool { return x.Code == p.Code })
	if n < 0 {
		n = len(i.info.Properties)
		t := p.Type
		if t != "" {
			t = strings.ToLower(t[:1]) + t[1:]
		}
		i.info.Properties = append(i.info.Properties, PropertyInfo{Code: p.Code, Type: t})
	}
	i.props[p.Code] = int16(n)
	return int16(n)
}
