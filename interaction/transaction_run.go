package interaction

import (
	"context"
	"slices"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// txPlan is what one run of step 3 decides.
type txPlan struct {
	changes []store.Change
	ids     []string
	old     []*store.Resource
	results []*Response
	deleted map[string]bool
}

// runTransaction is step 3 after the locks.
func (s *Service) runTransaction(ctx context.Context, tx txStore, w writer, b *txBundle) ([]*Response, error) {
	n := len(b.entries)
	p := &txPlan{ids: make([]string, n), old: make([]*store.Resource, n), results: make([]*Response, n), deleted: map[string]bool{}}
	matched, err := s.matchTransaction(ctx, tx, b)
	if err != nil {
		return nil, err
	}
	if err := s.readTargets(ctx, tx, b, p); err != nil {
		return nil, err
	}
	if err := s.deletesOf(ctx, w, b, p, matched); err != nil {
		return nil, err
	}
	if err := s.identify(ctx, tx, b, p, matched); err != nil {
		return nil, err
	}
	refs, err := s.conditionalTargets(b, p, matched)
	if err != nil {
		return nil, err
	}
	for _, kinds := range [][]Kind{{Create}, {Update, Patch}} { // R4 http.html#trules: DELETE, POST, PUT and PATCH, GET
		for i, te := range b.entries {
			if slices.Contains(kinds, te.req.Kind) && p.results[i] == nil {
				if err := s.changeOf(ctx, tx, w, b, p, i, refs); err != nil {
					return nil, atEntry(err, i)
				}
			}
		}
	}
	if err := tx.Write(ctx, p.changes); err != nil {
		return nil, err
	}
	for i, te := range b.entries {
		if te.req.Kind.Writes() {
			continue
		}
		if p.results[i], err = s.readOnly(ctx, tx, w.scope.Principal(), te.req); err != nil {
			return nil, txRead(atEntry(err, i))
		}
		if st := p.results[i].Status; st >= 400 {
			return nil, atEntry(&fhir.Error{Status: txStatus(st), Issues: p.results[i].Issues}, i)
		}
	}
	return p.results, nil
}

// txRead gives the failure of a read the status of a failed transaction.
func txRead(err error) error {
	if fe := fhir.AsError(err); fe != nil {
		fe.Status = txStatus(fe.Status)
	}
	return err
}

// matchTransaction runs all conditional searches, by their lock.
func (s *Service) matchTransaction(ctx context.Context, tx txStore, b *txBundle) (map[string][]*store.Resource, error) {
	var (
		queries []*search.Query
		limits  []int
		keys    []string
	)
	seen := map[string]bool{}
	add := func(c *criteria, limit int) {
		if !seen[c.lock] {
			seen[c.lock] = true
			queries, limits, keys = append(queries, c.query), append(limits, limit), append(keys, c.lock)
		}
	}
	for _, te := range b.entries {
		if te.criteria != nil && te.req.Kind == Delete {
			add(te.criteria, s.cfg.DeleteLimit+1)
		}
	}
	for _, te := range b.entries {
		if te.criteria != nil {
			add(te.criteria, 2)
		}
	}
	for _, key := range b.order {
		add(b.conditional[key], 2)
	}
	found, err := tx.MatchAll(ctx, queries, limits)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]*store.Resource, len(keys))
	for i, key := range keys {
		out[key] = found[i]
	}
	return out, nil
}

// readTargets reads all resources that are named by id and changed.
func (s *Service) readTargets(ctx context.Context, tx txStore, b *txBundle, p *txPlan) error {
	var refs []string
	for _, te := range b.entries {
		if te.req.ID != "" && te.req.Kind.Writes() {
			refs = append(refs, te.req.Type+"/"+te.req.ID)
		}
	}
	current, err := tx.ReadAll(ctx, refs)
	if err != nil {
		return err
	}
	for i, te := range b.entries {
		if te.req.ID != "" && te.req.Kind.Writes() {
			p.old[i], p.ids[i] = current[te.req.Type+"/"+te.req.ID], te.req.ID
		}
	}
	return nil
}

// deletesOf makes the changes of the DELETE entries.
func (s *Service) deletesOf(ctx context.Context, w writer, b *txBundle, p *txPlan, matched map[string][]*store.Resource) error {
	for i, te := range b.entries {
		if te.req.Kind != Delete {
			continue
		}
		targets := []*store.Resource{p.old[i]}
		if te.criteria != nil {
			targets = matched[te.criteria.lock]
			if len(targets) > s.cfg.DeleteLimit {
				return atEntry(tooMany(s.cfg.DeleteLimit), i)
			}
		}
		var changes []store.Change
		for _, old := range targets {
			if err := te.req.mayReplace(old); err != nil {
				return atEntry(err, i)
			}
			if old == nil || old.Deleted() {
				continue
			}
			if p.deleted[old.Reference()] {
				return atEntry(overlap(old.Reference()), i)
			}
			p.deleted[old.Reference()] = true
			change, err := s.deletion(ctx, w.scope, old)
			if err != nil {
				return atEntry(err, i)
			}
			changes = append(changes, change)
		}
		p.changes = append(p.changes, changes...)
		p.results[i] = deleted(te.req, changes)
	}
	return nil
}

