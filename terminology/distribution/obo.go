package distribution

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"ingle/terminology"
)

// obo is an ontology in the OBO format 1.2 or 1.4.
type obo struct {
	base
	name string
}

// oboSystems are the URLs under which ontologies are known in FHIR, by their
// ontology tag. Others are known by their PURL.
var oboSystems = map[string]string{
	"hp": "http://human-phenotype-ontology.org",
}

func openOBO(f *files, opt Options) (terminology.Distribution, error) {
	name, err := f.one(`.*\.obo`)
	if err != nil {
		return nil, err
	}
	o := &obo{base: base{f: f, used: []string{name}}, name: name}
	ontology, version := "", ""
	stop := errors.New("end of the header")
	err = f.lines(name, func(_ int, line []byte) error {
		s := string(line)
		if strings.HasPrefix(s, "[") {
			return stop
		}
		if v, ok := strings.CutPrefix(s, "ontology:"); ok {
			ontology = strings.TrimSpace(v)
		}
		if v, ok := strings.CutPrefix(s, "data-version:"); ok {
			version = strings.TrimSpace(v)
		}
		return nil
	})
	if err != nil && !errors.Is(err, stop) {
		return nil, err
	}
	ontology = strings.TrimSuffix(path.Base(ontology), ".owl")
	if i := strings.LastIndex(version, "releases/"); i >= 0 {
		version = version[i+len("releases/"):]
	}
	version, _, _ = strings.Cut(version, "/")
	url := opt.URL
	if url == "" {
		if url = oboSystems[ontology]; url == "" && ontology != "" && ontology != "." {
			url = "http://purl.obolibrary.org/obo/" + ontology + ".owl"
		}
	}
	if url == "" {
		return nil, errors.New("distribution: the ontology does not name itself; give the URL of its code system")
	}
	o.info = terminology.SystemInfo{URL: url, Version: orElse(opt.Version, version), Name: strings.ToUpper(orElse(ontology, "OBO")), Status: "active",
		Language: "en", HierarchyMeaning: "is-a", CaseSensitive: true,
		Properties: []terminology.PropertyInfo{{Code: "inactive", Type: "boolean"}, {Code: "alternateCode", URI: "http://hl7.org/fhir/concept-properties#alternateCode", Type: "code"},
			{Code: "replacedBy", Type: "code"}, {Code: "xref", Type: "string"}, {Code: "subset", Type: "string"}}}
	return o, nil
}

// Read reads the stanzas of terms.
func (o *obo) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	var c terminology.Concept
	var parents []string
	inTerm := false
	end := func() error {
		if !inTerm || c.Code == "" {
			return nil
		}
		if !c.Inactive {
			for _, p := range parents {
				if err := to.Parent(c.Code, p); err != nil {
					return err
				}
			}
		} else {
			prop(&c, "inactive", "Boolean", "true")
		}
		return to.Concept(&c)
	}
	err := o.f.lines(o.name, func(n int, line []byte) error {
		if n%65536 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		s := string(line)
		if strings.HasPrefix(s, "[") {
			if err := end(); err != nil {
				return err
			}
			c, parents, inTerm = terminology.Concept{}, nil, strings.HasPrefix(s, "[Term]")
			return nil
		}
		if !inTerm {
			return nil
		}
		tag, value, ok := strings.Cut(s, ":")
		if !ok {
			return nil
		}
		value = strings.TrimSpace(value)
		switch tag {
		case "id":
			c.Code = bare(value)
		case "is_obsolete":
			c.Inactive = bare(value) == "true"
		case "is_a":
			parents = append(parents, bare(value))
		}
		if codesOnly {
			return nil
		}
		switch tag {
		case "name":
			c.Display = unescape(value)
		case "def":
			text, _, err := quotedText(value)
			if err != nil {
				return err
			}
			c.Definition = text
		case "synonym":
			text, rest, err := quotedText(value)
			if err != nil {
				return err
			}
			scope, _, _ := strings.Cut(rest, " ")
			designation(&c, "en", "http://www.geneontology.org/formats/oboInOwl", scope, text)
		case "alt_id":
			prop(&c, "alternateCode", "Code", bare(value))
		case "replaced_by":
			prop(&c, "replacedBy", "Code", bare(value))
		case "xref", "subset":
			prop(&c, tag, "String", bare(value))
		case "relationship":
			if rel, target, ok := strings.Cut(bare(value), " "); ok {
				prop(&c, rel, "Code", bare(target))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := end(); err != nil {
		return fmt.Errorf("distribution: %s: %w", o.name, err)
	}
	return nil
}

// bare cuts trailing comments and modifiers: `HP:1 {source="x"} ! name`.
func bare(v string) string {
	if i := strings.Index(v, " !"); i >= 0 {
		v = v[:i]
	}
	if i := strings.Index(v, " {"); i >= 0 {
		v = v[:i]
	}
	return strings.TrimSpace(v)
}

func unescape(v string) string {
	if i := strings.Index(v, " {"); i >= 0 && strings.HasSuffix(v, "}") {
		v = v[:i]
	}
	return strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\W`, " ", `\:`, ":", `\,`, ",", `\"`, `"`, `\\`, `\`, `\(`, "(", `\)`, ")", `\[`, "[", `\]`, "]", `\{`, "{", `\}`, "}", `\!`, "!").Replace(v)
}

// quotedText reads `"text" rest`.
func quotedText(v string) (text, rest string, err error) {
	if !strings.HasPrefix(v, `"`) {
		return "", "", errors.New("a quoted text is expected")
	}
	for i := 1; i < len(v); i++ {
		switch v[i] {
		case '\\':
			i++
		case '"':
			return unescape(v[1:i]), strings.TrimSpace(v[i+1:]), nil
		}
	}
	return "", "", errors.New("the quoted text does not end")
}
