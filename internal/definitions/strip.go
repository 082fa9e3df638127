package main

import (
	"slices"
	"strings"
)

// dropped members of any resource's root: prose and who publishes it.
var droppedRoot = []string{
	"text", "meta", "contact", "purpose", "copyright", "useContext", "jurisdiction", "comment", "requirements",
	"_description", "xpath", "mapping", "differential", "expansion",
}

// dropped members of an ElementDefinition.
var droppedElement = []string{
	"definition", "comment", "requirements", "alias", "mapping", "example", "isModifierReason", "condition",
	"meaningWhenMissing", "orderMeaning",
}

// keptExtensions are the extensions that say something a program acts on; the
// rest (maturity, work group, binding names …) goes.
var keptExtensions = []string{
	extRegex, extFHIRType,
	structureBase + "elementdefinition-maxValueSet",
	structureBase + "elementdefinition-minValueSet",
	structureBase + "elementdefinition-allowedUnits",
	structureBase + "elementdefinition-bestpractice",
	structureBase + "codesystem-replacedby",
	structureBase + "valueset-concept-definition",
	structureBase + "operationdefinition-allowed-type",
}

// strip removes prose and what no program acts on.
func strip(r *object) {
	drop(r, droppedRoot...)
	switch r.str("resourceType") {
	case "StructureDefinition":
		drop(r, "description")
		for _, el := range r.object("snapshot").objects("element") {
			stripElement(el)
		}
	case "ValueSet", "CodeSystem", "ConceptMap", "NamingSystem", "CompartmentDefinition":
		drop(r, "description")
	}
	for _, c := range r.objects("contained") {
		strip(c)
	}
	stripExtensions(r)
}

func stripElement(el *object) {
	drop(el, droppedElement...)
	for _, name := range []string{"isModifier", "isSummary", "mustSupport"} {
		if el.str(name) == "false" {
			drop(el, name)
		}
	}
	for _, c := range el.objects("constraint") {
		drop(c, "xpath", "requirements")
	}
	drop(el.object("binding"), "description")
	drop(el.object("slicing"), "description")
}

func drop(o *object, names ...string) {
	for i := 0; i < len(o.names); {
		if !slices.Contains(names, o.names[i]) {
			i++
			continue
		}
		o.names = slices.Delete(o.names, i, i+1)
		o.values = slices.Delete(o.values, i, i+1)
	}
}

// stripExtensions removes extensions that are not kept, and what becomes empty
// by that, everywhere in v.
func stripExtensions(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			stripExtensions(e)
		}
	case *object:
		for i := 0; i < len(v.names); {
			name := v.names[i]
			stripExtensions(v.values[i])
			if name == "extension" {
				v.values[i] = slices.DeleteFunc(v.values[i].([]any), func(e any) bool {
					url := e.(*object).str("url")
					return strings.Contains(url, "/") && !slices.Contains(keptExtensions, url)
				})
			}
			if isEmpty(v.values[i]) {
				v.names = slices.Delete(v.names, i, i+1)
				v.values = slices.Delete(v.values, i, i+1)
				continue
			}
			i++
		}
	}
}

// isEmpty tells what stripping left nothing of: {} and [], and a list of such
// and null ("_code": [null, {}]).
func isEmpty(v any) bool {
	switch v := v.(type) {
	case *object:
		return len(v.names) == 0
	case []any:
		for _, e := range v {
			if !isEmpty(e) && text(e) != "null" {
				return false
			}
		}
		return true
	}
	return false
}
