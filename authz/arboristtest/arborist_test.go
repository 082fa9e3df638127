package arboristtest

import "testing"

// TestStart shows that what the other tests rely on is the real thing.
func TestStart(t *testing.T) {
	is := NewIssuer(t)
	s := Start(t, is)
	if got := s.Must(t, "GET", "/health", nil); string(got) != "\"Healthy\"" {
		t.Errorf("health: %s", got)
	}
	s.Apply(t, Sample)
	alice := is.Token(t, "alice@example.org", nil)
	for path, want := range map[string]bool{
		"/programs/a/projects/b": true, "/programs/a/not/registered": true, "/programs": false, "/programs/ab": false, "/open": true,
	} {
		if got := s.Allowed(t, alice, path, "fhir", "read"); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
