package bench

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"ingle/fhir/r4"
)

// oracle answers the searches of the mix from the stored bodies alone: it takes
// what they ask for out of the JSON, into temporary tables of its own
// connection, and looks at every row.
type oracle struct{ conn *pgx.Conn }

const oracleTables = `
CREATE FUNCTION pg_temp.codes(concept jsonb) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(array_agg(coalesce(c->>'system', '') || '|' || (c->>'code')), '{}') FROM jsonb_array_elements(concept->'coding') AS c $$;
CREATE FUNCTION pg_temp.plain(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT lower(translate(t, 'ÁÀÂÄÃÅÉÈÊËÍÌÎÏÓÒÔÖÕÚÙÛÜÑÇáàâäãåéèêëíìîïóòôöõúùûüñç', 'AAAAAAEEEEIIIIOOOOOUUUUNCaaaaaaeeeeiiiiooooouuuunc')) $$;
CREATE TEMP TABLE o_patient AS SELECT 'Patient/' || fhir_id AS ref,
	ARRAY(SELECT n->>'family' FROM jsonb_array_elements(body->'name') AS n WHERE n ? 'family') AS families,
	ARRAY(SELECT n->>'family' FROM jsonb_array_elements(body->'name') AS n WHERE n ? 'family' UNION ALL
		SELECT n->>'text' FROM jsonb_array_elements(body->'name') AS n WHERE n ? 'text' UNION ALL
		SELECT jsonb_array_elements_text(n->k) FROM jsonb_array_elements(body->'name') AS n, unnest(ARRAY['given', 'prefix', 'suffix']) AS k WHERE n ? k) AS names,
	body->>'gender' AS gender, body->>'birthDate' AS birth,
	ARRAY(SELECT coalesce(i->>'system', '') || '|' || (i->>'value') FROM jsonb_array_elements(body->'identifier') AS i) AS identifiers
	FROM resource WHERE op <> 4 AND rtype = $1;
CREATE TEMP TABLE o_observation AS SELECT 'Observation/' || fhir_id AS ref, body->'subject'->>'reference' AS patient, pg_temp.codes(body->'code') AS codes,
	ARRAY(SELECT unnest(pg_temp.codes(c)) FROM jsonb_array_elements(body->'category') AS c) AS categories,
	(body->>'effectiveDateTime')::timestamptz AS eff, (body->'meta'->>'lastUpdated')::timestamptz AS lu
	FROM resource WHERE op <> 4 AND rtype = $2;
CREATE TEMP TABLE o_quantity AS
	SELECT 'Observation/' || fhir_id AS ref, 'main' AS kind, unnest(pg_temp.codes(body->'code')) AS code, (body->'valueQuantity'->>'value')::numeric AS value,
		body->'valueQuantity'->>'system' AS system, body->'valueQuantity'->>'code' AS unit FROM resource WHERE op <> 4 AND rtype = $2 AND body ? 'valueQuantity'
	UNION ALL SELECT 'Observation/' || fhir_id, 'component', unnest(pg_temp.codes(c->'code')), (c->'valueQuantity'->>'value')::numeric,
		c->'valueQuantity'->>'system', c->'valueQuantity'->>'code' FROM resource, jsonb_array_elements(body->'component') AS c
		WHERE op <> 4 AND rtype = $2 AND body ? 'component' AND c ? 'valueQuantity';
CREATE TEMP TABLE o_encounter AS SELECT 'Encounter/' || fhir_id AS ref, (body->'period'->>'start')::timestamptz AS start,
	(body->'period'->>'end')::timestamptz AS till, body->>'status' AS status FROM resource WHERE op <> 4 AND rtype = $3;
CREATE TEMP TABLE o_drug AS SELECT 'MedicationRequest/' || fhir_id AS ref, body->'subject'->>'reference' AS patient,
	ARRAY(SELECT x #>> '{}' FROM (SELECT jsonb_path_query(body, 'lax $.subject.reference') UNION ALL SELECT jsonb_path_query(body, 'lax $.encounter.reference') UNION ALL
		SELECT jsonb_path_query(body, 'lax $.requester.reference') UNION ALL SELECT jsonb_path_query(body, 'lax $.medicationReference.reference') UNION ALL
		SELECT jsonb_path_query(body, 'lax $.performer.reference') UNION ALL SELECT jsonb_path_query(body, 'lax $.dispenseRequest.performer.reference')) AS refs(x)
		WHERE x #>> '{}' ~ '^[A-Z][A-Za-z]+/[A-Za-z0-9.-]+$') AS targets
	FROM resource WHERE op <> 4 AND rtype = $4;
CREATE TEMP TABLE o_condition AS SELECT 'Condition/' || fhir_id AS ref, body->'subject'->>'reference' AS patient FROM resource WHERE op <> 4 AND rtype = $5;
CREATE INDEX ON o_observation (patient);
CREATE INDEX ON o_observation (ref);
ANALYZE o_patient; ANALYZE o_observation; ANALYZE o_quantity; ANALYZE o_encounter; ANALYZE o_drug; ANALYZE o_condition;
`

