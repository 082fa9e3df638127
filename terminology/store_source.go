package terminology

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ingle/fhir"
	"ingle/store"
)

// storeSource is the content of the database as one caller sees it.
type storeSource struct {
	conf    *store.Conformance
	session *store.Session
	snap    *store.Snapshot
}

// Stored makes a Source of the database for one request: it looks once whether
// anything changed. It must not be used by several goroutines.
func Stored(conf *store.Conformance, session *store.Session) Source {
	return &storeSource{conf: conf, session: session}
}

func (s *storeSource) find(ctx context.Context, resourceType, url string) ([]store.Canonical, error) {
	if s.snap == nil {
		var err error
		if s.snap, err = s.conf.Snapshot(ctx, s.session); err != nil {
			return nil, err
		}
	}
	return s.snap.Find(ctx, resourceType, url)
}

func (s *storeSource) resource(ctx context.Context, x store.Canonical) *Resource {
	return &Resource{
		Key: contentKey(x.Type, x.ID, x.VersionID, x.LastUpdated), Updated: x.LastUpdated,
		doc: func() (*fhir.Doc, error) {
			body, err := s.snap.Body(ctx, x)
			if err != nil {
				return nil, err
			}
			if body == nil {
				return nil, fhir.Errorf(409, fhir.CodeConflict, "%s/%s was changed while it was read; try again", x.Type, x.ID)
			}
			return fhir.Parse(body, fhir.Limits{Nodes: 8_000_000})
		},
	}
}

// contentKey names one version of a resource. The time tells it from a version of
// the same number that an erased resource of the same id had.
func contentKey(resourceType, id string, version int, at time.Time) string {
	return fmt.Sprintf("db|%s/%s/%d/%d", resourceType, id, version, at.UnixMilli())
}

// Canonical finds a stored resource. Of several with the same version, an
// active one is preferred, then the one that came last.
func (s *storeSource) Canonical(ctx context.Context, resourceType, url, version string) (*Resource, error) {
	list, err := s.find(ctx, resourceType, url)
	if err != nil {
		return nil, err
	}
	best := -1
	for i, x := range list {
		if version != "" && !matchVersion(version, x.Version) {
			continue
		}
		if best >= 0 {
			c := compareVersions(x.Version, list[best].Version)
			if c < 0 || c == 0 && list[best].Status == "active" && x.Status != "active" {
				continue
			}
		}
		best = i
	}
	if best < 0 {
		return nil, nil
	}
	return s.resource(ctx, list[best]), nil
}

// Versions lists the stored versions of a URL.
func (s *storeSource) Versions(ctx context.Context, resourceType, url string) ([]string, error) {
	list, err := s.find(ctx, resourceType, url)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, x := range list {
		if !slices.Contains(out, x.Version) {
			out = append(out, x.Version)
		}
	}
	return out, nil
}

// ConceptMaps lists the stored concept maps from a code system.
func (s *storeSource) ConceptMaps(ctx context.Context, source, _ string) ([]*Resource, error) {
	if _, err := s.find(ctx, "ConceptMap", ""); err != nil {
		return nil, err
	}
	list, err := s.snap.Maps(ctx, source)
	if err != nil {
		return nil, err
	}
	var out []*Resource
	for _, x := range list {
		out = append(out, s.resource(ctx, x))
	}
	return out, nil
}

// ByID finds a stored resource by its logical id.
func (s *storeSource) ByID(ctx context.Context, resourceType, id string) (*Resource, error) {
	res, err := s.session.Read(ctx, resourceType, id)
	if err != nil || res == nil || res.Deleted() {
		return nil, err
	}
	return &Resource{
		Key: contentKey(resourceType, id, res.Version, res.LastUpdated),
		doc: func() (*fhir.Doc, error) { return fhir.Parse(res.Body, fhir.Limits{Nodes: 8_000_000}) },
	}, nil
}
