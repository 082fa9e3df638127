-- Full text, and two small indexes for values that the main ones cannot find.

-- The words of a resource: "t:word" of its narrative, "c:word" of any other
-- text, "code=word" beside a code (search/fulltext.go). Built by
-- array_to_tsvector, so that words are folded as all strings of a search are.
CREATE TABLE idx_text (
    rid   int8 NOT NULL,
    label int4 NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (rid)
);
CREATE INDEX idx_text_words ON idx_text USING gin (words);
ALTER TABLE idx_text SET (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

-- :contains looks into the whole of those texts whose val is cut.
CREATE INDEX idx_string_long ON idx_string (k, rid) WHERE octet_length(val) > 590;

-- "hi > x" finds points by lo, ranges by this.
CREATE INDEX idx_quantity_range ON idx_quantity (k, hi, rid) WHERE lo <> hi;
