DROP INDEX idx_quantity_label;
