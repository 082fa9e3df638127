package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"ingle/authz"
	"ingle/search"
	"ingle/store/concepts"

	"github.com/jackc/pgx/v5"
)

// Concepts gives the imported code systems and the closure tables. They hold no
// data of patients, so no scope is needed. Keep it: it knows what is imported.
func (db *DB) Concepts() *concepts.Store { return concepts.New(db.pool) }

// Conformance finds the stored ValueSets, CodeSystems and ConceptMaps by their
// canonical URLs. It keeps their URLs in memory and asks the database whether
// they are still the same ones. It is safe for concurrent use.
type Conformance struct {
	db    *DB
	fresh time.Duration
	mu    sync.Mutex
	mark  Mark
	asked time.Time
	index *conformanceIndex
}

// NewConformance makes a Conformance over a database, to be kept. fresh is how
// long it believes what it knows: what another server writes is seen later by
// so much. 0 asks at every Snapshot. With more than 0 Changed must be called
// after each write of this server to a ValueSet, CodeSystem or ConceptMap.
func NewConformance(db *DB, fresh time.Duration) *Conformance {
	return &Conformance{db: db, fresh: fresh}
}

// Changed makes the next Snapshot ask the database.
func (c *Conformance) Changed() {
	c.mu.Lock()
	c.asked = time.Time{}
	c.mu.Unlock()
}

// Canonical is where a canonical URL leads to.
type Canonical struct {
	Type, ID     string
	VersionID    int // meta.versionId
	LastUpdated  time.Time
	URL, Version string // business version
	Status       string
	Sources      []string // of a ConceptMap: the code systems that it maps from

	label int32
}

type conformanceIndex struct {
	byURL map[string][]Canonical // type + "|" + URL
	maps  map[string][]Canonical // by source system; "" for all
}

var conformanceTypes = []string{"CodeSystem", "ValueSet", "ConceptMap"}

// Snapshot is the state at one moment, as one caller sees it.
type Snapshot struct {
	index   *conformanceIndex
	session *Session
	visible *visible
}

// Snapshot asks the database whether anything changed and returns what the
// caller of the session may see. One round trip; a second one after a change.
func (c *Conformance) Snapshot(ctx context.Context, s *Session) (*Snapshot, error) {
	v, err := s.reader.visible(ctx, authz.Read)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.index != nil && c.fresh > 0 && time.Since(c.asked) < c.fresh {
		defer c.mu.Unlock()
		return &Snapshot{c.index, s, v}, nil
	}
	c.mu.Unlock()
	asked := time.Now()
	// all of them, whoever may see them: it is only a mark
	everything := &visible{db: c.db, all: true, whole: true}
	m, err := c.db.mark(ctx, everything, conformanceTypes)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index == nil || c.mark != m {
		index, err := c.load(ctx, everything)
		if err != nil {
			return nil, err
		}
		c.index, c.mark = index, m
	}
	c.asked = asked
	return &Snapshot{c.index, s, v}, nil
}

func (c *Conformance) load(ctx context.Context, everything *visible) (*conformanceIndex, error) {
	var args search.Args
	sql := "SELECT rtype, fhir_id, version, lu, label, coalesce(body->>'url', ''), coalesce(body->>'version', ''), coalesce(body->>'status', ''), " +
		"CASE WHEN body->>'resourceType' = 'ConceptMap' THEN ARRAY(SELECT DISTINCT g->>'source' FROM jsonb_array_elements(body->'group') g WHERE g->>'source' IS NOT NULL) END FROM " +
		everything.From(search.Resource, conformanceTypes, "r", &args) + " WHERE rtype = ANY(" + args.Add(c.db.typeNumbers(conformanceTypes)) + "::int2[]) ORDER BY rid"
	rows, err := c.db.pool.Query(ctx, sql, args.Values()...)
	if err != nil {
		return nil, domain(ctx, fmt.Errorf("read the canonical URLs: %w", err))
	}
	defer rows.Close()
	index := &conformanceIndex{byURL: map[string][]Canonical{}, maps: map[string][]Canonical{}}
	for rows.Next() {
		var x Canonical
		var number int16
		var version int32
		if err := rows.Scan(&number, &x.ID, &version, &x.LastUpdated, &x.label, &x.URL, &x.Version, &x.Status, &x.Sources); err != nil {
			return nil, domain(ctx, fmt.Errorf("read the canonical URLs: %w", err))
		}
		x.Type, x.VersionID = c.db.defs.TypeName(number), int(version)
		if x.URL != "" {
			index.byURL[x.Type+"|"+x.URL] = append(index.byURL[x.Type+"|"+x.URL], x)
		}
		if x.Type == "ConceptMap" {
			index.maps[""] = append(index.maps[""], x)
			for _, s := range x.Sources {
				index.maps[s] = append(index.maps[s], x)
			}
		}
	}
	return index, domain(ctx, rows.Err())
}

