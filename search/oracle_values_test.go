package search

import (
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"ingle/fhir"
	"ingle/fhir/ucum"
)

// The values of each type of search parameter as the oracle sees them, and how
// it compares them.

// otoken is a token as the oracle sees it.
type otoken struct {
	systems []string // any of them is its system; empty for none
	code    string
	cased   bool
	kind    string
}

func (f found) str(name string) string { return f.n.Get(name).Text() }

func (f found) tokens() []otoken {
	sys := func(list ...string) []string { return slices.DeleteFunc(list, func(s string) bool { return s == "" }) }
	coding := func(c fhir.Node) []otoken {
		t := otoken{systems: sys(c.Get("system").Text()), code: c.Get("code").Text(), kind: "coding"}
		if t.code == "" && len(t.systems) == 0 {
			return nil
		}
		return []otoken{t}
	}
	switch f.typ {
	case "Coding":
		return coding(f.n)
	case "CodeableConcept":
		var out []otoken
		for c := f.n.Get("coding").First(); c.Valid(); c = c.Next() {
			out = append(out, coding(c)...)
		}
		return out
	case "Identifier":
		return []otoken{{systems: sys(f.str("system")), code: f.str("value"), kind: "identifier"}}
	case "ContactPoint":
		return []otoken{{systems: sys(f.str("system"), f.str("use")), code: f.str("value"), kind: "contact"}}
	case "code", "string", "Boolean", "boolean":
		s := f.text
		if f.n.Valid() {
			s = f.n.Text()
		}
		return []otoken{{code: s, kind: "code"}}
	case "id", "uri", "url", "canonical", "oid", "uuid":
		return []otoken{{code: f.n.Text(), cased: true, kind: "exact"}}
	}
	return nil
}

func (t otoken) matches(value string) bool {
	parts := oraclesplit(value, '|')
	same := func(code string) bool {
		if t.cased {
			return code == t.code
		}
		return strings.EqualFold(code, t.code)
	}
	if len(parts) == 1 {
		return t.code != "" && same(plainText(parts[0]))
	}
	system, code := plainText(parts[0]), plainText(parts[1])
	switch {
	case system == "":
		return len(t.systems) == 0 && same(code)
	case code == "":
		return slices.Contains(t.systems, system)
	}
	return slices.Contains(t.systems, system) && same(code)
}

