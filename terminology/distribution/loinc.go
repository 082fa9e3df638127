package distribution

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"

	"ingle/terminology"
)

// loinc is the LOINC release: Loinc.csv, and where they are there the component
// hierarchy, the answer lists and the names in other languages.
type loinc struct {
	base
	table, hierarchy, answers string
	variants                  []string
}

// loincVariant is the file of a linguistic variant, such as
// deDE15LinguisticVariant.csv.
var loincVariant = regexp.MustCompile(`([a-z]{2})([A-Z]{2})\d*LinguisticVariant\.csv$`)

var loincVersion = regexp.MustCompile(`(?i)loinc[_-]?v?(\d+\.\d+)`)

// loincProperties are the columns of Loinc.csv that become properties, by the
// names that FHIR uses for them (terminology-loinc, R4).
var loincProperties = []string{"COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS", "CLASSTYPE", "STATUS",
	"ORDER_OBS", "VersionLastChanged", "VersionFirstReleased", "UNITSREQUIRED", "EXAMPLE_UCUM_UNITS", "EXAMPLE_UNITS", "PanelType"}

func openLOINC(f *files, opt Options) (terminology.Distribution, error) {
	l := &loinc{base: base{f: f}}
	var err error
	if l.table, err = f.one(`Loinc\.csv`); err != nil {
		return nil, err
	}
	if l.hierarchy, err = f.one(`(ComponentHierarchyBySystem|MultiAxialHierarchy)\.csv`); err != nil {
		return nil, err
	}
	if l.answers, err = f.one(`AnswerList\.csv`); err != nil {
		return nil, err
	}
	if l.variants, err = f.find(`[a-z]{2}[A-Z]{2}\d*LinguisticVariant\.csv`); err != nil {
		return nil, err
	}
	l.variants = slices.DeleteFunc(l.variants, func(name string) bool { return !loincVariant.MatchString(name) })
	version := opt.Version
	if version == "" {
		for _, s := range []string{f.name, l.table} {
			if m := loincVersion.FindStringSubmatch(s); m != nil {
				version = m[1]
				break
			}
		}
	}
	if version == "" {
		return nil, errors.New("distribution: the version of LOINC is in no file's name; give it")
	}
	l.used = append([]string{l.table, l.hierarchy, l.answers}, l.variants...)
	l.info = terminology.SystemInfo{URL: orElse(opt.URL, "http://loinc.org"), Version: version, Name: "LOINC", Title: "LOINC", Status: "active",
		Language: "en", ValueSet: "http://loinc.org/vs", HierarchyMeaning: "is-a", CaseSensitive: false}
	for _, p := range loincProperties {
		l.info.Properties = append(l.info.Properties, terminology.PropertyInfo{Code: p, Type: "string"})
	}
	l.info.Properties = append(l.info.Properties, terminology.PropertyInfo{Code: "answer-list", Type: "code"})
	return l, nil
}

// Read reads the codes, then the parts and answers.
func (l *loinc) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	groups := uint32(1)
	if !codesOnly {
		groups += uint32(l.f.size(l.variants...) / groupBytes)
	}
	for g := range groups {
		if err := l.readCodes(ctx, codesOnly, g, groups, to); err != nil {
			return err
		}
	}
	if l.hierarchy != "" {
		err := l.f.table(l.hierarchy, ',', func(row map[string]string) error {
			code, parent := row["CODE"], row["IMMEDIATE_PARENT"]
			if code == "" {
				return nil
			}
			if strings.HasPrefix(code, "LP") { // the codes themselves are in Loinc.csv
				if err := to.Concept(&terminology.Concept{Code: code, Display: row["CODE_TEXT"]}); err != nil {
					return err
				}
			}
			if parent == "" || parent == "." {
				return nil
			}
			return to.Parent(code, parent)
		})
		if err != nil {
			return err
		}
	}
	if l.answers == "" {
		return nil
	}
	return l.readAnswers(codesOnly, to)
}

// readAnswers reads answer lists. An answer is in many lists, so its lists are
// gathered first; there are some tens of thousands of them.
func (l *loinc) readAnswers(codesOnly bool, to terminology.Receiver) error {
	type answer struct {
		display string
		lists   []string
	}
	answers := map[string]*answer{}
	var order []string
	err := l.f.table(l.answers, ',', func(row map[string]string) error {
		list, code := row["AnswerListId"], row["AnswerStringId"]
		if list != "" && answers[list] == nil {
			answers[list] = &answer{display: row["AnswerListName"]}
			order = append(order, list)
		}
		if code == "" {
			return nil
		}
		a := answers[code]
		if a == nil {
			a = &answer{display: row["DisplayText"]}
			answers[code] = a
			order = append(order, code)
		}
		a.lists = append(a.lists, list)
		return nil
	})
	if err != nil {
		return err
	}
	for _, code := range order {
		c := terminology.Concept{Code: code, Display: answers[code].display}
		if !codesOnly {
			for _, list := range answers[code].lists {
				prop(&c, "answer-list", "Code", list)
			}
		}
		if err := to.Concept(&c); err != nil {
			return err
		}
	}
	return nil
}

// readCodes reads one group of codes, with their names in other languages.
func (l *loinc) readCodes(ctx context.Context, codesOnly bool, g, groups uint32, to terminology.Receiver) error {
	var names map[string][]terminology.Designation
	if !codesOnly {
		var err error
		if names, err = l.readVariants(g, groups); err != nil {
			return err
		}
	}
	return l.f.table(l.table, ',', func(row map[string]string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		c := terminology.Concept{Code: row["LOINC_NUM"]}
		if c.Code == "" {
			return errors.New("a line has no LOINC_NUM")
		}
		if group([]byte(c.Code), groups) != g {
			return nil
		}
		if !codesOnly {
			c.Display = orElse(row["LONG_COMMON_NAME"], row["SHORTNAME"])
			c.Definition = row["DefinitionDescription"]
			c.Inactive = row["STATUS"] == "DEPRECATED"
			designation(&c, "en", loincUse, "SHORTNAME", row["SHORTNAME"])
			designation(&c, "en", loincUse, "CONSUMER_NAME", row["CONSUMER_NAME"])
			designation(&c, "en", loincUse, "DisplayName", row["DisplayName"])
			c.Designations = append(c.Designations, names[c.Code]...)
			for _, p := range loincProperties {
				prop(&c, p, "String", row[p])
			}
		}
		return to.Concept(&c)
	})
}

// loincUse is the system of the uses of LOINC's names: the columns they stand in.
const loincUse = "http://loinc.org"

// readVariants reads the names that one group of codes has in other languages.
func (l *loinc) readVariants(g, groups uint32) (map[string][]terminology.Designation, error) {
	names := map[string][]terminology.Designation{}
	for _, file := range l.variants {
		m := loincVariant.FindStringSubmatch(file)
		language := m[1] + "-" + m[2]
		err := l.f.table(file, ',', func(row map[string]string) error {
			code := row["LOINC_NUM"]
			if group([]byte(code), groups) != g {
				return nil
			}
			for _, use := range []string{"LinguisticVariantDisplayName", "LONG_COMMON_NAME", "SHORTNAME"} {
				if row[use] != "" {
					names[code] = append(names[code], terminology.Designation{Language: language, Use: terminology.Coding{System: loincUse, Code: use}, Value: row[use]})
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}
