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

### DocumentReference?related._tag=http://tags|1
SELECT 0::int2 AS mode, x5.rid, x5.rtype, x5.fhir_id, x5.version, x5.lu, coalesce(x5.body_text, x5.body::text) AS body, ARRAY[]::text[] AS keys FROM (
SELECT d1.rid AS rid FROM (SELECT * FROM resource WHERE op <> 4) AS d1 WHERE d1.rtype = $2::int2 AND EXISTS (SELECT 1 FROM (SELECT * FROM idx_ref) AS r2 JOIN (SELECT * FROM resource WHERE op <> 4) AS x3 ON x3.rk = r2.rk WHERE r2.rid = d1.rid AND r2.p = $3::int4 AND x3.rtype = ANY($4::int2[]) AND EXISTS (SELECT 1 FROM (SELECT * FROM idx_token) AS p4 WHERE p4.rid = x3.rid AND p4.h = ANY($5::int8[]))) ORDER BY rid DESC LIMIT $1::int8
) h JOIN (SELECT * FROM resource WHERE op <> 4) AS x5 ON x5.rid = h.rid ORDER BY h.rid DESC
-- $1 int64 51
-- $2 int16 42
-- $3 int32 886947769
-- $4 []int16 [1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96 97 98 99 100 101 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121 122 123 124 125 126 127 128 129 130 131 132 133 134 135 136 137 138 139 140 141 142 143 144 145 146]
-- $5 []int64 [-9207871010181391741 -9200903124720906262 -9115404866034609795 -8706487940993927315 -8668669184620862313 -8535952433567491183 -8468588323643951818 -8405249791480065329 -8313162874161286770 -8287936365595449229 -7989145948307863983 -7988326582778435420 -7705185343821578278 -7664647045428430927 -7444401818260596617 -7389131975039027869 -7287173868761278286 -6897470790172538911 -6792057319299893952 -6529528160517657378 -6347506210467326234 -6326456154768992385 -6164056124641867031 -5905682271454564062 -5904737456239742126 -5875703051996708118 -5875206524601768637 -5697011771890683503 -5579047085652236011 -5569257177083687693 -5347311086366552485 -5325015491982250303 -4988172186932379517 -4908716498375038266 -4851285722260278978 -4476224711098322554 -4427696675523808365 -4269869421837635777 -4144404892002781584 -4139939328537324473 -3631402340177516871 -3574438946882229094 -3264894472400086074 -3100227330481332780 -3009197243695459662 -2913419944918382550 -2789907817664015965 -2382757285770799443 -2223004669557357408 -2123937837650527071 -1955530920009501819 -1771440016387964395 -1698806623733995228 -1609666388876064528 -1477961023666525865 -1438461170958845692 -1328761806711413222 -1061747381013654518 -1015448076387712200 -712543650915538814 -694385764709761440 -473755756169973447 -471850912267571904 169665134227742453 224679347426053019 261590237834559619 274740013892373692 277258319155614702 320384091678292548 361529291330834575 373569289630073465 396179582406876500 544283573685264526 636192798518634562 775014930533328701 807377535659559320 1028553563432254867 1194035928316172480 1526074053024255993 1557016799389164722 1852019840945127006 1915650417048890603 2062884285436729339 2113686774247888840 2152715746801093109 2156032300049120718 2259675083226571790 2506745123968989774 2701902401073720315 2900247002539064891 2989993530903808553 3018807345656651812 3178259160779488445 3259874213293042735 3290558561493515466 3476233815308084469 3619274843205668364 4009915707389559802 4174583701008523194 4206299513855441818 4443401546127112242 4681076576225311881 4763207835634343300 4833696519476466772 4868027801862920919 4884052136986899979 4937555687695807840 5011743170311716387 5021703063322150116 5083692882566866397 5167272199262781216 5283517748632626270 5404849476348529662 5593476026952837927 5694110440693910244 5824314232967544181 5885166669676095742 5963456535144661300 5972292665859423645 6147498764756345762 6231806722928761333 6444634058910818953 6531465319880014169 6620579013788612617 6625370345940985758 6847214204711208001 7025690016960576079 7036926399628966721 7104213333788039615 7161019806555468739 7302841891501865335 7425939497405065073 7590058689681287649 7687805714863637688 7758936914396469144 7797172647835146164 7928074168956024546 7962758616764975388 8056652332482935322 8124786953657327434 8325131720581392219 8336676426388671572 8342859254356568665 9014197736251371726 9066874623286866254]

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

