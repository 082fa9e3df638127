package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"ingle/fhir"
	"ingle/fhirpath/syntax"
)

// stringFunctions are those of N1, 5.6, and the additional ones of 2.1.
var stringFunctions = map[string]function{
	"indexOf": onString(1, KindInteger, func(_ *evaluation, _ *syntax.Call, s string, a []string) (Value, bool, error) {
		return position(s, strings.Index(s, a[0])), true, nil
	}),
	"lastIndexOf": onString(1, KindInteger, func(_ *evaluation, _ *syntax.Call, s string, a []string) (Value, bool, error) {
		return position(s, strings.LastIndex(s, a[0])), true, nil
	}),
	"startsWith": onString(1, KindBoolean, func(_ *evaluation, _ *syntax.Call, s string, a []string) (Value, bool, error) {
		return Boolean(strings.HasPrefix(s, a[0])), true, nil
	}),
	"endsWith": onString(1, KindBoolean, func(_ *evaluation, _ *syntax.Call, s string, a []string) (Value, bool, error) {
		return Boolean(strings.HasSuffix(s, a[0])), true, nil
	}),
	"contains": onString(1, KindBoolean, func(_ *evaluation, _ *syntax.Call, s string, a []string) (Value, bool, error) {
		return Boolean(strings.Contains(s, a[0])), true, nil
	}),
	"upper": onString(0, KindString, func(_ *evaluation, _ *syntax.Call, s string, _ []string) (Value, bool, error) {
		return String(strings.ToUpper(s)), true, nil
	}),
	"lower": onString(0, KindString, func(_ *evaluation, _ *syntax.Call, s string, _ []string) (Value, bool, error) {
		return String(strings.ToLower(s)), true, nil
	}),
	"trim": onString(0, KindString, func(_ *evaluation, _ *syntax.Call, s string, _ []string) (Value, bool, error) {
		return String(strings.TrimSpace(s)), true, nil
	}),
	"length": onString(0, KindInteger, func(_ *evaluation, _ *syntax.Call, s string, _ []string) (Value, bool, error) {
		return Integer(int64(utf8.RuneCountInString(s))), true, nil
	}),
	"replace":        onString(2, KindString, replace),
	"encode":         onString(1, KindString, encode),
	"decode":         onString(1, KindString, decode),
	"escape":         onString(1, KindString, escape),
	"unescape":       onString(1, KindString, unescape),
	"matches":        {1, 2, regex(false, KindBoolean)},
	"matchesFull":    {1, 2, regex(true, KindBoolean)},
	"replaceMatches": {2, 3, regex(false, KindString)},
	"substring":      onItem(1, 2, systemShape(KindString), substring),
	"toChars": onItemMany(0, func(ev *evaluation, n *syntax.Call, s string, _ string, out []Value) ([]Value, error) {
		for i, r := range s {
			out = append(out, String(s[i:i+utf8.RuneLen(r)]))
		}
		return out, ev.step(len(s))
	}),
	"split": onItemMany(1, func(ev *evaluation, n *syntax.Call, s, sep string, out []Value) ([]Value, error) {
		for _, part := range strings.Split(s, sep) {
			out = append(out, String(part))
		}
		if len(out) > ev.values {
			return out, ev.tooMany(n)
		}
		return out, ev.step(1 + len(s)/16)
	}),
	"join": {0, 1, compileJoin},
}

// onString makes a function of a String and String arguments.
func onString(args int, result Kind, apply func(ev *evaluation, n *syntax.Call, s string, args []string) (Value, bool, error)) function {
	return onItem(args, args, systemShape(result), func(ev *evaluation, n *syntax.Call, v Value, vals []Value) (Value, bool, error) {
		s, ok, err := v.asString(ev, n)
		if err != nil || !ok {
			return Value{}, false, err
		}
		var buffer [2]string
		for i := range vals {
			if buffer[i], ok, err = vals[i].asString(ev, n); err != nil || !ok {
				return Value{}, false, err
			}
		}
		if err := ev.step(len(s) / 64); err != nil {
			return Value{}, false, err
		}
		return apply(ev, n, s, buffer[:len(vals)])
	})
}