// oraclesplit splits at sep where no backslash stands before it.
func oraclesplit(s string, sep rune) []string {
	var out []string
	cur, esc := "", false
	for _, r := range s {
		switch {
		case esc:
			cur += `\` + string(r)
			esc = false
		case r == '\\':
			esc = true
		case r == sep:
			out = append(out, cur)
			cur = ""
		default:
			cur += string(r)
		}
	}
	if esc {
		cur += `\`
	}
	return append(out, cur)
}

var escapes = regexp.MustCompile(`\\([,|$\\])`)

func plainText(s string) string { return escapes.ReplaceAllString(s, "$1") }

// otime is a range of microseconds.
type otime struct{ lo, hi int64 }

const (
	ever  = int64(1) << 62
	since = -ever
)

var dateShape = regexp.MustCompile(`^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$`)

func oracleDate(s string) (otime, bool) {
	m := dateShape.FindStringSubmatch(s)
	if m == nil {
		return otime{}, false
	}
	num := func(i, def int) int {
		if m[i] == "" {
			return def
		}
		n, _ := strconv.Atoi(m[i])
		return n
	}
	loc := time.UTC
	if z := m[8]; z != "" && z != "Z" {
		h, _ := strconv.Atoi(z[1:3])
		mi, _ := strconv.Atoi(z[4:6])
		off := h*3600 + mi*60
		if z[0] == '-' {
			off = -off
		}
		loc = time.FixedZone("", off)
	}
	t := time.Date(num(1, 1), time.Month(num(2, 1)), num(3, 1), num(4, 0), num(5, 0), num(6, 0), 0, loc)
	var end time.Time
	switch {
	case m[2] == "":
		end = t.AddDate(1, 0, 0)
	case m[3] == "":
		end = t.AddDate(0, 1, 0)
	case m[4] == "":
		end = t.AddDate(0, 0, 1)
	case m[6] == "":
		end = t.Add(time.Minute)
	case m[7] == "":
		end = t.Add(time.Second)
	default:
		frac := m[7][1:]
		unit := int64(1_000_000)
		for range frac {
			unit /= 10
		}
		for len(frac) < 6 {
			frac += "0"
		}
		f, _ := strconv.ParseInt(frac[:6], 10, 64)
		lo := t.UnixMicro() + f
		return otime{lo, lo + max(unit, 1) - 1}, true
	}
	return otime{t.UnixMicro(), end.UnixMicro() - 1}, true
}

func (f found) dates() []otime {
	switch f.typ {
	case "date", "dateTime", "instant":
		if t, ok := oracleDate(f.n.Text()); ok {
			return []otime{t}
		}
	case "Period":
		out := otime{since, ever}
		some := false
		if s := f.str("start"); s != "" {
			t, _ := oracleDate(s)
			out.lo, some = t.lo, true
		}
		if s := f.str("end"); s != "" {
			t, _ := oracleDate(s)
			out.hi, some = t.hi, true
		}
		if some && out.lo <= out.hi {
			return []otime{out}
		}
	case "Timing":
		var all []otime
		for e := f.n.Get("event").First(); e.Valid(); e = e.Next() {
			if t, ok := oracleDate(e.Text()); ok {
				all = append(all, t)
			}
		}
		if b := f.n.Get("repeat").Get("boundsPeriod"); b.Valid() {
			all = append(all, found{typ: "Period", n: b}.dates()...)
		}
		if len(all) > 0 {
			out := all[0]
			for _, t := range all {
				out = otime{min(out.lo, t.lo), max(out.hi, t.hi)}
			}
			return []otime{out}
		}
	}
	return nil
}

func (t otime) matches(value string, now time.Time) bool {
	prefix, rest := oraclePrefix(value)
	s, ok := oracleDate(rest)
	if !ok {
		return false
	}
	contained := t.lo >= s.lo && t.hi <= s.hi
	switch prefix {
	case "eq":
		return contained
	case "ne":
		return !contained
	case "gt":
		return t.hi > s.hi
	case "lt":
		return t.lo < s.lo
	case "ge":
		return t.hi > s.hi || contained
	case "le":
		return t.lo < s.lo || contained
	case "sa":
		return t.lo > s.hi
	case "eb":
		return t.hi < s.lo
	case "ap":
		n := now.UnixMicro()
		m := int64(0)
		if n > s.hi {
			m = (n - s.hi) / 10
		}
		if n < s.lo {
			m = (s.lo - n) / 10
		}
		return t.lo <= s.hi+m && t.hi >= s.lo-m
	}
	return false
}

func oraclePrefix(s string) (string, string) {
	for _, p := range []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"} {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return p, rest
		}
	}
	return "eq", s
}

func oracleFold(s string) string {
	var b strings.Builder
	for _, r := range norm.NFD.String(s) {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(unicode.ToLower(r))
		}
	}
	return strings.Join(strings.Fields(norm.NFC.String(strings.ReplaceAll(b.String(), "ß", "ss"))), " ")
}

// otext is a text of a string parameter; words tells that its words count too.
type otext struct {
	s     string
	words bool
}

func (f found) texts() []otext {
	part := func(names ...string) []otext {
		var out []otext
		for _, name := range names {
			v := f.n.Get(name)
			if v.Kind() == fhir.Array {
				for c := v.First(); c.Valid(); c = c.Next() {
					if c.Kind() == fhir.String {
						out = append(out, otext{c.Text(), true})
					}
				}
			} else if v.Valid() {
				out = append(out, otext{v.Text(), true})
			}
		}
		return out
	}
	switch f.typ {
	case "HumanName":
		return part("family", "given", "prefix", "suffix", "text")
	case "Address":
		return part("line", "city", "district", "state", "postalCode", "country", "text")
	case "string", "markdown", "code", "uri":
		return []otext{{f.n.Text(), false}}
	}
	return nil
}

func (t otext) matches(modifier, value string) bool {
	v := plainText(value)
	switch modifier {
	case "exact":
		return t.s == v
	case "contains":
		return strings.Contains(oracleFold(t.s), oracleFold(v))
	case "text": // one word
		return slices.ContainsFunc(strings.Fields(oracleFold(t.s)), func(w string) bool { return strings.HasPrefix(w, oracleFold(v)) })
	}
	have, want := oracleFold(t.s), oracleFold(v)
	if strings.HasPrefix(have, want) {
		return true
	}
	if t.words {
		words := strings.Split(have, " ")
		for i := 1; i < len(words) && i < 8; i++ {
			if strings.HasPrefix(strings.Join(words[i:], " "), want) {
				return true
			}
		}
	}
	return false
}

// oref is what a reference points to.
func (o *oracle) refs(f found, s *stored) []string {
	switch f.typ {
	case "Reference":
		ref := f.str("reference")
		if ref == "" || ref[0] == '#' {
			return nil
		}
		out := []string{ref}
		if bare, _, ok := strings.Cut(ref, "/_history/"); ok {
			out = append(out, bare)
		}
		return out
	case "canonical", "uri", "url":
		out := []string{f.n.Text()}
		if bare, _, ok := strings.Cut(f.n.Text(), "|"); ok {
			out = append(out, bare)
		}
		return out
	}
	if f.n.Get("resourceType").Valid() {
		if id := f.str("id"); id != "" {
			return []string{f.str("resourceType") + "/" + id}
		}
	}
	return nil
}

// resolve finds what a reference points to: Type/id, or a canonical URL.
func (o *oracle) resolve(f found, ref string) []*stored {
	if t := o.w.byKey[ref]; t != nil {
		return []*stored{t}
	}
	if f.typ != "canonical" || ref != f.n.Text() { // the version, where one is given
		return nil
	}
	if o.byURL == nil {
		o.byURL = map[string][]*stored{}
		for _, s := range o.w.docs {
			if url := s.doc.Root().Get("url").Text(); url != "" && o.w.reg.defs.SearchParam(s.typ, "url") != nil {
				o.byURL[url] = append(o.byURL[url], s)
				if v := s.doc.Root().Get("version").Text(); v != "" {
					o.byURL[url+"|"+v] = append(o.byURL[url+"|"+v], s)
				}
			}
		}
	}
	return o.byURL[ref]
}

// onum is a range of numbers with a unit.
type onum struct {
	lo, hi             *big.Rat // nil: open
	unit, text, system string
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil
	}
	return r
}

func (f found) numbers() []onum {
	unit := func(q fhir.Node, n onum) onum {
		n.unit, n.text, n.system = q.Get("code").Text(), q.Get("unit").Text(), q.Get("system").Text()
		return n
	}
	switch f.typ {
	case "Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity":
		v := f.n.Get("value")
		if !v.Valid() {
			return nil
		}
		n := onum{lo: rat(v.Text()), hi: rat(v.Text())}
		switch c := f.str("comparator"); c {
		case "<", "<=":
			n.lo = nil
		case ">", ">=":
			n.hi = nil
		}
		return []onum{unit(f.n, n)}
	case "Money":
		if v := f.n.Get("value"); v.Valid() {
			n := onum{lo: rat(v.Text()), hi: rat(v.Text()), unit: f.str("currency")}
			if n.unit != "" {
				n.system = "urn:iso:std:iso:4217"
			}
			return []onum{n}
		}
	case "Range":
		n := onum{}
		q := f.n.Get("low")
		if v := q.Get("value"); v.Valid() {
			n.lo = rat(v.Text())
		}
		if v := f.n.Get("high").Get("value"); v.Valid() {
			n.hi = rat(v.Text())
		}
		if n.lo == nil && n.hi == nil {
			return nil
		}
		if !q.Get("code").Valid() && !q.Get("unit").Valid() && f.n.Get("high").Valid() {
			q = f.n.Get("high")
		}
		return []onum{unit(q, n)}
	case "SampledData":
		origin, factor := rat(f.n.Get("origin").Get("value").Text()), big.NewRat(1, 1)
		if v := f.n.Get("factor"); v.Valid() {
			factor = rat(v.Text())
		}
		var n onum
		for _, word := range strings.Fields(f.str("data")) {
			if r := rat(word); r != nil && !strings.ContainsAny(word, "EUL/") {
				r.Mul(r, factor).Add(r, origin)
				if n.lo == nil || r.Cmp(n.lo) < 0 {
					n.lo = r
				}
				if n.hi == nil || r.Cmp(n.hi) > 0 {
					n.hi = r
				}
			}
		}
		if n.lo != nil {
			return []onum{unit(f.n.Get("origin"), n)}
		}
	case "integer", "decimal", "positiveInt", "unsignedInt":
		return []onum{{lo: rat(f.n.Text()), hi: rat(f.n.Text())}}
	}
	return nil
}

// matches compares by the number alone; the unit is compared by the caller.
func (n onum) matches(value string) bool {
	prefix, text := oraclePrefix(value)
	v := rat(text)
	lower := func(a *big.Rat, b *big.Rat) bool { return a == nil || a.Cmp(b) < 0 } // a is a lower end
	higher := func(a *big.Rat, b *big.Rat) bool { return a == nil || a.Cmp(b) > 0 }
	// half a unit of the last digit
	digits, exp := text, 0
	if m, e, ok := strings.Cut(strings.ToLower(text), "e"); ok {
		digits = m
		exp, _ = strconv.Atoi(e)
	}
	if _, frac, ok := strings.Cut(digits, "."); ok {
		exp -= len(frac)
	}
	half := big.NewRat(1, 2)
	for ; exp > 0; exp-- {
		half.Mul(half, big.NewRat(10, 1))
	}
	for ; exp < 0; exp++ {
		half.Mul(half, big.NewRat(1, 10))
	}
	a, b := new(big.Rat).Sub(v, half), new(big.Rat).Add(v, half)
	in := n.lo != nil && n.hi != nil && n.lo.Cmp(a) >= 0 && n.hi.Cmp(b) < 0
	switch prefix {
	case "eq":
		return in
	case "ne":
		return !in
	case "gt":
		return higher(n.hi, v)
	case "lt":
		return lower(n.lo, v)
	case "ge":
		return n.hi == nil || n.hi.Cmp(v) >= 0
	case "le":
		return n.lo == nil || n.lo.Cmp(v) <= 0
	case "sa":
		return n.lo != nil && n.lo.Cmp(v) > 0
	case "eb":
		return n.hi != nil && n.hi.Cmp(v) < 0
	case "ap":
		m := new(big.Rat).Abs(new(big.Rat).Mul(v, big.NewRat(1, 10)))
		return (n.lo == nil || n.lo.Cmp(new(big.Rat).Add(v, m)) <= 0) && (n.hi == nil || n.hi.Cmp(new(big.Rat).Sub(v, m)) >= 0)
	}
	return false
}

// in converts a quantity to the unit of the search, where both are of UCUM and
// of one kind.
func (n onum) in(parts []string) (onum, bool) {
	if len(parts) < 3 || parts[2] == "" || parts[1] != "" && parts[1] != ucum.System || n.system != ucum.System || n.unit == "" {
		return n, false
	}
	from, err1 := ucum.Parse(n.unit)
	to, err2 := ucum.Parse(parts[2])
	if err1 != nil || err2 != nil || from.IsSpecial() || to.IsSpecial() || strings.Contains(n.unit+parts[2], "{") || !from.Comparable(to) {
		return n, false
	}
	f := new(big.Rat).Quo(from.Factor(), to.Factor())
	if n.lo != nil {
		n.lo = new(big.Rat).Mul(n.lo, f)
	}
	if n.hi != nil {
		n.hi = new(big.Rat).Mul(n.hi, f)
	}
	return n, true
}

func (n onum) hasUnit(parts []string) bool {
	switch {
	case len(parts) < 3 || parts[1] == "" && parts[2] == "":
		return true
	case parts[1] == "":
		return n.unit == parts[2] || oracleFold(n.text) == oracleFold(parts[2]) && n.text != ""
	case parts[2] == "":
		return n.system == parts[1]
	}
	return n.unit == parts[2] && n.system == parts[1]
}
