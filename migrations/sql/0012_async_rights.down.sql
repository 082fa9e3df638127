ALTER TABLE async_request DROP COLUMN rights;