// onItemMany makes a function of a String and up to one argument that yields
// several Strings.
func onItemMany(args int, apply func(ev *evaluation, n *syntax.Call, s, arg string, out []Value) ([]Value, error)) function {
	return function{args, args, func(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
		a, err := c.args(n, in)
		if err != nil {
			return code{}, err
		}
		return c.fromMany(n, systemShape(KindString), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
			s, ok, err := of.str(ev, f, in, n)
			if err != nil || !ok {
				return out, err
			}
			arg := ""
			if args == 1 {
				if arg, ok, err = a[0].str(ev, f, f.this, n); err != nil || !ok {
					return out, err
				}
			}
			return apply(ev, n, s, arg, out)
		}), nil
	}}
}

// position counts characters where strings counts bytes.
func position(s string, i int) Value {
	if i > 0 {
		i = utf8.RuneCountInString(s[:i])
	}
	return Integer(int64(i))
}

func replace(ev *evaluation, n *syntax.Call, s string, a []string) (Value, bool, error) {
	count := strings.Count(s, a[0])
	if len(s)+count*len(a[1]) > ev.maxText {
		return Value{}, false, ev.tooLong(n)
	}
	if a[0] == "" { // before each character, and after the last one
		return String(strings.ReplaceAll(s, "", a[1])), true, nil
	}
	return String(strings.ReplaceAll(s, a[0], a[1])), true, nil
}

func substring(ev *evaluation, n *syntax.Call, v Value, args []Value) (Value, bool, error) {
	s, ok, err := v.asString(ev, n)
	if err != nil || !ok {
		return Value{}, false, err
	}
	var at [2]int64
	at[1] = int64(len(s))
	for i := range args {
		x, ok := args[i].Int()
		if !ok {
			return Value{}, false, fail(ev, n, "substring() takes Integers, there is %s", describe(args[i]))
		}
		at[i] = x
	}
	if at[0] < 0 || at[0] >= int64(utf8.RuneCountInString(s)) {
		return Value{}, false, nil
	}
	if at[1] <= 0 {
		return String(""), true, nil
	}
	from, to, char := len(s), len(s), int64(0)
	for i := range s {
		if char == at[0] {
			from = i
		}
		if char-at[0] == at[1] {
			to = i
			break
		}
		char++
	}
	return String(s[from:to]), true, ev.step(len(s) / 64)
}

func encode(ev *evaluation, n *syntax.Call, s string, a []string) (Value, bool, error) {
	switch a[0] {
	case "hex":
		return String(hex.EncodeToString([]byte(s))), true, nil
	case "base64":
		return String(base64.StdEncoding.EncodeToString([]byte(s))), true, nil
	case "urlbase64":
		return String(base64.URLEncoding.EncodeToString([]byte(s))), true, nil
	}
	return Value{}, false, nil
}

func decode(ev *evaluation, n *syntax.Call, s string, a []string) (Value, bool, error) {
	var b []byte
	var err error
	switch a[0] {
	case "hex":
		b, err = hex.DecodeString(s)
	case "base64":
		b, err = base64.StdEncoding.DecodeString(s)
	case "urlbase64":
		b, err = base64.URLEncoding.DecodeString(s)
	default:
		return Value{}, false, nil
	}
	return String(string(b)), err == nil && utf8.Valid(b), nil
}

func escape(ev *evaluation, n *syntax.Call, s string, a []string) (Value, bool, error) {
	switch a[0] {
	case "html":
		return String(htmlEscaper.Replace(s)), true, nil
	case "json":
		b := fhir.AppendString(nil, s)
		return String(string(b[1 : len(b)-1])), true, nil
	}
	return Value{}, false, nil
}

var htmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;")

func unescape(ev *evaluation, n *syntax.Call, s string, a []string) (Value, bool, error) {
	switch a[0] {
	case "html":
		return String(html.UnescapeString(s)), true, nil
	case "json":
		var out string
		err := json.Unmarshal([]byte(`"`+s+`"`), &out)
		if err != nil { // already without escapes, quotes among them
			return String(s), true, nil
		}
		return String(out), true, nil
	}
	return Value{}, false, nil
}

