package interaction

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"ingle/fhir"
	"ingle/search"
	"ingle/store"
)

// exportRequest is an export that was understood and not run yet.
type exportRequest struct {
	url, base     string
	authenticated bool
	level         string // "Patient", "Group" or "" for the system
	group         string // id
	types         []string
	filters       map[string][]*search.Query // by type; a resource matches one of them
	elements      map[string][]string        // by type, "" for every type
	since, until  *time.Time
	patients      []string     // of the parameter patient, "Patient/1"; nil where it is absent
	notes         []fhir.Issue // what was left out
}

// elementsOf is what is wanted of a type's resources, nil for everything.
func (x *exportRequest) elementsOf(typ string) []string {
	return slices.Concat(x.elements[""], x.elements[typ])
}

// understandExport reads the parameters, of the URL and of the Parameters in the
// body. What is not supported is refused, or left out and told where handling is
// lenient.
func (s *Service) understandExport(ctx context.Context, session *store.Session, req *Request) (*exportRequest, error) {
	x := &exportRequest{base: req.BaseURL, authenticated: session.Scope().Authenticated(), level: req.Type, group: req.ID, elements: map[string][]string{}}
	x.url = req.BaseURL + operationPath(req)
	if all := slices.Concat(req.Query, req.Carried); len(all) > 0 {
		x.url = string(AppendQuery([]byte(x.url+"?"), all))
	}
	params, err := s.exportParameters(req, x)
	if err != nil {
		return nil, err
	}
	unless := func(wrong error) error {
		if !s.lenient(req) {
			return wrong
		}
		x.leaveOut(wrong)
		return nil
	}
	var types, filters []string
	typed := false
	for _, p := range params {
		switch p.Name {
		case "_outputFormat":
			switch strings.ReplaceAll(p.Value, " ", "+") { // a plus sign of a URL that was not encoded
			case "application/fhir+ndjson", "application/ndjson", "ndjson":
			default:
				return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "_outputFormat is application/fhir+ndjson, application/ndjson or ndjson here, not %q", printable(p.Value))
			}
		case "_since":
			x.since, err = exportInstant(p)
		case "_until":
			x.until, err = exportInstant(p)
		case "_type":
			typed = true
			for t := range strings.SplitSeq(p.Value, ",") {
				if wrong := s.exportable(x, t); wrong != nil {
					if err = unless(wrong); err != nil {
						break
					}
				} else if !slices.Contains(types, t) {
					types = append(types, t)
				}
			}
		case "_typeFilter":
			filters = append(filters, splitFilters(p.Value)...)
		case "_elements":
			for e := range strings.SplitSeq(p.Value, ",") {
				if e == "" {
					return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "_elements lacks a name")
				}
				typ, name, dotted := strings.Cut(e, ".")
				if !dotted || !s.cfg.Definitions.IsResourceType(typ) {
					typ, name = "", e
				}
				x.elements[typ] = append(x.elements[typ], name)
			}
		default:
			err = unless(fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "$export has no parameter %q here", printable(p.Name)))
		}
		if err != nil {
			return nil, err
		}
	}
	if x.types = types; !typed {
		x.types = s.exportTypes(x.level)
	} else if len(types) == 0 {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "_type names no resource type that can be exported here")
	}
	if err := s.exportHidden(session, x, typed, unless); err != nil {
		return nil, err
	}
	return x, s.exportFilters(ctx, session, req, x, filters, unless)
}

// leaveOut notes what is not part of the export.
func (x *exportRequest) leaveOut(wrong error) {
	for _, i := range fhir.AsError(wrong).Issues {
		i.Severity, i.Diagnostics = fhir.SeverityWarning, "left out: "+i.Diagnostics
		x.notes = append(x.notes, i)
	}
}

// exportHidden refuses to go by references that a policy hides from the caller, as a
// search in a compartment does; types that were not asked for by name are left out.
func (s *Service) exportHidden(session *store.Session, x *exportRequest, typed bool, unless func(error) error) error {
	if x.level == "" || session.Scope().Hidden() == nil {
		return nil
	}
	mayAsk := func(r search.Request) error {
		q, _, err := s.registry.Parse(r)
		if err == nil {
			err = session.MayAsk(q)
		}
		return err
	}
	if x.level == "Group" {
		if err := mayAsk(search.Request{Type: "Group", Params: []search.KV{{Name: "member", Value: "Patient/x"}}}); err != nil {
			return err
		}
	}
	var types []string
	for _, t := range x.types {
		wrong := mayAsk(search.Request{Type: t, Compartment: "Patient", CompartmentID: "x"})
		if fhir.AsError(wrong) == nil && wrong != nil {
			return wrong
		}
		switch {
		case t == "Patient", wrong == nil:
			types = append(types, t)
		case typed:
			if err := unless(wrong); err != nil {
				return err
			}
		default:
			x.leaveOut(wrong)
		}
	}
	x.types = types
	return nil
}

