-- A job that ends a server, or fails, again and again is given up. tries are the
-- times it was taken since it last went forward.
ALTER TABLE job ADD COLUMN tries int4 NOT NULL DEFAULT 0;
