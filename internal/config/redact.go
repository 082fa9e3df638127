package config

import (
	"log/slog"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// hidden stands for a secret that is set.
const hidden = "xxxxx"

// String is the whole configuration as a YAML file without its secrets.
func (c Config) String() string {
	out, err := yaml.Marshal(redacted(reflect.ValueOf(c), ""))
	if err != nil {
		return "configuration: " + err.Error()
	}
	return string(out)
}

// GoString keeps secrets out of %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is what differs from the defaults, without secrets.
func (c Config) LogValue() slog.Value {
	standard := new(Config)
	(&reader{}).defaults(reflect.ValueOf(standard).Elem())
	before := fieldsOf(reflect.ValueOf(standard).Elem())
	var attrs []slog.Attr
	for i, f := range fieldsOf(reflect.ValueOf(&c).Elem()) {
		if reflect.DeepEqual(f.value.Interface(), before[i].value.Interface()) {
			continue
		}
		text, err := yaml.Marshal(redacted(f.value, f.tag))
		if err != nil {
			text = []byte(err.Error())
		}
		attrs = append(attrs, slog.String(f.path, strings.TrimSpace(string(text))))
	}
	return slog.GroupValue(attrs...)
}

// redacted is the YAML form of a value.
func redacted(v reflect.Value, tag reflect.StructTag) *yaml.Node {
	switch {
	case isScalar(v.Type()):
		return redactedScalar(v, tag)
	case v.Kind() == reflect.Struct:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for i := range v.NumField() {
			tag := v.Type().Field(i).Tag
			if isPending(tag) {
				continue
			}
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: tag.Get("key")}, redacted(v.Field(i), tag))
		}
		return n
	case v.Kind() == reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v.Len() == 0 || isScalar(v.Type().Elem()) {
			n.Style = yaml.FlowStyle
		}
		for i := range v.Len() {
			n.Content = append(n.Content, redacted(v.Index(i), tag))
		}
		return n
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	if v.Len() == 0 {
		n.Style = yaml.FlowStyle
	}
	names := v.MapKeys()
	slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range names {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: k.String()}, redacted(v.MapIndex(k), ""))
	}
	return n
}

func redactedScalar(v reflect.Value, tag reflect.StructTag) *yaml.Node {
	text := format(v)
	if v.Kind() != reflect.String {
		return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	}
	n := &yaml.Node{}
	n.SetString(redactText(text, tag.Get("secret")))
	if n.Value == "" {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// redactText hides passwords in any URL, and all of a secret in another form.
func redactText(text, secret string) string {
	if text == "" {
		return ""
	}
	if secret == "true" {
		return hidden
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" {
		if secret != "" {
			return hidden // a connection string of keywords, say
		}
		return text
	}
	if secret == "" && u.User == nil {
		return text // byte for byte
	}
	if _, has := u.User.Password(); has {
		u.User = url.UserPassword(u.User.Username(), hidden)
	}
	if q := u.Query(); secret != "" {
		for key := range q {
			if strings.Contains(strings.ToLower(key), "pass") || strings.Contains(strings.ToLower(key), "secret") {
				q.Set(key, hidden)
			}
		}
		u.RawQuery = q.Encode()
	}
	return u.String()
}
