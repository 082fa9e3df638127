DROP FUNCTION ingle_expect(bool), ingle_refuse(text, text);
DROP TABLE setting, idx_quantity, idx_string, idx_date, idx_ref, token, idx_token, resource_history, resource, label;
DROP SEQUENCE rid_seq;
