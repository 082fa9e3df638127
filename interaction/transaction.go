package interaction

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// A transaction Bundle (R4 http.html#transaction) walks through these steps:
//
//  1. Every entry becomes a Request; resources are checked where they stand;
//     what is named twice is refused. No database.
//  2. New ids are given, references between entries are rewritten and index rows
//     taken out, for all entries whose references can be told by now.
//  3. In one database transaction: locks on the conditional criteria, the
//     versions to be replaced in one read, the conditional matches, then the
//     entries that waited for them, all changes in one write, and the reads.
//
// Step 3 may run again from its start. It only reads what steps 1 and 2 made;
// everything that it decides lives in a fresh plan.

// txEntry is an entry of a transaction after steps 1 and 2.
type txEntry struct {
	*entry
	criteria *criteria // of a conditional interaction, nil for none
	patch    *patchDoc
	sites    []txSite
	id       string // known before BEGIN: of a new resource or of the URL; "" for conditional ones
	draft    *draft // nil if it waits for step 3
	sameAs   int    // the earlier entry with the same If-None-Exist, -1 for none
}

// txSite is a reference that must be rewritten.
type txSite struct {
	site
	entry       int    // it points to this entry, -1 if not
	conditional string // key of the conditional reference, "" if not
	suffix      string // "#fragment" to be kept
}

// txBundle is a transaction after step 1. It does not change afterwards but for
// the drafts of step 2.
type txBundle struct {
	entries     []*txEntry
	byURL       map[string]int       // fullUrl → entry
	byCriteria  map[string]int       // criteria of a conditional create → entry
	conditional map[string]*criteria // conditional references by key
	firstUse    map[string]fhir.Node // where each of them stands, for errors
	order       []string             // keys of conditional, in the order of the Bundle
	locks       []string
}

func (s *Service) transaction(ctx context.Context, session *store.Session, req *Request, list fhir.Node) (*Response, error) {
	b, err := s.readTransaction(ctx, req, list)
	if err != nil {
		return nil, err
	}
	if err := s.prepareTransaction(b); err != nil {
		return nil, err
	}
	results, err := s.store(ctx, session, req, b)
	if err != nil {
		return nil, conflict(err)
	}
	for i, r := range results {
		if r.Body, err = r.content(""); err != nil {
			return nil, fmt.Errorf("write the answer to entry %d: %w", i, err)
		}
		r.Stream = nil
	}
	resp := s.bundleResponse(req, "transaction-response", results)
	for i, te := range b.entries {
		resp.Entries = append(resp.Entries, entryFor(te.req, results[i]))
	}
	return resp, nil
}

// txStore is what step 3 reads and writes through: a Tx, or, where nothing has
// to be locked or read after the write, the Session, whose one Write is a
// transaction already and saves the round trips of BEGIN and COMMIT.
type txStore interface {
	reader
	ReadAll(ctx context.Context, refs []string) (map[string]*store.Resource, error)
	MatchAll(ctx context.Context, queries []*search.Query, limits []int) ([][]*store.Resource, error)
	Write(ctx context.Context, changes []store.Change) error
}

// store is step 3.
func (s *Service) store(ctx context.Context, session *store.Session, req *Request, b *txBundle) (results []*Response, err error) {
	plain := len(b.locks) == 0 && len(b.order) == 0
	for _, te := range b.entries {
		plain = plain && te.req.Kind.Writes()
	}
	w := writerOf(session, req)
	if plain {
		for range attempts {
			if results, err = s.runTransaction(ctx, session, w, b); !errors.Is(err, store.ErrConflict) {
				break
			}
		}
		return results, err
	}
	err = session.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, b.locks); err != nil {
			return err
		}
		results, err = s.runTransaction(ctx, tx, w, b)
		return err
	})
	return results, err
}

// readTransaction is step 1.
func (s *Service) readTransaction(ctx context.Context, req *Request, list fhir.Node) (*txBundle, error) {
	b := &txBundle{byURL: map[string]int{}, byCriteria: map[string]int{}, conditional: map[string]*criteria{}, firstUse: map[string]fhir.Node{}}
	identities := map[string]int{}
	var faults []fhir.Issue
	status := 0
	i := 0
	for n := list.First(); n.Valid(); n = n.Next() {
		e, err := s.entry(req, i, n)
		if err == nil {
			var te *txEntry
			if te, err = s.readTxEntry(ctx, e); err == nil {
				b.entries = append(b.entries, te)
				err = b.register(te, identities)
			}
		}
		if err != nil {
			fe := fhir.AsError(atEntry(err, i))
			if fe == nil {
				return nil, err
			}
			// a client wants to know of all bad entries at once
			faults = append(faults, fe.Issues...)
			status = max(status, fe.Status)
			if len(faults) >= maxStructureIssues {
				break
			}
		}
		i++
	}
	if faults != nil {
		return nil, &fhir.Error{Status: txStatus(status), Issues: faults}
	}
	return b, nil
}

