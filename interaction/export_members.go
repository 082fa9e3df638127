package interaction

import (
	"context"
	"net/http"
	"strings"
	"time"

	"ingle/fhir"
)

// exportPatients are the Patients whose compartments are exported ("Patient/1"), nil
// for every one. A Group that the caller may not see is as absent. What is asked for
// by name must be there, and in the Group.
func (s *Service) exportPatients(ctx context.Context, r exportReader, x *exportRequest) ([]string, error) {
	if x.patients != nil {
		missing, err := r.Missing(ctx, x.patients)
		if err != nil {
			return nil, err
		}
		if len(missing) > 0 {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeNotFound, "patient: not known: %s", printable(strings.Join(missing, ", ")))
		}
	}
	if x.level != "Group" {
		return x.patients, nil
	}
	members, err := s.members(ctx, r, x)
	if err != nil || x.patients == nil {
		return members, err
	}
	inside := make(map[string]bool, len(members))
	for _, m := range members {
		inside[m] = true
	}
	for _, p := range x.patients {
		if !inside[p] {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "patient: %s is not a member of Group/%s", p, x.group)
		}
	}
	return x.patients, nil
}

type exportReader interface {
	reader
	Missing(ctx context.Context, refs []string) ([]string, error)
}

// members are the Patients of a Group but inactive members and those whose time in it
// is over; never nil.
func (s *Service) members(ctx context.Context, r reader, x *exportRequest) ([]string, error) {
	group, err := r.Read(ctx, "Group", x.group)
	if err != nil {
		return nil, err
	}
	if group == nil || group.Deleted() {
		return nil, unknown("Group", x.group)
	}
	doc, err := fhir.Parse(group.Body, fhir.Limits{Nodes: 1 << 30, String: len(group.Body) + 1})
	if err != nil {
		return nil, err
	}
	out := []string{}
	now := time.Now()
	for m := doc.Root().Get("member").First(); m.Valid(); m = m.Next() {
		ref := fhir.ParseReference(m.Get("entity").Get("reference").Text(), []string{x.base}, s.cfg.Definitions.IsResourceType)
		if ref.Form != fhir.RefRelative || ref.Type != "Patient" || string(m.Get("inactive").Raw()) == "true" {
			continue
		}
		if end, err := fhir.ParseDateTime(m.Get("period").Get("end").Text()); err == nil {
			if _, last := end.Range(); last < now.UnixMicro() {
				continue
			}
		}
		out = append(out, ref.Relative())
	}
	return out, nil
}
