-- A bulk export is answered later too. Its answer is a list of files, and a file a
-- list of versions: bodies are read when it is fetched, with the rights of then.
ALTER TABLE async_request
    ADD COLUMN export bool NOT NULL DEFAULT false,
    ADD COLUMN status int2 NOT NULL DEFAULT 200; -- of the answer

CREATE TABLE export_file (
    id       text COLLATE "C" NOT NULL REFERENCES async_request ON DELETE CASCADE,
    number   int4 NOT NULL,              -- from 1, over all files of the export
    rtype    int2 NOT NULL,              -- of its resources; 0: deletions, of any type
    elements text[],                     -- what is wanted of each, null for all of it
    count    int4 NOT NULL,
    versions bytea COMPRESSION lz4 NOT NULL, -- rid and version of each (store/versions.go)
    PRIMARY KEY (id, number)
);

-- What an export could see at its transactionTime. Who asks for the changes since
-- then gets what was being written at that moment, though it has an earlier time.
CREATE TABLE export_time (
    at   timestamptz NOT NULL,
    seen pg_snapshot NOT NULL
);
CREATE INDEX export_time_at ON export_time (at);
