package demo

import "fmt"

// Ids of the organizations and the clinic's location.
const (
	lakeshore = "demo-org-lakeshore"
	hospital  = "demo-org-hospital"
	institute = "demo-org-institute"
	location  = "demo-loc-clinic"
)

type practitioner struct {
	id, given, family, sex, suffix string
	npi                            string
	specialty                      code // of the NUCC provider taxonomy
	organization                   string
}

func (p practitioner) name() string { return "Dr. " + p.given + " " + p.family }

// Numbers that begin with 9 are never given out as National Provider Identifiers; the check digits are right.
var practitioners = []practitioner{
	{"demo-dr-1", "Helen", "Abernathy", "female", "MD", npi(1), code{"207Q00000X", "Family Medicine Physician"}, lakeshore},
	{"demo-dr-2", "Luis", "Ferreira", "male", "MD", npi(2), code{"207R00000X", "Internal Medicine Physician"}, lakeshore},
	{"demo-dr-3", "Karen", "Osei", "female", "MD", npi(3), code{"207RC0000X", "Cardiovascular Disease Physician"}, hospital},
	{"demo-dr-4", "Brian", "Takahashi", "male", "DO", npi(4), code{"207RE0101X", "Endocrinology, Diabetes & Metabolism Physician"}, hospital},
	{"demo-dr-5", "Naomi", "Goldstein", "female", "MD", npi(5), code{"2080P0202X", "Pediatric Cardiology Physician"}, hospital},
}

// npi makes a ten-digit number with the check digit of the identifier: Luhn over 80840 and the number.
func npi(n int) string {
	body := fmt.Sprintf("9999990%02d", n)
	sum := 24 // of the prefix 80840
	for i, digit := range body {
		d := int(digit - '0')
		if i%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return body + fmt.Sprint((10-sum%10)%10)
}

// foundation is what the charts refer to: it is loaded first. It belongs to all projects.
func foundation() []object {
	labels := Projects()
	organization := func(id, name, kind, display string, home int) object {
		p := places[home]
		return resource("Organization", id, labels, "",
			"identifier", array{obj("system", own+"organization", "value", id)},
			"active", true,
			"type", array{one(hl7+"organization-type", kind, display)},
			"name", name,
			"telecom", array{obj("system", "phone", "value", "(312) 555-0100", "use", "work")},
			"address", array{obj("line", array{"1 Harbor Plaza"}, "city", p.city, "state", p.state, "postalCode", p.zip, "country", "US")},
		)
	}
	list := []object{
		organization(lakeshore, "Lakeshore Community Health Center", "prov", "Healthcare Provider", 0),
		organization(hospital, "Harbor University Hospital", "prov", "Healthcare Provider", 4),
		organization(institute, "Great Lakes Research Institute", "edu", "Educational Institute", 4),
		resource("Location", location, labels, "",
			"status", "active",
			"name", "Lakeshore Community Health Center",
			"mode", "instance",
			"type", array{one(roleCode, "PC", "Primary care clinic")},
			"address", obj("line", array{"1 Harbor Plaza"}, "city", "Chicago", "state", "IL", "postalCode", "60637", "country", "US"),
			"position", obj("longitude", number("-87.5987"), "latitude", number("41.7808")),
			"managingOrganization", named("Organization", lakeshore, "Lakeshore Community Health Center"),
		),
	}
	for _, p := range practitioners {
		list = append(list,
			resource("Practitioner", p.id, labels, "",
				"identifier", array{obj("system", "http://hl7.org/fhir/sid/us-npi", "value", p.npi)},
				"active", true,
				"name", array{obj("use", "official", "family", p.family, "given", array{p.given}, "prefix", array{"Dr."}, "suffix", array{p.suffix})},
				"telecom", array{obj("system", "email", "value", p.id+"@example.org", "use", "work")},
				"gender", p.sex,
				"qualification", array{obj("code", one("http://terminology.hl7.org/CodeSystem/v2-0360", p.suffix, ""))},
			),
			resource("PractitionerRole", p.id+"-role", labels, "",
				"active", true,
				"practitioner", named("Practitioner", p.id, p.name()),
				"organization", reference("Organization", p.organization),
				"specialty", array{one("http://nucc.org/provider-taxonomy", p.specialty.code, p.specialty.display)},
				"location", array{reference("Location", location)},
			))
	}
	return list
}