// txStatus is the status of a transaction that failed because of an entry: what
// would not be an answer to a POST becomes a 400.
func txStatus(status int) int {
	switch status {
	case 404, 405, 410:
		return 400
	}
	return status
}

func (s *Service) readTxEntry(ctx context.Context, e *entry) (*txEntry, error) {
	te := &txEntry{entry: e, sameAs: -1, id: e.req.ID}
	r := e.req
	var err error
	switch r.Kind {
	case Create, Update:
		if err = s.check(ctx, r.Type, e.resource); err != nil {
			return nil, err
		}
		if r.Kind == Create {
			if err = s.onlyParams(r); err != nil {
				return nil, err
			}
			if r.IfNoneExist != "" {
				te.criteria, err = s.ifNoneExist(r)
			} else {
				te.id = newID() // the client's own id is never kept (R4 http.html#create)
			}
			return te, err
		}
		if subsetted(e.resource) {
			return nil, incomplete(r.Type)
		}
		if r.ID == "" {
			te.criteria, err = s.criteria(r, r.Type, r.Query)
			return te, err
		}
		if err = s.onlyParams(r); err != nil {
			return nil, err
		}
		return te, namesID(e.resource, r.Type, r.ID)
	case Patch:
		if te.patch, err = s.patchOf(r); err != nil {
			return nil, e.relocate(err)
		}
		fallthrough
	case Delete:
		if r.ID == "" && r.Kind == Delete && s.cfg.DeleteLimit < 0 {
			return nil, noConditionalDelete()
		}
		if r.ID == "" {
			te.criteria, err = s.criteria(r, r.Type, r.Query)
			return te, err
		}
		return te, s.onlyParams(r)
	case Operate:
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "the operation $%s cannot be part of a transaction; call it by itself or in a batch", r.Operation.Name)
	}
	return te, nil
}

// register notes how others may refer to an entry, and refuses what is there
// twice (R4 http.html#3.1.0.11.2: the transaction SHALL fail).
func (b *txBundle) register(te *txEntry, identities map[string]int) error {
	r := te.req
	if !r.Kind.Writes() {
		return nil
	}
	if te.criteria != nil {
		b.locks = append(b.locks, te.criteria.lock)
		key := te.criteria.lock
		switch first, twice := b.byCriteria[key]; {
		case r.Kind == Create && twice:
			te.sameAs = first
		case r.Kind == Create:
			b.byCriteria[key] = te.index
		default:
			if _, twice := identities[key]; twice {
				return fhir.Errorf(400, fhir.CodeDuplicate, "Bundle.entry[%d] has the same criteria", identities[key])
			}
			identities[key] = te.index
		}
	} else if r.ID != "" {
		key := r.Type + "/" + r.ID
		if first, twice := identities[key]; twice {
			return fhir.Errorf(400, fhir.CodeDuplicate, "%s is changed by Bundle.entry[%d] already; a transaction may change a resource only once", key, first)
		}
		identities[key] = te.index
	}
	if te.fullURL != "" && (r.Kind == Create || r.Kind == Update) {
		if first, twice := b.byURL[te.fullURL]; twice {
			return fhir.Errorf(400, fhir.CodeDuplicate, "Bundle.entry[%d] has the same fullUrl", first)
		}
		b.byURL[te.fullURL] = te.index
	}
	return nil
}

// prepareTransaction is step 2.
func (s *Service) prepareTransaction(b *txBundle) error {
	for _, te := range b.entries {
		if te.req.Kind != Create && te.req.Kind != Update {
			continue
		}
		if err := s.findSites(b, te); err != nil {
			return atEntry(err, te.index)
		}
	}
	for _, te := range b.entries {
		if te.req.Kind != Create && te.req.Kind != Update {
			continue
		}
		waits := false
		for _, st := range te.sites {
			waits = waits || st.conditional != "" || st.entry >= 0 && b.entries[st.entry].id == ""
		}
		if waits {
			continue
		}
		d, err := s.finish(b, te, func(i int) string { return b.entries[i].req.Type + "/" + b.entries[i].id }, nil)
		if err != nil {
			return atEntry(err, te.index)
		}
		te.draft = d
	}
	return nil
}

