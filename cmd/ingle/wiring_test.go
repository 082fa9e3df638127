package main

import (
	"slices"
	"testing"

	"ingle/internal/config"
)

// TestOwnBases looks at the URLs by which references may name the server's own
// resources.
func TestOwnBases(t *testing.T) {
	t.Parallel()
	local := []string{"http://localhost:8080/fhir", "http://127.0.0.1:8080/fhir", "http://[::1]:8080/fhir"}
	for _, c := range []struct {
		env  []string
		want []string
	}{
		{nil, local},
		{[]string{"INGLE_LISTEN=:8080"}, local},
		{[]string{"INGLE_LISTEN=0.0.0.0:8080"}, local},
		{[]string{"INGLE_LISTEN=10.0.0.7:80", "INGLE_BASE_PATH=/r4"}, []string{"http://10.0.0.7:80/r4"}},
		{[]string{"INGLE_PUBLIC_URL=https://x.org/fhir"}, []string{"https://x.org/fhir"}},
	} {
		conf, err := config.Load("", append(c.env, "INGLE_AUTH_ALLOW_PUBLIC_OPEN=true"))
		if err != nil {
			t.Fatal(err)
		}
		if got := ownBases(conf); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v", c.env, got)
		}
	}
}
