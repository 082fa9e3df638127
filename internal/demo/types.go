package demo

import "time"

// Systems of codes and identifiers.
const (
	loinc     = "http://loinc.org"
	snomed    = "http://snomed.info/sct"
	rxnorm    = "http://www.nlm.nih.gov/research/umls/rxnorm"
	cvx       = "http://hl7.org/fhir/sid/cvx"
	icd10cm   = "http://hl7.org/fhir/sid/icd-10-cm"
	ucum      = "http://unitsofmeasure.org"
	hpo       = "http://human-phenotype-ontology.org"
	mondo     = "http://purl.obolibrary.org/obo/mondo.owl"
	edam      = "http://edamontology.org"
	roleCode  = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
	hl7       = "http://terminology.hl7.org/CodeSystem/"
	ncpi      = "https://nih-ncpi.github.io/ncpi-fhir-ig-2/StructureDefinition/"
	ncpiCodes = "https://nih-ncpi.github.io/ncpi-fhir-ig-2/CodeSystem/"
	own       = "https://demo.ingle.example/"
)

// labelSystem marks the labels in meta.security.
const labelSystem = "urn:gen3:authz"

// today is the day on which the cohort's clock stands still.
var today = time.Date(2026, 6, 30, 12, 0, 0, 0, zone)

// zone is the clinic's; a fixed offset keeps the cohort independent of time zone tables.
var zone = time.FixedZone("CDT", -5*60*60)

func coding(system, code, display string) object {
	return obj("system", system, "code", code, "display", display)
}

func concept(text string, codings ...any) object {
	return obj("coding", arr(codings...), "text", text)
}

// one is a concept of a single coding whose display is its text too.
func one(system, code, display string) object {
	return concept(display, coding(system, code, display))
}

// plain is a concept of a code alone, for codes of FHIR's own systems.
func plain(system, code string) object {
	return concept("", coding(system, code, ""))
}

func reference(kind, id string) object { return obj("reference", kind+"/"+id) }

func named(kind, id, display string) object {
	return obj("reference", kind+"/"+id, "display", display)
}

func quantity(value number, unit, code string) object {
	return obj("value", value, "unit", unit, "system", ucum, "code", code)
}

func extension(url, valueName string, value any) object {
	return obj("url", url, valueName, value)
}

func date(t time.Time) string { return t.Format(time.DateOnly) }

func instant(t time.Time) string { return t.Format(time.RFC3339) }

// resource begins a resource: type, id and labels, and the profile that it claims if any.
func resource(kind, id string, labels []string, profile string, rest ...any) object {
	var security array
	for _, label := range labels {
		security = append(security, obj("system", labelSystem, "code", label))
	}
	var profiles array
	if profile != "" {
		profiles = array{ncpi + profile}
	}
	head := obj("resourceType", kind, "id", id, "meta", obj("profile", profiles, "security", security))
	return append(head, obj(rest...)...)
}
