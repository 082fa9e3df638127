package fhir

import "iter"

// TypeKind tells primitive types, complex types, resources and the backbone
// elements inside them apart.
type TypeKind uint8

// The kinds of Type.
const (
	TypePrimitive TypeKind = iota + 1 // string, date, code …
	TypeComplex                       // HumanName, Extension, Element …
	TypeResource                      // Patient, DomainResource …
	TypeBackbone                      // Patient.contact, Timing.repeat …
)

func (k TypeKind) String() string {
	return [...]string{"", "primitive", "complex", "resource", "backbone"}[k]
}

// Unbounded is the Max of a Field that may repeat without limit ("*").
const Unbounded = -1

// Type is a FHIR type: its elements as the snapshot of its StructureDefinition
// lists them, inherited ones included.
type Type struct {
	Name     string   // "Patient", "HumanName", "string", "Patient.contact" (the path) for a backbone element
	Base     string   // the type it specializes: "DomainResource", "Element", "uri", "BackboneElement"; "" for Element and Resource
	Kind     TypeKind //
	Abstract bool     // Element, BackboneElement, Resource, DomainResource
	Regex    string   // of a primitive's value, "" if the specification gives none
	Fields   []Field  // in the order of the snapshot: id, (meta …), extension, own elements. A primitive has id and extension only

	fields  map[string]*Field
	members map[string]member
}

// Field is one element of a Type.
type Field struct {
	Name     string    // "value" for value[x]
	Order    int       // its place in Type.Fields, from 0
	Choice   bool      // an element with a choice of data types, value[x]
	Min      int       // 0 or more
	Max      int       // 1 or more, 0 where prohibited, Unbounded for "*"
	Types    []TypeRef // never empty
	Summary  bool      // part of _summary=true
	Modifier bool      // isModifier
	Binding  *Binding  // nil if the element is bound to no value set
	Origin   string    // the path where it was first defined: "Resource.id", "Observation.value[x]"
}

// Repeats tells whether the element is an array in JSON.
func (f *Field) Repeats() bool { return f.Max != 1 && f.Max != 0 }

// TypeRef is one of the types an element may have.
type TypeRef struct {
	Code     string   // the name for Definitions.Type: "Quantity", "Patient.contact"; "xhtml" for Narrative.div; "Resource" for contained
	Targets  []string // resource type names that a Reference or canonical may point to; nil for any
	Profiles []string // canonical URLs the value must follow (SimpleQuantity); mostly nil
}

// Binding ties an element to a value set.
type Binding struct {
	Strength string // required, extensible, preferred, example
	ValueSet string // canonical URL, with "|version" where the definition has it
}

type member struct {
	field    *Field
	typeName string
}

// Type returns the type with the given name, nil if there is none: resources,
// data types, primitives, abstract types, and backbone elements by their path
// ("Patient.contact", "Timing.repeat"; also "Observation.component.referenceRange",
// which is the same Type as "Observation.referenceRange" by its contentReference).
func (d *Definitions) Type(name string) *Type {
	if t := d.types.get(d.embedded.Types, name); t != nil {
		return t
	}
	return d.addedType(name)
}

// Types walks over all types of FHIR in the order of their names, backbone elements
// after the type they stand in.
func (d *Definitions) Types() iter.Seq[*Type] { return d.types.all(d.embedded.Types) }

// Field returns the element with the given FHIRPath name, inherited ones
// included, nil if there is none.
func (t *Type) Field(name string) *Field { return t.fields[name] }

// Member resolves the name of a JSON property: "birthDate" is the field
// birthDate of type date, "valueQuantity" the field value of type Quantity, and
// "_birthDate" the extension part (primitiveExt) of the primitive birthDate.
// field is nil for a name that the type does not have ("_name" of a complex
// element among them). "resourceType" is not a field.
func (t *Type) Member(jsonName string) (field *Field, typeName string, primitiveExt bool) {
	if len(jsonName) > 0 && jsonName[0] == '_' {
		return t.extMember(t.members[jsonName[1:]])
	}
	m := t.members[jsonName]
	return m.field, m.typeName, false
}

// MemberBytes is Member for a name that is not a string yet; it does not
// allocate.
func (t *Type) MemberBytes(jsonName []byte) (field *Field, typeName string, primitiveExt bool) {
	if len(jsonName) > 0 && jsonName[0] == '_' {
		return t.extMember(t.members[string(jsonName[1:])])
	}
	m := t.members[string(jsonName)]
	return m.field, m.typeName, false
}

func (t *Type) extMember(m member) (*Field, string, bool) {
	if m.field == nil || !isPrimitiveName(m.typeName) {
		return nil, "", false
	}
	return m.field, m.typeName, true
}

// isPrimitiveName tells primitive types by their name: only these begin with a
// small letter. xhtml has no extension part in JSON.
func isPrimitiveName(name string) bool {
	return name != "" && name[0] >= 'a' && name[0] <= 'z' && name != "xhtml"
}
