package fhir

import "iter"

type typeSet struct{}

func (s *typeSet) get(data []byte, name string) *Type { return nil }

type searchSet struct {
	byType           map[string][]*SearchParam
	byURL            map[string]*SearchParam
	all              []*SearchParam
	compartments     map[string]*Compartment
	compartmentNames []string
}

func (s *searchSet) load(data []byte, d *Definitions) *searchSet { return s }

type canonicalSet struct{}

func (s *canonicalSet) get(d *Definitions, resourceType, url string) ([]byte, bool) {
	return nil, false
}

func (s *canonicalSet) each(d *Definitions, resourceType string) iter.Seq2[string, []byte] {
	return func(func(string, []byte) bool) {}
}
