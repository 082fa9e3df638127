package interaction

import (
	"strconv"
	"strings"
	"time"

	"ingle/fhir"
	"ingle/store"
)

// etags splits If-Match or If-None-Match into versionIds. The weak mark, the
// quotes and the separators are those of RFC 9110, 8.8.3; a bare version is
// taken too. any is set for "*".
func etags(header string) (versions []string, any bool) {
	for part := range strings.SplitSeq(header, ",") {
		part = strings.TrimSpace(part)
		if part == "*" {
			any = true
			continue
		}
		part = strings.TrimPrefix(part, "W/")
		if part = strings.Trim(part, `"`); part != "" {
			versions = append(versions, part)
		}
	}
	return versions, any
}

func etagMatches(header string, r *store.Resource) bool {
	versions, any := etags(header)
	if r == nil || r.Deleted() {
		return false
	}
	for _, v := range versions {
		if v == strconv.Itoa(r.Version) {
			return true
		}
	}
	return any
}

// mayReplace checks If-Match and If-None-Match of a write against the current
// version, nil or a deletion where there is none (R4 http.html#concurrency).
func (r *Request) mayReplace(current *store.Resource) error {
	if r.IfMatch != "" && !etagMatches(r.IfMatch, current) {
		if current == nil || current.Deleted() {
			return fhir.Errorf(412, fhir.CodeConflict, "If-Match %s cannot hold: there is no such resource", printable(r.IfMatch))
		}
		return fhir.Errorf(412, fhir.CodeConflict, "If-Match %s does not hold: the current version is W/\"%d\"; read it and decide again", printable(r.IfMatch), current.Version)
	}
	if r.IfNoneMatch != "" && etagMatches(r.IfNoneMatch, current) {
		return fhir.Errorf(412, fhir.CodeConflict, "If-None-Match %s does not hold: the resource exists as version W/\"%d\"", printable(r.IfNoneMatch), current.Version)
	}
	return nil
}

// unchanged tells whether a read is answered by 304 (R4 http.html#cread).
// If-Modified-Since counts only where there is no If-None-Match.
func (r *Request) unchanged(current *store.Resource) bool {
	if r.IfNoneMatch != "" {
		return etagMatches(r.IfNoneMatch, current)
	}
	return !r.IfModifiedSince.IsZero() && !current.LastUpdated.Truncate(time.Second).After(r.IfModifiedSince)
}
