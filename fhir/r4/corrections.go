package r4

import "ingle/fhir"

const searchParameter = "http://hl7.org/fhir/SearchParameter/"

// corrections mends search parameters of 4.0.1 that cannot work as published.
// It stays small: what merely yields values of types that a parameter of its
// kind does not index (clinical-date over Procedure.performed as Age) is right
// as it is.
var corrections = []fhir.SearchCorrection{
	{
		URL:        searchParameter + "InsurancePlan-name",
		Reason:     "the published expression, name | alias, does not say of which type; all others do",
		Expression: "InsurancePlan.name | InsurancePlan.alias",
	},
	{
		URL:    searchParameter + "Observation-code-value-date",
		Reason: "the published component has the type DateTime, which does not exist",
		Components: []fhir.SearchComponent{
			{Definition: searchParameter + "clinical-code", Expression: "code"},
			{Definition: searchParameter + "Observation-value-date", Expression: "value.as(dateTime) | value.as(Period)"},
		},
	},
	{
		URL:    searchParameter + "DocumentReference-relationship",
		Reason: "the published components pair the token relation with the reference target and the reference relatesto with the code; their expressions and the description have the relation first",
		Components: []fhir.SearchComponent{
			{Definition: searchParameter + "DocumentReference-relation", Expression: "code"},
			{Definition: searchParameter + "DocumentReference-relatesto", Expression: "target"},
		},
	},
}
