package bench

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"ingle/fhir/r4"
	"ingle/search"
)

// query is one search of the mix.
type query struct {
	name string
	// draw makes one search of the sample; ok is false if the sample cannot.
	draw func(s *sample, d *rand.Rand) (i instance, ok bool)
	// limits are ways to write it by hand over Ingle's tables, with the columns
	// mode (0 match, 1 include) and body; the fastest is the limit.
	limits []string
	// count is the exact total by hand, where the search asks for it; it takes
	// the same arguments.
	count string
	// oracle gives the references of all matches and the key they are sorted
	// by (null for none), from the bodies alone.
	oracle string
	// included gives the references of what the page has beside the matches.
	included string
	sorted   bool
}

// instance is a query with its parameters.
type instance struct {
	path   string // relative to the base URL
	args   []any  // of limits and count
	oracle []any  // of oracle and included
}

const pageSize = 50

const (
	rows   = "SELECT 0::int2, coalesce(r.body_text, r.body::text) FROM "
	onPage = " AS m JOIN resource AS r ON r.rid = m.rid ORDER BY m.rid DESC"
)

// newest is the page of the newest resources of a set of rid.
func newest(set string) string {
	return rows + "(" + set + " ORDER BY rid DESC LIMIT 50)" + onPage
}

// greatest is the page of the greatest values of a set of rid with their value v.
func greatest(set string) string {
	return rows + "(" + set + " ORDER BY v DESC, rid DESC LIMIT 50) AS m JOIN resource AS r ON r.rid = m.rid ORDER BY m.v DESC, m.rid DESC"
}

// first is the page of the first values, as the alphabet has them, of a set of rid with their value v.
func first(set string) string {
	return rows + "(" + set + " ORDER BY v, rid LIMIT 50) AS m JOIN resource AS r ON r.rid = m.rid ORDER BY m.v, m.rid"
}

func tokenKey(typ, param, token string) int64 {
	system, code, _ := strings.Cut(token, "|")
	return search.TokenKey(search.ParamIDOf(typ, param), system, strings.ToLower(code))
}

func valueKey(typ, param string) int64 { return search.ValueKey(search.ParamIDOf(typ, param)) }

func paramID(typ, param string) int32 { return int32(search.ParamIDOf(typ, param)) }

