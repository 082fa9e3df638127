package distribution

import (
	"archive/zip"
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"ingle/terminology"
)

// Options tell what the files do not.
type Options struct {
	// Format is loinc, snomed, rxnorm, icd10cm, obo or csv; "" to find out.
	Format string
	// URL and Version of the code system; "" to take the publisher's.
	URL, Version string
	// CaseInsensitive tells that case does not matter (CSV only).
	CaseInsensitive bool
	// Comma separates the columns of a CSV file; 0 for a comma.
	Comma rune
	// Module is the SNOMED CT module whose edition it is; "" for the international one.
	Module string
}

// Opened is a distribution on a disk. Close it after the import.
type Opened struct {
	terminology.Distribution
	Format string
	close  func() error
}

// Close releases the files.
func (o *Opened) Close() error { return o.close() }

// Open opens a file, a folder or a zip archive and finds out what it holds.
func Open(name string, opt Options) (*Opened, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("distribution: %w", err)
	}
	d := &files{name: filepath.Base(filepath.Clean(name))}
	done := func() error { return nil }
	switch {
	case info.IsDir():
		d.fs = os.DirFS(name)
	case strings.EqualFold(filepath.Ext(name), ".zip"):
		z, err := zip.OpenReader(name)
		if err != nil {
			return nil, fmt.Errorf("distribution: %s: %w", d.name, err)
		}
		d.fs, done = &z.Reader, z.Close
	default:
		d.fs = oneFile{os.DirFS(filepath.Dir(name)), filepath.Base(name)}
	}
	out, format, err := open(d, opt)
	if err != nil {
		return nil, errors.Join(err, done())
	}
	return &Opened{out, format, done}, nil
}

// files are the files of a distribution.
type files struct {
	fs   fs.FS
	name string
	list []string
}

// oneFile is a folder in which only one file is seen.
type oneFile struct {
	fs.FS
	name string
}

// ReadDir shows the one file.
func (o oneFile) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.FS, name)
	return slices.DeleteFunc(list, func(e fs.DirEntry) bool { return e.Name() != o.name }), err
}

