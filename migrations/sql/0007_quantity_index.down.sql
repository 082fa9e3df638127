DROP INDEX idx_quantity_lo;
CREATE INDEX idx_quantity_lo ON idx_quantity (k, lo, rid) INCLUDE (hi, unit, label);
