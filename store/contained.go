package store

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"ingle/fhir"
	"ingle/search"
)

// Contained resources have index rows under numbers and keys of their own
// (search/contained.go). Who may see one is told by what contains it, wherever
// one is read: its label is a copy that can only hide it.

// insideColumns are the columns of search.Resource for contained resources.
const insideColumns = `SELECT scope_in.rid, scope_in.rk, scope_box.lu, scope_box.version, scope_in.rtype, scope_in.fhir_id,
	scope_box.body->'contained'->scope_in.ord AS body, (scope_box.body_text::json->'contained'->scope_in.ord)::text AS body_text,
	scope_in.container, scope_box.rtype AS box_type, scope_box.fhir_id AS box_id FROM `

// fromInside selects what From is asked for where contained resources are among
// the types; resources are the others.
func (v *visible) fromInside(rel search.Relation, resources []string, args *search.Args) string {
	box := func() string {
		return v.From(contained, nil, "scope_in", args) + " JOIN " + v.From(search.Resource, nil, "scope_box", args) + " ON scope_box.rid = scope_in.container"
	}
	if rel == search.Resource {
		sql := insideColumns + box()
		if resources != nil {
			sql += " UNION ALL SELECT rid, rk, lu, version, rtype, fhir_id, body, body_text, NULL, NULL, NULL FROM " + v.From(rel, resources, "scope_own", args)
		}
		return sql
	}
	sql := v.rows(rel, args)
	if v.everything() {
		return sql
	}
	inside := "EXISTS (SELECT 1 FROM " + box() + " WHERE scope_in.rid = scope_row.rid)"
	if resources == nil {
		return sql + " AND " + inside
	}
	own := "scope_row.rid < " + args.Add(search.ContainedRID(0, 0)) + "::int8"
	if cond := v.narrowed(rel, resources, args); cond != "" {
		own += " AND " + cond
	}
	return sql + " AND (" + own + " OR " + inside + ")"
}

// Linked implements search.Source.
func (v *visible) Linked(l search.Link) bool {
	if v.db == nil {
		return false
	}
	c := &v.db.tokens
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.links[l]
}

// linksFresh bounds how long the first link of its kind that another server wrote
// stays unknown here.
const linksFresh = time.Second

// refreshLinks reads which links there are, unless it did so just now.
func (c *tokenCache) refreshLinks(ctx context.Context, q querier) error {
	c.mu.RLock()
	fresh := time.Since(c.linksAt) < linksFresh
	c.mu.RUnlock()
	if fresh {
		return nil
	}
	started := time.Now()
	rows, err := q.Query(ctx, `SELECT system, code FROM token WHERE p = $1`, int32(search.LinkParam))
	if err != nil {
		return fmt.Errorf("read the links to contained resources: %w", err)
	}
	defer rows.Close()
	var found []search.Link
	for rows.Next() {
		var system, code string
		if err := rows.Scan(&system, &code); err != nil {
			return fmt.Errorf("read the links to contained resources: %w", err)
		}
		found = append(found, search.ReadLink(system, code))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the links to contained resources: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range found { // they are never removed
		c.link(l)
	}
	c.linksAt = started
	return nil
}

// link notes a link. The caller holds the lock.
func (c *tokenCache) link(l search.Link) {
	if c.links == nil {
		c.links = map[search.Link]bool{}
	}
	c.links[l] = true
}

// containedIn are the numbers of the resources that a stored one contains.
func containedIn(rid int64, body []byte) []int64 {
	if !bytes.Contains(body, []byte(`"contained"`)) {
		return nil
	}
	doc, err := fhir.Parse(body, storedLimits)
	if err != nil {
		return nil
	}
	var out []int64
	for n := doc.Root().Get("contained").First(); n.Valid(); n = n.Next() {
		out = append(out, search.ContainedRID(rid, len(out)))
	}
	return out
}
