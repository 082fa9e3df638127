-- Imported code systems and the tables of $closure.
-- docs/decisions/0030-concepts.md tells why a hierarchy is kept as spans.

-- One version of a code system. Its concepts stand in the partitions with its
-- id; a version that is not ready is being imported, or its import broke off.
CREATE TABLE code_system (
    id       int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url      text COLLATE "C" NOT NULL,
    version  text COLLATE "C" NOT NULL,   -- '' for none
    ready    bool NOT NULL DEFAULT false,
    concepts int4 NOT NULL DEFAULT 0,
    imported timestamptz NOT NULL DEFAULT now(),
    checksum bytea NOT NULL,              -- of the distribution
    info     jsonb NOT NULL               -- what a CodeSystem resource says of it
);
CREATE UNIQUE INDEX code_system_version ON code_system (url, version) WHERE ready;

-- place: the concept's number in the pre-order of the hierarchy, from 1. What
-- lies below a concept is a few spans of places, in `below` as lo, hi, lo, hi ….
-- The partitions get their indexes when they are filled.
CREATE TABLE concept (
    cs         int4 NOT NULL,
    place      int4 NOT NULL,
    abstract   bool NOT NULL,
    inactive   bool NOT NULL,
    parents    int4[],                    -- places
    below      int4[],
    code       text COLLATE "C" NOT NULL,
    fold       text COLLATE "C" NOT NULL, -- code in lower case, as tokens are compared
    display    text,
    definition text,
    words      tsvector,                  -- of all names, folded, for the text filter
    more       text                       -- designations and properties, as JSON
) PARTITION BY LIST (cs);

CREATE TABLE concept_edge (
    cs     int4 NOT NULL,
    parent int4 NOT NULL,
    child  int4 NOT NULL
) PARTITION BY LIST (cs);

CREATE TABLE concept_property (
    cs    int4 NOT NULL,
    place int4 NOT NULL,
    prop  int2 NOT NULL,                  -- place in info.properties
    value text COLLATE "C" NOT NULL       -- at most 200 bytes
) PARTITION BY LIST (cs);

-- $closure: a table belongs to one caller.
CREATE TABLE closure_table (
    owner   text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    version int4 NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, name)
);
CREATE TABLE closure_coding (
    owner  text COLLATE "C" NOT NULL,
    name   text COLLATE "C" NOT NULL,
    system text COLLATE "C" NOT NULL,
    code   text COLLATE "C" NOT NULL,
    added  int4 NOT NULL,
    PRIMARY KEY (owner, name, system, code),
    FOREIGN KEY (owner, name) REFERENCES closure_table ON DELETE CASCADE
);
