package demo

import (
	"time"
)

// visit is one encounter.
type visit struct {
	at     time.Time
	number int // from 0
	ref    object
}

// visits are at most four, about eight months apart, ending in the last months before today.
func (c *chart) visits() []visit {
	const count = 4
	end := today
	if c.died != "" {
		died, err := time.ParseInLocation(time.DateOnly, c.died, zone)
		if err != nil {
			panic("demo: " + err.Error())
		}
		end = died
	}
	var list []visit
	for i := range count {
		at := end.AddDate(0, -8*(count-1-i), -10-c.random.IntN(50))
		at = time.Date(at.Year(), at.Month(), at.Day(), 8+c.random.IntN(8), 15*c.random.IntN(4), 0, 0, zone)
		switch at.Weekday() {
		case time.Saturday:
			at = at.AddDate(0, 0, -1)
		case time.Sunday:
			at = at.AddDate(0, 0, -2)
		}
		if at.Before(c.birth.AddDate(0, 2, 0)) {
			continue
		}
		v := visit{at: at, number: i}
		kind := coding(snomed, "185349003", "Encounter for check up")
		if i == 0 {
			kind = coding(snomed, "162673000", "General examination of patient")
		}
		doctor := practitioners[c.doctor]
		id := c.add("Encounter", "enc", "",
			"status", "finished",
			"class", coding(hl7+"v3-ActCode", "AMB", "ambulatory"),
			"type", array{concept("", kind)},
			"subject", c.subject(),
			"participant", array{obj("type", array{one(hl7+"v3-ParticipationType", "PPRF", "primary performer")}, "individual", named("Practitioner", doctor.id, doctor.name()))},
			"period", obj("start", instant(at), "end", instant(at.Add(30*time.Minute))),
			"location", array{obj("location", named("Location", location, "Lakeshore Community Health Center"))},
			"serviceProvider", named("Organization", lakeshore, "Lakeshore Community Health Center"),
		)
		v.ref = reference("Encounter", id)
		list = append(list, v)
	}
	return list
}

// observe adds an Observation of one category at a visit, five minutes into it.
func (c *chart) observe(v visit, category string, rest ...any) string {
	doctor := practitioners[c.doctor]
	head := []any{
		"extension", c.ofStudy(),
		"status", "final",
		"category", array{plain(hl7+"observation-category", category)},
		"subject", c.subject(),
		"encounter", v.ref,
		"effectiveDateTime", instant(v.at.Add(5 * time.Minute)),
		"issued", v.at.Add(20 * time.Minute).Format("2006-01-02T15:04:05.000Z07:00"),
		"performer", array{named("Practitioner", doctor.id, doctor.name())},
	}
	return c.add("Observation", "obs", "", append(head, rest...)...)
}

// vitals are measured at every visit, in the units of a US clinic.
func (c *chart) vitals(v visit) {
	height, weight := c.size(v)
	measure := func(code, display string, value number, unit, ucumCode string) {
		c.observe(v, "vital-signs", "code", one(loinc, code, display), "valueQuantity", quantity(value, unit, ucumCode))
	}
	measure("8302-2", "Body height", decimal(height, 1), "in", "[in_i]")
	measure("29463-7", "Body weight", decimal(weight, 1), "lb", "[lb_av]")
	bmi := (70307*weight + height*height/2) / (height * height) // tenths; 1 lb/in² is 703.07 kg/m²
	measure("39156-5", "Body mass index (BMI) [Ratio]", decimal(bmi, 1), "kg/m2", "kg/m2")
	child := c.age(v.at) < 12
	pulse, breaths := c.around(72, 9), c.around(15, 2)
	if child {
		pulse, breaths = c.around(98, 10), c.around(22, 3)
	}
	measure("8867-4", "Heart rate", decimal(pulse, 0), "beats/min", "/min")
	measure("9279-1", "Respiratory rate", decimal(breaths, 0), "breaths/min", "/min")
	measure("8310-5", "Body temperature", decimal(c.around(982, 6), 1), "degF", "[degF]")
	saturation := c.around(98, 1)
	if c.has("fallot") {
		saturation = c.around(91, 2)
	}
	measure("2708-6", "Oxygen saturation in Arterial blood", decimal(saturation, 0), "%", "%")
	c.bloodPressure(v)
	if smoking, ok := smokingTable[c.smoking]; ok {
		c.observe(v, "social-history", "code", one(loinc, "72166-2", "Tobacco smoking status"),
			"valueCodeableConcept", one(snomed, smoking[0], smoking[1]))
	}
}

