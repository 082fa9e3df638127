-- What administrators give besides the configuration: roles and plans, by
-- principal, until a time. Every request looks here (authz.Grants).
CREATE TABLE role_grant (
    principal text COLLATE "C" NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('role', 'plan')),
    name      text COLLATE "C" NOT NULL,
    expires   timestamptz,            -- null: never
    given_by  text NOT NULL,          -- principal
    given     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, kind, name)
);

-- What patients decide about who sees their data (docs/security.md, "Consent").

-- By patient and label path, '' for all: whether the Consents of the patient
-- permit it. A patient whose Consents say neither has no row.
CREATE TABLE consent (
    rk      int8 NOT NULL,            -- 64-bit hash of "Patient/id"
    path    text COLLATE "C" NOT NULL,
    permits bool NOT NULL,
    PRIMARY KEY (rk, path)
);
CREATE INDEX consent_denied ON consent (rk) WHERE NOT permits;

-- The Consents that count: those that were written, in this version, by somebody
-- who may decide about the patient.
CREATE TABLE consent_counted (
    rid     int8 PRIMARY KEY,
    version int4 NOT NULL
);

-- In whose compartments any version of a resource is or was. Kept while Consents
-- are enforced; when that begins it is made from all versions.
CREATE TABLE compartment (
    rk  int8 NOT NULL,                -- 64-bit hash of "Patient/id"
    rid int8 NOT NULL,
    PRIMARY KEY (rk, rid)
);
CREATE INDEX compartment_rid ON compartment (rid);

-- A resource that is withheld stands under the set of its labels and '!consent',
-- which is no path that anybody could be granted.
CREATE FUNCTION ingle_withheld_set(paths text[], withheld bool) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN withheld THEN array_prepend('!consent', array_remove(paths, '!consent')) ELSE array_remove(paths, '!consent') END
$$;

-- Tells whether a patient's decision withholds what stands under these paths.
-- otherwise is what holds for patients without a decision.
CREATE FUNCTION ingle_withheld(patient int8, paths text[], otherwise bool) RETURNS bool LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_or(NOT c.permits) OR NOT (otherwise OR bool_or(c.permits)), NOT otherwise)
    FROM consent AS c
    WHERE c.rk = patient AND (c.path = '' OR EXISTS (SELECT 1 FROM unnest(paths) AS p WHERE p = c.path OR starts_with(p, c.path || '/')))
$$;

-- The patients whose Consents name one of some studies.
CREATE FUNCTION ingle_bound_to(studies int8[], by_patient int4, by_data int4) RETURNS SETOF int8 LANGUAGE sql STABLE AS $$
    SELECT DISTINCT x.rk FROM idx_ref AS d JOIN idx_ref AS x ON x.rid = d.rid AND x.p = by_patient WHERE d.rk = ANY(studies) AND d.p = by_data
$$;

-- Notes the Consents that were written before Consents were enforced and count:
-- those that have all labels of their patient, patient being the number of the type.
CREATE FUNCTION ingle_count_consents(by_patient int4, patient int2) RETURNS void LANGUAGE sql AS $$
    INSERT INTO consent_counted (rid, version)
    SELECT r.rid, r.version
    FROM idx_ref AS x
        JOIN resource AS r ON r.rid = x.rid AND r.op <> 4 JOIN label AS l ON l.id = r.label
        JOIN resource AS p ON p.rk = x.rk AND p.rtype = patient JOIN label AS n ON n.id = p.label
        CROSS JOIN LATERAL (SELECT array_remove(l.paths, '!consent') AS has, array_remove(n.paths, '!consent') AS needs) AS w
    WHERE x.p = by_patient AND w.has @> w.needs AND (w.needs <> '{}' OR w.has = '{}')
    ON CONFLICT (rid) DO UPDATE SET version = excluded.version
$$;

