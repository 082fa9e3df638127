package demo

import (
	"fmt"
	"strings"
	"time"
)

// study is one of the two research studies.
type study struct {
	project
	title, short, description string
	focus                     []any // codings of MeSH
	investigator              int   // index into practitioners
	start                     string
	use                       code // consent: data use limitation
	enrollment                string
}

const mesh = hl7 + "MSH"

var studies = []study{
	{
		project: cardiometabolic, title: "Great Lakes Cardiometabolic Health Study", short: "GLCMH",
		description:  "An invented longitudinal study of blood pressure, glucose and lipids in adults of the Great Lakes region.",
		focus:        []any{coding(mesh, "D003924", "Diabetes Mellitus, Type 2"), coding(mesh, "D006973", "Hypertension")},
		investigator: 2, start: "2023-01-09", use: code{"GRU", "General Research Use"},
		enrollment: "Adults with hypertension, diabetes, prediabetes, obesity or hyperlipidemia",
	},
	{
		project: congenital, title: "Family Study of Congenital Heart Defects", short: "FSCHD",
		description:  "An invented study of children with congenital heart defects and their parents, with genome sequencing of trios.",
		focus:        []any{coding(mesh, "D006330", "Heart Defects, Congenital")},
		investigator: 4, start: "2023-03-20", use: code{"HMB", "Health/Medical/Biomedical"},
		enrollment: "Children with a congenital heart defect, and both parents",
	},
}

func studyID(p project) string { return "demo-study-" + p.id }

func policyID(p project) string { return "demo-policy-" + p.id }

func (s study) resources() []object {
	labels := []string{s.path}
	lead := practitioners[s.investigator]
	return []object{
		resource("Consent", policyID(s.project), labels, "ncpi-research-access-policy",
			"extension", array{
				extension(ncpi+"access-policy-description", "valueMarkdown", "Use of the data is limited to: "+s.use.display+"."),
				extension(ncpi+"access-type", "valueCodeableConcept", plain(ncpiCodes+"research-data-access-type", "controlled")),
			},
			"status", "active",
			"scope", plain(hl7+"consentscope", "research"),
			"category", array{one(hl7+"consentcategorycodes", "research", "Research Information Access")},
			"policyRule", plain(hl7+"consentpolicycodes", "cric"),
			"provision", obj("type", "permit", "purpose", array{coding(ncpiCodes+"research-data-access-code", s.use.code, "")}),
		),
		resource("ResearchStudy", studyID(s.project), labels, "ncpi-research-study",
			"extension", array{obj("url", ncpi+"research-study-associated-party", "extension", array{
				extension("name", "valueString", lead.name()),
				extension("role", "valueCodeableConcept", plain("http://hl7.org/fhir/research-study-party-role", "primary-investigator")),
				extension("party", "valueReference", reference("PractitionerRole", lead.id+"-role")),
			})},
			"identifier", array{obj("system", own+"study", "value", s.short)},
			"title", s.title,
			"status", "active",
			"category", array{concept("", coding(ncpiCodes+"ncpi", "StudyCohort", "Study Cohort"))},
			"focus", array{obj("coding", array(s.focus))},
			"relatedArtifact", array{obj("type", "documentation", "label", "enrollmentCriteria", "display", s.enrollment)},
			"description", s.description,
			"period", obj("start", s.start),
			"sponsor", named("Organization", institute, "Great Lakes Research Institute"),
			"principalInvestigator", named("Practitioner", lead.id, lead.name()),
		),
	}
}

// participation ties a person to the study: subject, specimens, files, relationships.
func (c *chart) participation(first visit) {
	if c.project == clinic {
		return
	}
	c.add("ResearchSubject", "subj", "ncpi-Study-Participant",
		"extension", array{extension(ncpi+"access-policy", "valueReference", reference("Consent", policyID(c.project))), partOfStudy(c.project)},
		"identifier", array{obj("system", own+"participant", "value", participantID(c.person))},
		"status", "on-study",
		"period", obj("start", date(first.at)),
		"study", reference("ResearchStudy", studyID(c.project)),
		"individual", reference("Patient", c.id),
		"consent", reference("Consent", policyID(c.project)),
	)
	blood := c.specimen("blood", array(nil), obj(
		"collectedDateTime", instant(first.at.Add(15*time.Minute)),
		"quantity", quantity("8.5", "mL", "mL"),
		"method", one(snomed, "129300006", "Puncture - action"),
		"bodySite", one(snomed, "368209003", "Right upper arm structure"),
	), coding(snomed, "119297000", "Blood specimen"))
	dna := c.specimen("dna", array{reference("Specimen", blood)}, nil, coding(snomed, "258566005", "Deoxyribonucleic acid sample"))
	c.file("cram", "CRAM", "format_3462", code{"operation_3198", "Read mapping"}, "Aligned whole genome reads", dna)
	if c.role == "CHILD" || c.project == cardiometabolic {
		c.file("vcf", "VCF", "format_3016", code{"operation_3227", "Variant calling"}, "Variant calls", dna)
	}
}

