-- A caller with few labels reads a range of quantities label by label, each from its
-- greatest value down, and not past the rows of all others (search, labelByLabel).
-- Where nothing is labelled the index is empty and costs nothing.
CREATE INDEX idx_quantity_label ON idx_quantity (k, label, lo, rid) INCLUDE (hi, unit, sys) WHERE label <> 0;
