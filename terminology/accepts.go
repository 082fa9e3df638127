package terminology

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// everywhere are the parameters of all operations: content that comes with the
// request, and the versions and supplements that are meant.
var everywhere = []string{"tx-resource", "system-version", "check-system-version", "force-system-version", "default-valueset-version", "useSupplement"}

// withoutEffect are parameters of the terminology ecosystem that are only about
// how a server works: an answer without them is the same.
var withoutEffect = []string{"cache-id", "x-system-cache-id", "diagnostics", "profile-url"}

var ofValidation = []string{"code", "display", "coding", "codeableConcept", "date", "abstract", "displayLanguage",
	"activeOnly", "inferSystem", "implySystem", "lenient-display-validation", "valueset-membership-only"}

var ofValueSet = []string{"url", "context", "contextDirection", "valueSet", "valueSetVersion"}

// accepted are the parameters of each operation, by type and name: those of R4,
// and of R5 and the terminology ecosystem what has an effect here too.
var accepted = map[string][]string{
	"ValueSet/expand": slices.Concat(ofValueSet, []string{"filter", "date", "offset", "count", "includeDesignations", "designation", "includeDefinition", "activeOnly",
		"excludeNested", "excludeNotForUI", "excludePostCoordinated", "displayLanguage", "exclude-system", "property"}),
	"ValueSet/validate-code":         slices.Concat(ofValueSet, ofValidation, []string{"system", "systemVersion"}),
	"CodeSystem/validate-code":       slices.Concat(ofValidation, []string{"url", "codeSystem", "version"}),
	"ValueSet/batch-validate-code":   slices.Concat(ofValueSet, ofValidation, []string{"system", "systemVersion", "codeSystem", "validation"}),
	"CodeSystem/batch-validate-code": slices.Concat(ofValidation, []string{"url", "codeSystem", "version", "system", "systemVersion", "validation"}),
	"CodeSystem/lookup":              {"code", "system", "version", "coding", "date", "displayLanguage", "property"},
	"CodeSystem/subsumes":            {"codeA", "codeB", "system", "version", "codingA", "codingB"},
	"ConceptMap/translate": {"url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept", "target", "targetsystem",
		"dependency", "reverse", "date", "sourceCode", "sourceSystem", "sourceScope", "sourceCoding", "sourceCodeableConcept",
		"targetCode", "targetSystem", "targetScope", "targetCoding", "targetCodeableConcept"},
	"/closure": {"name", "concept", "version"},
}

// onlyAccepted fails on a parameter that the operation does not have: what it
// asks for would silently be left out. at is where the parameters stand, "" for the request.
func onlyAccepted(list []Parameter, resourceType, operation, at string) error {
	known := accepted[resourceType+"/"+operation]
	for i := range list {
		name := list[i].Name
		if slices.Contains(known, name) || slices.Contains(everywhere, name) || slices.Contains(withoutEffect, name) {
			continue
		}
		if len(name) > 100 {
			name = name[:100] + "…"
		}
		err := fhir.Errorf(400, fhir.CodeNotSupported, "$%s has no parameter %q; it has %s", operation, name, strings.Join(slices.Concat(known, everywhere), ", "))
		if at != "" {
			err.At(at)
		}
		return err
	}
	return nil
}
