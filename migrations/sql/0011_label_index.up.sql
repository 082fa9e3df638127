-- A caller with few labels reads a common code label by label, each in the order
-- of rid, and not past the rows of all others (search, labelByLabel). Where
-- nothing is labelled the index is empty and costs nothing.
CREATE INDEX idx_token_label ON idx_token (h, label, rid) WHERE label <> 0;
