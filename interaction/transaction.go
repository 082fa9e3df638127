package interaction

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"ingle/fhir"
	"ingle/profiles"
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
	notes    []fhir.Issue
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
	byID        map[string]int       // "Type/id", or the criteria, of what is changed or deleted → entry
	conditional map[string]*criteria // conditional references by key
	firstUse    map[string]fhir.Node // where each of them stands, for errors
	order       []string             // keys of conditional, in the order of the Bundle
	locks       []string
}

func (s *Service) transaction(ctx context.Context, session *store.Session, req *Request, list fhir.Node) (*Response, error) {
	b, err := s.readTransaction(ctx, session, req, list)
	if err != nil {
		return nil, err
	}
	if err := s.prepareTransaction(b); err != nil {
		return b.failed(err), nil
	}
	results, err := s.store(ctx, session, req, b)
	if err != nil {
		return b.failed(err), nil
	}
	for i, r := range results {
		if r.Body, err = r.content(""); err != nil {
			return nil, fmt.Errorf("write the answer to entry %d: %w", i, err)
		}
		r.Stream = nil
	}
	resp := s.bundleResponse(req, "transaction-response", results)
	for i, te := range b.entries {
		resp.Entries = append(resp.Entries, entriesFor(te.req, results[i])...)
	}
	return resp, nil
}

// failed is the answer to a transaction of which nothing was done; the trail has what
// was to be.
func (b *txBundle) failed(err error) *Response {
	resp := Failed(err)
	for _, te := range b.entries {
		resp.Entries = append(resp.Entries, entriesFor(te.req, &Response{Status: resp.Status})...)
	}
	return resp
}

// store is step 3. Transactions that met with others wait for their turn, by
// locks on the resources that they change.
func (s *Service) store(ctx context.Context, session *store.Session, req *Request, b *txBundle) (results []*Response, err error) {
	var named []string
	plain := len(b.locks) == 0 && len(b.order) == 0
	for _, te := range b.entries {
		plain = plain && te.req.Kind.Writes()
		if te.req.ID != "" && te.req.Kind.Writes() {
			named = append(named, te.req.Type+"/"+te.req.ID)
		}
	}
	w := writerOf(session, req)
	run := func(st txStore) (err error) {
		results, err = s.runTransaction(ctx, st, w, b)
		return err
	}
	if plain {
		err = settle(ctx, session, named, run)
		return results, err
	}
	locks := b.locks
	err = session.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.Lock(ctx, locks); err != nil {
			return err
		}
		locks = append(slices.Clone(b.locks), named...) // if this is run again
		return run(tx)
	})
	return results, conflict(err)
}

// maxFaults is how many faults of a transaction are reported together.
const maxFaults = 50

// readTransaction is step 1.
func (s *Service) readTransaction(ctx context.Context, session *store.Session, req *Request, list fhir.Node) (*txBundle, error) {
	b := &txBundle{byURL: map[string]int{}, byCriteria: map[string]int{}, conditional: map[string]*criteria{}, firstUse: map[string]fhir.Node{}, byID: map[string]int{}}
	faults := txFaults{}
	i := 0
	for n := list.First(); n.Valid() && len(faults.issues) < maxFaults; n = n.Next() {
		e, err := s.entry(req, i, n)
		if err == nil {
			var te *txEntry
			if te, err = s.readTxEntry(e); err == nil {
				b.entries = append(b.entries, te)
				err = b.register(te)
			}
		}
		if err := faults.add(err, i); err != nil {
			return nil, err
		}
		i++
	}
	if err := s.checkTransaction(ctx, b, s.around(session, req), &faults); err != nil {
		return nil, err
	}
	return b, faults.err()
}

// checkTransaction validates the resources of a transaction, on all processors.
func (s *Service) checkTransaction(ctx context.Context, b *txBundle, around profiles.Around, faults *txFaults) error {
	errs := make([]error, len(b.entries))
	var wait errgroup.Group
	wait.SetLimit(runtime.GOMAXPROCS(0))
	const together = 16 // entries that one goroutine takes
	for from := 0; from < len(b.entries); from += together {
		wait.Go(func() error {
			for i := from; i < min(from+together, len(b.entries)); i++ {
				te := b.entries[i]
				if k := te.req.Kind; k == Create || k == Update {
					around := around
					around.Entry = b.neighbour(s.restfulBase(te.fullURL))
					te.notes, errs[i] = s.check(ctx, te.req.Type, te.resource, around)
				}
			}
			return nil
		})
	}
	_ = wait.Wait()
	for i, err := range errs {
		if err := faults.add(err, b.entries[i].index); err != nil {
			return err
		}
	}
	return nil
}

// neighbour finds the resource of another entry as a resource refers to it,
// that is to be stored.
func (b *txBundle) neighbour(base string) func(reference string) fhir.Node {
	return func(reference string) fhir.Node {
		at, _, ok := b.local(reference, base)
		if !ok {
			at, ok = b.byID[reference]
		}
		// a bad entry is not among the entries, and those after it move up
		if !ok || at >= len(b.entries) || b.entries[at].index != at {
			return fhir.Node{}
		}
		return b.entries[at].resource
	}
}

// txFaults are what is wrong with the entries of a transaction: a client wants
// to know of all bad entries at once.
type txFaults struct {
	issues []fhir.Issue
	status int
}

// add keeps the fault of an entry. It returns what is no fault of the client.
func (f *txFaults) add(err error, entry int) error {
	if err == nil || len(f.issues) >= maxFaults {
		return nil
	}
	fe := fhir.AsError(atEntry(err, entry))
	if fe == nil {
		return err
	}
	f.issues = append(f.issues, fe.Issues...)
	f.status = max(f.status, fe.Status)
	return nil
}

func (f *txFaults) err() error {
	if f.issues == nil {
		return nil
	}
	return &fhir.Error{Status: txStatus(f.status), Issues: f.issues}
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

func (s *Service) readTxEntry(e *entry) (*txEntry, error) {
	te := &txEntry{entry: e, sameAs: -1, id: e.req.ID}
	r := e.req
	var err error
	switch r.Kind {
	case Create, Update:
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
func (b *txBundle) register(te *txEntry) error {
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
			if _, twice := b.byID[key]; twice {
				return fhir.Errorf(400, fhir.CodeDuplicate, "Bundle.entry[%d] has the same criteria", b.byID[key])
			}
			b.byID[key] = te.index
		}
	} else if r.ID != "" {
		key := r.Type + "/" + r.ID
		if first, twice := b.byID[key]; twice {
			return fhir.Errorf(400, fhir.CodeDuplicate, "%s is changed by Bundle.entry[%d] already; a transaction may change a resource only once", key, first)
		}
		b.byID[key] = te.index
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
