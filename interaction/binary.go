package interaction

import (
	"encoding/base64"
	"fmt"

	"ingle/fhir"
)

// body returns the resource that a create or update carries. Content for
// /Binary that is not FHIR is wrapped into a Binary resource (R4 binary.html#rest).
func (s *Service) body(req *Request) ([]byte, error) {
	if !req.Raw {
		return req.Body, nil
	}
	if len(req.Body) == 0 {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "the request has no body")
	}
	out := make([]byte, 0, base64.StdEncoding.EncodedLen(len(req.Body))+256)
	out = append(out, `{"resourceType":"Binary"`...)
	if req.ID != "" {
		out = fhir.AppendString(append(out, `,"id":`...), req.ID)
	}
	out = fhir.AppendString(append(out, `,"contentType":`...), req.ContentType)
	if req.SecurityContext != "" {
		out = fhir.AppendString(append(out, `,"securityContext":{"reference":`...), req.SecurityContext)
		out = append(out, '}')
	}
	out = append(out, `,"data":"`...)
	out = base64.StdEncoding.AppendEncode(out, req.Body)
	return append(out, `"}`...), nil
}

// rawBinary answers a read of a Binary in the content's own type.
func (s *Service) rawBinary(resp *Response) (*Response, error) {
	doc, err := fhir.Parse(resp.Body, s.limits("Binary"))
	if err != nil {
		return nil, fmt.Errorf("read a stored Binary: %w", err)
	}
	root := doc.Root()
	text := root.Get("data").Bytes()
	data := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(data, withoutSpace(text))
	if err != nil {
		return nil, fmt.Errorf("decode a stored Binary: %w", err)
	}
	resp.Body, resp.ContentType = data[:n], root.Get("contentType").Text()
	return resp, nil
}

func withoutSpace(b []byte) []byte {
	out := b
	for i, c := range b {
		if c == ' ' || c == '\t' {
			out = append([]byte(nil), b[:i]...)
			for _, c := range b[i:] {
				if c > ' ' {
					out = append(out, c)
				}
			}
			break
		}
	}
	return out
}
