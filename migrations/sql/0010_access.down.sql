SELECT ingle_turn((SELECT array_agg(r.rid) FROM resource AS r JOIN label AS l ON l.id = r.label WHERE '!consent' = ANY(l.paths)));
DROP FUNCTION ingle_withhold_deleted, ingle_withhold, ingle_turn, ingle_decide, ingle_withheld, ingle_withheld_set;
DROP INDEX resource_deleted;
DROP TABLE consent;
DELETE FROM label AS l WHERE '!consent' = ANY(l.paths);
DROP TABLE role_grant;
