package profiles

import (
	"context"
	"sync"

	"ingle/fhir"
)

// Around is what surrounds a resource that is validated: what its references
// lead to beyond its own document. The zero Around is nothing.
type Around struct {
	// Entry finds another entry of the transaction that the resource is part
	// of, as the resource refers to it; nil outside of one. The zero Node: none.
	Entry func(reference string) fhir.Node
	// Stored reads what is stored; nil: nothing is asked.
	Stored *Stored
	// Project is the resource path of a new resource that has no security label
	// of its own, "" for none.
	Project string
}

// Stored reads stored resources for the validations of one request, many at a
// time, and each only once. It is safe for concurrent use.
type Stored struct {
	read   func(ctx context.Context, references []string) (map[string][]byte, error)
	own    []string
	isType func(string) bool

	mu    sync.Mutex
	docs  map[string]*fhir.Doc // by "Type/id"; nil for what is not there
	bytes int
	err   error // why something could not be read
}

// NewStored makes a Stored. read returns the bodies of resources by "Type/id",
// as the caller may see them: what is absent is not there. own are the base
// URLs of this server, isType tells resource types.
func NewStored(read func(ctx context.Context, references []string) (map[string][]byte, error), own []string, isType func(string) bool) *Stored {
	return &Stored{read: read, own: own, isType: isType, docs: map[string]*fhir.Doc{}}
}

// Bounds of what one request follows.
const (
	maxReadTogether = 32        // resources read in one round trip
	maxRead         = 2_000     // resources
	maxReadBytes    = 128 << 20 // of bodies
)

// resolve returns the resource that a reference leads to, nil if there is none
// that the caller may see. With it the other references of the document around
// are read.
func (s *Stored) resolve(ctx context.Context, reference string, beside fhir.Node) (*fhir.Doc, error) {
	name := s.name(reference)
	if name == "" {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if doc, ok := s.docs[name]; ok {
		return doc, nil
	}
	names := map[string]bool{name: true}
	s.others(beside, names)
	if len(s.docs)+len(names) > maxRead || s.bytes > maxReadBytes {
		return nil, s.failed(fhir.Errorf(422, fhir.CodeTooCostly, "validation has to follow more references than it may in one request"))
	}
	list := make([]string, 0, len(names))
	for n := range names {
		list = append(list, n)
	}
	bodies, err := s.read(ctx, list)
	if err != nil {
		return nil, s.failed(err)
	}
	for _, n := range list {
		s.docs[n] = nil
		if body := bodies[n]; body != nil {
			s.bytes += len(body)
			if s.docs[n], err = fhir.Parse(body, limits); err != nil {
				return nil, s.failed(err)
			}
		}
	}
	return s.docs[name], nil
}

func (s *Stored) failed(err error) error {
	if s.err == nil {
		s.err = err
	}
	return err
}

// Err tells why a reference could not be followed: what was found without it is
// no verdict. nil: all that was asked could be answered.
func (s *Stored) Err() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// name is "Type/id" of a reference to a resource of this server, "" for any
// other.
func (s *Stored) name(reference string) string {
	r := fhir.ParseReference(reference, s.own, s.isType)
	if r.Form != fhir.RefRelative {
		return ""
	}
	return r.Relative()
}

// others adds the references below n that have not been read, up to the number
// that is read together.
func (s *Stored) others(n fhir.Node, names map[string]bool) {
	for c := n.First(); c.Valid() && len(names) < maxReadTogether; c = c.Next() {
		switch {
		case c.KeyIs("reference") && c.Kind() == fhir.String:
			if name := s.name(c.Text()); name != "" {
				if _, known := s.docs[name]; !known {
					names[name] = true
				}
			}
		case c.Kind() == fhir.Object || c.Kind() == fhir.Array:
			s.others(c, names)
		}
	}
}
