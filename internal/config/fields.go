package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// field is one setting that has an environment variable.
type field struct {
	path     string // "limits.search_time"
	variable string // "INGLE_LIMITS_SEARCH_TIME"
	value    reflect.Value
	tag      reflect.StructTag
	pending  bool
}

// fieldsOf lists the settings of a Config in the order of the struct.
func fieldsOf(v reflect.Value) []field {
	var list []field
	var walk func(v reflect.Value, path []string, pending bool)
	walk = func(v reflect.Value, path []string, pending bool) {
		for i := range v.NumField() {
			f, tag := v.Field(i), v.Type().Field(i).Tag
			at := append(slices.Clone(path), tag.Get("key"))
			pending := pending || isPending(tag)
			if f.Kind() == reflect.Struct && !isScalar(f.Type()) {
				walk(f, at, pending)
				continue
			}
			list = append(list, field{
				path:     strings.Join(at, "."),
				variable: prefix + strings.ToUpper(strings.Join(at, "_")),
				value:    f,
				tag:      tag,
				pending:  pending,
			})
		}
	}
	walk(v, nil, false)
	return list
}

// isPending tells the settings that nothing obeys yet.
func isPending(tag reflect.StructTag) bool { return tag.Get("pending") == "true" }

// errPending refuses to be told what would not be done.
var errPending = errors.New("is not available in this version")

// keys maps the keys of a struct type to its fields.
func keys(t reflect.Type) map[string]int {
	m := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		m[t.Field(i).Tag.Get("key")] = i
	}
	return m
}

// scalarField is the field for which a single value may stand instead of the mapping, -1 without one.
func scalarField(t reflect.Type) int {
	if t.Kind() != reflect.Struct || isScalar(t) {
		return -1
	}
	for i := range t.NumField() {
		if t.Field(i).Tag.Get("scalar") == "true" {
			return i
		}
	}
	return -1
}

// unknown names what was meant, if anything known is near.
func unknown(what, name string, known []string) error {
	slices.Sort(known)
	best, distance := "", max(2, len(name)/3)+1
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return fmt.Errorf("%s is no %s of Ingle", name, what)
	}
	return fmt.Errorf("%s is no %s of Ingle; did you mean %s?", name, what, best)
}

// editDistance counts the letters to insert, delete, replace or swap with a neighbour to make b of a.
func editDistance(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next := make([]int, len(b)+1)
		next[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
