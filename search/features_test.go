package search

import (
	"testing"
	"time"
)

func TestZZ(t *testing.T) {
	reg := registry(t)
	reg.EnableFullText()
	w := newWorld(t, reg)
	w.examples(t)
	w.flush(t, 0)
	_ = time.Now
	for _, q := range []string{
		"Location?near=42.25475478|-83.6945691", "Location?near=42.25475478|-83.6945691|11.20|km", "Location?near=42.3|-83.6|1|mi_us", "Patient?_text=peter", "Patient?_content=chalmers", "Patient?_content=chalmers or duck",
		"Observation?code:text=glucose", "Patient?_filter=name co \"pet\" and birthdate gt 1970", "Patient?_filter=not (gender eq male) or (family eq chalmers)", "Patient?_list=example", "Observation?_filter=subject.name sw \"don\" and code pr true",
		"Condition?_filter=onset-date po 2012 or severity eq \"http://snomed.info/sct|24484000\"", "Patient?_filter=birthdate po 1974-12", "Patient?family=chalm&_text=zzz",
	} {
		f, _, n, err := w.pages(t, request(q), 20)
		t.Log(q, len(f), n, err)
	}
}
