package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
)

// Grants keeps the roles and plans that administrators give. It implements
// authz.Grants: each look costs a round trip, and what it finds holds on every
// server of the database.
type Grants struct{ db *DB }

var _ authz.Grants = (*Grants)(nil)

// Grants returns the roles and plans that administrators gave.
func (db *DB) Grants() *Grants { return &Grants{db} }

const grantColumns = `SELECT principal, kind, name, expires, given_by, given FROM role_grant`

// Given implements authz.Grants.
func (g *Grants) Given(ctx context.Context, principals []string, now time.Time) ([]authz.Given, error) {
	return g.list(ctx, grantColumns+` WHERE principal = ANY($1::text[]) AND (expires IS NULL OR expires > $2) ORDER BY principal DESC, kind, name`, principals, now)
}

// maxGrants bounds what List returns.
const maxGrants = 10_000

// List returns what a principal was given, or everybody ("") was, ended or not.
// More than it can return is a *fhir.Error with status 422.
func (g *Grants) List(ctx context.Context, principal string) ([]authz.Given, error) {
	list, err := g.list(ctx, grantColumns+` WHERE $1 = '' OR principal = $1 ORDER BY principal, kind, name LIMIT $2`, principal, maxGrants+1)
	if len(list) > maxGrants {
		return nil, fhir.Errorf(422, fhir.CodeTooCostly, "there are more than %d grants; ask for those of one principal", maxGrants)
	}
	return list, err
}

func (g *Grants) list(ctx context.Context, sql string, args ...any) ([]authz.Given, error) {
	rows, err := g.db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read the grants: %w", err))
	}
	out, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (x authz.Given, err error) {
		var kind, name string
		var expires *time.Time
		err = row.Scan(&x.Principal, &kind, &name, &expires, &x.By, &x.At)
		if kind == "plan" {
			x.Plan = name
		} else {
			x.Role = name
		}
		if expires != nil {
			x.Expires = expires.UTC()
		}
		x.At = x.At.UTC()
		return x, err
	})
	return out, domain(ctx, err)
}

// Put gives a role or a plan, or changes when it ends. A principal has one plan:
// another takes its place.
func (g *Grants) Put(ctx context.Context, x authz.Given) error {
	kind, name := "role", x.Role
	if x.Plan != "" {
		kind, name = "plan", x.Plan
	}
	var expires *time.Time
	if !x.Expires.IsZero() {
		expires = &x.Expires
	}
	_, err := g.db.pool.Exec(ctx, `WITH gone AS (DELETE FROM role_grant WHERE principal = $1 AND kind = 'plan' AND $2 = 'plan' AND name <> $3)
		INSERT INTO role_grant (principal, kind, name, expires, given_by) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (principal, kind, name) DO UPDATE SET expires = excluded.expires, given_by = excluded.given_by, given = now()`, x.Principal, kind, name, expires, x.By)
	return domain(ctx, err)
}

// Delete takes a role or a plan away, and tells whether it was there.
func (g *Grants) Delete(ctx context.Context, x authz.Given) (bool, error) {
	kind, name := "role", x.Role
	if x.Plan != "" {
		kind, name = "plan", x.Plan
	}
	var one int
	err := g.db.pool.QueryRow(ctx, `DELETE FROM role_grant WHERE principal = $1 AND kind = $2 AND name = $3 RETURNING 1`, x.Principal, kind, name).Scan(&one)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, domain(ctx, err)
}
