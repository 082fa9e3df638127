package noninterference

import (
	"fmt"
	"slices"
	"strings"
)

// guests are resources with contained ones, of all projects. What is contained is
// alike everywhere, so that a search which reads one row too many tells.
func guests() (out []map[string]any) {
	for i := range 60 {
		mixture := map[string]any{"resourceType": "Medication", "id": "m", "status": []string{"active", "inactive"}[i%2],
			"code": map[string]any{"coding": []any{map[string]any{"system": "http://codes.test/mixture", "code": fmt.Sprintf("c%d", i%5)}}}}
		inside := []any{mixture}
		if i%2 == 0 {
			mixture["manufacturer"] = map[string]any{"reference": "#o"}
			inside = append(inside, map[string]any{"resourceType": "Organization", "id": "o", "name": fmt.Sprintf("Maker %d", i%7)})
		}
		out = append(out, map[string]any{"resourceType": "MedicationRequest", "id": fmt.Sprintf("guest%d", i), "status": "active", "intent": "order",
			"contained": inside, "medicationReference": map[string]any{"reference": "#m"},
			"subject": map[string]any{"reference": fmt.Sprintf("Patient/demo-p%02d", 1+i%24)}})
	}
	return out
}

// contained asks for contained resources, or through them.
func (g *generator) contained() {
	term := func(prefix string) string {
		return prefix + pick(g, []string{fmt.Sprintf("code=c%d", g.IntN(5)), fmt.Sprintf("code=http://codes.test/mixture|c%d", g.IntN(5)), "code:not=c1", "status=active",
			"manufacturer.name=maker", fmt.Sprintf("manufacturer.name:exact=Maker%%20%d", g.IntN(7)), "_id=m", "_lastUpdated=gt2026-01-01T02:00:00Z"})
	}
	if g.chance(0.35) {
		g.follow(Request{Method: "GET", Target: "/fhir/MedicationRequest?" + term("medication.") + pick(g, []string{"", "&_summary=count", "&_count=2&_sort=-_lastUpdated", "&_total=accurate"})})
		return
	}
	q := []string{"_contained=" + pick(g, []string{"true", "true", "both"})}
	for range g.IntN(3) {
		q = append(q, term(""))
	}
	alone := g.chance(0.6)
	if alone {
		q = append(q, "_containedType=contained")
	}
	switch g.IntN(4) {
	case 0:
		q = append(q, "_summary=count")
	case 1:
		q = append(q, fmt.Sprintf("_count=%d", 1+g.IntN(6)), "_total="+pick(g, []string{"accurate", "estimate", "none"}))
	case 2:
		keys := []string{"_id", "_lastUpdated"}
		if alone {
			keys = append(keys, "code", "status", "manufacturer.name")
		}
		q = append(q, "_count=3", "_sort="+pick(g, []string{"", "-"})+pick(g, keys))
	case 3:
		q = append(q, pick(g, []string{"_include=MedicationRequest:subject", "_include=*", "_revinclude=Provenance:target"}))
		if alone {
			q[len(q)-1] = "_include=Medication:manufacturer"
		}
	}
	g.Shuffle(len(q), func(i, j int) { q[i], q[j] = q[j], q[i] })
	typ := "Medication"
	if g.chance(0.2) && !slices.ContainsFunc(q, func(s string) bool {
		return strings.Contains(s, "code") || strings.Contains(s, "manufacturer") || strings.Contains(s, "status")
	}) {
		typ = "Organization"
	}
	g.follow(Request{Method: "GET", Target: "/fhir/" + typ + "?" + strings.Join(q, "&")})
}
