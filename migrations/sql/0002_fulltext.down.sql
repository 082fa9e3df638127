DROP INDEX idx_quantity_range, idx_string_long;
DROP TABLE idx_text;