func (c *chart) specimen(short string, parent array, collection object, kind object) string {
	return c.add("Specimen", short, "ncpi-sample",
		"extension", array{partOfStudy(c.project)},
		"identifier", array{obj("system", own+"specimen", "value", participantID(c.person)+"-"+strings.ToUpper(short))},
		"status", "available",
		"type", concept("", kind),
		"subject", c.subject(),
		"parent", parent,
		"collection", collection,
	)
}

// file is a genomic file that lies elsewhere: the server keeps its description and its DRS address. It claims ncpi-file,
// not ncpi-drs-file: the slice of the latter is told apart by a pattern that the profile does not give, so that no
// resource can follow it.
func (c *chart) file(short, format, edamFormat string, operation code, description, specimen string) {
	object := fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", c.random.Uint32(), c.random.IntN(1<<16), c.random.IntN(1<<12), c.random.IntN(1<<12), c.random.Int64N(1<<48))
	size := 14_000_000_000 + c.random.Int64N(6_000_000_000)
	if short == "vcf" {
		size = 900_000_000 + c.random.Int64N(300_000_000)
	}
	c.add("DocumentReference", short, "ncpi-file",
		"extension", array{
			extension(ncpi+"content-version", "valueString", "V1"),
			extension(ncpi+"file-format", "valueCodeableConcept", concept("", coding(edam, edamFormat, format))),
			extension(ncpi+"file-size", "valueQuantity", quantity(number(fmt.Sprint(size)), "bytes", "By")),
			obj("url", ncpi+"hash-extension", "extension", array{
				extension(ncpi+"hash-value", "valueString", fmt.Sprintf("%016x%016x", c.random.Uint64(), c.random.Uint64())),
				extension(ncpi+"hash-type", "valueCode", "md5"),
			}),
			partOfStudy(c.project),
		},
		"identifier", array{obj("system", own+"file", "value", participantID(c.person)+"-"+format)},
		"status", "current",
		"type", concept("", coding(edam, operation.code, operation.display)),
		"subject", c.subject(),
		"date", instant(today.AddDate(0, -6, 0)),
		"description", description,
		"content", array{obj(
			"extension", array{extension(ncpi+"location-access", "valueReference", reference("Consent", policyID(c.project)))},
			"attachment", obj("url", "drs://data.demo.ingle.example/"+object, "title", participantID(c.person)+"."+short),
		)},
		"context", obj("related", array{reference("Specimen", specimen)}),
	)
}

// relationships say how the parents are related to the child, one Observation each, of the child about the parent.
func (c *chart) relationships() {
	if c.role != "CHILD" {
		return
	}
	for _, p := range people {
		if p.household != c.household || p.id == c.id {
			continue
		}
		display := map[string]string{"MTH": "mother", "FTH": "father"}[p.role]
		c.add("Observation", "rel", "ncpi-family-relationship",
			"extension", array{partOfStudy(c.project)},
			"status", "final",
			"code", one(roleCode, p.role, display),
			"subject", c.subject(),
			"focus", array{named("Patient", p.id, p.given+" "+p.family)},
			"effectiveDateTime", date(today.AddDate(-2, 0, 0)),
		)
	}
}

// groups are the families and, at the very end, the participants of each study.
func groups() []object {
	var list []object
	seen := map[string]bool{}
	for _, p := range people {
		if p.household == "" || seen[p.household] {
			continue
		}
		seen[p.household] = true
		var members array
		for _, q := range people {
			if q.household == p.household {
				display := map[string]string{"CHILD": "child", "MTH": "mother", "FTH": "father"}[q.role]
				members = append(members, obj("entity", obj(
					"extension", array{extension(ncpi+"family-role", "valueCodeableConcept", concept("", coding(roleCode, q.role, display)))},
					"reference", "Patient/"+q.id)))
			}
		}
		list = append(list, resource("Group", "demo-family-"+p.household, []string{p.project.path}, "ncpi-study-family",
			"extension", array{
				extension(ncpi+"family-type", "valueCodeableConcept", concept("", coding(ncpiCodes+"ncpi-family-types", "Trio", "Trio"))),
				partOfStudy(p.project),
			},
			"identifier", array{obj("system", own+"family", "value", strings.ToUpper(p.household))},
			"type", "person", "actual", true,
			"name", p.family+" family",
			"member", members,
		))
	}
	for _, s := range studies {
		var members array
		for _, p := range people {
			if p.project == s.project {
				members = append(members, obj("entity", reference("Patient", p.id)))
			}
		}
		list = append(list, resource("Group", participantsID(s.project), []string{s.path}, "research-study-group",
			"extension", array{partOfStudy(s.project)},
			"identifier", array{obj("system", own+"group", "value", s.short+"-PARTICIPANTS")},
			"active", true,
			"type", "person", "actual", true,
			"code", concept("", coding("http://purl.obolibrary.org/obo/ncit.owl", "C142710", "Study Participant")),
			"name", "Participants of the "+s.title,
			"quantity", len(members),
			"member", members,
		))
	}
	return list
}

func participantsID(p project) string { return "demo-participants-" + p.id }
