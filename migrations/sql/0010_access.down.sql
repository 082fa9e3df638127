SELECT ingle_turn((SELECT array_agg(r.rid) FROM resource AS r JOIN label AS l ON l.id = r.label WHERE '!consent' = ANY(l.paths)));
INSERT INTO label (paths) SELECT DISTINCT array_remove(paths, '!consent') FROM label WHERE '!consent' = ANY(paths) ON CONFLICT DO NOTHING;
UPDATE resource_history AS h SET label = t.id FROM label AS l, label AS t WHERE l.id = h.label AND '!consent' = ANY(l.paths) AND t.paths = array_remove(l.paths, '!consent');
DROP FUNCTION ingle_withhold, ingle_turn, ingle_decide, ingle_count_consents, ingle_bound_to, ingle_withheld, ingle_withheld_set;
DROP TABLE compartment, consent_counted, consent;
DELETE FROM label AS l WHERE '!consent' = ANY(l.paths);
DELETE FROM setting WHERE name = 'consent';
DROP TABLE role_grant;
