package server

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ingle/fhir"
	"ingle/interaction"
)

// format is how an answer is written.
type format struct {
	encoding Encoding // nil for JSON
	version  bool     // the client named fhirVersion: the answer does too
	pretty   bool
	raw      bool // the client wants no FHIR format: a Binary in its own type
}

// mediaRange is one part of an Accept header.
type mediaRange struct {
	name   string
	params map[string]string
	q      float64
}

// accepts reads Accept headers, the best first. What cannot be read is left out.
func accepts(headers []string) []mediaRange {
	var out []mediaRange
	for _, h := range headers {
		for part := range strings.SplitSeq(h, ",") {
			name, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			m := mediaRange{name: name, params: params, q: 1}
			if q, ok := params["q"]; ok {
				if m.q, err = strconv.ParseFloat(q, 64); err != nil || m.q < 0 || m.q > 1 {
					continue
				}
			}
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b mediaRange) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	return out
}

// fhirVersions that this server speaks, as the MIME parameter has them (R4
// http.html#version-parameter).
func knownVersion(v string) bool { return v == "" || v == "4.0" || v == "4.0.1" }

// negotiate decides the format of the answer: _format before Accept. A format
// that is not there is a 406.
func (s *Server) negotiate(r *http.Request, req *interaction.Request) (format, error) {
	f := format{pretty: s.cfg.Pretty}
	if req.Kind == interaction.AsyncFile { // it has one format
		return f, nil
	}
	chosen := ""
	for _, p := range req.Carried {
		switch p.Name {
		case "_pretty":
			f.pretty = p.Value == "true"
		case "_format":
			chosen = p.Value
		}
	}
	if chosen != "" {
		// a plus sign in a query that was not encoded arrives as a space
		return f, s.byName(strings.ReplaceAll(chosen, " ", "+"), &f)
	}
	ranges := accepts(r.Header.Values("Accept"))
	if len(ranges) == 0 {
		if strings.TrimSpace(strings.Join(r.Header.Values("Accept"), "")) != "" {
			return f, notAcceptable()
		}
		f.raw = req.Type == "Binary"
		return f, nil
	}
	wild := false
	for _, m := range ranges {
		if m.q == 0 {
			continue
		}
		if v := m.params["fhirversion"]; v != "" {
			if !knownVersion(v) {
				continue
			}
			f.version = true
		}
		switch {
		case isJSON(m.name):
			return f, nil
		case s.encodingOf(m.name) != nil:
			f.encoding = s.encodingOf(m.name)
			return f, nil
		case m.name == "*/*" || m.name == "application/*":
			wild = true
		}
	}
	if req.Type == "Binary" {
		f.raw = true
		return f, nil
	}
	if wild {
		return f, nil
	}
	return f, notAcceptable()
}

// byName takes the value of _format: a media type or a short name.
func (s *Server) byName(name string, f *format) error {
	media, params, err := mime.ParseMediaType(name)
	if err != nil {
		return notAcceptable()
	}
	if v := params["fhirversion"]; v != "" {
		if !knownVersion(v) {
			return notAcceptable()
		}
		f.version = true
	}
	if media == "json" || isJSON(media) {
		return nil
	}
	if f.encoding = s.encodingOf(media); f.encoding != nil {
		return nil
	}
	for _, e := range s.cfg.Encodings {
		if slices.Contains(e.Short(), media) {
			f.encoding = e
			return nil
		}
	}
	return notAcceptable()
}

func notAcceptable() error {
	return fhir.Errorf(http.StatusNotAcceptable, fhir.CodeNotSupported, "this server answers in %s (fhirVersion 4.0) only; ask for it by Accept or _format=json", fhirJSON)
}

// contentType reads the Content-Type of a body. The media type is lower case;
// a charset other than UTF-8 and another FHIR version are a 415.
func contentType(r *http.Request) (string, error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return "", nil
	}
	media, params, err := mime.ParseMediaType(header)
	if err != nil {
		return "", unsupported("the Content-Type cannot be read")
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") && !strings.EqualFold(c, "us-ascii") {
		return media, unsupported("the charset of a body is utf-8")
	}
	if v := params["fhirversion"]; !knownVersion(v) {
		return media, unsupported("the body is of another version of FHIR than 4.0")
	}
	return media, nil
}

func unsupported(why string) error {
	return fhir.Errorf(http.StatusUnsupportedMediaType, fhir.CodeNotSupported, "%s; send %s", why, fhirJSON)
}
