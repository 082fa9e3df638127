package interaction

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"ingle/fhir"
	"ingle/store"
)

const metaDefinition = "http://hl7.org/fhir/OperationDefinition/Resource-"

// metaOperations are $meta, $meta-add and $meta-delete (R4
// resource-operations.html). The latter two change the current version in its
// place: neither versionId nor lastUpdated moves. Who adds or takes away a
// security label needs the right to update under the labels before and after.
func (s *Service) metaOperations() []*Operation {
	return []*Operation{
		{Name: "meta", Definition: metaDefinition + "meta", System: true, Type: true, Instance: true, Do: s.meta},
		{Name: "meta-add", Definition: metaDefinition + "meta-add", Instance: true, AffectsState: true, Do: s.editMeta(metaEdit.added)},
		{Name: "meta-delete", Definition: metaDefinition + "meta-delete", Instance: true, AffectsState: true, Do: s.editMeta(metaEdit.removed)},
	}
}

// meta answers with the meta of a resource, or with the profiles, tags and
// security labels in use in a type or in the whole system, as far as the caller
// may see.
func (s *Service) meta(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if err := s.onlyParams(req); err != nil {
		return nil, err
	}
	if req.ID == "" {
		var types []string
		if req.Type != "" {
			types = []string{req.Type}
		}
		used, err := session.MetaInUse(ctx, types)
		if err != nil {
			return nil, err
		}
		meta, err := summary(used)
		return metaAnswer(meta), err
	}
	res, err := session.Read(ctx, req.Type, req.ID)
	switch {
	case err != nil:
		return nil, err
	case res == nil:
		return nil, unknown(req.Type, req.ID)
	case res.Deleted():
		return gone(res), nil
	}
	doc, err := fhir.Parse(res.Body, s.limits(req.Type))
	if err != nil {
		return nil, err
	}
	return metaAnswer(doc.Root().Get("meta").Raw()), nil
}

func metaAnswer(meta []byte) *Response {
	body := append([]byte(`{"resourceType":"Parameters","parameter":[{"name":"return","valueMeta":`), meta...)
	return &Response{Status: http.StatusOK, Body: append(body, "}]}"...), Rows: 1}
}

// summary is one meta with every profile, tag and security label once.
func summary(used *store.MetaInUse) ([]byte, error) {
	type coding struct {
		system, code string
		raw          []byte
	}
	lists := map[string][]coding{}
	for _, p := range used.Profiles {
		lists["profile"] = append(lists["profile"], coding{code: p, raw: fhir.AppendString(nil, p)})
	}
	for _, raw := range used.Metas {
		doc, err := fhir.Parse(raw, fhir.Limits{})
		if err != nil {
			return nil, err
		}
		for _, name := range []string{"security", "tag"} {
			for c := doc.Root().Get(name).First(); c.Valid(); c = c.Next() {
				x := coding{c.Get("system").Text(), c.Get("code").Text(), c.Raw()}
				alike := func(o coding) bool { return o.system == x.system && o.code == x.code }
				if !slices.ContainsFunc(lists[name], alike) {
					lists[name] = append(lists[name], x)
				}
			}
		}
	}
	out := []byte{'{'}
	for _, name := range metaLists {
		list := lists[name]
		slices.SortStableFunc(list, func(a, b coding) int { return cmp.Or(cmp.Compare(a.system, b.system), cmp.Compare(a.code, b.code)) })
		raws := make([][]byte, len(list))
		for i, c := range list {
			raws[i] = c.raw
		}
		out = appendList(out, name, raws)
	}
	return append(out, '}'), nil
}

