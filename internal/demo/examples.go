package demo

import (
	"net/url"
	"strings"
)

// Example is a request that a newcomer can try.
type Example struct {
	Title string
	URL   string
}

// query is an example before it is a URL: a path and parameters in order.
type query struct {
	title, path string
	parameters  [][2]string
}

var queries = []query{
	{"Patients by family name", "Patient", [][2]string{{"family", "okafor"}}},
	{"Blood pressures of a patient, newest first", "Observation", [][2]string{
		{"patient", "demo-p01"}, {"code", loinc + "|85354-9"}, {"_sort", "-date"}}},
	{"Patients with diabetes", "Patient", [][2]string{
		{"_has:Condition:patient:code", snomed + "|44054006"}}},
	{"Hemoglobin A1c above 7 %", "Observation", [][2]string{
		{"code-value-quantity", loinc + "|4548-4$gt7"}}},
	{"Participants of a research study, with their patients", "ResearchSubject", [][2]string{
		{"study", "ResearchStudy/" + studyID(congenital)}, {"_include", "ResearchSubject:individual"}}},
}

// Examples are five requests that give non-empty answers on the cohort. Base is the server's FHIR base URL.
func Examples(base string) []Example {
	list := make([]Example, len(queries))
	for i, q := range queries {
		var parameters []string
		for _, p := range q.parameters {
			parameters = append(parameters, readable(p[0])+"="+readable(p[1]))
		}
		list[i] = Example{q.title, strings.TrimRight(base, "/") + "/" + q.path + "?" + strings.Join(parameters, "&")}
	}
	return list
}

// readable escapes for a query, but not what may stand there as it is: people read these URLs. The dollar is escaped,
// because a shell would take it for its own.
func readable(s string) string {
	return strings.NewReplacer("%3A", ":", "%2F", "/", "%2C", ",").Replace(url.QueryEscape(s))
}
