package store

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/internal/pgtest"
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
		args = search.Args{}
		v = &visible{whole: true, bits: []byte{1}}
		if sql := v.From(rel, nil, "x", &args); !strings.Contains(sql, ScopeMark+" AND CASE WHEN label < octet_length($1::bytea) * 8 THEN") {
			t.Errorf("relation %d: %s", rel, sql)
		}
	}
	if n := (authz.Scope{}).Narrow("Patient", authz.Read); n.Allowed {
		t.Error("the zero Scope is not narrowed to nothing")
	}
}

// TestContainedGoByTheirContainer: rows of contained resources are given out only
// with what contains them, whatever their own label says.
func TestContainedGoByTheirContainer(t *testing.T) {
	for _, types := range [][]string{{"#Medication"}, {"Medication", "#Medication"}} {
		for rel := search.Resource; rel <= search.Text; rel++ {
			if rel == search.Dictionary {
				continue
			}
			var args search.Args
			v := &visible{whole: true}
			sql := v.From(rel, types, "x", &args)
			if box := "(SELECT * FROM resource AS scope_row WHERE op <> 4 " + ScopeMark + " AND label = ANY($1::int4[])) AS scope_box ON scope_box.rid = scope_in.container"; !strings.Contains(sql, box) {
				t.Errorf("relation %d: %s", rel, sql)
			}
		}
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

// TestBitmap: a bitmap of labels holds for those and for no others, of which
// there may be more by the time the statement runs.
func TestBitmap(t *testing.T) {
	t.Parallel()
	conn, err := pgx.Connect(t.Context(), pgtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var labels []int32
		for id := range random.Int32N(300) {
			if random.IntN(3) > 0 {
				labels = append(labels, id)
			}
		}
		if len(labels) == 0 {
			continue
		}
		var args search.Args
		v := &visible{labels: labels, bits: bitmap(labels)}
		sql := "SELECT coalesce(array_agg(label ORDER BY label), '{}') FROM generate_series(0, 400) AS label WHERE " + v.labelled(&args)
		var seen []int32
		if err := conn.QueryRow(t.Context(), sql, args.Values()...).Scan(&seen); err != nil || !slices.Equal(seen, labels) {
			t.Fatalf("%v: %v, %v", labels, seen, err)
		}
	}
	if bitmap([]int32{1, maxBitmap * 8}) != nil {
		t.Error("a bitmap without bounds")
	}
}
