-- A quantity with system and code is answered from the index alone.
DROP INDEX idx_quantity_lo;
CREATE INDEX idx_quantity_lo ON idx_quantity (k, lo, rid) INCLUDE (hi, unit, sys, label);
