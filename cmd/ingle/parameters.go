package main

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/interaction"
	"ingle/profiles"
	"ingle/search"
	"ingle/store"
)

// parameters keeps the registry of search parameters in step with the stored
// SearchParameter resources. A new one is building: from then on every write
// fills its index, a job takes the rows out of what was there before, and only
// when that is done searches may name it.
type parameters struct {
	registry *search.Registry
	log      *slog.Logger

	mu     sync.Mutex
	byID   map[string]*parameter // by logical id
	ready  map[string]bool       // subjects whose job is done
	failed map[string]bool       // subjects whose job was given up
}

// parameter is a search parameter that is stored.
type parameter struct {
	def *fhir.SearchParam
	// subject names this version in the list of jobs. One that was deleted and
	// stored again is built again: what was written meanwhile lacks its rows.
	subject string
}

// buildDelay is when the job of a new parameter begins: every server on the
// database has heard of the parameter by then.
const buildDelay = followEvery + 2*time.Second

// same tells whether two versions are indexed alike.
func same(a, b *fhir.SearchParam) bool {
	return a.URL == b.URL && a.Code == b.Code && a.Type == b.Type && a.Expression == b.Expression && slices.Equal(a.Base, b.Base) &&
		slices.Equal(a.Target, b.Target) && slices.Equal(a.Components, b.Components)
}

// active reads a SearchParameter resource, nil if it is not active.
func active(n fhir.Node) *fhir.SearchParam {
	if n.Get("status").Text() != "active" {
		return nil
	}
	def, err := search.ReadSearchParameter(n)
	if err != nil {
		return nil // not reached: it is asked of SearchParameters alone
	}
	return def
}

// changed takes a stored SearchParameter in, or away where body is nil.
func (p *parameters) changed(id string, body []byte) {
	var now parameter
	if body != nil {
		doc, err := fhir.Parse(body, fhir.Limits{})
		if err != nil {
			return // not reached: it was parsed before it was stored
		}
		now.def = active(doc.Root())
		now.subject = "SearchParameter/" + id + "/_history/" + doc.Root().Get("meta").Get("versionId").Text()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.byID[id]
	if old != nil && now.def != nil && same(old.def, now.def) {
		return
	}
	if old != nil {
		p.registry.Remove(old.def.URL)
		delete(p.byID, id)
	}
	if now.def == nil {
		return
	}
	state := search.Building
	if p.ready[now.subject] {
		state = search.Active
	}
	if err := p.registry.Add(now.def, state); err != nil {
		p.log.Debug("a stored SearchParameter is not in use", "id", id, "reason", err)
		return
	}
	p.byID[id] = &now
}

// catchUp starts jobs for the parameters that are building, and activates those
// whose job is done.
func (p *parameters) catchUp(ctx context.Context, db *store.DB) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.byID) == 0 {
		return nil
	}
	session := db.As(authz.System("search-parameters"))
	jobs, err := session.ReindexJobs(ctx)
	if err != nil {
		return err
	}
	for id, x := range p.byID {
		if p.ready[x.subject] {
			continue
		}
		switch job := jobs[x.subject]; {
		case job == nil:
			if _, err := session.StartReindex(ctx, x.subject, p.registry.Bases(x.def), buildDelay); err != nil {
				return err
			}
		case job.State == "failed" && !p.failed[x.subject]:
			p.failed[x.subject] = true
			p.log.Error("a search parameter could not be built; it stays refused until it is stored again", "id", id, "job", job.ID, "resources", job.Done)
		case job.State == "done":
			p.ready[x.subject] = true
			if err := p.registry.Add(x.def, search.Active); err != nil {
				return err
			}
			p.log.Info("a search parameter is active", "id", id, "resources", job.Done)
		}
	}
	return nil
}

// gate refuses to store an active SearchParameter that cannot be indexed.
type gate struct {
	profiles.Gate
	parameters *parameters
}

var _ interaction.Validator = gate{}

// Validate implements interaction.Validator.
func (g gate) Validate(ctx context.Context, resource fhir.Node, around profiles.Around) ([]fhir.Issue, error) {
	issues, err := g.Gate.Validate(ctx, resource, around)
	if err != nil || resource.Get("resourceType").Text() != "SearchParameter" {
		return issues, err
	}
	def := active(resource)
	if def == nil {
		return issues, nil
	}
	fault := fhir.AsError(g.parameters.registry.Check(def))
	if fault == nil {
		return issues, nil
	}
	is := fault.Issues[0]
	is.Line, is.Col = resource.LineCol()
	switch is.Expression[0] {
	case "SearchParameter.url", "SearchParameter.code": // FHIR has it already: stored, and without effect
		is.Severity = fhir.SeverityWarning
		return append(issues, is), nil
	}
	return nil, &fhir.Error{Status: fault.Status, Issues: []fhir.Issue{is}}
}

// catchUpExtraction has everything indexed anew where the index is not as this
// server would make it, and refuses searches for words until it is. It returns
// the number of the job, 0 if there is none.
func catchUpExtraction(ctx context.Context, db *store.DB, registry *search.Registry) (job int64, err error) {
	job, err = db.As(authz.System("extraction")).CatchUpExtraction(ctx)
	if err == nil {
		registry.FullTextBuilding(job != 0)
	}
	return job, err
}

// work runs jobs until ctx ends.
func work(ctx context.Context, db *store.DB, registry *search.Registry, log *slog.Logger) {
	session := db.As(authz.System("reindex"))
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	for {
		job, err := session.RunReindex(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Error("reindexing stopped; it goes on from there", "error", err)
		case job != nil && job.State == "failed":
			log.Error("reindexing is given up", "job", job.ID, "for", job.Subject, "resources", job.Done, "reason", job.Message)
		case job != nil:
			log.Info("reindexed", "job", job.ID, "resources", job.Done)
			continue // perhaps there is another one
		}
		if registry.TextBuilding() {
			if _, err := catchUpExtraction(ctx, db, registry); err != nil && ctx.Err() == nil {
				log.Warn("whether the index is built is not known", "error", err)
			}
		}
		if err := db.ForgetAsync(ctx); err != nil && ctx.Err() == nil {
			log.Warn("expired answers are not deleted yet", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
