package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"ingle/fhir"
)

// sample is a part of what the server holds, read by its own searches: the
// parameters of the workloads are drawn from it.
type sample struct {
	patients     []patient
	observations []observation
	encounters   []encounter
	withDrugs    []string // patients ("Patient/id") with a MedicationRequest
	refs         []string // "Type/id" of all resources seen
	codes        []string // of Observations, "system|code", the most frequent first
	updated      []string // meta.lastUpdated of Observations
}

type patient struct {
	ref, family, given, birth, gender string
	identifier                        string // "system|value" of the first identifier
}

type observation struct {
	ref, patient, code, category, date string
	body                               []byte
	quantities                         []quantity
}

// quantity is a value of an Observation or of one of its components.
type quantity struct {
	code, value, system, unit string // code as "system|code"
	component                 bool
}

type encounter struct{ start, status string }

// read fills the sample: up to 2,000 patients, and what belongs to some of them.
func (s *sample) read(ctx context.Context, c *client) error {
	next := "Patient?_count=500"
	for pages := 0; next != "" && pages < 4; pages++ {
		p, err := c.search(ctx, next)
		if err != nil {
			return fmt.Errorf("sample patients: %w", err)
		}
		for _, n := range p.matches {
			s.addPatient(n)
		}
		next = p.next
	}
	if len(s.patients) == 0 {
		return errors.New("the server holds no patients to sample")
	}
	draw := rand.New(rand.NewPCG(1, 2))
	chosen := slices.Clone(s.patients)
	draw.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	counts := map[string]int{}
	for _, p := range chosen[:min(len(chosen), 80)] {
		id := strings.TrimPrefix(p.ref, "Patient/")
		for _, typ := range []string{"Observation", "Encounter", "MedicationRequest", "Condition"} {
			found, err := c.search(ctx, typ+"?patient="+id+"&_count=100")
			if err != nil {
				return fmt.Errorf("sample %s: %w", typ, err)
			}
			s.refs = append(s.refs, found.ids...)
			if typ == "MedicationRequest" && len(found.ids) > 0 {
				s.withDrugs = append(s.withDrugs, p.ref)
			}
			for _, n := range found.matches {
				switch typ {
				case "Observation":
					o := newObservation(n)
					s.observations = append(s.observations, o)
					counts[o.code]++
					s.updated = append(s.updated, n.Get("meta").Get("lastUpdated").Text())
				case "Encounter":
					s.encounters = append(s.encounters, encounter{n.Get("period").Get("start").Text(), n.Get("status").Text()})
				}
			}
		}
	}
	if len(s.observations) == 0 || len(s.encounters) == 0 {
		return errors.New("the server holds no observations or encounters to sample")
	}
	for code := range counts {
		if code != "" {
			s.codes = append(s.codes, code)
		}
	}
	slices.SortFunc(s.codes, func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	return nil
}

func (s *sample) addPatient(n fhir.Node) {
	p := patient{
		ref:    "Patient/" + n.Get("id").Text(),
		birth:  n.Get("birthDate").Text(),
		gender: n.Get("gender").Text(),
	}
	if name := n.Get("name").First(); name.Valid() {
		p.family, p.given = name.Get("family").Text(), name.Get("given").First().Text()
	}
	if id := n.Get("identifier").First(); id.Valid() {
		p.identifier = id.Get("system").Text() + "|" + id.Get("value").Text()
	}
	s.patients = append(s.patients, p)
	s.refs = append(s.refs, p.ref)
}

func coded(concept fhir.Node) string {
	c := concept.Get("coding").First()
	if !c.Valid() {
		return ""
	}
	return c.Get("system").Text() + "|" + c.Get("code").Text()
}

func newObservation(n fhir.Node) observation {
	o := observation{
		ref:      "Observation/" + n.Get("id").Text(),
		patient:  n.Get("subject").Get("reference").Text(),
		code:     coded(n.Get("code")),
		category: coded(n.Get("category").First()),
		date:     n.Get("effectiveDateTime").Text(),
		body:     slices.Clone(n.Raw()),
	}
	add := func(from fhir.Node, component bool) {
		v := from.Get("valueQuantity")
		if v.Valid() && v.Get("code").Text() != "" {
			o.quantities = append(o.quantities, quantity{coded(from.Get("code")), v.Get("value").Text(), v.Get("system").Text(), v.Get("code").Text(), component})
		}
	}
	add(n, false)
	for c := n.Get("component").First(); c.Valid(); c = c.Next() {
		add(c, true)
	}
	return o
}

// plain tells a word of ASCII letters only: folding it is changing its case, for any server.
func plain(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return len(s) >= 3
}
