### Patient
SELECT 0::int2 AS mode, d1.rid, d1.rtype, d1.fhir_id, d1.version, d1.lu, coalesce(d1.body_text, d1.body::text) AS body, ARRAY[]::text[] AS keys FROM (SELECT * FROM resource WHERE op <> 4) AS d1 WHERE d1.rtype = $1::int2 ORDER BY d1.rid DESC LIMIT $2::int8
-- $1 int16 103
-- $2 int64 51

### Patient?family=ann
SELECT 0::int2 AS mode, x3.rid, x3.rtype, x3.fhir_id, x3.version, x3.lu, coalesce(x3.body_text, x3.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM (
SELECT DISTINCT d1.rid AS rid, d1.val AS k1 FROM (SELECT * FROM idx_string) AS d1 WHERE d1.k = $2::int8 AND d1.val >= $3::text AND d1.val < $4::text AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM idx_string) AS o2 WHERE o2.rid = d1.rid AND o2.k = $2::int8 AND o2.val >= $3::text AND o2.val < $4::text AND o2.val < d1.val OFFSET 0) ORDER BY d1.val ASC, d1.rid ASC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x3 ON x3.rid = h.rid ORDER BY h.k1 ASC, h.rid ASC
-- $1 int64 51
-- $2 int64 2730744158378569680
-- $3 string ann
-- $4 string ano

