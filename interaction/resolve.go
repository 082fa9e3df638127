package interaction

import (
	"net/url"
	"strings"

	"ingle/fhir"
	"ingle/search"
)

// Resolve tells which interaction a method and a path below the base URL ask
// for ("GET", "/Patient/1/_history/2"). The path is still percent-encoded and
// may end in a slash. The Request has Kind, Type, ID, Version, Operation,
// Compartment and Head set. Its errors are 404 for what is not there and 405,
// with the methods that are allowed. It serves HTTP and Bundle entries alike.
func (s *Service) Resolve(method, path string) (*Request, error) {
	seg, err := segments(path)
	if err != nil {
		return nil, err
	}
	req := &Request{}
	var allowed methods
	switch {
	case len(seg) == 0:
		allowed = methods{"GET": SearchSystem, "POST": Batch}
	case len(seg) == 1 && seg[0] == "metadata":
		allowed = methods{"GET": Capabilities}
	case len(seg) > 1 && seg[0] == asyncPath && !fhir.ValidID(seg[1]):
		err = noAsync()
	case len(seg) == 2 && seg[0] == asyncPath:
		req.ID = seg[1]
		allowed = methods{"GET": AsyncStatus, "DELETE": AsyncCancel}
	case len(seg) == 3 && seg[0] == asyncPath:
		req.ID, req.File = seg[1], seg[2]
		allowed = methods{"GET": AsyncFile}
	case seg[0][0] == '$' || seg[0][0] == '_':
		allowed, err = s.below(req, seg, methods{"_history": HistorySystem, "_search": SearchSystem})
	default:
		req.Type = seg[0]
		if !s.cfg.Definitions.IsResourceType(req.Type) {
			if len(seg) == 1 && !capital(req.Type) {
				return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is nothing at /%s", printable(req.Type))
			}
			return nil, s.noType(req.Type)
		}
		switch {
		case len(seg) == 1:
			allowed = methods{"GET": SearchType, "POST": Create, "PUT": Update, "PATCH": Patch, "DELETE": Delete}
		case seg[1][0] == '$' || seg[1][0] == '_':
			allowed, err = s.below(req, seg[1:], methods{"_history": HistoryType, "_search": SearchType})
		default:
			allowed, err = s.resolveInstance(req, seg[1:], method)
		}
	}
	if err != nil {
		return nil, err
	}
	as := method
	if method == "HEAD" {
		as, req.Head = "GET", true
	}
	kind, ok := allowed[as]
	if !ok {
		return nil, notAllowed(method, allowed)
	}
	req.Kind = kind
	return req, nil
}

// methods maps HTTP methods to interactions.
type methods map[string]Kind

func (s *Service) resolveInstance(req *Request, seg []string, method string) (methods, error) {
	req.ID = seg[0]
	if !fhir.ValidID(req.ID) {
		if method == "PUT" && len(seg) == 1 {
			return nil, badID(req.ID)
		}
		return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is no %s with such an id: an id has 1 to 64 of the characters A-Z a-z 0-9 - .", req.Type)
	}
	switch {
	case len(seg) == 1:
		return methods{"GET": Read, "PUT": Update, "PATCH": Patch, "DELETE": Delete}, nil
	case seg[1] == "_history" && len(seg) == 3:
		req.Version = seg[2]
		return methods{"GET": VRead}, nil
	case seg[1] == "_search" && s.cfg.Definitions.Compartment(req.Type) != nil:
		// POST Patient/1/_search is the form of GET Patient/1/*
		return s.inCompartment(req, append([]string{"*"}, seg[1:]...))
	case seg[1][0] == '$' || seg[1][0] == '_':
		return s.below(req, seg[1:], methods{"_history": HistoryInstance})
	}
	return s.inCompartment(req, seg[1:])
}

// inCompartment resolves Patient/1/Observation, Patient/1/* and their _search.
func (s *Service) inCompartment(req *Request, seg []string) (methods, error) {
	name, id := req.Type, req.ID
	c := s.cfg.Definitions.Compartment(name)
	if c == nil {
		return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is nothing below %s/%s but _history and operations: %s is not a compartment", name, id, name)
	}
	if len(seg) > 2 || len(seg) == 2 && seg[1] != "_search" {
		return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is nothing at this path")
	}
	kind := SearchType
	req.Type, req.ID, req.Compartment, req.CompartmentID = seg[0], "", name, id
	switch _, member := c.Params[seg[0]]; {
	case seg[0] == "*":
		req.Type, kind = "", SearchSystem
	case !s.cfg.Definitions.IsResourceType(seg[0]):
		return nil, s.noType(seg[0])
	case !member && seg[0] != name:
		return nil, fhir.Errorf(404, fhir.CodeNotSupported, "%s is not part of the %s compartment", seg[0], name)
	}
	if len(seg) == 2 {
		return methods{"POST": kind}, nil
	}
	return methods{"GET": kind}, nil
}

// below resolves "_history", "_search" and "$operation" at any level.
func (s *Service) below(req *Request, seg []string, special methods) (methods, error) {
	if len(seg) > 1 {
		return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is nothing at this path")
	}
	if seg[0][0] == '$' {
		op := s.operation(seg[0][1:], req)
		if op == nil {
			return nil, fhir.Errorf(404, fhir.CodeNotSupported, "there is no operation %q here", printable(seg[0]))
		}
		req.Operation = op
		if op.AffectsState {
			return methods{"POST": Operate}, nil
		}
		return methods{"GET": Operate, "POST": Operate}, nil
	}
	kind, ok := special[seg[0]]
	switch {
	case !ok:
		return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is nothing at %q here", printable(seg[0]))
	case seg[0] == "_search":
		return methods{"POST": kind}, nil
	}
	return methods{"GET": kind}, nil
}

func notAllowed(method string, allowed methods) error {
	e := fhir.Errorf(405, fhir.CodeNotSupported, "%s is not supported here", printable(method))
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		as := m
		if m == "HEAD" {
			as = "GET"
		}
		if _, ok := allowed[as]; ok {
			e.Allow = append(e.Allow, m)
		}
	}
	return e
}

// segments splits a path and decodes each part by itself, so that an encoded
// slash never makes a new part. One slash at the end is ignored.
func segments(path string) ([]string, error) {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	if path == "" {
		return nil, nil
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		d, err := url.PathUnescape(p)
		if err != nil || d == "" {
			return nil, fhir.Errorf(404, fhir.CodeNotFound, "there is nothing at this path")
		}
		parts[i] = d
	}
	return parts, nil
}

func capital(s string) bool { return s[0] >= 'A' && s[0] <= 'Z' }

func badID(id string) error {
	return fhir.Errorf(400, fhir.CodeValue, "%q is not an id: an id has 1 to 64 of the characters A-Z a-z 0-9 - . (R4 datatypes.html#id)", printable(id))
}

// noType refuses a name that is no resource type.
func (s *Service) noType(name string) error {
	return fhir.Errorf(404, fhir.CodeNotSupported, "%q is not a resource type of FHIR R4%s", printable(name), search.DidYouMean(name, s.cfg.Definitions.ResourceTypes()))
}

// printable shortens what a client sent so that it can stand in an answer.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > 100 {
		s = strings.ToValidUTF8(s[:100], "") + "…"
	}
	return s
}