func compileJoin(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	a, err := c.args(n, in)
	if err != nil {
		return code{}, err
	}
	return c.fromMany(n, systemShape(KindString), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
		sep := ""
		if len(a) == 1 {
			var ok bool
			var err error
			if sep, ok, err = a[0].str(ev, f, f.this, n); err != nil || !ok {
				return out, err
			}
		}
		src, err := of.collect(ev, f, in)
		if err != nil {
			return out, err
		}
		defer of.drop(ev, src)
		if len(src) == 0 {
			return out, nil
		}
		var b strings.Builder
		first := true
		for i := range src {
			s, ok, err := src[i].asString(ev, n)
			if err != nil {
				return out, err
			}
			if !ok {
				continue
			}
			if !first {
				b.WriteString(sep)
			}
			first = false
			b.WriteString(s)
			if b.Len() > ev.maxText {
				return out, ev.tooLong(n)
			}
		}
		return append(out, String(b.String())), ev.step(1 + b.Len()/64)
	}), nil
}

// The engine is RE2: its time is linear in the text. What it lacks of the
// dialect of XML Schema and PCRE (look-around, back references) is an error.
const maxPattern = 4096

var patterns struct {
	sync.RWMutex
	compiled map[string]*regexp.Regexp
}

func pattern(expr string) (*regexp.Regexp, error) {
	patterns.RLock()
	re := patterns.compiled[expr]
	patterns.RUnlock()
	if re != nil {
		return re, nil
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, err
	}
	patterns.Lock()
	defer patterns.Unlock()
	if patterns.compiled == nil {
		patterns.compiled = map[string]*regexp.Regexp{}
	}
	if len(patterns.compiled) < 1024 {
		patterns.compiled[strings.Clone(expr)] = re
	}
	return re, nil
}

// regexFor compiles a pattern with flags; a dot matches line ends (N1, 5.6.9).
func regexFor(expr, flags string, full bool) (*regexp.Regexp, string) {
	if len(expr) > maxPattern {
		return nil, "the pattern is too long"
	}
	mode := "s"
	for _, c := range flags {
		switch c {
		case 'i', 'm':
			mode += string(c)
		default:
			return nil, "the flags of a pattern are i and m"
		}
	}
	if full {
		expr = `\A(?:` + expr + `)\z`
	}
	re, err := pattern("(?" + mode + ")" + expr)
	if err != nil {
		return nil, "the pattern cannot be read: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")
	}
	return re, ""
}

// regex compiles matches(), matchesFull() and replaceMatches().
func regex(full bool, result Kind) func(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
	return func(c *compiler, n *syntax.Call, of code, in shape) (code, error) {
		args, err := c.args(n, in)
		if err != nil {
			return code{}, err
		}
		fixed := 1
		if result == KindString {
			fixed = 2
		}
		// A constant pattern is compiled now, and its faults are told now.
		var ready *regexp.Regexp
		if p := args[0].constant; p != nil && p.kind == KindString && len(args) == fixed {
			var fault string
			if ready, fault = regexFor(p.str, "", full); fault != "" {
				return code{}, c.fault(n.Args[0], "%s", fault)
			}
		}
		return c.fromMany(n, systemShape(result), func(ev *evaluation, f *frame, in, out []Value) ([]Value, error) {
			s, ok, err := of.str(ev, f, in, n)
			if err != nil || !ok {
				return out, err
			}
			var a [3]string
			for i := range args {
				if ready != nil && i == 0 {
					a[0] = args[0].constant.str
					continue
				}
				if a[i], ok, err = args[i].str(ev, f, f.this, n); err != nil || !ok {
					return out, err
				}
			}
			re := ready
			if re == nil {
				var fault string
				if re, fault = regexFor(a[0], a[fixed], full); fault != "" {
					return out, fail(ev, n, "%s", fault)
				}
			}
			if err := ev.step(1 + len(s)/8); err != nil {
				return out, err
			}
			if result == KindBoolean {
				return append(out, Boolean(re.MatchString(s))), nil
			}
			if a[0] == "" { // nothing to look for
				return append(out, String(s)), nil
			}
			r := re.ReplaceAllString(s, goTemplate.Replace(a[1]))
			if len(r) > ev.maxText {
				return out, ev.tooLong(n)
			}
			return append(out, String(r)), nil
		}), nil
	}
}

// goTemplate turns $1a, which is group 1 and an a, into ${1}a.
var goTemplate = strings.NewReplacer("$0", "${0}", "$1", "${1}", "$2", "${2}", "$3", "${3}", "$4", "${4}",
	"$5", "${5}", "$6", "${6}", "$7", "${7}", "$8", "${8}", "$9", "${9}")