func newOracle(ctx context.Context, url string) (*oracle, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connect the oracle: %w", err)
	}
	defs := r4.Definitions()
	sql := oracleTables
	for i, typ := range []string{"Patient", "Observation", "Encounter", "MedicationRequest", "Condition"} {
		sql = strings.ReplaceAll(sql, fmt.Sprintf("$%d;", i+1), fmt.Sprintf("%d;", defs.TypeNumber(typ)))
		sql = strings.ReplaceAll(sql, fmt.Sprintf("$%d ", i+1), fmt.Sprintf("%d ", defs.TypeNumber(typ)))
	}
	if _, err := conn.Exec(ctx, "SET timezone = 'UTC'; SET work_mem = '64MB'; "+sql); err != nil {
		conn.Close(ctx)
		return nil, fmt.Errorf("build the oracle's tables: %w", err)
	}
	return &oracle{conn}, nil
}

func (o *oracle) close(ctx context.Context) { _ = o.conn.Close(context.WithoutCancel(ctx)) }

// check holds a page against the truth.
func (o *oracle) check(ctx context.Context, q *query, in instance, p *page) error {
	rows, err := o.conn.Query(ctx, q.oracle, in.oracle...)
	if err != nil {
		return err
	}
	keys := map[string]string{}
	var order []string
	for rows.Next() {
		var ref string
		var key *string
		if err := rows.Scan(&ref, &key); err != nil {
			rows.Close()
			return err
		}
		keys[ref] = ""
		if key != nil {
			keys[ref] = *key
			order = append(order, *key)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("the oracle: %w", err)
	}
	if want := min(len(keys), pageSize); len(p.ids) != want {
		return fmt.Errorf("%d matches on the page, the oracle says %d (of %d)", len(p.ids), want, len(keys))
	}
	seen := map[string]bool{}
	for i, ref := range p.ids {
		key, ok := keys[ref]
		if !ok {
			return fmt.Errorf("%s is on the page and no match", ref)
		}
		if seen[ref] {
			return fmt.Errorf("%s is twice on the page", ref)
		}
		seen[ref] = true
		if q.sorted && key != order[i] {
			return fmt.Errorf("%s stands at %d of the page, out of order", ref, i+1)
		}
	}
	if q.count != "" && p.total != len(keys) {
		return fmt.Errorf("total is %d, the oracle says %d", p.total, len(keys))
	}
	if q.included == "" {
		return nil
	}
	rows, err = o.conn.Query(ctx, q.included, append(slices.Clone(in.oracle), p.ids)...)
	if err != nil {
		return err
	}
	want, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("the oracle of includes: %w", err)
	}
	got := slices.Clone(p.included)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fmt.Errorf("%d resources are included, the oracle says %d, or they are others", len(got), len(want))
	}
	return nil
}
