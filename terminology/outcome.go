package terminology

import (
	"slices"
	"strings"

	"ingle/fhir"
)

// txIssueType is the code system of the kinds of issue that terminology
// operations report; clients such as the HL7 validator act on them.
const txIssueType = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"

const extMessageID = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"

// outcome makes an error whose text stands in details, where clients of
// terminology servers look for it.
func outcome(status int, code, txCode, text string) *fhir.Error {
	e := &fhir.Error{Status: status, Issues: []fhir.Issue{{Severity: fhir.SeverityError, Code: code, Details: text}}}
	if txCode != "" {
		e.Issues[0].DetailsCode, e.Issues[0].DetailsSys = txCode, txIssueType
	}
	return e
}

// issue is one finding of $validate-code, written into the OperationOutcome of
// its parameter "issues".
type issue struct {
	severity, code string // of OperationOutcome.issue
	txCode         string // of txIssueType
	id             string // the message's stable name
	text           string
	at             string // FHIRPath in the request: "code", "Coding.display", "CodeableConcept.coding[0].code"
	told           bool   // part of the parameter "message"
}

// message joins the texts that belong into the parameter "message".
func message(issues []issue) string {
	var texts []string
	for _, i := range issues {
		if i.told && !slices.Contains(texts, i.text) {
			texts = append(texts, i.text)
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, "; ")
}

func failed(issues []issue) bool {
	return slices.ContainsFunc(issues, func(i issue) bool { return i.severity == fhir.SeverityError })
}

func (w *writer) outcome(issues []issue) {
	w.open('{')
	w.str("resourceType", "OperationOutcome")
	w.key("issue").open('[')
	for _, i := range issues {
		w.open('{')
		if i.id != "" {
			w.key("extension").open('[').open('{')
			w.str("url", extMessageID).str("valueString", i.id)
			w.close('}').close(']')
		}
		w.str("severity", i.severity).str("code", i.code)
		w.key("details").open('{')
		if i.txCode != "" {
			w.key("coding").open('[').open('{').str("system", txIssueType).str("code", i.txCode).close('}').close(']')
		}
		w.str("text", i.text).close('}')
		if i.at != "" {
			w.key("location").open('[').value(i.at).close(']')
			w.key("expression").open('[').value(i.at).close(']')
		}
		w.close('}')
	}
	w.close(']').close('}')
}
