package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// prefix begins the name of every environment variable of Ingle.
const prefix = "INGLE_"

// Load makes the configuration from defaults, the YAML file (none when empty) and the environment in the form of
// os.Environ, and checks it. The error lists every fault with the name to mend, one a line. Secrets never stand in it.
func Load(file string, environ []string) (*Config, error) {
	c := new(Config)
	r := &reader{}
	r.defaults(reflect.ValueOf(c).Elem())
	if file != "" {
		r.file(reflect.ValueOf(c).Elem(), file)
	}
	r.environ(reflect.ValueOf(c).Elem(), environ)
	if len(r.faults) == 0 {
		r.faults = append(r.faults, c.validate()...)
	}
	if len(r.faults) > 0 {
		return nil, &Faults{r.faults}
	}
	return c, nil
}

// File is the configuration file that the environment names in INGLE_CONFIG, empty without one.
func File(environ []string) string {
	for _, e := range environ {
		if v, ok := strings.CutPrefix(e, prefix+"CONFIG="); ok {
			return v
		}
	}
	return ""
}

// Faults are all that is wrong with a configuration.
type Faults struct{ Faults []error }

func (f *Faults) Error() string {
	var b strings.Builder
	if len(f.Faults) == 1 {
		b.WriteString("the configuration has a fault:")
	} else {
		fmt.Fprintf(&b, "the configuration has %d faults:", len(f.Faults))
	}
	for _, err := range f.Faults {
		b.WriteString("\n  " + err.Error())
	}
	return b.String()
}

// reader collects faults while it fills a Config.
type reader struct{ faults []error }

func (r *reader) fault(where string, err error) {
	r.faults = append(r.faults, fmt.Errorf("%s: %w", where, err))
}

// defaults fills a struct from its tags.
func (r *reader) defaults(v reflect.Value) {
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i).Tag
		if f.Kind() == reflect.Struct && !isScalar(f.Type()) {
			r.defaults(f)
			continue
		}
		text, ok := tag.Lookup("default")
		if !ok {
			continue
		}
		value, err := parse(f.Type(), text)
		if err != nil {
			r.fault("default of "+tag.Get("key"), err)
			continue
		}
		f.Set(value)
	}
}

func (r *reader) file(v reflect.Value, name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		r.fault("configuration file", err)
		return
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		r.fault(name, errors.New(strings.TrimPrefix(err.Error(), "yaml: ")))
		return
	}
	if len(doc.Content) == 0 {
		return // an empty file
	}
	r.node(v, "", doc.Content[0], place{file: name}, "")
}

// place is where a value stands, for messages: line numbers of a file, the name of a variable.
type place struct{ file, variable string }

func (p place) of(path string, n *yaml.Node) string {
	if p.variable != "" {
		if path == "" {
			return p.variable
		}
		return p.variable + " " + path
	}
	return fmt.Sprintf("%s line %d: %s", p.file, n.Line, path)
}

// node fills v from a YAML node; path is where that is within the document.
func (r *reader) node(v reflect.Value, path string, n *yaml.Node, at place, tag reflect.StructTag) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case isScalar(v.Type()):
		r.scalar(v, path, n, at, tag)
	case v.Kind() == reflect.Struct:
		r.structure(v, path, n, at)
	case v.Kind() == reflect.Slice:
		r.sequence(v, path, n, at)
	case v.Kind() == reflect.Map:
		if n.Kind != yaml.MappingNode {
			r.fault(at.of(path, n), errors.New("a mapping is expected here"))
			return
		}
		m := reflect.MakeMap(v.Type())
		r.pairs(n, path, at, func(key, value *yaml.Node, where string) {
			e := reflect.New(v.Type().Elem()).Elem()
			if e.Kind() == reflect.Struct {
				r.defaults(e)
			}
			r.node(e, where, value, at, "")
			m.SetMapIndex(reflect.ValueOf(key.Value), e)
		})
		v.Set(m)
	}
}

func (r *reader) scalar(v reflect.Value, path string, n *yaml.Node, at place, tag reflect.StructTag) {
	if n.Kind != yaml.ScalarNode {
		r.fault(at.of(path, n), errors.New("a single value is expected here"))
		return
	}
	if n.Tag == "!!null" {
		return // written without a value: the default stays
	}
	r.set(v, n.Value, at.of(path, n), tag)
}

// set parses, checks and stores a scalar. The text of a secret stays out of messages.
func (r *reader) set(v reflect.Value, text, where string, tag reflect.StructTag) {
	value, err := parse(v.Type(), text)
	if err == nil {
		err = checkTags(value, tag)
	}
	if err != nil {
		if tag.Get("secret") != "" {
			err = errors.New("the value does not fit")
		}
		r.fault(where, err)
		return
	}
	v.Set(value)
}

