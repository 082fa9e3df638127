package distribution

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"ingle/terminology"
)

// icd10cm is ICD-10-CM: the order file (all codes, hierarchy by prefix) or the
// tabular list in XML (with chapters and blocks).
type icd10cm struct {
	base
	order, tabular string
}

var year = regexp.MustCompile(`(20\d\d)`)

func openICD10CM(f *files, opt Options) (terminology.Distribution, error) {
	d := &icd10cm{base: base{f: f}}
	var err error
	if d.order, err = f.one(`icd10cm.?order.*\.txt`); err != nil {
		return nil, err
	}
	if d.order == "" {
		if d.tabular, err = f.one(`icd10cm.?tabular.*\.xml`); err != nil {
			return nil, err
		}
	}
	d.used = []string{d.order, d.tabular}
	version := opt.Version
	for _, s := range []string{d.order, d.tabular, f.name} {
		if m := year.FindStringSubmatch(s); version == "" && m != nil {
			version = m[1]
		}
	}
	if version == "" {
		return nil, errors.New("distribution: the year of ICD-10-CM is in no file's name; give the version")
	}
	d.info = terminology.SystemInfo{URL: orElse(opt.URL, "http://hl7.org/fhir/sid/icd-10-cm"), Version: version, Name: "ICD10CM", Title: "ICD-10-CM",
		Status: "active", Language: "en", HierarchyMeaning: "is-a", CaseSensitive: false,
		Properties: []terminology.PropertyInfo{{Code: "billable", Type: "boolean"}, {Code: "order", Type: "integer"}}}
	return d, nil
}

// dotted writes a code with its dot: A000 → A00.0.
func dotted(code string) string {
	if len(code) <= 3 {
		return code
	}
	return code[:3] + "." + code[3:]
}

// Read reads the order file, else the tabular list.
func (d *icd10cm) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	if d.order != "" {
		return d.readOrder(ctx, codesOnly, to)
	}
	r, err := d.f.fs.Open(d.tabular)
	if err != nil {
		return fmt.Errorf("distribution: %w", err)
	}
	defer r.Close()
	if err := readTabular(ctx, r, to); err != nil {
		return fmt.Errorf("distribution: %s: %w", d.tabular, err)
	}
	return nil
}

// readOrder reads lines of fixed width: order number 1–5, code 7–13, billable
// 15, short text 17–76, long text from 78. A code comes after its category.
func (d *icd10cm) readOrder(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	var path []string // the categories around the current line
	return d.f.lines(d.order, func(n int, line []byte) error {
		if len(strings.TrimSpace(string(line))) == 0 {
			return nil
		}
		if len(line) < 17 {
			return errors.New("the line is too short for an order file")
		}
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		field := func(from, to int) string {
			return strings.TrimSpace(string(line[min(from, len(line)):min(to, len(line))]))
		}
		code := field(6, 14)
		if code == "" {
			return errors.New("the line has no code")
		}
		for len(path) > 0 && !strings.HasPrefix(code, path[len(path)-1]) {
			path = path[:len(path)-1]
		}
		if len(path) > 0 {
			if err := to.Parent(dotted(code), dotted(path[len(path)-1])); err != nil {
				return err
			}
		}
		path = append(path, code)
		c := terminology.Concept{Code: dotted(code)}
		if !codesOnly {
			short := field(16, 77)
			c.Display = orElse(field(77, len(line)), short)
			designation(&c, "en", "", "", short)
			prop(&c, "billable", "Boolean", fmt.Sprint(field(14, 15) == "1"))
			prop(&c, "order", "Integer", strings.TrimLeft(field(0, 5), "0"))
		}
		return to.Concept(&c)
	})
}

type seventh struct {
	Extensions []struct {
		Char string `xml:"char,attr"`
		Text string `xml:",chardata"`
	} `xml:"extension"`
}

type diag struct {
	Name    string   `xml:"name"`
	Desc    string   `xml:"desc"`
	Seventh *seventh `xml:"sevenChrDef"`
	Diags   []diag   `xml:"diag"`
}

type section struct {
	ID    string `xml:"id,attr"`
	Desc  string `xml:"desc"`
	Diags []diag `xml:"diag"`
}

// readTabular reads the XML section by section.
func readTabular(ctx context.Context, r io.Reader, to terminology.Receiver) error {
	dec := xml.NewDecoder(r)
	dec.Strict = true
	dec.Entity = map[string]string{}
	chapter, chapterDesc, depth := "", "", 0
	put := func(code, display, parent string, abstract, billable bool) error {
		c := terminology.Concept{Code: code, Display: strings.Join(strings.Fields(display), " "), Abstract: abstract}
		if !abstract {
			prop(&c, "billable", "Boolean", fmt.Sprint(billable))
		}
		if parent != "" {
			if err := to.Parent(code, parent); err != nil {
				return err
			}
		}
		return to.Concept(&c)
	}
	var walk func(d *diag, parent string, ext *seventh, level int) error
	walk = func(d *diag, parent string, ext *seventh, level int) error {
		if level > 12 {
			return errors.New("codes are nested more than 12 deep")
		}
		if d.Seventh != nil {
			ext = d.Seventh
		}
		leaf := len(d.Diags) == 0
		if err := put(d.Name, d.Desc, parent, false, leaf && ext == nil); err != nil {
			return err
		}
		for i := range d.Diags {
			if err := walk(&d.Diags[i], d.Name, ext, level+1); err != nil {
				return err
			}
		}
		if leaf && ext != nil {
			stem := strings.ReplaceAll(d.Name, ".", "")
			if len(stem) < 3 || len(stem) > 6 {
				return fmt.Errorf("the code %q cannot take a seventh character", d.Name)
			}
			stem += strings.Repeat("X", 6-len(stem))
			for _, e := range ext.Extensions {
				if err := put(dotted(stem+e.Char), d.Desc+", "+e.Text, d.Name, false, true); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			switch {
			case t.Name.Local == "chapter":
				chapter, chapterDesc, depth = "", "", 1
			case depth == 1 && t.Name.Local == "name":
				if err := dec.DecodeElement(&chapter, &t); err != nil {
					return err
				}
			case depth == 1 && t.Name.Local == "desc":
				if err := dec.DecodeElement(&chapterDesc, &t); err != nil {
					return err
				}
				if err := put("Chapter "+chapter, chapterDesc, "", true, false); err != nil {
					return err
				}
			case depth == 1 && t.Name.Local == "section":
				if err := ctx.Err(); err != nil {
					return err
				}
				var s section
				if err := dec.DecodeElement(&s, &t); err != nil {
					return err
				}
				parent := "Chapter " + chapter
				single := len(s.Diags) == 1 && s.Diags[0].Name == s.ID
				if !single {
					if err := put(s.ID, s.Desc, parent, true, false); err != nil {
						return err
					}
					parent = s.ID
				}
				for i := range s.Diags {
					if err := walk(&s.Diags[i], parent, nil, 0); err != nil {
						return err
					}
				}
			}
		case xml.EndElement:
			if t.Name.Local == "chapter" {
				depth = 0
			}
		}
	}
}
