package terminology

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"ingle/fhir"
)

// This file honours ValueSet.compose.lockedDate: code systems and value sets
// that the compose names without a version are meant in the version that was
// current at that date, through all value sets below it (R4 ValueSet,
// "Locked Date"). The date of a version is the date of its resource, or else when
// it was last stored; that of an imported version stands in the version itself,
// as for SNOMED CT, or is not known.

// lockedTo is the date that a value set holds its references to, "" for none:
// its own one, or that of a value set through which it was reached.
func (r *run) lockedTo(v *valueSet) string {
	if v != nil && v.lockedDate != "" {
		return v.lockedDate
	}
	if n := len(r.locks); n > 0 {
		return r.locks[n-1]
	}
	return ""
}

// includedVersion settles which version of its code system an include means:
// as wantedVersion, but a locked date stands before what the request says.
func (r *run) includedVersion(v *valueSet, in *include) (string, error) {
	said := in.version
	if _, forced := r.forceVersion[in.system]; said == "" && !forced {
		var err error
		if said, err = r.lockedVersion(v, "CodeSystem", in.system); err != nil {
			return "", err
		}
	}
	return r.wantedVersion(in.system, said)
}

// dated is a version and the date of it, "" where that is not known.
type dated struct{ version, date string }

// lockedVersion returns the version of a code system or value set that was
// current at the locked date; "" where none is needed, or where nothing at all is
// known of the URL. Where it cannot be told that is an error, for any other
// version might have other codes.
func (r *run) lockedVersion(v *valueSet, resourceType, url string) (string, error) {
	lock := r.lockedTo(v)
	if lock == "" {
		return "", nil
	}
	key := resourceType + "|" + url + "|" + lock
	if version, ok := r.lockedVersions[key]; ok {
		return version, nil
	}
	list, err := r.datedVersions(resourceType, url)
	if err != nil || len(list) == 0 {
		return "", err
	}
	best := -1
	var known []string
	unknown := false
	for i, d := range list {
		switch {
		case d.date == "":
			unknown = true
			known = append(known, orElse(d.version, "(unversioned)")+" of an unknown date")
			continue
		case !later(d.date, lock) && (best < 0 || later(d.date, list[best].date) || !later(list[best].date, d.date) && compareVersions(d.version, list[best].version) > 0):
			best = i
		}
		known = append(known, orElse(d.version, "(unversioned)")+" of "+d.date)
	}
	if best < 0 || unknown {
		return "", outcome(422, fhir.CodeBusinessRule, "vs-invalid", fmt.Sprintf(
			"The value set %s is locked to %s, and which version of %s was current then is not known (there is %s). Name the version in the value set%s",
			v.shown(), lock, url, strings.Join(known, ", "), mend(resourceType)))
	}
	if r.lockedVersions == nil {
		r.lockedVersions = map[string]string{}
	}
	r.lockedVersions[key] = list[best].version
	return list[best].version, nil
}

// mend is what else a client can do.
func mend(resourceType string) string {
	if resourceType == "CodeSystem" {
		return " or with force-system-version"
	}
	return ""
}

// later tells whether a date is after another, as far as both say.
func later(a, b string) bool {
	n := min(len(a), len(b))
	return a[:n] > b[:n]
}

// datedVersions lists the versions of a URL that can be used.
func (r *run) datedVersions(resourceType, url string) ([]dated, error) {
	versions, err := r.src.Versions(r.ctx, resourceType, url)
	if err != nil {
		return nil, err
	}
	var out []dated
	for _, version := range versions {
		if version == "" && len(versions) > 1 {
			out = append(out, dated{}) // beside others it cannot be named
			continue
		}
		res, err := r.src.Canonical(r.ctx, resourceType, url, version)
		if err != nil {
			return nil, err
		}
		if res == nil {
			continue
		}
		r.static = r.static && res.Static
		x, err := r.svc.resourceDate(res)
		if err != nil {
			return nil, err
		}
		if x.usable {
			out = append(out, dated{version, x.date})
		}
	}
	if resourceType != "CodeSystem" {
		return out, nil
	}
	if r.svc.opt.Concepts != nil {
		list, err := r.svc.opt.Concepts.Versions(r.ctx, url)
		if err != nil {
			return nil, err
		}
		for i := range list {
			r.static = false
			out = slices.DeleteFunc(out, func(d dated) bool { return d.version == list[i].Version && d.date == "" })
			if !slices.ContainsFunc(out, func(d dated) bool { return d.version == list[i].Version }) {
				out = append(out, dated{list[i].Version, versionDate(list[i].Version)})
			}
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if c := r.svc.computed[url]; c != nil {
		return []dated{{version: c.Info().Version}}, nil
	}
	for _, far := range r.svc.opt.Remote {
		if far.system(url, "") != nil {
			return []dated{{}}, nil
		}
	}
	return nil, nil
}

// resourceDate is the date of a resource, and whether it holds content at all.
type resourceDate struct {
	date   string
	usable bool
}

func (s *Service) resourceDate(res *Resource) (resourceDate, error) {
	kept := *res
	if kept.Key != "" {
		kept.Key = "date|" + res.Key
	}
	return compiled(s, &kept, func(n fhir.Node) (resourceDate, error) {
		d := n.Get("date").Text()
		if d == "" {
			d = n.Get("meta").Get("lastUpdated").Text()
		}
		if d == "" && !res.Updated.IsZero() {
			d = res.Updated.UTC().Format("2006-01-02")
		}
		if len(d) > len("2006-01-02") {
			d = d[:len("2006-01-02")]
		}
		content := n.Get("content").Text()
		return resourceDate{d, content != "not-present" && content != "supplement"}, nil
	})
}

var dateInVersion = regexp.MustCompile(`(?:^|/)(\d{4})-?(\d{2})-?(\d{2})$`)

// versionDate is the date that a version names, as 2024-03-01 or
// http://snomed.info/sct/900000000000207008/version/20240301; "" for none.
func versionDate(version string) string {
	m := dateInVersion.FindStringSubmatch(version)
	if m == nil || m[1] < "1900" || m[1] > "2100" || m[2] > "12" || m[3] > "31" {
		return ""
	}
	return m[1] + "-" + m[2] + "-" + m[3]
}
