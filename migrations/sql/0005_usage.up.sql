-- What each principal has asked for in a window of time, for quotas.
CREATE TABLE usage (
    begins    timestamptz NOT NULL,
    principal text COLLATE "C" NOT NULL,
    spent     int8 NOT NULL,
    PRIMARY KEY (begins, principal)
);