// findSites keeps the references of an entry that must be rewritten.
func (s *Service) findSites(b *txBundle, te *txEntry) error {
	base := s.restfulBase(te.fullURL)
	for _, st := range s.sites(nil, te.resource, s.cfg.Definitions.Type(te.req.Type)) {
		if st.kind == siteNarrative {
			if _, changed := rewriteLinks(st.node.Text(), func(target string) (string, bool) {
				_, _, ok := b.local(target, base)
				return "", ok
			}); changed {
				te.sites = append(te.sites, txSite{site: st, entry: -1, suffix: base})
				for i := range b.entries { // a link may be to any entry, also to one that is not known yet
					if b.entries[i].id == "" && b.entries[i].fullURL != "" && strings.Contains(st.node.Text(), b.entries[i].fullURL) {
						te.sites[len(te.sites)-1].entry = i
					}
				}
			}
			continue
		}
		text := st.node.Text()
		if at, suffix, ok := b.local(text, base); ok {
			te.sites = append(te.sites, txSite{site: st, entry: at, suffix: suffix})
			continue
		}
		if st.kind != siteReference {
			continue
		}
		if strings.HasPrefix(text, "urn:uuid:") || strings.HasPrefix(text, "urn:oid:") {
			return fhir.Errorf(400, fhir.CodeNotFound, "the reference %q is the fullUrl of no entry that is created or updated", printable(text)).At(pathOf(st.node)).AtNode(st.node)
		}
		typ, query, ok := s.conditionalReference(text)
		if !ok {
			continue
		}
		params, err := ParseQuery(query)
		if err != nil {
			return fhir.AsError(err).At(pathOf(st.node)).AtNode(st.node)
		}
		c, err := s.criteria(te.req, typ, params)
		if err != nil {
			if fe := fhir.AsError(err); fe != nil {
				fe.Issues[0].Expression = nil
				return fe.At(pathOf(st.node)).AtNode(st.node)
			}
			return err
		}
		if at, ok := b.byCriteria[c.lock]; ok {
			te.sites = append(te.sites, txSite{site: st, entry: at})
			continue
		}
		if b.conditional[c.lock] == nil {
			b.conditional[c.lock], b.firstUse[c.lock] = c, st.node
			b.order = append(b.order, c.lock)
		}
		te.sites = append(te.sites, txSite{site: st, entry: -1, conditional: c.lock})
	}
	return nil
}

// local finds the entry that a reference means: by its fullUrl as written, or
// relative to the base of the referring entry's own fullUrl (R4
// bundle.html#references). suffix is what follows the fullUrl.
func (b *txBundle) local(text, base string) (at int, suffix string, ok bool) {
	if at, ok = b.byURL[text]; ok {
		return at, "", true
	}
	target, fragment, cut := strings.Cut(text, "#")
	if cut {
		suffix = "#" + fragment
	}
	if at, ok = b.byURL[target]; ok && target != "" {
		return at, suffix, true
	}
	if base != "" && target != "" && !strings.Contains(target, ":") {
		target, _, _ = strings.Cut(target, "/_history/")
		if at, ok = b.byURL[base+target]; ok {
			return at, suffix, true
		}
	}
	return 0, "", false
}

// finish rewrites the references of an entry and indexes it. to tells where an
// entry is stored ("Type/id"), matches what the conditional references found.
func (s *Service) finish(b *txBundle, te *txEntry, to func(entry int) string, matches map[string]string) (*draft, error) {
	splice := spliceOf(te.resource.Doc())
	for _, st := range te.sites {
		switch {
		case st.kind == siteNarrative:
			text, _ := rewriteLinks(st.node.Text(), func(target string) (string, bool) {
				at, suffix, ok := b.local(target, st.suffix)
				if !ok {
					return "", false
				}
				return to(at) + suffix, true
			})
			splice.replace(st.node, fhir.AppendString(nil, text))
		case st.conditional != "":
			splice.replace(st.node, fhir.AppendString(nil, matches[st.conditional]))
		default:
			splice.replace(st.node, fhir.AppendString(nil, to(st.entry)+st.suffix))
		}
	}
	from, end := te.resource.Span()
	doc, err := fhir.Parse(splice.window(from, end), s.limits(te.req.Type))
	if err != nil {
		return nil, err
	}
	return s.index(te.req.Type, doc)
}

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
	if err := s.deletesOf(b, p, matched); err != nil {
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
				if err := s.changeOf(ctx, w, b, p, i, refs); err != nil {
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
func (s *Service) deletesOf(b *txBundle, p *txPlan, matched map[string][]*store.Resource) error {
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
			changes = append(changes, s.deletion(old))
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
func (s *Service) changeOf(ctx context.Context, w writer, b *txBundle, p *txPlan, i int, refs map[string]string) error {
	te := b.entries[i]
	r := te.req
	if te.sameAs >= 0 { // the entry before has made it, or found it
		first := p.results[te.sameAs]
		p.results[i] = &Response{Status: 200, Version: first.Version, LastModified: first.LastModified, Location: first.Location, result: first.result}
		return nil
	}
	if r.Kind == Patch {
		change, err := s.patched(ctx, w, r, te.patch, p.old[i])
		if err != nil {
			return txRead(err)
		}
		p.changes = append(p.changes, change)
		p.results[i] = s.written(r, 200, &change)
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
		p.results[i] = s.written(r, 201, &change)
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
		p.results[i] = s.written(r, 201, &change)
		return nil
	}
	if p.results[i] = s.notModified(r, p.old[i]); p.results[i] != nil {
		return nil
	}
	change, status, err := s.replacement(w, r, d, p.ids[i], p.old[i])
	if err != nil {
		return txRead(err)
	}
	p.changes = append(p.changes, change)
	p.results[i] = s.written(r, status, &change)
	return nil
}

func overlap(ref string) error {
	return fhir.Errorf(400, fhir.CodeDuplicate, "%s is changed by more than one entry; a transaction may change a resource only once", ref)
}
