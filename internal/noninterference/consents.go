package noninterference

import "fmt"

// consents are decisions of some patients: a denial, permissions withdrawn, and
// one that is given.
func consents() (out []map[string]any) {
	for i, c := range []struct{ patient, status, kind string }{
		{"demo-p02", "active", "deny"}, {"demo-p05", "active", "deny"}, {"demo-p09", "inactive", "permit"}, {"demo-p12", "active", "permit"}, {"demo-p14", "rejected", "permit"},
	} {
		out = append(out, map[string]any{"resourceType": "Consent", "id": fmt.Sprintf("consent%d", i), "status": c.status,
			"scope":    map[string]any{"coding": []any{map[string]any{"code": "research"}}},
			"category": []any{map[string]any{"text": "research"}}, "policyRule": map[string]any{"text": "rule"},
			"patient":   map[string]any{"reference": "Patient/" + c.patient},
			"provision": map[string]any{"type": c.kind}})
	}
	return out
}
