package distribution

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"

	"ingle/terminology"
)

// snomed is a SNOMED CT edition in Release Format 2, of which the snapshot
// files are read.
type snomed struct {
	base
	concepts                                           []string
	descriptions, relationships, language, memberships []string
}

// Identifiers of the SNOMED CT model that the import needs.
const (
	sctIsA           = "116680003"
	sctFSN           = "900000000000003001"
	sctSynonym       = "900000000000013009"
	sctPreferred     = "900000000000548007"
	sctDefined       = "900000000000073002"
	sctInternational = "900000000000207008"
	sctUSEnglish     = "900000000000509007"
)

var rf2Date = regexp.MustCompile(`_(\d{8})\.txt$`)

func openSNOMED(f *files, opt Options) (terminology.Distribution, error) {
	s := &snomed{base: base{f: f}}
	for _, x := range []struct {
		to      *[]string
		pattern string
		needed  bool
	}{
		{&s.concepts, `x?sct2_Concept_Snapshot.*\.txt`, true},
		{&s.descriptions, `x?sct2_Description_Snapshot.*\.txt`, true},
		{&s.relationships, `x?sct2_Relationship_Snapshot.*\.txt`, true},
		{&s.language, `x?der2_cRefset_LanguageSnapshot.*\.txt`, false},
		{&s.memberships, `x?der2_Refset_SimpleSnapshot.*\.txt`, false},
	} {
		list, err := f.find(x.pattern)
		if err != nil {
			return nil, err
		}
		if len(list) == 0 && x.needed {
			return nil, fmt.Errorf("distribution: the RF2 release holds no file like %s", x.pattern)
		}
		*x.to = list
		s.used = append(s.used, list...)
	}
	version := opt.Version
	if version == "" {
		date := ""
		for _, n := range s.concepts {
			if m := rf2Date.FindStringSubmatch(path.Base(n)); m != nil && m[1] > date {
				date = m[1]
			}
		}
		if date == "" {
			return nil, errors.New("distribution: the date of the SNOMED CT release is in no file's name; give the version")
		}
		version = "http://snomed.info/sct/" + orElse(opt.Module, sctInternational) + "/version/" + date
	}
	s.info = terminology.SystemInfo{URL: orElse(opt.URL, "http://snomed.info/sct"), Version: version, Name: "SNOMED_CT", Title: "SNOMED CT", Status: "active",
		Language: "en", ValueSet: "http://snomed.info/sct?fhir_vs", HierarchyMeaning: "is-a", CaseSensitive: true, Compositional: true}
	s.info.Properties = append(s.info.Properties, []terminology.PropertyInfo{{Code: "inactive", Type: "boolean"}, {Code: "sufficientlyDefined", Type: "boolean"}, {Code: "moduleId", Type: "code"},
		{Code: "effectiveTime", Type: "string"}, {Code: "memberOf", Type: "code"}}...)
	return s, nil
}

// columns calls fn for the lines of RF2 files, cut at tabs, without the header.
func (s *snomed) columns(ctx context.Context, names []string, want int, fn func(cols [][]byte) error) error {
	var cols [][]byte
	for _, name := range names {
		err := s.f.lines(name, func(n int, line []byte) error {
			if n == 1 || len(line) == 0 {
				return nil
			}
			if n%65536 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			if cols = cut(line, '\t', cols); len(cols) < want {
				return fmt.Errorf("there are %d columns, not %d", len(cols), want)
			}
			return fn(cols)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func active(cols [][]byte) bool { return string(cols[2]) == "1" }

// Read reads codes and is-a edges, or group by group all of it.
func (s *snomed) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	if codesOnly {
		err := s.columns(ctx, s.concepts, 5, func(cols [][]byte) error {
			return to.Concept(&terminology.Concept{Code: string(cols[0])})
		})
		if err != nil {
			return err
		}
		return s.columns(ctx, s.relationships, 10, func(cols [][]byte) error {
			if !active(cols) || string(cols[7]) != sctIsA {
				return nil
			}
			return to.Parent(string(cols[4]), string(cols[5]))
		})
	}
	groups := uint32(s.f.size(append(slices.Clone(s.descriptions), s.relationships...)...)/groupBytes) + 1
	for g := range groups {
		if err := s.readGroup(ctx, g, groups, to); err != nil {
			return err
		}
	}
	return nil
}

type sctTerm struct{ id, language, typ, term string }

type sctConcept struct {
	terminology.Concept
	terms []sctTerm
}

func (s *snomed) readGroup(ctx context.Context, g, groups uint32, to terminology.Receiver) error {
	concepts := map[string]*sctConcept{}
	var order []*sctConcept
	err := s.columns(ctx, s.concepts, 5, func(cols [][]byte) error {
		if group(cols[0], groups) != g || concepts[string(cols[0])] != nil {
			return nil
		}
		c := &sctConcept{}
		c.Code, c.Inactive = string(cols[0]), !active(cols)
		prop(&c.Concept, "effectiveTime", "String", string(cols[1]))
		prop(&c.Concept, "moduleId", "Code", string(cols[3]))
		prop(&c.Concept, "sufficientlyDefined", "Boolean", fmt.Sprint(string(cols[4]) == sctDefined))
		prop(&c.Concept, "inactive", "Boolean", fmt.Sprint(c.Inactive))
		concepts[c.Code] = c
		order = append(order, c)
		return nil
	})
	if err != nil {
		return err
	}
	known := map[string]bool{} // descriptions of this group
	err = s.columns(ctx, s.descriptions, 9, func(cols [][]byte) error {
		c := concepts[string(cols[4])]
		if c == nil || !active(cols) {
			return nil
		}
		t := sctTerm{string(cols[0]), string(cols[5]), string(cols[6]), string(cols[7])}
		c.terms = append(c.terms, t)
		known[t.id] = true
		return nil
	})
	if err != nil {
		return err
	}
	preferred := map[string]bool{} // by description id
	err = s.columns(ctx, s.language, 7, func(cols [][]byte) error {
		if id := string(cols[5]); active(cols) && string(cols[6]) == sctPreferred && known[id] {
			preferred[id] = preferred[id] || string(cols[4]) == sctUSEnglish
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = s.columns(ctx, s.relationships, 10, func(cols [][]byte) error {
		if c := concepts[string(cols[4])]; c != nil && active(cols) && string(cols[7]) != sctIsA {
			prop(&c.Concept, string(cols[7]), "Code", string(cols[5]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = s.columns(ctx, s.memberships, 6, func(cols [][]byte) error {
		if c := concepts[string(cols[5])]; c != nil && active(cols) {
			prop(&c.Concept, "memberOf", "Code", string(cols[4]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range order {
		c.name(preferred)
		if err := to.Concept(&c.Concept); err != nil {
			return err
		}
	}
	return nil
}

// name picks the display: the preferred synonym in US English, else any
// preferred one, else the first synonym, else the fully specified name.
func (c *sctConcept) name(preferred map[string]bool) {
	best := -1
	for _, t := range c.terms {
		rank := 0
		us, pref := preferred[t.id]
		switch {
		case t.typ == sctSynonym && pref && us:
			rank = 4
		case t.typ == sctSynonym && pref && t.language == "en":
			rank = 3
		case t.typ == sctSynonym && t.language == "en":
			rank = 2
		case t.typ == sctFSN && t.language == "en":
			rank = 1
		}
		if rank > best {
			best, c.Display = rank, t.term
		}
	}
	for _, t := range c.terms {
		designation(&c.Concept, t.language, "http://snomed.info/sct", t.typ, t.term)
	}
}
