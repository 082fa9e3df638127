package terminology

import (
	"ingle/fhir"
	"ingle/store/concepts"
)

// Concept is one concept of a code system.
type Concept struct {
	Code         string
	Display      string
	Definition   string
	Abstract     bool   // not selectable: for grouping only
	Inactive     bool   // retired, or marked inactive
	Status       string // the concept's own status, "" if none is given
	Designations []Designation
	Properties   []Property
	Extensions   []Extension // the ones that an expansion carries along

	ref    int64 // the system's own handle
	stored *concepts.Concept
}

// Designation is another name of a concept.
type Designation struct {
	Language   string      `json:"l,omitempty"`
	Use        Coding      `json:"u,omitzero"`
	Value      string      `json:"v"`
	Source     string      `json:"-"` // canonical of the supplement it comes from, "" for the code system itself
	Extensions []Extension `json:"-"`
}

// Property is one property value of a concept. Type is the suffix of FHIR's
// value[x] (Code, String, Boolean, Integer, Decimal, DateTime, Coding). Value is
// the primitive as text; a Coding has it in Coding.
type Property struct {
	Code   string `json:"c"`
	Type   string `json:"t"`
	Value  string `json:"v,omitempty"`
	Coding Coding `json:"k,omitzero"`
}

// Extension is an extension as it was written.
type Extension struct {
	URL string
	Raw []byte
}

// Coding is a system, version, code and display.
type Coding struct {
	System  string `json:"s,omitempty"`
	Version string `json:"n,omitempty"`
	Code    string `json:"c,omitempty"`
	Display string `json:"d,omitempty"`
}

func codingOf(n fhir.Node) Coding {
	return Coding{
		System:  n.Get("system").Text(),
		Version: n.Get("version").Text(),
		Code:    n.Get("code").Text(),
		Display: n.Get("display").Text(),
	}
}

// URIs of the properties that FHIR defines for every code system
// (http://hl7.org/fhir/concept-properties).
const conceptProperties = "http://hl7.org/fhir/concept-properties#"

// inactiveStatus tells whether a concept with this status is not to be used any
// more.
func inactiveStatus(s string) bool {
	return s == "retired" || s == "inactive" || s == "withdrawn"
}

// Extensions that FHIR defines on concepts and that stand for a property.
const (
	extLabelCS         = "http://hl7.org/fhir/StructureDefinition/codesystem-label"
	extLabelVS         = "http://hl7.org/fhir/StructureDefinition/valueset-label"
	extOrderCS         = "http://hl7.org/fhir/StructureDefinition/codesystem-conceptOrder"
	extOrderVS         = "http://hl7.org/fhir/StructureDefinition/valueset-conceptOrder"
	extWeight          = "http://hl7.org/fhir/StructureDefinition/itemWeight"
	extOrdinal         = "http://hl7.org/fhir/StructureDefinition/ordinalValue"
	extStandardsStatus = "http://hl7.org/fhir/StructureDefinition/structuredefinition-standards-status"
	extVSDeprecated    = "http://hl7.org/fhir/StructureDefinition/valueset-deprecated"
	extVSDefinition    = "http://hl7.org/fhir/StructureDefinition/valueset-concept-definition"
	extVSComments      = "http://hl7.org/fhir/StructureDefinition/valueset-concept-comments"
	extStyle           = "http://hl7.org/fhir/StructureDefinition/rendering-style"
	extXHTML           = "http://hl7.org/fhir/StructureDefinition/rendering-xhtml"
	extSCTDescription  = "http://hl7.org/fhir/StructureDefinition/coding-sctdescid"
	extSupplement      = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"
	extExpansionParam  = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"
	extUnclosed        = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed"
	extUnclosedReason  = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed-reason"
	extProperty        = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.property"
	extContainsProp    = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property"
	extAltCode         = "http://hl7.org/fhir/StructureDefinition/codesystem-alternate"
)

// propertyOfExtension turns an extension into the property that it stands for.
func propertyOfExtension(url string, ext fhir.Node) (Property, bool) {
	switch url {
	case extLabelCS, extLabelVS:
		return Property{Code: "label", Type: "String", Value: ext.Get("valueString").Text()}, true
	case extOrderCS, extOrderVS:
		return Property{Code: "order", Type: "Decimal", Value: ext.Get("valueInteger").Text()}, true
	case extWeight, extOrdinal:
		return Property{Code: "weight", Type: "Decimal", Value: ext.Get("valueDecimal").Text()}, true
	}
	return Property{}, false
}

// extensionProperty is the URI of a property made from an extension.
var extensionProperty = map[string]string{
	"label":      conceptProperties + "label",
	"order":      conceptProperties + "order",
	"weight":     conceptProperties + "itemWeight",
	"status":     conceptProperties + "status",
	"definition": conceptProperties + "definition",
}

// carried tells whether an expansion carries a concept's extension along.
func carried(url string) bool {
	switch url {
	case extStyle, extXHTML, extVSDeprecated, extVSDefinition, extVSComments, extStandardsStatus:
		return true
	}
	return false
}

// setProperty replaces the first property with p's code, or adds p.
func setProperty(list []Property, p Property) []Property {
	for i := range list {
		if list[i].Code == p.Code {
			list[i] = p
			return list
		}
	}
	return append(list, p)
}

func setExtension(list []Extension, e Extension) []Extension {
	for i := range list {
		if list[i].URL == e.URL {
			list[i] = e
			return list
		}
	}
	return append(list, e)
}

func designationOf(n fhir.Node, source string) Designation {
	d := Designation{
		Language: n.Get("language").Text(),
		Use:      codingOf(n.Get("use")),
		Value:    n.Get("value").Text(),
		Source:   source,
	}
	for e := n.Get("extension").First(); e.Valid(); e = e.Next() {
		switch url := e.Get("url").Text(); url {
		case extSCTDescription, extStandardsStatus:
			d.Extensions = append(d.Extensions, Extension{url, e.Raw()})
		}
	}
	return d
}

// withdrawn tells whether a designation is marked as not to be used any more.
func (d *Designation) withdrawn() bool {
	for _, e := range d.Extensions {
		if e.URL == extStandardsStatus {
			s := rawValueCode(e.Raw)
			return s == "withdrawn" || s == "deprecated"
		}
	}
	return false
}

func rawValueCode(raw []byte) string {
	doc, err := fhir.Parse(raw, fhir.Limits{})
	if err != nil {
		return ""
	}
	return doc.Root().Get("valueCode").Text()
}