### Patient?identifier=http://ids|1
SELECT 0::int2 AS mode, x2.rid, x2.rtype, x2.fhir_id, x2.version, x2.lu, coalesce(x2.body_text, x2.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT d1.rid AS rid FROM (SELECT * FROM idx_token) AS d1 WHERE d1.h = $2::int8 ORDER BY rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x2 ON x2.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 int64 -995048585403836312

### Patient?birthdate=ge1970&birthdate=lt1980
SELECT 0::int2 AS mode, x3.rid, x3.rtype, x3.fhir_id, x3.version, x3.lu, coalesce(x3.body_text, x3.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM (
SELECT rid, k1 FROM (
(SELECT d1.rid AS rid, d1.lo AS k1 FROM (SELECT * FROM idx_date) AS d1 WHERE d1.k = $2::int8 AND NOT d1.wide AND d1.lo >= $3::int8 AND d1.lo <= $4::int8 AND d1.hi >= $5::int8 AND (d1.lo >= $5::int8 OR d1.hi > $6::int8) ORDER BY d1.lo DESC, d1.rid DESC LIMIT $1::int8)
UNION ALL
(SELECT d2.rid AS rid, d2.hi AS k1 FROM (SELECT * FROM idx_date) AS d2 WHERE d2.k = $2::int8 AND d2.wide AND d2.lo <= $4::int8 AND d2.hi >= $5::int8 AND (d2.lo >= $5::int8 OR d2.hi > $6::int8) ORDER BY d2.hi DESC, d2.rid DESC LIMIT $1::int8)
) u ORDER BY u.k1 DESC, u.rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x3 ON x3.rid = h.rid ORDER BY h.k1 DESC, h.rid DESC
-- $1 int64 51
-- $2 int64 -2604913758619608164
-- $3 int64 -86400000000
-- $4 int64 315532799999999
-- $5 int64 0
-- $6 int64 31535999999999

### Patient?gender=male&family=ann
SELECT 0::int2 AS mode, x4.rid, x4.rtype, x4.fhir_id, x4.version, x4.lu, coalesce(x4.body_text, x4.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM (
SELECT DISTINCT d1.rid AS rid, d1.val AS k1 FROM (SELECT * FROM idx_string) AS d1 WHERE d1.k = $2::int8 AND d1.val >= $3::text AND d1.val < $4::text AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM idx_string) AS o2 WHERE o2.rid = d1.rid AND o2.k = $2::int8 AND o2.val >= $3::text AND o2.val < $4::text AND o2.val < d1.val OFFSET 0) AND EXISTS (SELECT 1 FROM (SELECT * FROM idx_token) AS p3 WHERE p3.rid = d1.rid AND p3.h = $5::int8 OFFSET 0) ORDER BY d1.val ASC, d1.rid ASC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x4 ON x4.rid = h.rid ORDER BY h.k1 ASC, h.rid ASC
-- $1 int64 51
-- $2 int64 2730744158378569680
-- $3 string ann
-- $4 string ano
-- $5 int64 -5554570775837240636

### Observation?patient=1&code=http://loinc.org|1-1
SELECT 0::int2 AS mode, x3.rid, x3.rtype, x3.fhir_id, x3.version, x3.lu, coalesce(x3.body_text, x3.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT d1.rid AS rid FROM (SELECT * FROM idx_ref) AS d1 WHERE d1.rk = $2::int8 AND d1.p = $3::int4 AND EXISTS (SELECT 1 FROM (SELECT * FROM idx_token) AS p2 WHERE p2.rid = d1.rid AND p2.h = $4::int8 OFFSET 0) ORDER BY rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x3 ON x3.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 int64 -1111645227360880559
-- $3 int32 -618211579
-- $4 int64 -9079630160210487485

### Observation?code=http://loinc.org|1-1,http://loinc.org|2-2 beyond {Keys:[] RID:42 Back:false}
SELECT 0::int2 AS mode, x3.rid, x3.rtype, x3.fhir_id, x3.version, x3.lu, coalesce(x3.body_text, x3.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT DISTINCT l0.rid FROM unnest($2::int8[]) AS v2(h) CROSS JOIN LATERAL (SELECT d1.rid AS rid FROM (SELECT * FROM idx_token) AS d1 WHERE d1.h = v2.h AND (d1.rid < $3::int8) ORDER BY rid DESC LIMIT $1::int8) l0 ORDER BY l0.rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x3 ON x3.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 []int64 [-9079630160210487485 6280407148664882024]
-- $3 int64 42

### Observation?code=1-1
SELECT 0::int2 AS mode, x4.rid, x4.rtype, x4.fhir_id, x4.version, x4.lu, coalesce(x4.body_text, x4.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT DISTINCT l0.rid FROM (SELECT v2.h FROM (SELECT * FROM token) AS v2 WHERE v2.p = $2::int4 AND v2.code = $3::text) AS v3 CROSS JOIN LATERAL (SELECT d1.rid AS rid FROM (SELECT * FROM idx_token) AS d1 WHERE d1.h = v3.h AND d1.p = $2::int4 ORDER BY rid DESC LIMIT $1::int8) l0 ORDER BY l0.rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x4 ON x4.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 int32 -1499930192
-- $3 string 1-1

### Observation?patient=1&_sort=-date beyond {Keys:[=1577836800000000] RID:42 Back:false}
SELECT 0::int2 AS mode, x4.rid, x4.rtype, x4.fhir_id, x4.version, x4.lu, coalesce(x4.body_text, x4.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM (
SELECT d1.rid AS rid, s2.v AS k1 FROM (SELECT * FROM idx_ref) AS d1 LEFT JOIN LATERAL (SELECT x3.lo AS v FROM (SELECT * FROM idx_date) AS x3 WHERE x3.rid = d1.rid AND x3.k = $4::int8 AND x3.smax LIMIT 1) s2 ON true WHERE d1.rk = $2::int8 AND d1.p = $3::int4 AND ((s2.v < $6::int8 OR s2.v IS NULL) OR s2.v = $6::int8 AND d1.rid < $5::int8) ORDER BY s2.v DESC NULLS LAST, d1.rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x4 ON x4.rid = h.rid ORDER BY h.k1 DESC NULLS LAST, h.rid DESC
-- $1 int64 51
-- $2 int64 -1111645227360880559
-- $3 int32 -618211579
-- $4 int64 -8973968397819187803
-- $5 int64 42
-- $6 int64 1577836800000000

### Observation?code=http://loinc.org|1-1&_sort=-date
WITH hit1 AS MATERIALIZED (
SELECT d1.rid AS rid, d1.lo AS k1 FROM (SELECT * FROM idx_date) AS d1 JOIN (SELECT * FROM idx_token) AS j2 ON j2.rid = d1.rid WHERE d1.k = $2::int8 AND d1.smax AND j2.h = $3::int8 ORDER BY d1.lo DESC, d1.rid DESC LIMIT $1::int8
), hit2 AS MATERIALIZED (
SELECT d3.rid AS rid, NULL::int8 AS k1 FROM (SELECT * FROM resource WHERE op <> 4) AS d3 JOIN (SELECT * FROM idx_token) AS j4 ON j4.rid = d3.rid WHERE j4.h = $3::int8 AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM idx_date) AS y5 WHERE y5.rid = d3.rid AND y5.k = $2::int8 AND y5.smax) AND (SELECT count(*) FROM hit1) < $1::int8 ORDER BY d3.rid DESC LIMIT greatest($1::int8 - (SELECT count(*) FROM hit1), 0)
), hit AS MATERIALIZED (SELECT * FROM hit1 UNION ALL SELECT * FROM hit2)
SELECT 0::int2 AS mode, x6.rid, x6.rtype, x6.fhir_id, x6.version, x6.lu, coalesce(x6.body_text, x6.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM hit h JOIN (SELECT * FROM resource WHERE op <> 4) AS x6 ON x6.rid = h.rid ORDER BY h.k1 DESC NULLS LAST, h.rid DESC
-- $1 int64 51
-- $2 int64 -8973968397819187803
-- $3 int64 -9079630160210487485

### Observation?code=http://loinc.org|1-1&_sort=-date beyond {Keys:[] RID:42 Back:true}
WITH hit1 AS MATERIALIZED (
SELECT d1.rid AS rid, NULL::int8 AS k1 FROM (SELECT * FROM resource WHERE op <> 4) AS d1 JOIN (SELECT * FROM idx_token) AS j2 ON j2.rid = d1.rid WHERE j2.h = $2::int8 AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM idx_date) AS y3 WHERE y3.rid = d1.rid AND y3.k = $3::int8 AND y3.smax) AND (d1.rid > $4::int8) ORDER BY d1.rid ASC LIMIT $1::int8
), hit2 AS MATERIALIZED (
SELECT d4.rid AS rid, d4.lo AS k1 FROM (SELECT * FROM idx_date) AS d4 JOIN (SELECT * FROM idx_token) AS j5 ON j5.rid = d4.rid WHERE d4.k = $3::int8 AND d4.smax AND j5.h = $2::int8 AND (SELECT count(*) FROM hit1) < $1::int8 ORDER BY d4.lo ASC, d4.rid ASC LIMIT greatest($1::int8 - (SELECT count(*) FROM hit1), 0)
), hit AS MATERIALIZED (SELECT * FROM hit1 UNION ALL SELECT * FROM hit2)
SELECT 0::int2 AS mode, x6.rid, x6.rtype, x6.fhir_id, x6.version, x6.lu, coalesce(x6.body_text, x6.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM hit h JOIN (SELECT * FROM resource WHERE op <> 4) AS x6 ON x6.rid = h.rid ORDER BY h.k1 ASC NULLS FIRST, h.rid ASC
-- $1 int64 51
-- $2 int64 -9079630160210487485
-- $3 int64 -8973968397819187803
-- $4 int64 42

### Observation?patient.identifier=1
SELECT 0::int2 AS mode, x4.rid, x4.rtype, x4.fhir_id, x4.version, x4.lu, coalesce(x4.body_text, x4.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT rid FROM (SELECT DISTINCT r2.rid AS rid FROM (SELECT d3.rid AS rid FROM (SELECT * FROM idx_token) AS d3 WHERE d3.h = $2::int8) sx1 JOIN (SELECT * FROM resource WHERE op <> 4) AS x1 ON x1.rid = sx1.rid JOIN (SELECT * FROM idx_ref) AS r2 ON r2.rk = x1.rk WHERE x1.rtype = $3::int2 AND r2.p = $4::int4) f ORDER BY rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x4 ON x4.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 int64 -2726134763981381802
-- $3 int16 103
-- $4 int32 -618211579

### Patient?_has:Observation:patient:code=http://loinc.org|1-1
SELECT 0::int2 AS mode, x4.rid, x4.rtype, x4.fhir_id, x4.version, x4.lu, coalesce(x4.body_text, x4.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT d1.rid AS rid FROM (SELECT * FROM resource WHERE op <> 4) AS d1 WHERE d1.rtype = $2::int2 AND EXISTS (SELECT 1 FROM (SELECT * FROM idx_ref) AS r2 WHERE r2.rk = d1.rk AND r2.p = $4::int4 AND EXISTS (SELECT 1 FROM (SELECT * FROM idx_token) AS p3 WHERE p3.rid = r2.rid AND p3.h = $3::int8)) ORDER BY rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x4 ON x4.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 int16 103
-- $3 int64 -9079630160210487485
-- $4 int32 -618211579

### Observation?code-value-quantity=http://loinc.org|1-1$gt5|http://unitsofmeasure.org|mg
SELECT 0::int2 AS mode, x5.rid, x5.rtype, x5.fhir_id, x5.version, x5.lu, coalesce(x5.body_text, x5.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM (
SELECT DISTINCT rid, k1 FROM (
(SELECT DISTINCT d1.rid AS rid, d1.lo AS k1 FROM (SELECT * FROM idx_quantity) AS d1 WHERE d1.k = $2::int8 AND d1.lo > $3::text::numeric AND d1.unit = $4::int8 AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM idx_quantity) AS o2 WHERE o2.rid = d1.rid AND o2.k = $2::int8 AND o2.hi > $3::text::numeric AND o2.unit = $4::int8 AND o2.hi > d1.lo OFFSET 0) ORDER BY d1.lo DESC, d1.rid DESC LIMIT $1::int8)
UNION ALL
(SELECT DISTINCT d3.rid AS rid, d3.hi AS k1 FROM (SELECT * FROM idx_quantity) AS d3 WHERE d3.k = $2::int8 AND d3.lo <> d3.hi AND d3.hi > $3::text::numeric AND d3.unit = $4::int8 AND NOT EXISTS (SELECT 1 FROM (SELECT * FROM idx_quantity) AS o4 WHERE o4.rid = d3.rid AND o4.k = $2::int8 AND o4.hi > $3::text::numeric AND o4.unit = $4::int8 AND o4.hi > d3.hi OFFSET 0) ORDER BY d3.hi DESC, d3.rid DESC LIMIT $1::int8)
) u ORDER BY u.k1 DESC, u.rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x5 ON x5.rid = h.rid ORDER BY h.k1 DESC, h.rid DESC
-- $1 int64 51
-- $2 int64 -907882523645543344
-- $3 string 0.005
-- $4 int64 5866736183049877386

### Encounter?date=2020&status:not=finished
SELECT 0::int2 AS mode, x3.rid, x3.rtype, x3.fhir_id, x3.version, x3.lu, coalesce(x3.body_text, x3.body::text) AS body, ARRAY[coalesce('=' || h.k1::text, '')] AS keys FROM (
SELECT d1.rid AS rid, d1.lo AS k1 FROM (SELECT * FROM idx_date) AS d1 WHERE d1.k = $2::int8 AND d1.lo >= $3::int8 AND d1.lo <= $4::int8 AND d1.hi <= $4::int8 AND NOT (EXISTS (SELECT 1 FROM (SELECT * FROM idx_token) AS p2 WHERE p2.rid = d1.rid AND p2.h = $5::int8)) ORDER BY d1.lo DESC, d1.rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x3 ON x3.rid = h.rid ORDER BY h.k1 DESC, h.rid DESC
-- $1 int64 51
-- $2 int64 4035448242006689272
-- $3 int64 1577836800000000
-- $4 int64 1609459199999999
-- $5 int64 -4745838402800859941

### Patient?_id=1&_include=Patient:organization&_revinclude:iterate=Observation:patient
WITH hit AS MATERIALIZED (
SELECT d1.rid AS rid FROM (SELECT * FROM resource WHERE op <> 4) AS d1 WHERE d1.rk = $2::int8 ORDER BY rid DESC LIMIT $1::int8
), page AS MATERIALIZED (SELECT h.rid FROM hit h ORDER BY h.rid DESC LIMIT $4::int8),
inc1 AS MATERIALIZED (SELECT DISTINCT u.rid FROM (
SELECT x4.rid FROM page m JOIN (SELECT * FROM idx_ref) AS r3 ON r3.rid = m.rid JOIN (SELECT * FROM resource WHERE op <> 4) AS x4 ON x4.rk = r3.rk WHERE r3.p = $5::int4
UNION
SELECT r5.rid FROM page m JOIN (SELECT * FROM resource WHERE op <> 4) AS x6 ON x6.rid = m.rid JOIN (SELECT * FROM idx_ref) AS r5 ON r5.rk = x6.rk WHERE r5.p = $6::int4
) u WHERE u.rid NOT IN (SELECT rid FROM page)),
inc2 AS MATERIALIZED (SELECT DISTINCT u.rid FROM (
SELECT r7.rid FROM inc1 m JOIN (SELECT * FROM resource WHERE op <> 4) AS x8 ON x8.rid = m.rid JOIN (SELECT * FROM idx_ref) AS r7 ON r7.rk = x8.rk WHERE r7.p = $6::int4
) u WHERE u.rid NOT IN (SELECT rid FROM page UNION ALL SELECT rid FROM inc1)),
inc3 AS MATERIALIZED (SELECT DISTINCT u.rid FROM (
SELECT r9.rid FROM inc2 m JOIN (SELECT * FROM resource WHERE op <> 4) AS x10 ON x10.rid = m.rid JOIN (SELECT * FROM idx_ref) AS r9 ON r9.rk = x10.rk WHERE r9.p = $6::int4
) u WHERE u.rid NOT IN (SELECT rid FROM page UNION ALL SELECT rid FROM inc1 UNION ALL SELECT rid FROM inc2)),
inc4 AS MATERIALIZED (SELECT DISTINCT u.rid FROM (
SELECT r11.rid FROM inc3 m JOIN (SELECT * FROM resource WHERE op <> 4) AS x12 ON x12.rid = m.rid JOIN (SELECT * FROM idx_ref) AS r11 ON r11.rk = x12.rk WHERE r11.p = $6::int4
) u WHERE u.rid NOT IN (SELECT rid FROM page UNION ALL SELECT rid FROM inc1 UNION ALL SELECT rid FROM inc2 UNION ALL SELECT rid FROM inc3)),
inc5 AS MATERIALIZED (SELECT DISTINCT u.rid FROM (
SELECT r13.rid FROM inc4 m JOIN (SELECT * FROM resource WHERE op <> 4) AS x14 ON x14.rid = m.rid JOIN (SELECT * FROM idx_ref) AS r13 ON r13.rk = x14.rk WHERE r13.p = $6::int4
) u WHERE u.rid NOT IN (SELECT rid FROM page UNION ALL SELECT rid FROM inc1 UNION ALL SELECT rid FROM inc2 UNION ALL SELECT rid FROM inc3 UNION ALL SELECT rid FROM inc4)),
inc AS MATERIALIZED (SELECT rid FROM (SELECT rid FROM inc1 UNION ALL SELECT rid FROM inc2 UNION ALL SELECT rid FROM inc3 UNION ALL SELECT rid FROM inc4 UNION ALL SELECT rid FROM inc5) i ORDER BY rid LIMIT $3::int8)
SELECT mode, rid, rtype, fhir_id, version, lu, body, keys FROM (
SELECT 0::int2 AS mode, x2.rid, x2.rtype, x2.fhir_id, x2.version, x2.lu, coalesce(x2.body_text, x2.body::text) AS body, ARRAY[]::text[] AS keys, row_number() OVER (ORDER BY h.rid DESC) AS ord FROM hit h JOIN (SELECT * FROM resource WHERE op <> 4) AS x2 ON x2.rid = h.rid
UNION ALL
SELECT 1::int2, x15.rid, x15.rtype, x15.fhir_id, x15.version, x15.lu, coalesce(x15.body_text, x15.body::text), NULL, x15.rid FROM inc JOIN (SELECT * FROM resource WHERE op <> 4) AS x15 ON x15.rid = inc.rid
) page ORDER BY mode, ord
-- $1 int64 51
-- $2 int64 -1111645227360880559
-- $3 int64 1001
-- $4 int64 50
-- $5 int32 1335672145
-- $6 int32 -618211579

### Patient/1/Observation?code=http://loinc.org|1-1
SELECT 0::int2 AS mode, x4.rid, x4.rtype, x4.fhir_id, x4.version, x4.lu, coalesce(x4.body_text, x4.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT DISTINCT l0.rid FROM unnest($2::int8[], $3::int4[]) AS v2(rk, p) CROSS JOIN LATERAL (SELECT d1.rid AS rid FROM (SELECT * FROM idx_ref) AS d1 WHERE d1.rk = v2.rk AND d1.p = v2.p AND EXISTS (SELECT 1 FROM (SELECT * FROM idx_token) AS p3 WHERE p3.rid = d1.rid AND p3.h = $4::int8 OFFSET 0) ORDER BY rid DESC LIMIT $1::int8) l0 ORDER BY l0.rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x4 ON x4.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 []int64 [-1111645227360880559 -1111645227360880559]
-- $3 []int32 [-1133609002 882011077]
-- $4 int64 -9079630160210487485

### ?_type=Patient,Observation&_lastUpdated=ge2020&_sort=_lastUpdated
SELECT 0::int2 AS mode, x2.rid, x2.rtype, x2.fhir_id, x2.version, x2.lu, coalesce(x2.body_text, x2.body::text) AS body, ARRAY[coalesce('=' || (date_part('epoch', h.k1) * 1000000)::int8::text, '')] AS keys FROM (
SELECT d1.rid AS rid, d1.lu AS k1 FROM (SELECT * FROM resource WHERE op <> 4) AS d1 WHERE d1.rtype = ANY($2::int2[]) AND d1.lu >= $3::timestamptz AND d1.rtype = ANY($4::int2[]) ORDER BY d1.lu ASC, d1.rid ASC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x2 ON x2.rid = h.rid ORDER BY h.k1 ASC, h.rid ASC
-- $1 int64 51
-- $2 []int16 [96 103]
-- $3 string 2020-01-01T00:00:00Z
-- $4 []int16 [96 103]

### Medication?_contained=true&code=http://codes|1
SELECT 0::int2 AS mode, x3.rid, x3.rtype, x3.fhir_id, x3.version, x3.lu, coalesce(x3.body_text, x3.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT rid FROM (SELECT DISTINCT x1.container AS rid FROM (SELECT d2.rid AS rid FROM (SELECT * FROM idx_token) AS d2 WHERE d2.h = $2::int8) sx1 JOIN (SELECT i.rid, i.rk, r.lu, r.version, i.rtype, i.fhir_id, r.body->'contained'->i.ord AS body, r.body_text, i.container, r.rtype AS box_type, r.fhir_id AS box_id FROM idx_contained i JOIN (SELECT * FROM resource WHERE op <> 4) r ON r.rid = i.container) AS x1 ON x1.rid = sx1.rid WHERE x1.rtype = $3::int2) f ORDER BY rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x3 ON x3.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 int64 -5636034040016607681
-- $3 int16 75

### Medication?_contained=both&_containedType=contained&code=http://codes|1
SELECT 0::int2 AS mode, x3.rid, x3.rtype, coalesce(x3.box_type || '/' || x3.box_id || '#', '') || x3.fhir_id AS fhir_id, x3.version, x3.lu, coalesce(x3.body_text, x3.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT DISTINCT l0.rid FROM unnest($2::int8[]) AS v2(h) CROSS JOIN LATERAL (SELECT d1.rid AS rid FROM (SELECT * FROM idx_token) AS d1 WHERE d1.h = v2.h ORDER BY rid DESC LIMIT $1::int8) l0 ORDER BY l0.rid DESC LIMIT $1::int8
) h JOIN (SELECT i.rid, i.rk, r.lu, r.version, i.rtype, i.fhir_id, r.body->'contained'->i.ord AS body, r.body_text, i.container, r.rtype AS box_type, r.fhir_id AS box_id FROM idx_contained i JOIN (SELECT * FROM resource WHERE op <> 4) r ON r.rid = i.container UNION ALL SELECT rid, rk, lu, version, rtype, fhir_id, body, body_text, NULL, NULL, NULL FROM resource WHERE op <> 4) AS x3 ON x3.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 []int64 [-5636034040016607681 4027886503126537959]

