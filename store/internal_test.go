package store

import (
	"strings"
	"testing"

	"ingle/authz"
	"ingle/search"
)

// TestFromHoldsThePredicate: no relation is given out without the caller's
// labels, and the zero Scope's hold nothing.
func TestFromHoldsThePredicate(t *testing.T) {
	for rel := range tables {
		var args search.Args
		v := &visible{whole: true}
		if sql := v.From(rel, nil, "x", &args); !strings.Contains(sql, ScopeMark+" AND label = ANY($1::int4[])") {
			t.Errorf("relation %d: %s", rel, sql)
		}
		if ids, ok := args.Values()[0].([]int32); !ok || len(ids) != 0 {
			t.Errorf("relation %d: %v", rel, args.Values())
		}
	}
	if n := (authz.Scope{}).Narrow("Patient", authz.Read); n.Allowed {
		t.Error("the zero Scope is not narrowed to nothing")
	}
}

func TestRespelled(t *testing.T) {
	for body, want := range map[string]bool{
		`{"a":1.00,"b":"1e5 -0","c":-1,"d":[0,0.10,-0.5]}`: false,
		`{"a":1e2}`: true, `{"a":1.0E-5}`: true, `{"a":-0}`: true, `{"a":-0.0}`: true, `{"a":"\"1e5"}`: false, `[-0,1]`: true,
	} {
		if got := respelled([]byte(body)); got != want {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestResourceTypeFirst(t *testing.T) {
	for in, want := range map[string]string{
		`{"id": "1", "resourceType": "Patient"}`:                                                        `{"resourceType": "Patient", "id": "1"}`,
		`{"id": "1", "resourceType": "Patient", "zzz": [1]}`:                                            `{"resourceType": "Patient", "id": "1", "zzz": [1]}`,
		`{"resourceType": "Patient"}`:                                                                   `{"resourceType": "Patient"}`,
		`{"id": "1", "contained": [{"id": "a", "resourceType": "Patient"}], "resourceType": "Patient"}`: `{"resourceType": "Patient", "id": "1", "contained": [{"id": "a", "resourceType": "Patient"}]}`,
		`{"resourceType":"Patient","id":"1"}`:                                                           `{"resourceType":"Patient","id":"1"}`,
		``:                                                                                              ``,
	} {
		b := []byte(in)
		resourceTypeFirst(b, "Patient")
		if string(b) != want {
			t.Errorf("%s: %s", in, b)
		}
	}
}
