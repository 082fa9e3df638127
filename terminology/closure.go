package terminology

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"ingle/fhir"
	"ingle/store/concepts"
)

// maxClosure is how many codings a closure table holds, and maxClosures how many
// tables a caller may have.
const (
	maxClosure  = 10_000
	maxClosures = 1_000
)

// Closure answers $closure (R4 terminology-service 4.7.9): the relations that
// new codings bring to the caller's table, or all since a version.
func (s *Service) Closure(ctx context.Context, src Source, owner string, p *Parameters) ([]byte, error) {
	if s.opt.Concepts == nil {
		return nil, fhir.Errorf(422, fhir.CodeNotSupported, "this server keeps no closure tables")
	}
	r := s.newRun(ctx, src)
	if err := s.prepare(r, p); err != nil {
		return nil, err
	}
	rd := reader{p: p}
	name, since := rd.text("name"), rd.text("version")
	if rd.err != nil {
		return nil, rd.err
	}
	if name == "" || len(name) > 200 {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "the parameter name is required and at most 200 characters long")
	}
	var codings []Coding
	for i := range p.List {
		if p.List[i].Name == "concept" {
			c := codingOf(p.List[i].Node)
			if c.System == "" || c.Code == "" {
				return nil, fhir.Errorf(400, fhir.CodeInvalid, "a concept needs system and code")
			}
			codings = append(codings, c)
		}
	}
	if since != "" && len(codings) > 0 {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "send either concepts to add or a version to replay from, not both")
	}
	if len(codings) == 0 && since == "" {
		err := s.opt.Concepts.ResetClosure(ctx, owner, name, maxClosures)
		if errors.Is(err, concepts.ErrClosureFull) {
			return nil, fhir.Errorf(422, fhir.CodeTooCostly, "a caller may have %d closure tables; use one of them again", maxClosures)
		}
		if err != nil {
			return nil, err
		}
		return closureMap(name, 0, nil, s.opt.Now()), nil
	}
	from := 0
	if since != "" {
		n, err := strconv.Atoi(since)
		if err != nil || n < 0 {
			return nil, fhir.Errorf(400, fhir.CodeValue, "the version %q is not one that this closure table had", since)
		}
		from = n
	}
	for i := range codings { // what is not defined never enters a table
		sys, err := r.system(codings[i].System, codings[i].Version)
		if err != nil {
			return nil, asClientError(err)
		}
		c, err := r.defined(sys, codings[i].Code)
		if err != nil {
			return nil, err
		}
		codings[i].Code = c.Code
	}
	systems, codes := make([]string, len(codings)), make([]string, len(codings))
	for i, c := range codings {
		systems[i], codes[i] = c.System, c.Code
	}
	all, version, ok, err := s.opt.Concepts.ExtendClosure(ctx, owner, name, systems, codes, maxClosure)
	if errors.Is(err, concepts.ErrClosureFull) {
		return nil, fhir.Errorf(422, fhir.CodeTooCostly, "the closure table %q would have more than %d codings; none of these were added", name, maxClosure)
	}
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is no closure table %q; call $closure with its name alone to make it", name)
	}
	if since != "" && from > version {
		return nil, fhir.Errorf(400, fhir.CodeValue, "the closure table is at version %d; there is no version %d", version, from)
	}
	if since == "" {
		from = version - 1
		if !addedAny(all, version) {
			from = version
		}
	}
	relations, err := r.relations(all, from)
	if err != nil {
		return nil, asClientError(err)
	}
	return closureMap(name, version, relations, s.opt.Now()), nil
}

func addedAny(all []concepts.Coding, version int) bool {
	for _, c := range all {
		if c.Added == version {
			return true
		}
	}
	return false
}

// relation says that the target subsumes the source, or equals it.
type relation struct{ system, source, target, equivalence string }

// relations are those between codings of which at least one was added after a
// version.
func (r *run) relations(all []concepts.Coding, after int) ([]relation, error) {
	bySystem := map[string][]int{}
	var urls []string
	for i, c := range all {
		if bySystem[c.System] == nil {
			urls = append(urls, c.System)
		}
		bySystem[c.System] = append(bySystem[c.System], i)
	}
	var out []relation
	for _, url := range urls {
		places := bySystem[url]
		if !slices.ContainsFunc(places, func(i int) bool { return all[i].Added > after }) {
			continue
		}
		sys, err := r.system(url, "")
		if err != nil {
			return nil, err
		}
		listed := &include{system: url}
		for _, i := range places {
			listed.concepts = append(listed.concepts, conceptRef{code: all[i].Code})
		}
		defined := make([]*Concept, len(places))
		for k := range places {
			if defined[k], err = r.listedConcept(sys, listed, k); err != nil {
				return nil, err
			}
		}
		for k, i := range places {
			if defined[k] == nil {
				continue // the system lost it
			}
			// to compare what was read is far less than to look it up
			if err := r.spend(1 + len(places)/100); err != nil {
				return nil, err
			}
			for k2, i2 := range places {
				if k == k2 || defined[k2] == nil || all[i].Added <= after && all[i2].Added <= after {
					continue
				}
				up, err := sys.Subsumes(r.ctx, defined[k2], defined[k])
				if err != nil {
					return nil, err
				}
				if up {
					out = append(out, relation{url, all[i].Code, all[i2].Code, "subsumes"})
				}
			}
		}
	}
	return out, nil
}

func closureMap(name string, version int, relations []relation, now time.Time) []byte {
	w := &writer{}
	w.open('{').str("resourceType", "ConceptMap").str("id", newUUID()).str("version", fmt.Sprint(version)).str("name", name)
	w.str("status", "active").boolean("experimental", true).str("date", now.UTC().Format("2006-01-02T15:04:05Z"))
	var systems []string
	bySystem := map[string][]string{}
	byCode := map[string][]relation{}
	for _, r := range relations {
		if _, ok := bySystem[r.system]; !ok {
			systems = append(systems, r.system)
		}
		k := r.system + "\x00" + r.source
		if byCode[k] == nil {
			bySystem[r.system] = append(bySystem[r.system], r.source)
		}
		byCode[k] = append(byCode[k], r)
	}
	if len(systems) > 0 {
		w.key("group").open('[')
		for _, sys := range systems {
			w.open('{').str("source", sys).str("target", sys).key("element").open('[')
			for _, code := range bySystem[sys] {
				w.open('{').str("code", code).key("target").open('[')
				for _, r := range byCode[sys+"\x00"+code] {
					w.open('{').str("code", r.target).str("equivalence", r.equivalence).close('}')
				}
				w.close(']').close('}')
			}
			w.close(']').close('}')
		}
		w.close(']')
	}
	return w.close('}').b
}
