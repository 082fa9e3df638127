package terminology

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"ingle/fhir"
	"ingle/store"
)

// Preparation compiles the code systems and value sets that the database holds
// as resources before anybody asks for them: at the start, and after each change.
// It works on one at a time. What it makes is kept in this server's memory, so
// each server prepares for itself, and again after a restart.
type Preparation struct {
	svc     *Service
	conf    *store.Conformance
	session func() *store.Session
	source  func(context.Context, *store.Session) (Source, error)
	wake    chan struct{}

	last    *store.Snapshot // that the entries are made from; Run's own
	imports string          // imported versions at that time; Run's own

	mu      sync.Mutex
	entries map[string]*preparing // by Type/id
}

// Prepared is how far the preparation of a code system or value set is.
type Prepared struct {
	Type     string           `json:"type"`               // CodeSystem or ValueSet
	ID       string           `json:"id,omitempty"`       // logical id; none for what was imported
	Imported bool             `json:"imported,omitempty"` // into tables of its own, where it needs no preparation
	URL      string           `json:"url"`
	Version  string           `json:"version,omitempty"`
	State    PreparationState `json:"state"`
	Since    time.Time        `json:"since,omitzero"`   // of the state
	Size     *int             `json:"size,omitempty"`   // concepts or members; nil where not known
	Reason   string           `json:"reason,omitempty"` // why it failed, or what else to know
}

// PreparationState says where a resource stands.
type PreparationState string

// Evicted is what was ready, and had to leave the memory for others: its next
// use compiles it again.
const (
	Pending         PreparationState = "pending"
	Preparing       PreparationState = "preparing"
	Ready           PreparationState = "ready"
	Failed          PreparationState = "failed"
	Evicted         PreparationState = "evicted"
	NothingPrepared PreparationState = "off" // nothing is kept in memory
)

// preparing is one resource's entry.
type preparing struct {
	Prepared
	at    store.Canonical
	key   string   // of its content
	needs []string // canonical URLs that took part
}

// NewPreparation makes a Preparation. session sees everything that is stored;
// source is the content that it is taken with.
func (s *Service) NewPreparation(conf *store.Conformance, session func() *store.Session, source func(context.Context, *store.Session) (Source, error)) *Preparation {
	return &Preparation{svc: s, conf: conf, session: session, source: source, wake: make(chan struct{}, 1), entries: map[string]*preparing{}}
}

