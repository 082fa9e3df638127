package distribution

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"ingle/terminology"
)

// csvFile is a code system in one table. The columns code, display,
// definition, parent ("a|b" for several), inactive, abstract and
// designation:<language> have their meaning; any other is a property.
type csvFile struct {
	base
	name  string
	comma rune
}

func openCSV(f *files, opt Options) (terminology.Distribution, error) {
	name, err := f.one(`.*\.(csv|tsv)`)
	if err != nil {
		return nil, err
	}
	if opt.URL == "" {
		return nil, errors.New("distribution: a CSV file does not name its code system; give its URL")
	}
	c := &csvFile{base: base{f: f, used: []string{name}}, name: name, comma: opt.Comma}
	if c.comma == 0 {
		c.comma = ','
		if strings.HasSuffix(strings.ToLower(name), ".tsv") {
			c.comma = '\t'
		}
	}
	c.info = terminology.SystemInfo{URL: opt.URL, Version: opt.Version, Name: strings.TrimSuffix(path.Base(name), path.Ext(name)), Status: "active",
		CaseSensitive: !opt.CaseInsensitive, HierarchyMeaning: "is-a"}
	return c, nil
}

// table reads a CSV file with a header line, by the names of the columns.
func (f *files) table(name string, comma rune, fn func(row map[string]string) error) error {
	r, err := f.fs.Open(name)
	if err != nil {
		return fmt.Errorf("distribution: %w", err)
	}
	defer r.Close()
	br := bufio.NewReaderSize(r, 1<<20)
	if b, err := br.Peek(3); err == nil && string(b) == "\xef\xbb\xbf" {
		br.Discard(3)
	}
	cr := csv.NewReader(br)
	cr.Comma, cr.ReuseRecord, cr.FieldsPerRecord = comma, true, -1
	header, err := cr.Read()
	if err != nil {
		return fmt.Errorf("distribution: %s: %w", path.Base(name), err)
	}
	cols := make([]string, len(header))
	for i, h := range header {
		cols[i] = strings.TrimSpace(h)
	}
	row := make(map[string]string, len(cols))
	for {
		rec, err := cr.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("distribution: %s: %w", path.Base(name), err)
		}
		for i, c := range cols {
			if i < len(rec) {
				row[c] = rec[i]
			} else {
				row[c] = ""
			}
		}
		if err := fn(row); err != nil {
			line, _ := cr.FieldPos(0)
			return fmt.Errorf("distribution: %s, line %d: %w", path.Base(name), line, err)
		}
	}
}

// Read reads the table.
func (c *csvFile) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	n := 0
	return c.f.table(c.name, c.comma, func(row map[string]string) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		code, ok := row["code"]
		if !ok {
			return errors.New(`the table has no column "code"`)
		}
		if code = strings.TrimSpace(code); code == "" {
			return errors.New("a line has no code")
		}
		for p := range strings.SplitSeq(row["parent"], "|") {
			if p = strings.TrimSpace(p); p != "" {
				if err := to.Parent(code, p); err != nil {
					return err
				}
			}
		}
		x := terminology.Concept{Code: code, Display: row["display"], Definition: row["definition"], Inactive: yes(row["inactive"]), Abstract: yes(row["abstract"])}
		if !codesOnly {
			for k, v := range row {
				switch k {
				case "code", "display", "definition", "parent", "inactive", "abstract", "":
				default:
					if lang, ok := strings.CutPrefix(k, "designation:"); ok {
						designation(&x, lang, "", "", v)
					} else {
						prop(&x, k, "String", v)
					}
				}
			}
		}
		return to.Concept(&x)
	})
}

func yes(v string) bool {
	switch strings.ToLower(strings.TrimSpace(v)) {
	case "1", "true", "yes", "y":
		return true
	}
	return false
}
