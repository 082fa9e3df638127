-- Contained resources (search/contained.go). Each has a number beyond those of
-- all resources, its rows in the index under that number and keys of its own, and
-- a row here. The number tells what contains it and at which place of its list.
CREATE TABLE idx_contained (
    rid       int8 NOT NULL,          -- 2^62 + 2^20 * container + 2^20 - 1 - ord
    label     int4 NOT NULL,          -- of what contains it
    rk        int8 NOT NULL,          -- 64-bit hash of "#id": where references to it point
    rtype     int2 NOT NULL,
    fhir_id   text COLLATE "C" NOT NULL,
    container int8 NOT NULL GENERATED ALWAYS AS ((rid - 4611686018427387904) >> 20) STORED,
    ord       int4 NOT NULL GENERATED ALWAYS AS (1048575 - (rid & 1048575)) STORED,
    PRIMARY KEY (rid)
);
CREATE INDEX idx_contained_container ON idx_contained (container, rk);
CREATE INDEX idx_contained_type ON idx_contained (rtype, rid);
ALTER TABLE idx_contained SET (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);