// find returns the files whose base name matches, sorted.
func (f *files) find(pattern string) ([]string, error) {
	if f.list == nil {
		err := fs.WalkDir(f.fs, ".", func(p string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !e.IsDir() && !strings.Contains(p, "__MACOSX") {
				f.list = append(f.list, p)
			}
			if len(f.list) > 100_000 {
				return errors.New("distribution: there are more than 100,000 files")
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("distribution: %w", err)
		}
		slices.Sort(f.list)
	}
	re := regexp.MustCompile(`(?i)^` + pattern + `$`)
	var out []string
	for _, p := range f.list {
		if re.MatchString(path.Base(p)) {
			out = append(out, p)
		}
	}
	return out, nil
}

// one returns the only file that matches, "" if there is none.
func (f *files) one(pattern string) (string, error) {
	list, err := f.find(pattern)
	if err != nil || len(list) == 0 {
		return "", err
	}
	if len(list) > 1 {
		return "", fmt.Errorf("distribution: both %s and %s are there; give one of them", list[0], list[1])
	}
	return list[0], nil
}

// checksum hashes names and contents.
func (f *files) checksum(extra string, names ...string) ([]byte, error) {
	h := sha256.New()
	io.WriteString(h, extra)
	for _, n := range names {
		if n == "" {
			continue
		}
		fmt.Fprintf(h, "\x00%s\x00", path.Base(n))
		r, err := f.fs.Open(n)
		if err != nil {
			return nil, fmt.Errorf("distribution: %w", err)
		}
		_, err = io.Copy(h, r)
		r.Close()
		if err != nil {
			return nil, fmt.Errorf("distribution: %s: %w", n, err)
		}
	}
	return h.Sum(nil), nil
}

const maxLine = 4 << 20

// lines calls fn for the lines of a file; the slice is reused. A line over 4 MiB
// is an error.
func (f *files) lines(name string, fn func(n int, line []byte) error) error {
	r, err := f.fs.Open(name)
	if err != nil {
		return fmt.Errorf("distribution: %w", err)
	}
	defer r.Close()
	sc := bufio.NewScanner(bufio.NewReaderSize(r, 1<<20))
	sc.Buffer(make([]byte, 64<<10), maxLine)
	for n := 1; sc.Scan(); n++ {
		line := bytes.TrimSuffix(sc.Bytes(), []byte{'\r'})
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if err := fn(n, line); err != nil {
			return fmt.Errorf("distribution: %s, line %d: %w", path.Base(name), n, err)
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("distribution: %s: %w", path.Base(name), err)
	}
	return nil
}

// size returns the bytes of files, uncompressed.
func (f *files) size(names ...string) int64 {
	var n int64
	for _, name := range names {
		if r, err := f.fs.Open(name); err == nil {
			if i, err := r.Stat(); err == nil {
				n += i.Size()
			}
			r.Close()
		}
	}
	return n
}

// groupBytes is how many bytes of files one group of concepts may stand for.
const groupBytes = 64 << 20

// group is the group of a code among n.
func group(code []byte, n uint32) uint32 {
	if n <= 1 {
		return 0
	}
	h := fnv.New32a()
	h.Write(code)
	return h.Sum32() % n
}

// tabs cuts a line at tabs, into cols.
func cut(line []byte, sep byte, cols [][]byte) [][]byte {
	cols = cols[:0]
	for {
		i := bytes.IndexByte(line, sep)
		if i < 0 {
			return append(cols, line)
		}
		cols = append(cols, line[:i])
		line = line[i+1:]
	}
}

func open(f *files, opt Options) (terminology.Distribution, string, error) {
	type probe struct {
		format, pattern string
		open            func(*files, Options) (terminology.Distribution, error)
	}
	probes := []probe{
		{"loinc", `Loinc\.csv`, openLOINC},
		{"snomed", `x?sct2_Concept_Snapshot.*\.txt`, openSNOMED},
		{"rxnorm", `RXNCONSO\.RRF`, openRxNorm},
		{"icd10cm", `icd10cm.?(order|tabular).*\.(txt|xml)`, openICD10CM},
		{"obo", `.*\.obo`, openOBO},
		{"csv", `.*\.(csv|tsv)`, openCSV},
	}
	for _, p := range probes {
		if opt.Format != "" && opt.Format != p.format {
			continue
		}
		have, err := f.find(p.pattern)
		if err != nil {
			return nil, "", err
		}
		if len(have) == 0 {
			if opt.Format != "" {
				return nil, "", fmt.Errorf("distribution: %s holds no file like %s of the format %s", f.name, p.pattern, p.format)
			}
			continue
		}
		d, err := p.open(f, opt)
		return d, p.format, err
	}
	if opt.Format != "" {
		return nil, "", fmt.Errorf("distribution: the format %q is not known; known are loinc, snomed, rxnorm, icd10cm, obo and csv", opt.Format)
	}
	return nil, "", fmt.Errorf("distribution: %s holds nothing that is known: LOINC (Loinc.csv), SNOMED CT RF2 (sct2_Concept_Snapshot…), RxNorm (RXNCONSO.RRF), ICD-10-CM (icd10cm_order… or icd10cm_tabular…), OBO or CSV", f.name)
}

// base holds what all distributions have.
type base struct {
	f     *files
	info  terminology.SystemInfo
	used  []string
	extra string
}

// Info returns the facts of the code system.
func (b *base) Info() *terminology.SystemInfo { return &b.info }

// Checksum hashes the files that are read.
func (b *base) Checksum() ([]byte, error) {
	return b.f.checksum(b.info.URL+"|"+b.info.Version+"|"+b.extra, b.used...)
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func prop(c *terminology.Concept, code, typ, value string) {
	if value != "" {
		c.Properties = append(c.Properties, terminology.Property{Code: code, Type: typ, Value: value})
	}
}

func designation(c *terminology.Concept, language, system, use, value string) {
	if value != "" && value != c.Display {
		c.Designations = append(c.Designations, terminology.Designation{Language: language, Use: terminology.Coding{System: system, Code: use}, Value: value})
	}
}