-- Decides anew what the Consents of some patients permit. by_patient, by_data are
-- the parameters Consent.patient and Consent.data, study is the number of
-- ResearchStudy. A Consent that counts and is about research or privacy:
--   active, a provision of type deny:     it denies
--   active, no provision within another:  it permits
--   inactive or rejected, unless of deny: the permission was withdrawn
-- One whose provision is about some actors, purposes, actions, classes or codes
-- alone says nothing; one that names studies is about what has their labels.
CREATE FUNCTION ingle_decide(patients int8[], by_patient int4, by_data int4, study int2) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM consent WHERE rk = ANY(patients);
    INSERT INTO consent (rk, path, permits)
    SELECT n.rk, n.path, NOT bool_or(n.denies) AND bool_or(n.allows)
    FROM (
        SELECT x.rk, coalesce(s.path, '') AS path,
            r.body->>'status' = 'active' AND kind.denial AS denies,
            r.body->>'status' = 'active' AND kind.permission AS allows
        FROM idx_ref AS x
        JOIN resource AS r ON r.rid = x.rid AND r.op <> 4
        JOIN consent_counted AS c ON c.rid = r.rid AND c.version = r.version
        CROSS JOIN LATERAL (SELECT coalesce(r.body#>>'{provision,type}' = 'deny', false) AS denies,
            r.body#>'{provision,provision}' IS NOT NULL AS nested, r.body#>'{provision,data}' IS NOT NULL AS bound) AS top
        CROSS JOIN LATERAL (SELECT top.denies OR coalesce(r.body#>'{provision,provision}' @? '$.**.type ? (@ == "deny")', false) AS denial,
            NOT top.denies AND NOT top.nested AS permission) AS kind
        LEFT JOIN LATERAL (
            SELECT DISTINCT u.path FROM idx_ref AS d JOIN resource AS t ON t.rk = d.rk AND t.rtype = study AND t.op <> 4
                JOIN label AS l ON l.id = t.label CROSS JOIN LATERAL unnest(l.paths) AS u(path)
            WHERE d.rid = r.rid AND d.p = by_data AND u.path <> '!consent'
        ) AS s ON top.bound
        WHERE x.rk = ANY(patients) AND x.p = by_patient
            AND NOT r.body @? '$.scope.coding[*] ? (@.code == "treatment" || @.code == "adr")'
            AND NOT coalesce(r.body->'provision', '{}') ?| ARRAY['actor', 'action', 'purpose', 'class', 'code', 'securityLabel', 'dataPeriod']
            AND (r.body->>'status' = 'active' AND (kind.denial OR kind.permission) OR r.body->>'status' IN ('inactive', 'rejected') AND NOT top.denies)
            -- what it is about cannot be told: it does not permit, and denies all
            AND (s.path IS NOT NULL OR NOT top.bound OR kind.denial OR r.body->>'status' <> 'active')
    ) AS n GROUP BY n.rk, n.path;
END $$;

-- Puts resources, with all their versions and index rows, under the label sets
-- that their patients' decisions ask for. in_compartment are the parameters of the
-- Patient compartment, patient the number of the type. What is current is about
-- the patients that it names; what is superseded or deleted about all that any
-- version ever named.
CREATE FUNCTION ingle_withhold(rids int8[], in_compartment int4[], patient int2, otherwise bool) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    changed int8[];
    old record;
BEGIN
    SELECT array_agg(n.rid) INTO changed FROM (
        SELECT r.rid, '!consent' = ANY(l.paths) AS withheld, EXISTS (
            SELECT 1 FROM (
                SELECT r.rk WHERE r.rtype = patient
                UNION ALL
                SELECT x.rk FROM idx_ref AS x JOIN resource AS p ON p.rk = x.rk AND p.rtype = patient WHERE x.rid = r.rid AND x.p = ANY(in_compartment)
                UNION ALL
                SELECT x.rk FROM compartment AS x JOIN resource AS p ON p.rk = x.rk AND p.rtype = patient WHERE r.op = 4 AND x.rid = r.rid
            ) AS p WHERE ingle_withheld(p.rk, l.paths, otherwise)
        ) AS wanted
        FROM resource AS r JOIN label AS l ON l.id = r.label WHERE r.rid = ANY(rids)
    ) AS n WHERE n.withheld <> n.wanted;
    PERFORM ingle_turn(changed);
    FOR old IN
        SELECT n.rid, n.label, ingle_withheld_set(n.paths, n.wanted) AS paths FROM (
            SELECT v.rid, v.label, l.paths, EXISTS (
                SELECT 1 FROM compartment AS x JOIN resource AS p ON p.rk = x.rk AND p.rtype = patient
                WHERE x.rid = v.rid AND ingle_withheld(x.rk, l.paths, otherwise)
            ) AS wanted
            FROM (SELECT DISTINCT h.rid, h.label FROM resource_history AS h WHERE h.rid = ANY(rids)) AS v JOIN label AS l ON l.id = v.label
        ) AS n WHERE n.wanted <> ('!consent' = ANY(n.paths))
    LOOP
        INSERT INTO label (paths) VALUES (old.paths) ON CONFLICT DO NOTHING;
        UPDATE resource_history AS h SET label = t.id FROM label AS t WHERE h.rid = old.rid AND h.label = old.label AND t.paths = old.paths;
    END LOOP;
END $$;

-- Withholds current versions, or ends that: each is put under the other set of its
-- labels.
CREATE FUNCTION ingle_turn(rids int8[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    index_table text;
BEGIN
    IF rids IS NULL THEN
        RETURN;
    END IF;
    INSERT INTO label (paths)
        SELECT DISTINCT ingle_withheld_set(l.paths, NOT '!consent' = ANY(l.paths)) FROM resource AS r JOIN label AS l ON l.id = r.label WHERE r.rid = ANY(rids)
    ON CONFLICT DO NOTHING;
    -- tx: who read it before and writes it now shall read it again
    UPDATE resource AS r SET label = t.id, tx = pg_current_xact_id()
        FROM label AS l, label AS t
        WHERE r.rid = ANY(rids) AND l.id = r.label AND t.paths = ingle_withheld_set(l.paths, NOT '!consent' = ANY(l.paths));
    UPDATE idx_contained AS x SET label = r.label FROM resource AS r WHERE r.rid = ANY(rids) AND x.container = r.rid;
    FOREACH index_table IN ARRAY ARRAY['idx_token', 'idx_ref', 'idx_date', 'idx_string', 'idx_quantity', 'idx_text'] LOOP
        EXECUTE format('UPDATE %I AS x SET label = n.label FROM (
            SELECT r.rid, r.label FROM resource AS r WHERE r.rid = ANY($1)
            UNION ALL SELECT c.rid, c.label FROM idx_contained AS c WHERE c.container = ANY($1)) AS n WHERE x.rid = n.rid', index_table) USING rids;
    END LOOP;
END $$;
