package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Reference is docs/configuration.md.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Generated from the struct in internal/config by go generate ./internal/config. -->

Ingle reads its settings from defaults, then from a YAML file (` + "`--config FILE` or `INGLE_CONFIG`" + `), then from
environment variables; the later wins. Every setting has one path: ` + "`limits.search_time`" + ` is

` + "```yaml\nlimits:\n  search_time: 5s\n```" + `

in the file and ` + "`INGLE_LIMITS_SEARCH_TIME=5s`" + ` in the environment. Unknown names are errors, and all faults are
reported at once, before anything starts.

- Durations: ` + "`500ms`, `10s`, `5m`, `1h`" + `. Sizes: ` + "`512B`, `16KB`, `5MB`, `1GB`" + ` (powers of 1000) or ` + "`KiB`, `MiB`, `GiB`" + ` (powers of 1024).
- Lists in the environment are separated by commas. Lists of mappings and maps are written there as YAML or JSON on one line.
- A setting marked *secret* can be given as the name of a file that holds it: ` + "`INGLE_DATABASE_URL_FILE=/run/secrets/url`, in YAML `url_file`" + `.
- ` + "`ingle config show`" + ` prints the settings in effect; secrets are never printed.
`)
	t := reflect.TypeFor[Config]()
	b.WriteString("\n## General\n\n")
	table(&b, t, "", true)
	sections(&b, t, "")
	return b.String()
}

// sections writes a chapter for each group of settings below a struct.
func sections(b *strings.Builder, t reflect.Type, path string) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := join(path, f.Tag.Get("key"))
		if isPending(f.Tag) {
			continue
		}
		if f.Type.Kind() == reflect.Struct && !isScalar(f.Type) {
			fmt.Fprintf(b, "\n## %s\n\n%s\n\n", at, f.Tag.Get("doc"))
			table(b, f.Type, at, true)
			sections(b, f.Type, at)
			continue
		}
		each(b, f.Type, at)
	}
}

// each writes what the elements of a list or map hold, and what is in lists and
// maps of theirs.
func each(b *strings.Builder, t reflect.Type, at string) {
	e := element(t)
	if e == nil {
		return
	}
	fmt.Fprintf(b, "\n### Each of %s\n\n", at)
	table(b, e, "", false)
	for i := range e.NumField() {
		f := e.Field(i)
		each(b, f.Type, join(at, f.Tag.Get("key")))
	}
}

// element is the struct that a list or map holds, nil if it holds none.
func element(t reflect.Type) reflect.Type {
	if (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) && t.Elem().Kind() == reflect.Struct && !isScalar(t.Elem()) {
		return t.Elem()
	}
	return nil
}

func table(b *strings.Builder, t reflect.Type, path string, variables bool) {
	b.WriteString("| setting | type | default | meaning |\n| --- | --- | --- | --- |\n")
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Type.Kind() == reflect.Struct && !isScalar(f.Type) || isPending(f.Tag) {
			continue
		}
		at := join(path, f.Tag.Get("key"))
		name := "`" + at + "`"
		if variables {
			name += "<br>`" + prefix + strings.ToUpper(strings.ReplaceAll(at, ".", "_")) + "`"
		}
		standard := f.Tag.Get("default")
		if standard != "" {
			standard = "`" + standard + "`"
		}
		doc := f.Tag.Get("doc")
		if f.Tag.Get("secret") != "" {
			doc += " *Secret.*"
		}
		doc += bounds(f.Tag)
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, typeName(f.Type, f.Tag), standard, strings.ReplaceAll(doc, "|", "\\|"))
	}
}

func bounds(tag reflect.StructTag) string {
	low, hasLow := tag.Lookup("min")
	high, hasHigh := tag.Lookup("max")
	switch {
	case hasLow && hasHigh:
		return fmt.Sprintf(" (%s to %s)", low, high)
	case hasLow:
		return fmt.Sprintf(" (at least %s)", low)
	case hasHigh:
		return fmt.Sprintf(" (at most %s)", high)
	}
	return ""
}

func typeName(t reflect.Type, tag reflect.StructTag) string {
	if allowed, ok := tag.Lookup("oneof"); ok {
		var list []string
		for a := range strings.SplitSeq(allowed, "|") {
			if a != "" {
				list = append(list, "`"+a+"`")
			}
		}
		return strings.Join(list, ", ")
	}
	switch {
	case t == bytesType:
		return "size"
	case t == durationType:
		return "duration"
	case t == prefixType:
		return "network"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "number"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
		return "map of mappings"
	case t.Kind() == reflect.Map:
		return "map of " + typeName(t.Elem(), "")
	case element(t) != nil:
		return "list of mappings"
	}
	return "list of " + typeName(t.Elem(), "")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
