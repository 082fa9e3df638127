package interaction

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"ingle/authz"
	"ingle/fhir"
	"ingle/profiles"
	"ingle/search"
	"ingle/store"
)

// A draft is a resource that was read, checked and indexed, but has no id and
// version yet. It does not change, so that a transaction that is run again can
// use it again.
type draft struct {
	doc  *fhir.Doc
	typ  string
	rows *search.Rows
	// notes are what validation has to say of a resource that may be stored.
	notes []fhir.Issue
}

// draft reads a resource of the given type from a request's body. around is
// what validation knows besides.
func (s *Service) draft(ctx context.Context, typ string, body []byte, around profiles.Around) (*draft, error) {
	if len(body) == 0 {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "the request has no body; a %s resource is expected", typ)
	}
	doc, err := fhir.Parse(body, s.limits(typ))
	if err != nil {
		return nil, err
	}
	notes, err := s.check(ctx, typ, doc.Root(), around)
	if err != nil {
		return nil, err
	}
	d, err := s.index(typ, doc)
	if err != nil {
		return nil, err
	}
	if d.notes = notes; d.rows.WordsCut {
		d.notes = append(d.notes, fhir.Issue{Severity: fhir.SeverityWarning, Code: fhir.CodeTooLong,
			Diagnostics: "the resource has more words than the full-text index holds of one: _text, _content and :text find it by the first of them only"})
	}
	return d, nil
}

// limits are those of a resource of the given type. A Binary is one long
// string, a Bundle many resources.
func (s *Service) limits(typ string) fhir.Limits {
	lim := s.cfg.Limits
	switch typ {
	case "Binary":
		lim.String = 1 << 28
	case "Bundle":
		return s.cfg.BundleLimits
	}
	return lim
}

func (s *Service) index(typ string, doc *fhir.Doc) (*draft, error) {
	start := time.Now()
	rows, err := s.registry.IndexRows(doc)
	if s.cfg.Indexed != nil {
		s.cfg.Indexed(time.Since(start))
	}
	if err != nil {
		return nil, fmt.Errorf("index a %s: %w", typ, err)
	}
	return &draft{doc: doc, typ: typ, rows: rows}, nil
}

// A writer is who writes, as the rules of security labels need to know.
type writer struct {
	scope authz.Scope
	path  string // where a new resource without a label belongs, "" where not said
}

func writerOf(session *store.Session, req *Request) writer {
	return writer{session.Scope(), req.ResourcePath}
}

// version makes the change that stores the draft, as a new resource or in the
// place of an old version. It decides the labels of the new version and checks
// that the caller may write it; its errors for that are *fhir.Error.
func (s *Service) version(w writer, d *draft, op store.Op, id string, old *store.Resource) (store.Change, error) {
	var paths []string
	var err error
	switch {
	case old == nil || old.Deleted():
		paths, err = s.cfg.Labels.ForCreate(w.scope, d.doc, w.path)
	case op == store.OpPatch:
		paths, err = s.cfg.Labels.ForExplicit(w.scope, d.doc, old.Labels)
	default:
		paths, err = s.cfg.Labels.ForUpdate(w.scope, d.doc, old.Labels)
	}
	if err != nil {
		return store.Change{}, err
	}
	if body, changed := s.cfg.Labels.Stamp(d.doc, paths); changed {
		doc, err := fhir.Parse(body, s.limits(d.typ))
		if err != nil {
			return store.Change{}, err
		}
		if d, err = s.index(d.typ, doc); err != nil {
			return store.Change{}, err
		}
	}
	c := store.Change{Op: op, Old: old, Type: d.typ, ID: id, Version: 1, LastUpdated: s.db.Time(old), Rows: d.rows, Labels: paths}
	if old != nil {
		c.Version = old.Version + 1
	}
	c.Body = stamp(d.doc, id, c.Version, c.LastUpdated)
	return c, nil
}

// stamp splices id, meta.versionId and meta.lastUpdated into a resource. What
// the client sent for them is replaced (R4 http.html#create, #update).
func stamp(doc *fhir.Doc, id string, version int, lastUpdated time.Time) []byte {
	root := doc.Root()
	s := spliceOf(doc)
	set := func(object fhir.Node, name string, value []byte) {
		if old := object.Get(name); old.Valid() {
			s.replace(old, value)
		} else {
			s.add(object, name, value)
		}
	}
	versionID := strconv.AppendQuote(nil, strconv.Itoa(version))
	updated := strconv.AppendQuote(nil, instant(lastUpdated))
	set(root, "id", fhir.AppendString(nil, id))
	if meta := root.Get("meta"); meta.Kind() == fhir.Object {
		set(meta, "versionId", versionID)
		set(meta, "lastUpdated", updated)
	} else {
		m := append([]byte(`{"versionId":`), versionID...)
		m = append(m, `,"lastUpdated":`...)
		m = append(m, updated...)
		set(root, "meta", append(m, '}'))
	}
	return s.bytes()
}

// instant writes a time as the instant of a version.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

// bodyID returns the id in a resource, "" if there is none.
func (d *draft) bodyID() string { return d.doc.Root().Get("id").Text() }

// subsetted tells whether a resource says of itself that it is not whole.
func subsetted(resource fhir.Node) bool {
	for tag := resource.Get("meta").Get("tag").First(); tag.Valid(); tag = tag.Next() {
		if tag.Get("code").Text() == "SUBSETTED" {
			return true
		}
	}
	return false
}
