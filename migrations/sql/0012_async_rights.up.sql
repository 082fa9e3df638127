-- An answer is its caller's as long as the caller has the rights that it was made
-- with, whose digest this is. What was asked for before the column was is nobody's.
ALTER TABLE async_request ADD COLUMN rights bytea NOT NULL DEFAULT '';
