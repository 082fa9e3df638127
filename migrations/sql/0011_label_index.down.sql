DROP INDEX idx_token_label;