// editMeta is an operation that changes the meta of one resource.
func (s *Service) editMeta(edit func(metaEdit, []fhir.Node, []fhir.Node) []fhir.Node) func(context.Context, *store.Session, *Request) (*Response, error) {
	return func(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
		if err := s.onlyParams(req); err != nil {
			return nil, err
		}
		given, err := s.givenMeta(ctx, req)
		if err != nil {
			return nil, err
		}
		var resp *Response
		err = session.InTx(ctx, func(tx *store.Tx) error {
			old, err := tx.ReadToAmend(ctx, req.Type, req.ID)
			switch {
			case err != nil:
				return err
			case old == nil:
				return unknown(req.Type, req.ID)
			case old.Deleted():
				resp = gone(old)
				return nil
			}
			if err := req.mayReplace(old); err != nil {
				return err
			}
			change, meta, err := s.amended(ctx, session, old, given, edit)
			if err != nil {
				return err
			}
			resp = metaAnswer(meta)
			if change == nil {
				return nil
			}
			return tx.Amend(ctx, *change)
		})
		if err != nil {
			return nil, conflict(err)
		}
		return resp, nil
	}
}

// givenMeta reads the operation's only parameter.
func (s *Service) givenMeta(ctx context.Context, req *Request) (fhir.Node, error) {
	doc, err := bodyDoc(req)
	if err != nil {
		return fhir.Node{}, err
	}
	if doc == nil {
		return fhir.Node{}, fhir.Errorf(400, fhir.CodeRequired, "$%s needs a body: Parameters with the parameter meta (valueMeta)", req.Operation.Name)
	}
	if _, err := s.format.Validate(ctx, doc.Root(), s.around(nil, req)); err != nil {
		return fhir.Node{}, err
	}
	var meta fhir.Node
	for p := doc.Root().Get("parameter").First(); p.Valid(); p = p.Next() {
		if p.Get("name").Text() != "meta" || !p.Get("valueMeta").Valid() || meta.Valid() {
			return fhir.Node{}, fhir.Errorf(400, fhir.CodeInvalid, "$%s takes one parameter, meta, with valueMeta", req.Operation.Name).AtNode(p)
		}
		meta = p.Get("valueMeta")
	}
	if !meta.Valid() {
		return fhir.Node{}, fhir.Errorf(400, fhir.CodeRequired, "the parameter meta (valueMeta) is missing").At("Parameters.parameter")
	}
	return meta, nil
}

// amended makes the change of one resource, nil where there is nothing to do,
// and the meta that it then has.
func (s *Service) amended(ctx context.Context, session *store.Session, old *store.Resource, given fhir.Node, edit func(metaEdit, []fhir.Node, []fhir.Node) []fhir.Node) (*store.Change, []byte, error) {
	doc, err := fhir.Parse(old.Body, s.limits(old.Type))
	if err != nil {
		return nil, nil, err
	}
	meta := doc.Root().Get("meta")
	m := metaEdit{s.cfg.Labels}
	with, profiles, changed := m.rewrite(meta, given, edit)
	if changed {
		sp := spliceOf(doc)
		sp.replace(meta, with)
		if doc, err = fhir.Parse(sp.bytes(), s.limits(old.Type)); err != nil {
			return nil, nil, err
		}
	}
	paths, err := s.cfg.Labels.ForExplicit(session.Scope(), doc, old.Labels)
	if err != nil {
		return nil, nil, err
	}
	if body, stamped := s.cfg.Labels.Stamp(doc, paths); stamped {
		if doc, err = fhir.Parse(body, s.limits(old.Type)); err != nil {
			return nil, nil, err
		}
	}
	meta = doc.Root().Get("meta")
	if !changed {
		return nil, meta.Raw(), nil
	}
	if profiles { // what the resource claims to be must hold
		if _, err := s.check(ctx, old.Type, doc.Root(), s.around(session, &Request{})); err != nil {
			return nil, nil, err
		}
	}
	d, err := s.index(old.Type, doc)
	if err != nil {
		return nil, nil, err
	}
	return &store.Change{Op: store.OpUpdate, Old: old, Type: old.Type, ID: old.ID, Version: old.Version, LastUpdated: old.LastUpdated,
		Body: doc.Source(), Rows: d.rows, Labels: paths}, meta.Raw(), nil
}