// size is height and weight in tenths of inch and pound.
func (c *chart) size(v visit) (height, weight int) {
	months := int(v.at.Sub(c.birth).Hours() / 24 / 30.44)
	spread := int(c.birth.Unix()/86400) % 40 // the person's own, the same at each visit
	if months < 18*12 {
		height = 270 + months*24/12 + spread/4
		if months > 24 {
			height = 345 + (months-24)*2 + spread/3
		}
		return height, 130 + months*5 + months*months/60 + spread + v.number*2
	}
	height, weight = 632+spread, 1380+12*spread
	if c.sex == "male" {
		height, weight = 680+spread, 1660+10*spread
	}
	if c.has("obesity") {
		weight += 620
	}
	return height, weight - 18*v.number + c.random.IntN(20)
}

// bloodPressure is one Observation of two components; treatment brings a raised pressure down.
func (c *chart) bloodPressure(v visit) {
	systolic, diastolic := c.around(116, 7), c.around(74, 5)
	switch age := c.age(v.at); {
	case age < 12:
		systolic, diastolic = c.around(98, 6), c.around(60, 4)
	case c.has("hypertension"):
		systolic, diastolic = c.around(154, 6)-6*v.number, c.around(94, 4)-3*v.number
	}
	interpretation := array(nil)
	if systolic >= 140 || diastolic >= 90 {
		interpretation = array{one(hl7+"v3-ObservationInterpretation", "H", "High")}
	}
	component := func(code, display string, value int) object {
		return obj("code", one(loinc, code, display), "valueQuantity", quantity(decimal(value, 0), "mmHg", "mm[Hg]"))
	}
	c.observe(v, "vital-signs",
		"code", one(loinc, "85354-9", "Blood pressure panel with all children optional"),
		"interpretation", interpretation,
		"bodySite", one(snomed, "368209003", "Right upper arm structure"),
		"component", array{
			component("8480-6", "Systolic blood pressure", systolic),
			component("8462-4", "Diastolic blood pressure", diastolic),
		})
}

// labs measures what the person's problems call for, and reports a lipid panel where it is complete.
func (c *chart) labs(v visit) {
	done := map[string]string{} // lab → id
	for _, key := range c.problems {
		for _, name := range problemTable[key].labs {
			if done[name] == "" {
				done[name] = c.lab(v, labTable[name])
			}
		}
	}
	lipids := []string{"cholesterol", "triglycerides", "ldl", "hdl"}
	var results array
	for _, name := range lipids {
		if done[name] == "" {
			return
		}
		results = append(results, named("Observation", done[name], labTable[name].display))
	}
	c.add("DiagnosticReport", "rep", "",
		"status", "final",
		"category", array{plain(hl7+"v2-0074", "LAB")},
		"code", one(loinc, "57698-3", "Lipid panel with direct LDL - Serum or Plasma"),
		"subject", c.subject(),
		"encounter", v.ref,
		"effectiveDateTime", instant(v.at.Add(5*time.Minute)),
		"issued", v.at.Add(26*time.Hour).Format("2006-01-02T15:04:05.000Z07:00"),
		"performer", array{named("Organization", lakeshore, "Lakeshore Community Health Center")},
		"result", results,
	)
}

func (c *chart) lab(v visit, l lab) string {
	middle := l.usual
	if c.has(l.with) {
		middle = l.raised - l.improves*v.number
	}
	value := c.around(middle, l.spread)
	level := coding(hl7+"v3-ObservationInterpretation", "N", "Normal")
	switch {
	case l.high > 0 && value > l.high:
		level = coding(hl7+"v3-ObservationInterpretation", "H", "High")
	case l.low > 0 && value < l.low:
		level = coding(hl7+"v3-ObservationInterpretation", "L", "Low")
	}
	limit := func(n int) any {
		if n == 0 {
			return nil
		}
		return quantity(decimal(n, l.places), l.unit, l.ucum)
	}
	return c.observe(v, "laboratory",
		"code", one(loinc, l.loinc, l.display),
		"valueQuantity", quantity(decimal(value, l.places), l.unit, l.ucum),
		"interpretation", array{concept("", level)},
		"referenceRange", array{obj("low", limit(l.low), "high", limit(l.high))},
	)
}
