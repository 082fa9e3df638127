DROP TABLE idx_contained;