// identify decides the ids of conditional entries and refuses overlaps.
func (s *Service) identify(ctx context.Context, tx txStore, b *txBundle, p *txPlan, matched map[string][]*store.Resource) error {
	taken := map[string]int{}
	for i, te := range b.entries {
		r := te.req
		if r.Kind != Create && r.Kind != Update && r.Kind != Patch {
			continue
		}
		if te.id != "" {
			p.ids[i] = te.id
		}
		if te.criteria != nil {
			if te.sameAs >= 0 {
				p.ids[i] = p.ids[te.sameAs]
				continue
			}
			matches := matched[te.criteria.lock]
			if r.Kind == Create { // what a DELETE of the same Bundle removes is not there any more
				matches = slices.DeleteFunc(slices.Clone(matches), func(m *store.Resource) bool { return p.deleted[m.Reference()] })
			}
			if len(matches) > 1 {
				return atEntry(severalMatches(), i)
			}
			var match *store.Resource
			if len(matches) == 1 {
				match = matches[0]
			}
			if err := s.identifyOne(ctx, tx, te, p, i, match); err != nil {
				return atEntry(err, i)
			}
		}
		key := r.Type + "/" + p.ids[i]
		if r.Kind == Create && p.results[i] != nil {
			continue // exists and stays as it is
		}
		if _, twice := taken[key]; twice || p.deleted[key] {
			return atEntry(overlap(key), i)
		}
		taken[key] = i
	}
	return nil
}

func (s *Service) identifyOne(ctx context.Context, tx txStore, te *txEntry, p *txPlan, i int, match *store.Resource) error {
	switch te.req.Kind {
	case Create:
		if match != nil {
			p.ids[i], p.results[i] = match.ID, s.existing(te.req, match)
			return nil
		}
		p.ids[i] = newID()
	case Update:
		id, old, err := s.target(ctx, tx, te.req.Type, te.resource, match)
		if err != nil {
			return err
		}
		if id == "" {
			id = newID()
		}
		p.ids[i], p.old[i] = id, old
	case Patch:
		if match == nil {
			return fhir.Errorf(400, fhir.CodeNotFound, "no %s matches the criteria", te.req.Type)
		}
		p.ids[i], p.old[i] = match.ID, match
	}
	return nil
}

// conditionalTargets checks that each conditional reference has one match.
func (s *Service) conditionalTargets(b *txBundle, p *txPlan, matched map[string][]*store.Resource) (map[string]string, error) {
	refs := make(map[string]string, len(b.order))
	for _, key := range b.order {
		matches := slices.DeleteFunc(slices.Clone(matched[key]), func(m *store.Resource) bool { return p.deleted[m.Reference()] })
		if len(matches) == 1 {
			refs[key] = matches[0].Reference()
			continue
		}
		n := b.firstUse[key]
		code, many := fhir.CodeNotFound, "no resource"
		if len(matches) > 1 {
			code, many = fhir.CodeMultiple, "more than one resource"
		}
		path := pathOf(n)
		return nil, fhir.Errorf(412, code, "%s: the conditional reference %q must match exactly one resource; it matches %s", path, printable(n.Text()), many).At(path).AtNode(n)
	}
	return refs, nil
}

// changeOf makes the change of a create, update or patch.
func (s *Service) changeOf(ctx context.Context, tx txStore, w writer, b *txBundle, p *txPlan, i int, refs map[string]string) error {
	te := b.entries[i]
	r := te.req
	if te.sameAs >= 0 { // the entry before has made it, or found it
		first := p.results[te.sameAs]
		p.results[i] = &Response{Status: 200, Version: first.Version, LastModified: first.LastModified, Location: first.Location, result: first.result}
		return nil
	}
	if r.Kind == Patch {
		change, notes, err := s.patched(ctx, w, r, te.patch, p.old[i], s.around(tx, r))
		if err != nil {
			return txRead(err)
		}
		p.changes = append(p.changes, change)
		p.results[i] = s.written(r, 200, &change, notes)
		return nil
	}
	d := te.draft
	if d == nil {
		var err error
		if d, err = s.finish(b, te, func(at int) string { return b.entries[at].req.Type + "/" + p.ids[at] }, refs); err != nil {
			return err
		}
	}
	if r.Kind == Create {
		change, err := s.version(w, d, store.OpCreate, p.ids[i], nil)
		if err != nil {
			return err
		}
		p.changes = append(p.changes, change)
		p.results[i] = s.written(r, 201, &change, te.notes)
		return nil
	}
	if r.ID == "" && p.old[i] == nil && d.bodyID() == "" { // a conditional update that creates under a new id
		if err := r.mayReplace(nil); err != nil {
			return err
		}
		change, err := s.version(w, d, store.OpCreate, p.ids[i], nil)
		if err != nil {
			return err
		}
		p.changes = append(p.changes, change)
		p.results[i] = s.written(r, 201, &change, te.notes)
		return nil
	}
	if p.results[i] = s.notModified(r, p.old[i]); p.results[i] != nil {
		return nil
	}
	change, status, err := s.replacement(ctx, w, r, d, p.ids[i], p.old[i])
	if err != nil {
		return txRead(err)
	}
	p.changes = append(p.changes, change)
	p.results[i] = s.written(r, status, &change, te.notes)
	return nil
}

func overlap(ref string) error {
	return fhir.Errorf(400, fhir.CodeDuplicate, "%s is changed by more than one entry; a transaction may change a resource only once", ref)
}