func (r *reader) sequence(v reflect.Value, path string, n *yaml.Node, at place) {
	items := n.Content
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return
	case n.Kind == yaml.ScalarNode && isScalar(v.Type().Elem()):
		items = nil
		for _, text := range splitList(n.Value) {
			items = append(items, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: n.Line})
		}
	case n.Kind == yaml.ScalarNode && scalarField(v.Type().Elem()) >= 0:
		items = nil
		for _, text := range splitList(n.Value) {
			items = append(items, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Line: n.Line})
		}
	case n.Kind != yaml.SequenceNode:
		r.fault(at.of(path, n), errors.New("a list is expected here"))
		return
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		e := list.Index(i)
		if e.Kind() == reflect.Struct && !isScalar(e.Type()) {
			r.defaults(e)
		}
		r.node(e, fmt.Sprintf("%s[%d]", path, i), item, at, "")
	}
	v.Set(list)
}

// structure fills a struct from a mapping, or, where the struct has such a field, from the one value that stands for it.
func (r *reader) structure(v reflect.Value, path string, n *yaml.Node, at place) {
	if i := scalarField(v.Type()); i >= 0 && n.Kind == yaml.ScalarNode {
		r.scalar(v.Field(i), path, n, at, v.Type().Field(i).Tag)
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault(at.of(path, n), errors.New("a mapping is expected here"))
		return
	}
	fields := keys(v.Type())
	r.pairs(n, path, at, func(key, value *yaml.Node, where string) {
		if i, ok := fields[key.Value]; ok {
			if isPending(v.Type().Field(i).Tag) {
				r.fault(at.of(where, key), errPending)
				return
			}
			r.node(v.Field(i), where, value, at, v.Type().Field(i).Tag)
			return
		}
		if name, ok := strings.CutSuffix(key.Value, "_file"); ok {
			if i, ok := fields[name]; ok && v.Type().Field(i).Tag.Get("secret") != "" {
				r.secretFile(v.Field(i), value.Value, at.of(where, key), v.Type().Field(i).Tag)
				return
			}
		}
		known := make([]string, 0, len(fields))
		for k, i := range fields {
			if !isPending(v.Type().Field(i).Tag) {
				known = append(known, k)
			}
		}
		r.fault(at.of(where, key), unknown("setting", key.Value, known))
	})
}

// pairs calls do for every pair of a mapping and reports keys that stand twice.
func (r *reader) pairs(n *yaml.Node, path string, at place, do func(key, value *yaml.Node, where string)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		where := key.Value
		if path != "" {
			where = path + "." + key.Value
		}
		if seen[key.Value] {
			r.fault(at.of(where, key), errors.New("stands twice"))
			continue
		}
		seen[key.Value] = true
		do(key, n.Content[i+1], where)
	}
}

func (r *reader) secretFile(v reflect.Value, name, where string, tag reflect.StructTag) {
	text, err := os.ReadFile(name)
	if err != nil {
		r.fault(where, err)
		return
	}
	r.set(v, strings.TrimRight(string(text), "\r\n"), where, tag)
}

// kubernetes are the variables that it sets for a service whose name begins with ingle; their values are not ours.
var kubernetes = regexp.MustCompile(`^INGLE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)$`)

var linkValue = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// foreign tells the variables with Ingle's prefix that are no settings of the server.
func foreign(name, value string) bool {
	return name == prefix+"CONFIG" || name == prefix+"TESTDATA" || strings.HasPrefix(name, prefix+"TEST_") ||
		kubernetes.MatchString(name) ||
		strings.HasSuffix(name, "_PORT") && linkValue.MatchString(value)
}

func (r *reader) environ(v reflect.Value, environ []string) {
	variables := map[string]field{}
	for _, f := range fieldsOf(v) {
		variables[f.variable] = f
	}
	environ = slices.Clone(environ)
	slices.Sort(environ)
	for _, e := range environ {
		name, text, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if f, ok := variables[name]; ok {
			// Empty is unset, as container platforms pass variables on.
			switch {
			case text == "":
			case f.pending:
				r.fault(name, errPending)
			default:
				r.variable(f, name, text)
			}
			continue
		}
		if base, ok := strings.CutSuffix(name, "_FILE"); ok {
			if f, ok := variables[base]; ok && f.tag.Get("secret") != "" {
				if text == "" {
					continue
				}
				if slices.ContainsFunc(environ, func(e string) bool { return strings.HasPrefix(e, base+"=") && e != base+"=" }) {
					r.fault(name, fmt.Errorf("%s is set too; give one of them", base))
					continue
				}
				r.secretFile(f.value, text, name, f.tag)
				continue
			}
		}
		if foreign(name, text) {
			continue
		}
		known := make([]string, 0, len(variables))
		for k, f := range variables {
			if !f.pending {
				known = append(known, k)
			}
		}
		r.faults = append(r.faults, unknown("environment variable", name, known))
	}
}

// variable fills a setting from the environment. Lists of values are split at commas; what is deeper is YAML, of
// which JSON is a part.
func (r *reader) variable(f field, name, text string) {
	at := place{variable: name}
	if isScalar(f.value.Type()) {
		r.set(f.value, text, name, f.tag)
		return
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
	flat := f.value.Kind() == reflect.Slice && isScalar(f.value.Type().Elem())
	if trimmed := strings.TrimSpace(text); !flat && (strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{")) {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
			r.fault(name, errors.New("is not YAML or JSON on one line"))
			return
		}
		n = doc.Content[0]
	}
	r.node(f.value, "", n, at, f.tag)
}

func splitList(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
