package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	structureBase = "http://hl7.org/fhir/StructureDefinition/"
	systemBase    = "http://hl7.org/fhirpath/System."
	extFHIRType   = structureBase + "structuredefinition-fhir-type"
	extRegex      = structureBase + "regex"
)

// fhirType is one type, or one backbone element in it.
type fhirType struct {
	name, base, kind string // kind: primitive, complex, resource, backbone
	abstract         bool
	regex            string
	fields           []*field
}

type field struct {
	name              string
	choice            bool
	min, max          string
	types             []typeRef
	summary, modifier bool
	strength          string
	valueSet          string
	origin            string
	short             string
}

type typeRef struct {
	code              string
	targets, profiles []string
}

// typeTable has the types in the order of their names, each followed by its
// backbone elements.
type typeTable struct {
	list   []*fhirType
	byName map[string]*fhirType
}

func readTypes(entries []entry) (*typeTable, error) {
	t := &typeTable{byName: map[string]*fhirType{}}
	var roots []*object
	for _, e := range entries {
		r := e.resource
		// SimpleQuantity and MoneyQuantity are profiles on Quantity, not types.
		if r.str("resourceType") == "StructureDefinition" && r.str("kind") != "logical" && r.str("derivation") != "constraint" {
			roots = append(roots, r)
		}
	}
	slices.SortFunc(roots, func(a, b *object) int { return strings.Compare(a.str("name"), b.str("name")) })
	for _, r := range roots {
		if err := t.add(r); err != nil {
			return nil, fmt.Errorf("StructureDefinition %s: %w", r.str("name"), err)
		}
	}
	for _, ft := range t.list {
		for _, f := range ft.fields {
			for _, ref := range f.types {
				if t.byName[ref.code] == nil {
					return nil, fmt.Errorf("%s.%s has the unknown type %q", ft.name, f.name, ref.code)
				}
			}
		}
	}
	return t, nil
}

// add reads the snapshot of one StructureDefinition.
func (t *typeTable) add(sd *object) error {
	kinds := map[string]string{"primitive-type": "primitive", "complex-type": "complex", "resource": "resource"}
	root := &fhirType{name: sd.str("name"), kind: kinds[sd.str("kind")], abstract: sd.str("abstract") == "true"}
	root.base = strings.TrimPrefix(sd.str("baseDefinition"), structureBase)
	elements := sd.object("snapshot").objects("element")
	local := map[string]*fhirType{root.name: root}
	t.list = append(t.list, root)
	t.byName[root.name] = root
	for _, el := range elements[1:] {
		path := el.str("path")
		if el.has("sliceName") || (el.has("id") && strings.Contains(el.str("id"), ":")) {
			// Extension.extension is sliced in data types without slices of its own
			return fmt.Errorf("the element %s is a slice", el.str("id"))
		}
		dot := strings.LastIndexByte(path, '.')
		parent := local[path[:dot]]
		if parent == nil {
			return fmt.Errorf("the element %s has no parent", path)
		}
		f := &field{name: path[dot+1:], min: el.str("min"), max: el.str("max"), short: el.str("short")}
		f.name, f.choice = strings.CutSuffix(f.name, "[x]")
		if root.kind == "primitive" && f.name == "value" {
			// The value itself is not an element in JSON. Its type is of
			// FHIRPath's System; what matters of it is the regular expression.
			for _, ty := range el.objects("type") {
				root.regex = ty.extension(extRegex)
			}
			continue
		}
		f.summary = el.str("isSummary") == "true"
		f.modifier = el.str("isModifier") == "true"
		f.origin = el.object("base").str("path")
		f.strength = el.object("binding").str("strength")
		f.valueSet = el.object("binding").str("valueSet")
		if ref := el.str("contentReference"); ref != "" {
			f.types = []typeRef{{code: strings.TrimPrefix(ref, "#")}}
		}
		for _, ty := range el.objects("type") {
			ref := typeRef{code: ty.str("code")}
			if strings.HasPrefix(ref.code, systemBase) {
				ref.code = cmp.Or(ty.extension(extFHIRType), "string") // xhtml.id has only System.String
				if f.origin == "Resource.id" {
					ref.code = "id" // 4.0.1 has string here; the type of Resource.id is id
				}
			}
			if (ref.code == "BackboneElement" || ref.code == "Element") && len(el.objects("type")) == 1 {
				child := &fhirType{name: path, base: ref.code, kind: "backbone"}
				local[path] = child
				t.list = append(t.list, child)
				t.byName[path] = child
				ref.code = path
			}
			ref.profiles = ty.strings("profile")
			for _, target := range ty.strings("targetProfile") {
				ref.targets = append(ref.targets, strings.TrimPrefix(target, structureBase))
			}
			if slices.Contains(ref.targets, "Resource") {
				ref.targets = nil // any
			}
			f.types = append(f.types, ref)
		}
		if len(f.types) == 0 {
			return fmt.Errorf("the element %s has no type", path)
		}
		parent.fields = append(parent.fields, f)
	}
	return nil
}

// text writes the table as package fhir reads it: a line for each type and
// each field, columns divided by tabs.
//
//	T name base kind abstract regex
//	F name flags(cmsb: choice, modifier, summary) min max origin types strength valueSet
//
// types is a list divided by "|": code;targets;profiles, the last two divided by ",".
func (t *typeTable) text() []byte {
	var b bytes.Buffer
	for _, ft := range t.list {
		abstract := ""
		if ft.abstract {
			abstract = "abstract"
		}
		line(&b, "T", ft.name, ft.base, ft.kind, abstract, ft.regex)
		for _, f := range ft.fields {
			flags := ""
			if f.choice {
				flags += "c"
			}
			if f.modifier {
				flags += "m"
			}
			if f.summary {
				flags += "s"
			}
			var types []string
			for _, ref := range f.types {
				types = append(types, ref.code+";"+strings.Join(ref.targets, ",")+";"+strings.Join(ref.profiles, ","))
			}
			line(&b, "F", f.name, flags, f.min, f.max, f.origin, strings.Join(types, "|"), f.strength, f.valueSet)
		}
	}
	return b.Bytes()
}

// line writes one line of columns.
func line(b *bytes.Buffer, columns ...string) {
	for i, c := range columns {
		if strings.ContainsAny(c, "\t\n\r") {
			panic(fmt.Sprintf("a column holds a tab or a line break: %q", c))
		}
		if i > 0 {
			b.WriteByte('\t')
		}
		b.WriteString(c)
	}
	b.WriteByte('\n')
}

// resourceTypes returns the concrete resource types, sorted.
func (t *typeTable) resourceTypes() []string {
	var names []string
	for _, ft := range t.list {
		if ft.kind == "resource" && !ft.abstract {
			names = append(names, ft.name)
		}
	}
	return names
}

func resourceTypesGo(t *typeTable) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(generatedHeader + "\nvar resourceTypes = []string{\n")
	for _, name := range t.resourceTypes() {
		fmt.Fprintf(&b, "\t%q,\n", name)
	}
	b.WriteString("}\n")
	return formatGo(b.Bytes())
}
