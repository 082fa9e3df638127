package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"ingle/authz"
	"ingle/search"
)

// The database remembers by which version of the extraction its index was made
// (search.ExtractionVersion), whether with full text, and under which base URLs
// references were taken for the server's own. A release that extracts otherwise,
// a server with full text on a database without, or one with another public URL
// indexes anew, beside the requests.

const (
	extractionSubject = "extraction version "
	withText          = " with full text"
	setExtraction     = `INSERT INTO setting (name, value) VALUES ('extraction', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// CatchUpExtraction starts to index everything anew if the index was made by
// another version of the extraction, and returns the number of that job, 0 if
// there is no need.
func (s *Session) CatchUpExtraction(ctx context.Context) (job int64, err error) {
	if !s.scope.IsSystem() {
		return 0, errNotSystem
	}
	version, at := strconv.Itoa(search.ExtractionVersion), ""
	if bases := s.db.reg.BaseURLs(); len(bases) > 0 {
		at = " at " + strings.Join(bases, " ")
	}
	current := version + at
	if s.db.reg.FullText() {
		current = version + withText + at
	}
	var have []byte
	err = s.db.pool.QueryRow(ctx, `SELECT value FROM setting WHERE name = 'extraction'`).Scan(&have)
	switch {
	case err == nil && string(have) == current:
		return 0, nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return 0, domain(ctx, fmt.Errorf("read the version of the extraction: %w", err))
	}
	v, err := s.visible(ctx, authz.Read)
	if err != nil {
		return 0, err
	}
	var args search.Args
	var any bool
	if err := s.db.pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+v.From(search.Resource, nil, "r", &args)+")", args.Values()...).Scan(&any); err != nil {
		return 0, domain(ctx, err)
	}
	if !any || string(have) == version+withText+at {
		// nothing to index, or no words from now on
		_, err := s.db.pool.Exec(ctx, setExtraction, []byte(current))
		return 0, domain(ctx, err)
	}
	return s.StartReindex(ctx, extractionSubject+current, nil, 0)
}
