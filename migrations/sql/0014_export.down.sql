DROP TABLE export_time;
DROP TABLE export_file;
DELETE FROM async_request WHERE export;
ALTER TABLE async_request DROP COLUMN export, DROP COLUMN status;
