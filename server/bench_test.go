package server_test

import (
	"fmt"
	"testing"

	"ingle/server/servertest"
)

const observation = `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}],"text":"Body Height"},"subject":{"reference":"Patient/p"},"effectiveDateTime":"2012-03-01T08:10:33-05:00","issued":"2012-03-01T08:10:33.123-05:00","valueQuantity":{"value":181.20,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}`

func BenchmarkRead(b *testing.B) {
	s := servertest.Start(b)
	id := s.Post("/Observation", observation).Is(201).ID()
	b.ReportAllocs()
	for b.Loop() {
		s.Get("/Observation/" + id).Is(200)
	}
}

func BenchmarkCreate(b *testing.B) {
	s := servertest.Start(b)
	b.ReportAllocs()
	for b.Loop() {
		s.Post("/Observation", observation).Is(201)
	}
}

func BenchmarkSearchPage(b *testing.B) {
	s := servertest.Start(b)
	for range 50 {
		s.Post("/Observation", observation).Is(201)
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Get("/Observation?code=http://loinc.org|8302-2").Is(200)
	}
}

func BenchmarkTransaction(b *testing.B) {
	s := servertest.Start(b)
	var entries []string
	for i := range 100 {
		entries = append(entries, entryOf(fmt.Sprintf("urn:uuid:%d", i), observation, "POST", "Observation"))
	}
	body := transaction(entries...)
	b.ReportAllocs()
	for b.Loop() {
		s.Post("", body).Is(200)
	}
}
