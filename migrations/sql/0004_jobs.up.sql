-- Work that goes on beside requests and survives a restart. A server leases a
-- job; if it dies, another takes over where the last batch ended.
CREATE TABLE job (
    id       int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind     text NOT NULL,                       -- reindex
    subject  text NOT NULL,                       -- what for: a search parameter's URL and version, a resource type, '' for everything
    types    int2[] NOT NULL,                     -- resource types to go through
    state    text NOT NULL DEFAULT 'waiting',     -- waiting, running, done, failed
    position int8 NOT NULL DEFAULT 0,             -- the last rid that is done
    done     int8 NOT NULL DEFAULT 0,             -- resources
    message  text NOT NULL DEFAULT '',
    begins   timestamptz NOT NULL DEFAULT now(),  -- not before
    leased   timestamptz NOT NULL DEFAULT '-infinity', -- until
    created  timestamptz NOT NULL DEFAULT now(),
    ended    timestamptz
);
CREATE INDEX job_open ON job (id) WHERE state IN ('waiting', 'running');
CREATE INDEX job_subject ON job (subject, id);
