package demo

import (
	"fmt"
	"time"
)

// conditions are diagnosed at the first visit, with treatment and procedures following.
func (c *chart) conditions(visits []visit) {
	first := visits[0]
	for _, key := range c.problems {
		p := problemTable[key]
		codings := arr(coding(snomed, p.snomed, p.display), coding(icd10cm, p.icd, ""))
		profile := ""
		category := array{one(hl7+"condition-category", "problem-list-item", "Problem List Item")}
		onset := first.at.AddDate(-1-c.random.IntN(8), -c.random.IntN(12), 0)
		if p.hpo != "" {
			profile = "ncpi-condition-summary"
			codings = append(codings, coding(hpo, p.hpo, p.display), coding(mondo, p.mondo, ""))
			category = append(category, plain(ncpiCodes+"condition-type", "Disease"))
			onset = c.birth
		}
		if onset.Before(c.birth) {
			onset = c.birth.AddDate(0, 6, 0)
		}
		id := c.add("Condition", "cond", profile,
			"extension", c.ofStudy(),
			"clinicalStatus", plain(hl7+"condition-clinical", "active"),
			"verificationStatus", plain(hl7+"condition-ver-status", "confirmed"),
			"category", category,
			"code", obj("coding", codings, "text", p.display),
			"subject", c.subject(),
			"encounter", first.ref,
			"onsetDateTime", date(onset),
			"recordedDate", date(first.at),
		)
		for _, m := range p.medications {
			c.prescribe(first, m, id)
		}
		for i, procedure := range p.procedures {
			c.procedure(visits[min(i, len(visits)-1)], procedure, id)
		}
	}
}

func (c *chart) prescribe(v visit, m medication, condition string) {
	doctor := practitioners[c.doctor]
	status := "active"
	if c.died != "" {
		status = "stopped"
	}
	c.add("MedicationRequest", "med", "",
		"status", status,
		"intent", "order",
		"medicationCodeableConcept", one(rxnorm, m.rxnorm, m.display),
		"subject", c.subject(),
		"encounter", v.ref,
		"authoredOn", instant(v.at.Add(20*time.Minute)),
		"requester", named("Practitioner", doctor.id, doctor.name()),
		"reasonReference", array{reference("Condition", condition)},
		"dosageInstruction", array{obj(
			"sequence", 1, "text", m.text,
			"timing", obj("repeat", obj("frequency", m.perDay, "period", 1, "periodUnit", "d")),
		)},
		"dispenseRequest", obj("numberOfRepeatsAllowed", 3, "quantity", obj("value", m.perDay*90), "expectedSupplyDuration", quantity("90", "days", "d")),
	)
}

func (c *chart) procedure(v visit, p code, condition string) {
	doctor := practitioners[c.doctor]
	c.add("Procedure", "proc", "",
		"status", "completed",
		"code", one(snomed, p.code, p.display),
		"subject", c.subject(),
		"encounter", v.ref,
		"performedPeriod", obj("start", instant(v.at.Add(10*time.Minute)), "end", instant(v.at.Add(30*time.Minute))),
		"performer", array{obj("actor", named("Practitioner", doctor.id, doctor.name()))},
		"reasonReference", array{reference("Condition", condition)},
	)
}

// vaccines by who gets them.
var (
	influenza     = code{"140", "Influenza, seasonal, injectable, preservative free"}
	childVaccines = []code{{"08", "Hep B, adolescent or pediatric"}, {"20", "DTaP"}, {"10", "IPV"}, {"03", "MMR"}, {"21", "varicella"}}
	adultVaccines = []code{{"113", "Td (adult) preservative free"}, {"208", "COVID-19, mRNA, LNP-S, PF, 30 mcg/0.3 mL dose"}}
	elderVaccines = []code{{"33", "pneumococcal polysaccharide vaccine, 23 valent"}}
)

func (c *chart) immunizations(visits []visit) {
	give := func(v visit, what code) {
		c.add("Immunization", "imm", "",
			"status", "completed",
			"vaccineCode", one(cvx, what.code, what.display),
			"patient", c.subject(),
			"encounter", v.ref,
			"occurrenceDateTime", instant(v.at.Add(25*time.Minute)),
			"primarySource", true,
			"lotNumber", fmt.Sprintf("L%05d", c.random.IntN(100000)),
			"location", named("Location", location, "Lakeshore Community Health Center"),
		)
	}
	for i, v := range visits {
		if i%2 == 1 {
			give(v, influenza)
		}
	}
	age := c.age(visits[0].at)
	list := adultVaccines
	if age < 7 {
		list = childVaccines
	}
	if age >= 65 {
		list = append(list[:len(list):len(list)], elderVaccines...)
	}
	for i, what := range list {
		give(visits[i%len(visits)], what)
	}
}

// allergies are few: about one person in three has one.
func (c *chart) allergies(v visit) {
	table := []struct {
		snomed, display, category, criticality string
	}{
		{"91936005", "Allergy to penicillin", "medication", "high"},
		{"91935009", "Allergy to peanut", "food", "high"},
		{"419263009", "Allergy to tree pollen", "environment", "low"},
	}
	n := c.random.IntN(9)
	if n >= len(table) {
		return
	}
	a := table[n]
	c.add("AllergyIntolerance", "alg", "",
		"clinicalStatus", plain(hl7+"allergyintolerance-clinical", "active"),
		"verificationStatus", plain(hl7+"allergyintolerance-verification", "confirmed"),
		"type", "allergy",
		"category", array{a.category},
		"criticality", a.criticality,
		"code", one(snomed, a.snomed, a.display),
		"patient", c.subject(),
		"encounter", v.ref,
		"recordedDate", instant(v.at),
	)
}