// rawKey is the hash of search/keys.go, written out: the limit is no place to
// ask the code that is measured.
func rawKey(p int32, parts ...string) int64 {
	b := binary.BigEndian.AppendUint32(nil, uint32(p))
	for _, s := range parts {
		b = append(append(b, s...), 0xff)
	}
	sum := sha256.Sum256(b)
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

func path(typ string, kv ...string) string {
	var b strings.Builder
	b.WriteString(typ)
	for i := 0; i < len(kv); i += 2 {
		b.WriteByte("?&"[min(i, 1)])
		b.WriteString(kv[i] + "=" + url.QueryEscape(kv[i+1]))
	}
	return b.String()
}

func pick[T any](d *rand.Rand, list []T) T { return list[d.IntN(len(list))] }

// find tries some elements of a list until one is fit.
func find[T any](d *rand.Rand, list []T, fit func(T) bool) (v T, ok bool) {
	for range 200 {
		if len(list) == 0 {
			break
		}
		if v = pick(d, list); fit(v) {
			return v, true
		}
	}
	return v, false
}

func id(ref string) string { _, after, _ := strings.Cut(ref, "/"); return after }

func moment(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

const beyond = "\U0010FFFF" // ends a range of texts with one beginning

// common draws one of the most frequent codes, rare one of the seldom ones.
func common(s *sample, d *rand.Rand) string { return pick(d, s.codes[:min(len(s.codes), 8)]) }
func rare(s *sample, d *rand.Rand) string   { return pick(d, s.codes[len(s.codes)*3/4:]) }

// mix is the list of the searches; they are numbered from 1.
func mix() []query {
	var (
		obsPatient = paramID("Observation", "patient")
		obsDate    = valueKey("Observation", "date")
		types      = r4.Definitions()
		patients   = types.TypeNumber("Patient")
		obs        = types.TypeNumber("Observation")
		drugRefs   []int32
	)
	for _, p := range search.NewRegistry(types).Params("MedicationRequest") {
		if p.Type == "reference" {
			drugRefs = append(drugRefs, int32(p.ID))
		}
	}
	anyCode := func(choose func(*sample, *rand.Rand) string, extra ...string) func(s *sample, d *rand.Rand) (instance, bool) {
		return func(s *sample, d *rand.Rand) (instance, bool) {
			code := choose(s, d)
			return instance{path("Observation", append([]string{"code", code}, extra...)...), []any{tokenKey("Observation", "code", code)}, []any{[]string{code}}}, true
		}
	}
	byToken := newest("SELECT rid FROM idx_token WHERE h = $1")
	const byCode = "SELECT ref, null::text FROM o_observation WHERE codes && $1::text[]"
	quantities := func(param string, component bool) func(s *sample, d *rand.Rand) (instance, bool) {
		return func(s *sample, d *rand.Rand) (instance, bool) {
			var q quantity
			_, ok := find(d, s.observations, func(o observation) bool {
				for _, have := range o.quantities {
					if have.component == component && have.code != "" {
						q = have
						return true
					}
				}
				return false
			})
			if !ok && component {
				return instance{}, false
			}
			system, code, _ := strings.Cut(q.code, "|")
			kinds, rows := []string{"main"}, []string{"code-value-quantity"}
			if strings.HasPrefix(param, "combo") {
				kinds, rows = []string{"main", "component"}, []string{"code-value-quantity", "component-code-value-quantity"}
			}
			keys := make([]int64, len(rows))
			for i, p := range rows {
				keys[i] = rawKey(paramID("Observation", p), "c", system, strings.ToLower(code))
			}
			return instance{path("Observation", param, q.code+"$gt"+q.value+"|"+q.system+"|"+q.unit),
				[]any{keys, q.value, rawKey(0, "uc", q.unit)},
				[]any{q.code, q.value, q.system, q.unit, kinds}}, ok
		}
	}
	byQuantity := []string{
		greatest("SELECT rid, max(hi) AS v FROM idx_quantity WHERE k = ANY($1::int8[]) AND hi > $2::text::numeric AND unit = $3 GROUP BY rid"),
		greatest(`SELECT DISTINCT q.rid, q.v FROM unnest($1::int8[]) AS k(k), LATERAL (SELECT rid, lo AS v FROM idx_quantity AS i
			WHERE i.k = k.k AND lo > $2::text::numeric AND unit = $3 ORDER BY lo DESC, rid DESC LIMIT 50) AS q`),
	}
	const oracleQuantity = "SELECT DISTINCT ref, null::text FROM o_quantity WHERE code = $1 AND value > $2::text::numeric AND system = $3 AND unit = $4 AND kind = ANY($5::text[])"
	return []query{
		{
			name: "Patient?family=",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				p, ok := find(d, s.patients, func(p patient) bool { return plain(p.family) })
				v := strings.ToLower(p.family)
				return instance{path("Patient", "family", p.family), []any{valueKey("Patient", "family"), v, v + beyond}, []any{v}}, ok
			},
			limits: []string{
				first("SELECT rid, min(val) AS v FROM idx_string WHERE k = $1 AND val >= $2 AND val < $3 GROUP BY rid"),
				first("SELECT DISTINCT rid, val AS v FROM idx_string WHERE k = $1 AND val >= $2 AND val < $3"),
			},
			oracle: "SELECT ref, null::text FROM o_patient WHERE EXISTS (SELECT 1 FROM unnest(families) AS f WHERE starts_with(pg_temp.plain(f), $1))",
		},
		{
			name: "Patient?name:contains=",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				p, ok := find(d, s.patients, func(p patient) bool { return plain(p.family) && len(p.family) >= 6 })
				if !ok {
					return instance{}, false
				}
				v := strings.ToLower(p.family[1:5])
				return instance{path("Patient", "name:contains", v), []any{valueKey("Patient", "name"), "%" + v + "%"}, []any{v}}, true
			},
			limits: []string{newest("SELECT DISTINCT rid FROM idx_string WHERE k = $1 AND val LIKE $2")},
			oracle: "SELECT ref, null::text FROM o_patient WHERE EXISTS (SELECT 1 FROM unnest(names) AS f WHERE position($1 IN pg_temp.plain(f)) > 0)",
		},
		{
			name: "Patient?birthdate=ge…&birthdate=lt…",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				p, ok := find(d, s.patients, func(p patient) bool { return len(p.birth) == 10 })
				from, _ := moment(p.birth)
				to := from.AddDate(1, 0, 0)
				return instance{path("Patient", "birthdate", "ge"+from.Format(time.DateOnly), "birthdate", "lt"+to.Format(time.DateOnly)),
					[]any{valueKey("Patient", "birthdate"), from.UnixMicro(), to.UnixMicro()}, []any{from.Format(time.DateOnly), to.Format(time.DateOnly)}}, ok
			},
			limits: []string{greatest("SELECT rid, lo AS v FROM idx_date WHERE k = $1 AND lo >= $2 AND lo < $3")},
			oracle: "SELECT ref, null::text FROM o_patient WHERE birth::date >= $1::text::date AND birth::date < $2::text::date",
		},
		{
			name: "Patient?gender=&family=",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				p, ok := find(d, s.patients, func(p patient) bool { return plain(p.family) && p.gender != "" })
				v := strings.ToLower(p.family)
				return instance{path("Patient", "gender", p.gender, "family", p.family),
					[]any{valueKey("Patient", "family"), v, v + beyond, tokenKey("Patient", "gender", "|"+p.gender)}, []any{v, p.gender}}, ok
			},
			limits: []string{
				first("SELECT rid, min(val) AS v FROM idx_string AS s WHERE k = $1 AND val >= $2 AND val < $3 AND EXISTS (SELECT 1 FROM idx_token AS t WHERE t.h = $4 AND t.rid = s.rid) GROUP BY rid"),
				first("SELECT DISTINCT rid, val AS v FROM idx_string AS s WHERE k = $1 AND val >= $2 AND val < $3 AND EXISTS (SELECT 1 FROM idx_token AS t WHERE t.h = $4 AND t.rid = s.rid OFFSET 0)"),
			},
			oracle: "SELECT ref, null::text FROM o_patient WHERE gender = $2 AND EXISTS (SELECT 1 FROM unnest(families) AS f WHERE starts_with(pg_temp.plain(f), $1))",
		},
		{
			name: "Patient?identifier=sys|v",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				p, ok := find(d, s.patients, func(p patient) bool { return p.identifier != "" })
				return instance{path("Patient", "identifier", p.identifier), []any{tokenKey("Patient", "identifier", p.identifier)}, []any{p.identifier}}, ok
			},
			limits: []string{byToken},
			oracle: "SELECT ref, null::text FROM o_patient WHERE $1 = ANY(identifiers)",
		},
		{
			name: "Observation?patient=&_sort=-date&_count=50",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				o, ok := find(d, s.observations, func(o observation) bool { return o.patient != "" })
				return instance{path("Observation", "patient", id(o.patient), "_sort", "-date", "_count", "50"), []any{search.RefKey(o.patient), obsPatient, obsDate}, []any{o.patient}}, ok
			},
			limits: []string{rows + `(SELECT d.rid, d.hi FROM idx_ref AS x JOIN idx_date AS d ON d.rid = x.rid AND d.k = $3 AND d.smax
				WHERE x.rk = $1 AND x.p = $2 ORDER BY d.hi DESC, d.rid DESC LIMIT 50) AS m JOIN resource AS r ON r.rid = m.rid ORDER BY m.hi DESC, m.rid DESC`},
			oracle: "SELECT ref, to_char(eff AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM o_observation WHERE patient = $1 ORDER BY eff DESC NULLS LAST",
			sorted: true,
		},
		{
			name: "Observation?patient=&code=",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				o, ok := find(d, s.observations, func(o observation) bool { return o.patient != "" && o.code != "" })
				return instance{path("Observation", "patient", id(o.patient), "code", o.code), []any{search.RefKey(o.patient), obsPatient, tokenKey("Observation", "code", o.code)},
					[]any{o.patient, o.code}}, ok
			},
			limits: []string{newest("SELECT rid FROM idx_ref AS x WHERE rk = $1 AND p = $2 AND EXISTS (SELECT 1 FROM idx_token AS t WHERE t.h = $3 AND t.rid = x.rid)")},
			oracle: "SELECT ref, null::text FROM o_observation WHERE patient = $1 AND $2 = ANY(codes)",
		},
		{name: "Observation?code= (common)", draw: anyCode(common), limits: []string{byToken}, oracle: byCode},
		{
			name: "Observation?code= (rare, none)",
			draw: anyCode(func(s *sample, d *rand.Rand) string {
				if d.IntN(3) == 0 {
					return fmt.Sprintf("http://loinc.org|%d-0", 900000+d.IntN(1000))
				}
				return rare(s, d)
			}),
			limits: []string{byToken}, oracle: byCode,
		},
		{
			name: "Observation?code=a,b,c",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				list := []string{common(s, d), pick(d, s.codes), rare(s, d)}
				keys := make([]int64, len(list))
				for i, c := range list {
					keys[i] = tokenKey("Observation", "code", c)
				}
				return instance{path("Observation", "code", strings.Join(list, ",")), []any{keys}, []any{list}}, true
			},
			limits: []string{
				newest("SELECT DISTINCT t.rid FROM unnest($1::int8[]) AS k(h), LATERAL (SELECT rid FROM idx_token AS t WHERE t.h = k.h ORDER BY rid DESC LIMIT 50) AS t"),
				newest("SELECT DISTINCT rid FROM idx_token WHERE h = ANY($1::int8[])"),
			},
			oracle: byCode,
		},
		{
			name: "Observation?patient=&category=&date=ge…",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				o, ok := find(d, s.observations, func(o observation) bool { return o.patient != "" && o.category != "" && o.date != "" })
				t, fine := moment(o.date)
				day := t.Truncate(24 * time.Hour)
				return instance{path("Observation", "patient", id(o.patient), "category", o.category, "date", "ge"+day.Format(time.DateOnly)),
					[]any{search.RefKey(o.patient), obsPatient, tokenKey("Observation", "category", o.category), obsDate, day.UnixMicro()}, []any{o.patient, o.category, day}}, ok && fine
			},
			limits: []string{
				newest(`SELECT rid FROM idx_ref AS x WHERE rk = $1 AND p = $2 AND EXISTS (SELECT 1 FROM idx_token AS t WHERE t.h = $3 AND t.rid = x.rid)
					AND EXISTS (SELECT 1 FROM idx_date AS d WHERE d.rid = x.rid AND d.k = $4 AND d.hi >= $5)`),
				newest(`SELECT rid FROM idx_ref AS x WHERE rk = $1 AND p = $2 AND EXISTS (SELECT 1 FROM idx_token AS t WHERE t.rid = x.rid AND t.h = $3 OFFSET 0)
					AND EXISTS (SELECT 1 FROM idx_date AS d WHERE d.rid = x.rid AND d.k = $4 AND d.hi >= $5 OFFSET 0)`),
			},
			oracle: "SELECT ref, null::text FROM o_observation WHERE patient = $1 AND $2 = ANY(categories) AND eff >= $3::timestamptz",
		},
		{
			name: "Observation?code-value-quantity=", draw: quantities("code-value-quantity", false),
			limits: byQuantity, oracle: oracleQuantity,
		},
		{
			name: "Observation?combo-code-value-quantity=", draw: quantities("combo-code-value-quantity", true),
			limits: byQuantity, oracle: oracleQuantity,
		},
		{
			// ge (R4 search.html#prefix): the value lies in the day or reaches beyond it.
			name: "Encounter?date=ge…&date=lt…&status=",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				e, ok := find(d, s.encounters, func(e encounter) bool { return e.start != "" && e.status != "" })
				t, fine := moment(e.start)
				from := t.Truncate(24 * time.Hour)
				to := from.AddDate(0, 1, 0)
				return instance{path("Encounter", "date", "ge"+from.Format(time.DateOnly), "date", "lt"+to.Format(time.DateOnly), "status", e.status),
					[]any{valueKey("Encounter", "date"), from.UnixMicro(), to.UnixMicro(), tokenKey("Encounter", "status", "|"+e.status)},
					[]any{from, to, e.status}}, ok && fine
			},
			limits: []string{
				greatest(`SELECT rid, v FROM (SELECT rid, CASE WHEN wide THEN hi ELSE lo END AS v FROM idx_date WHERE k = $1 AND lo >= $2 AND lo < $3
					UNION ALL SELECT rid, lo FROM idx_date WHERE k = $1 AND NOT wide AND lo >= $2 - 86400000000 AND lo < $2 AND hi >= $2 + 86400000000
					UNION ALL SELECT rid, hi FROM idx_date WHERE k = $1 AND wide AND hi >= $2 + 86400000000 AND lo < $2) AS d WHERE EXISTS (SELECT 1 FROM idx_token AS t WHERE t.h = $4 AND t.rid = d.rid)`),
				greatest(`SELECT rid, v FROM ((SELECT rid, lo AS v FROM idx_date AS d WHERE k = $1 AND NOT wide AND lo >= $2 - 86400000000 AND lo < $3 AND (lo >= $2 OR hi >= $2 + 86400000000)
						AND EXISTS (SELECT 1 FROM idx_token AS t WHERE t.h = $4 AND t.rid = d.rid OFFSET 0) ORDER BY lo DESC, rid DESC LIMIT 50)
					UNION ALL (SELECT rid, hi FROM idx_date AS d WHERE k = $1 AND wide AND hi >= $2 AND lo < $3 AND (lo >= $2 OR hi >= $2 + 86400000000)
						AND EXISTS (SELECT 1 FROM idx_token AS t WHERE t.h = $4 AND t.rid = d.rid OFFSET 0) ORDER BY hi DESC, rid DESC LIMIT 50)) AS d`),
			},
			oracle: "SELECT ref, null::text FROM o_encounter WHERE (start >= $1::timestamptz OR till IS NULL OR till >= $1::timestamptz + interval '1 day') AND start < $2::timestamptz AND status = $3",
		},
		{
			name: "Observation?patient.identifier=",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				p, ok := find(d, s.patients, func(p patient) bool { return p.identifier != "" })
				return instance{path("Observation", "patient.identifier", p.identifier), []any{tokenKey("Patient", "identifier", p.identifier), obsPatient}, []any{p.identifier}}, ok
			},
			limits: []string{newest("SELECT x.rid FROM idx_token AS t JOIN resource AS p ON p.rid = t.rid JOIN idx_ref AS x ON x.rk = p.rk AND x.p = $2 WHERE t.h = $1")},
			oracle: "SELECT ref, null::text FROM o_observation WHERE patient IN (SELECT ref FROM o_patient WHERE $1 = ANY(identifiers))",
		},
		{
			name: "Patient?_has:Observation:patient:code=",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				code := pick(d, s.codes)
				return instance{path("Patient", "_has:Observation:patient:code", code), []any{patients, obsPatient, tokenKey("Observation", "code", code)}, []any{code}}, true
			},
			limits: []string{
				newest(`SELECT r.rid FROM resource AS r WHERE r.rtype = $1 AND r.op <> 4
					AND EXISTS (SELECT 1 FROM idx_ref AS x JOIN idx_token AS t ON t.rid = x.rid AND t.h = $3 WHERE x.rk = r.rk AND x.p = $2)`),
				newest(`SELECT r.rid FROM resource AS r WHERE r.rtype = $1 AND r.op <> 4
					AND r.rk IN (SELECT x.rk FROM idx_token AS t JOIN idx_ref AS x ON x.rid = t.rid AND x.p = $2 WHERE t.h = $3)`),
			},
			oracle: "SELECT p.ref, null::text FROM o_patient AS p WHERE EXISTS (SELECT 1 FROM o_observation AS o WHERE o.patient = p.ref AND $1 = ANY(o.codes))",
		},
		{
			name: "MedicationRequest?patient=&_include=*",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				if len(s.withDrugs) == 0 {
					return instance{}, false
				}
				ref := pick(d, s.withDrugs)
				return instance{path("MedicationRequest", "patient", id(ref), "_include", "MedicationRequest:*"),
					[]any{search.RefKey(ref), paramID("MedicationRequest", "patient"), drugRefs}, []any{ref}}, true
			},
			limits: []string{`WITH m AS MATERIALIZED (SELECT r.rid, r.rk, coalesce(r.body_text, r.body::text) AS body FROM
					(SELECT rid FROM idx_ref WHERE rk = $1 AND p = $2 ORDER BY rid DESC LIMIT 50) AS x JOIN resource AS r ON r.rid = x.rid ORDER BY r.rid DESC)
				SELECT 0::int2, body FROM m UNION ALL
				SELECT 1::int2, coalesce(i.body_text, i.body::text) FROM (SELECT DISTINCT x.rk FROM m JOIN idx_ref AS x ON x.rid = m.rid WHERE x.p = ANY($3::int4[])) AS t
					JOIN resource AS i ON i.rk = t.rk AND i.op <> 4 WHERE i.rk NOT IN (SELECT rk FROM m)`},
			oracle:   "SELECT ref, null::text FROM o_drug WHERE patient = $1",
			included: "SELECT DISTINCT target FROM o_drug, unnest(targets) AS target WHERE patient = $1 AND ref = ANY($2::text[])",
		},
		{
			name: "Patient?_id=&_revinclude=Condition:patient",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				p := pick(d, s.patients)
				return instance{path("Patient", "_id", id(p.ref), "_revinclude", "Condition:patient"), []any{search.RefKey(p.ref), paramID("Condition", "patient")}, []any{p.ref}}, true
			},
			limits: []string{`SELECT 0::int2, coalesce(body_text, body::text) FROM resource WHERE rk = $1 AND op <> 4 UNION ALL
				SELECT 1::int2, coalesce(r.body_text, r.body::text) FROM idx_ref AS x JOIN resource AS r ON r.rid = x.rid WHERE x.rk = $1 AND x.p = $2`},
			oracle:   "SELECT ref, null::text FROM o_patient WHERE ref = $1",
			included: "SELECT ref FROM o_condition WHERE patient = $1 AND cardinality($2::text[]) = 1",
		},
		{
			name: "Observation?_lastUpdated=ge…&_sort=_lastUpdated",
			draw: func(s *sample, d *rand.Rand) (instance, bool) {
				v := pick(d, s.updated)
				t, ok := moment(v)
				return instance{path("Observation", "_lastUpdated", "ge"+v, "_sort", "_lastUpdated"), []any{obs, t}, []any{t}}, ok
			},
			limits: []string{"SELECT 0::int2, coalesce(body_text, body::text) FROM resource WHERE rtype = $1 AND lu >= $2 AND op <> 4 ORDER BY lu, rid LIMIT 50"},
			oracle: "SELECT ref, to_char(lu AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM o_observation WHERE lu >= $1::timestamptz ORDER BY lu LIMIT 1000",
			sorted: true,
		},
		{
			name: "Observation?code=&_total=accurate", draw: anyCode(common, "_total", "accurate"),
			limits: []string{byToken}, count: "SELECT count(*) FROM idx_token WHERE h = $1", oracle: byCode,
		},
	}
}