// Changed tells that this server changed a resource: Run looks at once.
func (p *Preparation) Changed() {
	select {
	case p.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// prepareEvery is how late Run hears of what other servers change. After a change
// of this server it waits for gather, as others often follow.
const (
	prepareEvery = 5 * time.Second
	gather       = 200 * time.Millisecond
)

// Run prepares what is stored, and what changes, until ctx ends.
func (p *Preparation) Run(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(prepareEvery)
	defer tick.Stop()
	for {
		if err := p.round(ctx); err != nil && ctx.Err() == nil {
			log.Warn("stored terminology could not be prepared; it is tried again", "error", err)
		}
		select {
		case <-tick.C:
		case <-p.wake:
			select {
			case <-time.After(gather):
			case <-ctx.Done():
			}
		case <-ctx.Done():
			return
		}
	}
}

// round looks what changed and prepares what is pending. Its error is the
// database's: what could not be read stays pending.
func (p *Preparation) round(ctx context.Context) error {
	session := p.session()
	snap, err := p.conf.Snapshot(ctx, session)
	if err != nil {
		return err
	}
	imports, err := p.imported(ctx)
	if err != nil {
		return err
	}
	if !snap.Same(p.last) || imports != p.imports {
		if err := p.look(ctx, snap, imports != p.imports); err != nil {
			return err
		}
		p.last, p.imports = snap, imports
	}
	var failed error
	for _, e := range p.pending() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p.svc.cache == nil {
			p.put(e, NothingPrepared, nil, "")
			continue
		}
		p.put(e, Preparing, nil, "")
		size, note, err := p.prepare(ctx, session, snap, e)
		err = asClientError(err)
		var fe *fhir.Error
		switch {
		case err == nil:
			p.put(e, Ready, size, note)
		case errors.As(err, &fe) && fe.Status < 500:
			p.put(e, Failed, nil, orElse(fe.Issues[0].Details, fe.Issues[0].Diagnostics))
		default:
			p.put(e, Pending, nil, "it could not be read; it is tried again")
			failed = fmt.Errorf("prepare %s/%s: %w", e.Type, e.ID, err)
		}
	}
	return failed
}

// imported names the imported versions that are there.
func (p *Preparation) imported(ctx context.Context) (string, error) {
	if p.svc.opt.Concepts == nil {
		return "", nil
	}
	list, err := p.svc.opt.Concepts.Versions(ctx, "")
	if err != nil {
		return "", err
	}
	ids := make([]int, len(list))
	for i := range list {
		ids[i] = int(list[i].ID)
	}
	slices.Sort(ids)
	return fmt.Sprint(ids), nil
}

// look makes what is new or changed pending, and the value sets that it takes
// part in; what failed is tried again, for what it lacked may be there now.
func (p *Preparation) look(ctx context.Context, snap *store.Snapshot, imports bool) error {
	var all []store.Canonical
	for _, t := range []string{"CodeSystem", "ValueSet"} {
		list, err := snap.All(ctx, t)
		if err != nil {
			return err
		}
		all = append(all, list...)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.svc.opt.Now()
	changed, there := map[string]bool{}, map[string]bool{}
	for _, x := range all {
		name, key := x.Type+"/"+x.ID, contentKey(x.Type, x.ID, x.VersionID, x.LastUpdated)
		there[name] = true
		e := p.entries[name]
		if e != nil && e.key == key {
			continue
		}
		if e != nil {
			changed[e.URL] = true
		}
		changed[x.URL] = true
		p.entries[name] = &preparing{Prepared: Prepared{Type: x.Type, ID: x.ID, URL: x.URL, Version: x.Version, State: Pending, Since: now}, at: x, key: key}
	}
	for name, e := range p.entries {
		switch {
		case !there[name]:
			changed[e.URL] = true
			delete(p.entries, name)
		case e.State == Failed:
			e.State, e.Since = Pending, now
		}
	}
	for _, e := range p.entries {
		if e.Type == "ValueSet" && e.State == Ready && (imports || slices.ContainsFunc(e.needs, func(url string) bool { return changed[url] })) {
			e.State, e.Since = Pending, now
		}
	}
	return nil
}

// pending lists what is to be done: code systems before the value sets that need
// them.
func (p *Preparation) pending() []*preparing {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []*preparing
	for _, e := range p.entries {
		if e.State == Pending {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, comparePrepared)
	return out
}

func comparePrepared(a, b *preparing) int {
	if c := strings.Compare(a.Type, b.Type); c != 0 {
		return c
	}
	if c := strings.Compare(a.URL, b.URL); c != 0 {
		return c
	}
	if c := compareVersions(a.Version, b.Version); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func (p *Preparation) put(e *preparing, state PreparationState, size *int, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.State != state {
		e.State, e.Since = state, p.svc.opt.Now()
	}
	e.Size, e.Reason = size, reason
}

// prepare compiles a resource and, for a value set, finds its members once,
// which compiles all that it is made of. size is nil where only the database can
// count them.
func (p *Preparation) prepare(ctx context.Context, session *store.Session, snap *store.Snapshot, e *preparing) (size *int, note string, err error) {
	res := (&storeSource{conf: p.conf, session: session, snap: snap}).resource(ctx, e.at)
	if e.Type == "CodeSystem" {
		c, err := compiled(p.svc, res, compileSystem)
		if err != nil {
			return nil, "", err
		}
		n := len(c.concepts)
		return &n, "", nil
	}
	v, err := compiled(p.svc, res, func(n fhir.Node) (*valueSet, error) { return compileValueSet(n, 0) })
	if err != nil {
		return nil, "", err
	}
	src, err := p.source(ctx, session)
	if err != nil {
		return nil, "", err
	}
	r := p.svc.newRun(ctx, src)
	defer func() {
		p.mu.Lock()
		e.needs = r.named()
		p.mu.Unlock()
	}()
	if err := r.acyclic(v, map[*valueSet]bool{}); err != nil {
		return nil, "", err
	}
	b := &setBuilder{r: r, limit: p.svc.opt.MaxWork}
	set, err := b.set(v)
	if err != nil {
		return nil, "", err
	}
	if b.n > maxSet {
		note = fmt.Sprintf("searches cannot use it with :in and :not-in, which take at most %d codes of resources; import the code systems that it uses", maxSet)
	}
	if list, ok := set.list(); ok {
		n := len(list)
		size = &n
	}
	return size, note, nil
}

// named lists the URLs of the code systems and value sets that took part.
func (r *run) named() []string {
	var out []string
	add := func(canonical string) {
		url, _, _ := strings.Cut(canonical, "|")
		out = append(out, url)
	}
	for c := range r.systems {
		add(c)
	}
	for c := range r.sets {
		add(c)
	}
	return out
}

// List tells of all stored code systems and value sets, and of those imported.
func (p *Preparation) List(ctx context.Context) ([]Prepared, error) {
	var all []*preparing
	if p.svc.opt.Concepts != nil {
		list, err := p.svc.opt.Concepts.Versions(ctx, "")
		if err != nil {
			return nil, err
		}
		for i := range list {
			v := &list[i]
			all = append(all, &preparing{Prepared: Prepared{Type: "CodeSystem", Imported: true, URL: v.URL, Version: v.Version, State: Ready, Size: &v.Concepts}})
		}
	}
	p.mu.Lock()
	for _, e := range p.entries {
		x := *e
		if x.State == Ready && p.svc.cache != nil && !p.svc.cache.Has(x.key) {
			x.State = Evicted
		}
		all = append(all, &x)
	}
	p.mu.Unlock()
	slices.SortFunc(all, comparePrepared)
	out := make([]Prepared, len(all))
	for i, e := range all {
		out[i] = e.Prepared
	}
	return out, nil
}