// exportTypes are the types that can be exported at a level.
func (s *Service) exportTypes(level string) []string {
	types := s.cfg.Definitions.ResourceTypes()
	if level == "" {
		return types
	}
	members := s.cfg.Definitions.Compartment("Patient").Params
	return slices.DeleteFunc(slices.Clone(types), func(t string) bool { return t != "Patient" && members[t] == nil })
}

// exportable tells what is wrong with a value of _type, nil for nothing.
func (s *Service) exportable(x *exportRequest, typ string) error {
	switch {
	case !s.cfg.Definitions.IsResourceType(typ):
		return fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "_type: %q is not a resource type of FHIR R4%s", printable(typ), search.DidYouMean(typ, s.cfg.Definitions.ResourceTypes()))
	case !slices.Contains(s.exportTypes(x.level), typ):
		return fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "_type: %s is not part of the Patient compartment; export it at the system level", typ)
	}
	return nil
}

const maxFilters = 64

// exportFilters reads _typeFilter: searches that say which resources of a type are meant.
func (s *Service) exportFilters(ctx context.Context, session *store.Session, req *Request, x *exportRequest, filters []string, unless func(error) error) error {
	x.filters = map[string][]*search.Query{}
	if len(filters) > maxFilters {
		return fhir.Errorf(http.StatusBadRequest, fhir.CodeTooCostly, "_typeFilter holds %d searches, more than %d", len(filters), maxFilters)
	}
	for _, filter := range filters {
		typ, text, _ := strings.Cut(filter, "?")
		wrong := s.exportable(x, typ)
		if wrong == nil && !slices.Contains(x.types, typ) {
			wrong = fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "_typeFilter is about %s, which _type does not name", typ)
		}
		if wrong != nil {
			if err := unless(wrong); err != nil {
				return err
			}
			continue
		}
		params, err := ParseQuery(strings.ReplaceAll(text, "+", "%2B")) // decoded once already
		if err != nil {
			return err
		}
		for _, p := range params {
			if !search.Filters(p.Name) {
				return fhir.Errorf(http.StatusBadRequest, fhir.CodeNotSupported, "_typeFilter says which resources are meant; %q has no place there", printable(p.Name))
			}
		}
		q, _, err := s.registry.Parse(search.Request{Type: typ, Params: params, Strict: true, BaseURLs: req.bases(), Limits: s.cfg.Search, Now: time.Now(), Terminology: s.codeSets(ctx, session)})
		if err == nil {
			err = session.MayAsk(q)
		}
		if err != nil {
			return err
		}
		x.filters[typ] = append(x.filters[typ], q)
	}
	return nil
}

// splitFilters cuts at the commas before a resource type: the others stand between
// values.
func splitFilters(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ",") {
		name, _, search := strings.Cut(part, "?")
		if n := len(out); n > 0 && !(search && name != "" && capital(name)) {
			out[n-1] += "," + part
			continue
		}
		out = append(out, part)
	}
	return out
}

func exportInstant(p search.KV) (*time.Time, error) {
	d, err := fhir.ParseInstant(strings.ReplaceAll(p.Value, " ", "+")) // of a URL that was not encoded
	if err != nil {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "%s: %v", p.Name, err)
	}
	t := d.Time()
	return &t, nil
}

// exportParameters are the parameters of the URL and the body; patient goes into x.
func (s *Service) exportParameters(req *Request, x *exportRequest) ([]search.KV, error) {
	params, err := bodyParams(req, func(name string, p fhir.Node) (bool, error) {
		if name != "patient" || x.level == "" {
			return false, nil
		}
		ref := fhir.ParseReference(p.Get("valueReference").Get("reference").Text(), req.bases(), s.cfg.Definitions.IsResourceType)
		if ref.Form != fhir.RefRelative || ref.Type != "Patient" {
			return false, fhir.Errorf(http.StatusBadRequest, fhir.CodeValue, "patient is a reference to a Patient (valueReference)").AtNode(p)
		}
		x.patients = append(x.patients, ref.Relative())
		return true, nil
	})
	return slices.Concat(req.Query, params), err
}
