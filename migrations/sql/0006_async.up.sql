-- Requests that are answered later (R4 async.html). The answer waits here, and
-- not in the memory of a server, until its caller fetches or deletes it or it
-- expires.
CREATE TABLE async_request (
    id        text COLLATE "C" PRIMARY KEY,  -- random
    principal text NOT NULL,                 -- the only one who may ask for it
    done      bool NOT NULL DEFAULT false,
    created   timestamptz NOT NULL DEFAULT now(),
    leased    timestamptz NOT NULL,          -- a server works on it until then
    expires   timestamptz NOT NULL
);
CREATE INDEX async_request_principal ON async_request (principal);
CREATE INDEX async_request_expires ON async_request (expires);

-- The bytes of an answer, in order.
CREATE TABLE async_content (
    id      text COLLATE "C" NOT NULL REFERENCES async_request ON DELETE CASCADE,
    part    int4 NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (id, part)
);
