package search

import (
	"context"
	"testing"
)

func TestSmoke(t *testing.T) {
	reg := registry(t)
	w := newWorld(t, reg)
	w.synthea(t, "synthea/synthea-2.4.0-2019.tar.zst", 10)
	w.flush(t, 0)
	t.Log(len(w.docs))
	pat := ""
	for _, d := range w.docs {
		if d.typ == "Patient" {
			pat = d.id
		}
	}
	for _, q := range []string{
		"Patient", "Patient?family=a", "Patient?name:contains=an", "Patient?birthdate=ge1950&birthdate=lt1990", "Patient?gender=male&family=s",
		"Patient?identifier=http://hospital.smarthealthit.org|x", "Observation?patient=" + pat + "&_sort=-date&_count=50", "Observation?patient=" + pat + "&code=8302-2",
		"Observation?code=http://loinc.org|8302-2", "Observation?code=8302-2,29463-7,8867-4", "Observation?code=http://loinc.org|8302-2,http://loinc.org|29463-7",
		"Observation?patient=" + pat + "&category=vital-signs&date=ge2010", "Observation?code-value-quantity=8302-2$gt100", "Observation?combo-code-value-quantity=http://loinc.org|8302-2$gt100|http://unitsofmeasure.org|cm",
		"Encounter?date=ge2010&status=finished", "Observation?patient.identifier=abc", "Observation?patient.family=a", "Patient?_has:Observation:patient:code=8302-2",
		"MedicationRequest?patient=" + pat + "&_include=MedicationRequest:*", "Patient?_id=" + pat + "&_revinclude=Condition:patient", "Observation?_lastUpdated=ge2020&_sort=_lastUpdated",
		"Observation?code=http://loinc.org|8302-2&_sort=-date,_id", "Patient?_sort=family,-birthdate", "Patient?_sort=gender", "Observation?_sort=patient", "Patient?deceased=false", "Patient?gender:not=male&_sort=-death-date",
		"Patient/" + pat + "/Observation?code=8302-2", "Patient/" + pat + "/*", "?_type=Patient,Observation&_lastUpdated=ge2020", "?_id=" + pat, "Observation?value-quantity=gt1||m", "Observation?value-quantity=1.7|http://unitsofmeasure.org|m",
		"Observation?_sort=value-quantity", "Observation?date=2015,2016", "Condition?subject:Patient.name=a", "Condition?onset-date=ap2015&code:not=123", "Patient?name:exact=Smith", "Patient?address=bos",
		"Observation?subject.name=a&_sort=-value-quantity,date", "Encounter?_has:Condition:encounter:code=http://snomed.info/sct|444814009&_include=Encounter:patient&_revinclude=Observation:encounter&_include:iterate=Patient:general-practitioner",
	} {
		req := request(q)
		query, _, err := reg.Parse(req)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		st, err := reg.Compile(query, tables{})
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		hits, err := w.run(t, st)
		if err != nil {
			t.Errorf("%s: %v\n%s", q, err, st.SQL)
			continue
		}
		st, _ = reg.CompileCount(query, tables{})
		var n int64
		if err := w.conn.QueryRow(context.Background(), st.SQL, st.Args...).Scan(&n); err != nil {
			t.Errorf("%s: %v\n%s", q, err, st.SQL)
			continue
		}
		t.Log(q, len(hits), n)
	}
}