// Find returns the resources of a type with a canonical URL that the caller may
// see.
func (s *Snapshot) Find(ctx context.Context, resourceType, url string) ([]Canonical, error) {
	return s.allowed(ctx, s.index.byURL[resourceType+"|"+url])
}

// All returns the resources of a type that have a canonical URL and that the
// caller may see, in no order.
func (s *Snapshot) All(ctx context.Context, resourceType string) ([]Canonical, error) {
	var list []Canonical
	for _, same := range s.index.byURL {
		if same[0].Type == resourceType {
			list = append(list, same...)
		}
	}
	return s.allowed(ctx, list)
}

// Same tells whether nothing changed between two snapshots.
func (s *Snapshot) Same(other *Snapshot) bool { return other != nil && s.index == other.index }

// Maps returns the ConceptMaps from a code system that the caller may see; ""
// for all.
func (s *Snapshot) Maps(ctx context.Context, source string) ([]Canonical, error) {
	return s.allowed(ctx, s.index.maps[source])
}

func (s *Snapshot) allowed(ctx context.Context, list []Canonical) ([]Canonical, error) {
	if s.visible.all && s.visible.whole {
		return list, nil
	}
	var out []Canonical
	for _, x := range list {
		if !s.visible.all && !slices.Contains(s.visible.labels, x.label) {
			continue
		}
		if !s.visible.whole { // SMART scopes: let the read itself decide
			res, err := s.session.Read(ctx, x.Type, x.ID)
			if err != nil {
				return nil, err
			}
			if res == nil || res.Deleted() {
				continue
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// Body reads a resource that Find or Maps named, as long as it is still in the
// version named; nil otherwise.
func (s *Snapshot) Body(ctx context.Context, x Canonical) ([]byte, error) {
	res, err := s.session.Read(ctx, x.Type, x.ID)
	if err != nil || res == nil || res.Deleted() {
		return nil, err
	}
	if res.Version != x.VersionID {
		res, err = s.session.VRead(ctx, x.Type, x.ID, x.VersionID)
		if err != nil || res == nil {
			return nil, err
		}
	}
	return res.Body, nil
}

// CodesInUse lists the codes that resources hold or held, whatever element they
// are in, of those that pass a condition on the SQL expressions of their system
// and (folded) code; ok is false if there are more than limit. arg adds an
// argument and returns its placeholder. The dictionary of tokens names no resource:
// no scope is needed, and nothing of it is for callers to see.
func (s *Session) CodesInUse(ctx context.Context, where func(system, code string, arg func(any) string) string, limit int) (codes []search.Code, ok bool, err error) {
	var args search.Args
	sql := "SELECT DISTINCT t.system, t.code FROM token t WHERE " + where("t.system", "t.code", args.Add) + " LIMIT " + args.Add(limit+1)
	rows, err := s.reader.q.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args.Values()...)...)
	if err != nil {
		return nil, false, domain(ctx, fmt.Errorf("look for codes in use: %w", err))
	}
	codes, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (c search.Code, err error) {
		err = r.Scan(&c.System, &c.Code)
		return c, err
	})
	if err != nil {
		return nil, false, domain(ctx, fmt.Errorf("look for codes in use: %w", err))
	}
	return codes, len(codes) <= limit, nil
}
