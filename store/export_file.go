package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/fhir"
	"ingle/search"
)

// ExportFile is one file of an export.
type ExportFile struct {
	Number   int      // from 1
	Type     string   // of its resources, "" for deletions
	Deletion bool     // of any type
	Elements []string // what is wanted of each, nil for all of it
	Versions VersionList
}

// AddExportFile stores a file of a request that is being worked on. It fails if the
// request was cancelled (404).
func (s *Session) AddExportFile(ctx context.Context, id string, f *ExportFile) error {
	// beside the connection that reads, see DB.side
	tag, err := s.db.side.Exec(ctx, `INSERT INTO export_file (id, number, rtype, elements, count, versions) SELECT id, $2, $3, $4, $5, $6 FROM async_request WHERE id = $1`,
		id, f.Number, s.db.defs.TypeNumber(f.Type), f.Elements, f.Versions.Count, f.Versions.coded)
	if err == nil && tag.RowsAffected() == 0 {
		return fhir.Errorf(404, fhir.CodeNotFound, "the export was cancelled")
	}
	return domain(ctx, err)
}

// ExportFile returns a file of the caller's export that is done, nil if there is none,
// or none of its type any more.
func (s *Session) ExportFile(ctx context.Context, id string, number int) (*ExportFile, error) {
	f := &ExportFile{Number: number}
	var rtype int16
	err := s.db.pool.QueryRow(ctx, `SELECT f.rtype, f.elements, f.count, f.versions FROM export_file AS f JOIN async_request AS r ON r.id = f.id
		WHERE f.id = $1 AND f.number = $2 AND r.principal = $3 AND r.rights = $4 AND r.done AND r.status = 200 AND r.expires > now()`,
		id, number, s.scope.Principal(), s.scope.Digest()).Scan(&rtype, &f.Elements, &f.Versions.Count, &f.Versions.coded)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if f.Type, f.Deletion = s.db.defs.TypeName(rtype), rtype == 0; err == nil && f.Type == "" && !f.Deletion {
		return nil, nil
	}
	return f, domain(ctx, err)
}

// A batch of a file holds about exportBytes of bodies, and at most exportBatch.
const (
	exportBytes = 512 << 10
	exportBatch = 1000
)

// EachVersion reads the versions of a file, one batch after the other, as far as the
// caller may see them now: both the version and the resource's current version must
// be visible. While each runs the next batch is read, and no connection is held once
// that is there.
func (s *Session) EachVersion(ctx context.Context, f *ExportFile, each func([]*Resource) error) error {
	type batch struct {
		found []*Resource
		err   error
	}
	ahead := make(chan batch)
	reading := sync.WaitGroup{}
	defer reading.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reading.Go(func() {
		defer close(ahead)
		size := 64
		if f.Type == "Binary" {
			size = 4
		}
		hand := func(b batch) (goOn bool) {
			select {
			case ahead <- b:
				return b.err == nil
			case <-ctx.Done():
				return false
			}
		}
		var broken error
		for b := range f.Versions.batches(func() int { return size }, &broken) {
			found, err := s.versionsOf(ctx, f.Type, b)
			if !hand(batch{found, err}) {
				return
			}
			bytes := 1
			for _, r := range found {
				bytes += len(r.Body)
			}
			size = min(len(b.rids)*exportBytes/bytes+1, 4*len(b.rids), exportBatch)
		}
		hand(batch{err: broken})
	})
	for b := range ahead {
		if b.err != nil {
			return b.err
		}
		if err := each(b.found); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// versionsOf reads the versions of a batch that the caller may see, in its order.
// Most are still current; the others are read from the history.
func (s *Session) versionsOf(ctx context.Context, typ string, b versionBatch) ([]*Resource, error) {
	ctx, cancel := context.WithTimeout(ctx, s.readTime())
	defer cancel()
	v, err := s.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	var types []string
	if typ != "" {
		types = []string{typ}
	}
	found := make([]*Resource, len(b.rids))
	var old versionBatch
	read := func(of versionBatch, columns, join string, args *search.Args) error {
		sql := "SELECT " + columns + " FROM unnest(" + args.Add(of.rids) + "::int8[], " + args.Add(of.versions) + "::int4[]) AS n(rid, version) JOIN " + join
		rows, err := s.q.Query(ctx, sql, args.Values()...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			res, err := s.scan(rows)
			if err != nil {
				return err
			}
			at, _ := slices.BinarySearch(b.rids, res.rid)
			if int32(res.Version) != b.versions[at] {
				old.rids, old.versions = append(old.rids, res.rid), append(old.versions, b.versions[at])
				continue
			}
			found[at] = res
		}
		return rows.Err()
	}
	var args search.Args
	err = read(b, "r.rtype, r.fhir_id, r.rid, r.version, r.lu, r.op, r.label, r.tx, CASE WHEN r.version = n.version THEN coalesce(r.body_text, r.body::text) END",
		v.From(withDeleted, types, "r", &args)+" ON r.rid = n.rid", &args)
	if err == nil && len(old.rids) > 0 {
		var args search.Args
		err = read(old, "h.rtype, r.fhir_id, h.rid, h.version, h.lu, h.op, h.label, h.tx, coalesce(h.body_text, h.body::text)",
			v.From(superseded, types, "h", &args)+" ON h.rid = n.rid AND h.version = n.version JOIN "+v.From(withDeleted, types, "r", &args)+" ON r.rid = h.rid", &args)
	}
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read the versions of an export: %w", err))
	}
	return slices.DeleteFunc(found, func(r *Resource) bool { return r == nil }), nil
}
