package profiles

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"ingle/fhir"
)

// Survey validates many stored resources and counts what is found, by profile:
// what a new version of a profile would mean for the data that is there. It is
// for one goroutine.
type Survey struct {
	v        *Validator
	profiles []string
	around   Around
	counts   map[string]*count
	seen     int
	failed   int
	lines    bytes.Buffer
	cut      bool
}

type count struct{ valid, invalid int }

// maxSurveyLines bounds the lines of failures, in bytes.
const maxSurveyLines = 32 << 20

// Survey begins a survey. Resources are held against the given profiles, as far
// as these are of their type; without any against those that they claim, and
// always against their base definition.
func (v *Validator) Survey(profiles []string, around Around) *Survey {
	return &Survey{v: v, profiles: profiles, around: around, counts: map[string]*count{}}
}

// Add validates one resource. reference names it and its version.
func (s *Survey) Add(ctx context.Context, reference string, doc *fhir.Doc) {
	n := doc.Root()
	typ := n.Get("resourceType").Text()
	s.seen++
	failures := onlyErrors(s.v.ValidateNode(ctx, n, Request{Profiles: []string{}, Around: s.around}))
	s.count(s.v.current().typeURL(typ), len(failures) == 0)
	known := map[string]bool{}
	for _, is := range failures {
		known[is.Diagnostics+is.Expression[0]] = true
	}
	for _, url := range s.against(n, typ) {
		ok := true
		for _, is := range onlyErrors(s.v.ValidateNode(ctx, n, Request{Profiles: []string{url}, Around: s.around})) {
			if key := is.Diagnostics + is.Expression[0]; !known[key] {
				known[key], ok = true, false
				failures = append(failures, is)
			}
		}
		s.count(url, ok)
	}
	if len(failures) == 0 {
		return
	}
	s.failed++
	if s.lines.Len() > maxSurveyLines {
		s.cut = true
		return
	}
	fmt.Fprintf(&s.lines, "{\"reference\":%s,\"outcome\":%s}\n", fhir.AppendString(nil, reference), fhir.AppendOutcome(nil, failures, ""))
}

// onlyErrors keeps the errors among issues.
func onlyErrors(issues []fhir.Issue) []fhir.Issue {
	return slices.DeleteFunc(issues, func(is fhir.Issue) bool {
		return is.Severity != fhir.SeverityError && is.Severity != fhir.SeverityFatal
	})
}

// against lists the profiles that a resource is held against.
func (s *Survey) against(n fhir.Node, typ string) []string {
	if s.profiles == nil {
		rules := s.v.cfg.rules(typ)
		var out []string
		for _, url := range texts(n.Get("meta").Get("profile")) {
			if v := rules.DefaultVersions[url]; v != "" {
				url += "|" + v
			}
			if !slices.Contains(out, url) {
				out = append(out, url)
			}
		}
		return out
	}
	var out []string
	for _, url := range s.profiles {
		if p, err := s.v.current().profile(url); err != nil || p.typ == typ || p.typ == "Resource" || p.typ == "DomainResource" {
			out = append(out, url) // one that is not known fails everywhere, which says so
		}
	}
	return out
}

func (s *Survey) count(profile string, ok bool) {
	c := s.counts[profile]
	if c == nil {
		if len(s.counts) >= 10_000 { // resources claim what they like
			return
		}
		c = &count{}
		s.counts[profile] = c
	}
	if ok {
		c.valid++
	} else {
		c.invalid++
	}
}

// Report is what was found, as Parameters: how many resources there are
// (resources) and how many of them have errors (failed); for each profile how
// many are valid and invalid; and the failures, a Binary of NDJSON, each line
// with reference and outcome.
func (s *Survey) Report() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"resourceType":"Parameters","parameter":[{"name":"resources","valueInteger":%d},{"name":"failed","valueInteger":%d}`, s.seen, s.failed)
	for _, url := range slices.Sorted(maps.Keys(s.counts)) {
		c := s.counts[url]
		fmt.Fprintf(&out, `,{"name":"profile","part":[{"name":"url","valueCanonical":%s},{"name":"valid","valueInteger":%d},{"name":"invalid","valueInteger":%d}]}`,
			fhir.AppendString(nil, url), c.valid, c.invalid)
	}
	if s.cut {
		fmt.Fprintf(&out, `,{"name":"cut","valueBoolean":true}`)
	}
	if s.lines.Len() > 0 {
		out.WriteString(`,{"name":"failures","resource":{"resourceType":"Binary","contentType":"application/fhir+ndjson","data":"`)
		enc := base64.NewEncoder(base64.StdEncoding, &out)
		_, _ = enc.Write(s.lines.Bytes()) // a Buffer takes everything
		_ = enc.Close()
		out.WriteString(`"}}`)
	}
	out.WriteString(`]}`)
	return out.Bytes()
}
