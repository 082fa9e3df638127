package interaction

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/store"
)

// explained are the issues that answer _explain=true, a parameter of Ingle's own
// for administrators: for each statement its SQL, and how PostgreSQL ran it.
func explained(plans []store.Explanation) []fhir.Issue {
	var out []fhir.Issue
	note := func(format string, args ...any) {
		out = append(out, fhir.Issue{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational, Diagnostics: fmt.Sprintf(format, args...)})
	}
	for _, p := range plans {
		note("SQL of the %s:\n%s", p.Of, p.SQL)
		var settings []string
		for _, name := range slices.Sorted(maps.Keys(p.Settings)) {
			settings = append(settings, name+" = "+p.Settings[name])
		}
		note("Plan of the %s, %.2f ms to plan and %.2f ms to run:\n%s\nSettings: %s", p.Of, p.Planning, p.Ms, strings.Join(p.Plan, "\n"), strings.Join(settings, ", "))
	}
	return out
}
