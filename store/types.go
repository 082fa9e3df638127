package store

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/search"
)

// numberOf is the setting that keeps the number of an added resource type. It
// stays when the type is gone: its resources keep their history.
const numberOf = "resource-type/"

// typeNumbers are the numbers of resource types, in their order.
func (db *DB) typeNumbers(types []string) []int16 {
	out := make([]int16, len(types))
	for i, t := range types {
		out[i] = db.defs.TypeNumber(t)
	}
	return out
}

const addedTypes = `SELECT name, convert_from(value, 'UTF8')::int2 FROM setting WHERE starts_with(name, $1)`

// TypeNumbers returns the numbers of all resource types that were ever added to
// those of FHIR, by name.
func (db *DB) TypeNumbers(ctx context.Context) (map[string]int16, error) {
	rows, err := db.side.Query(ctx, addedTypes, numberOf)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read the added resource types: %w", err))
	}
	out := map[string]int16{}
	var name string
	var number int16
	_, err = pgx.ForEachRow(rows, []any{&name, &number}, func() error {
		out[strings.TrimPrefix(name, numberOf)] = number
		return nil
	})
	return out, domain(ctx, err)
}

// NumberType returns the number of an added resource type; a new one gets one.
func (db *DB) NumberType(ctx context.Context, name string) (number int16, err error) {
	err = pgx.BeginFunc(ctx, db.side, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", search.RefKey(numberOf)); err != nil {
			return err
		}
		known, err := tx.Query(ctx, addedTypes, numberOf)
		if err != nil {
			return err
		}
		next, have, n := int16(fhir.FirstAdded), "", int16(0)
		number = 0
		if _, err := pgx.ForEachRow(known, []any{&have, &n}, func() error {
			if have == numberOf+name {
				number = n
			}
			next = max(next, n+1)
			return nil
		}); err != nil || number != 0 {
			return err
		}
		if next == math.MaxInt16 {
			return fhir.Errorf(422, fhir.CodeTooCostly, "no more resource types can be added")
		}
		number = next
		_, err = tx.Exec(ctx, "INSERT INTO setting (name, value) VALUES ($1, convert_to($2, 'UTF8'))", numberOf+name, strconv.Itoa(int(next)))
		return err
	})
	if err != nil {
		return 0, domain(ctx, fmt.Errorf("number the resource type %s: %w", name, err))
	}
	return number, nil
}

// Any tells whether there is a resource of a type that the caller may see.
func (s *Session) Any(ctx context.Context, resourceType string) (any bool, err error) {
	v, err := s.reader.visible(ctx, authz.Read)
	if err != nil {
		return false, err
	}
	var args search.Args
	sql := "SELECT EXISTS (SELECT 1 FROM " + v.From(search.Resource, []string{resourceType}, "r", &args) + " WHERE r.rtype = " + args.Add(s.db.defs.TypeNumber(resourceType)) + ")"
	// of the side pool: a transaction may be open
	err = s.db.side.QueryRow(ctx, sql, args.Values()...).Scan(&any)
	return any, domain(ctx, err)
}
