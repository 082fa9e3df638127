package interaction

import (
	"fmt"
	"net/http"
	"strings"

	"ingle/fhir"
	"ingle/search"
)

// maxParams bounds what the parameters of an operation hold, in bytes.
const maxParams = 64 << 10

// bodyParams are the parameters of the Parameters resource in an operation's body, each
// with the text of its value, "" for one that has none; nil without a body. apart, where it is not nil, takes
// those out that are something else.
func bodyParams(req *Request, apart func(name string, p fhir.Node) (taken bool, err error)) ([]search.KV, error) {
	doc, err := bodyDoc(req)
	if err != nil || doc == nil {
		return nil, err
	}
	if doc.Root().Get("resourceType").Text() != "Parameters" {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeStructure, "the body of $%s is a Parameters resource", req.Operation.Name).AtNode(doc.Root())
	}
	params, size := []search.KV{}, 0
	for p := doc.Root().Get("parameter").First(); p.Valid(); p = p.Next() {
		name := p.Get("name").Text()
		if apart != nil {
			if taken, err := apart(name, p); err != nil {
				return nil, err
			} else if taken {
				continue
			}
		}
		value := fhir.Node{}
		for m := p.First(); m.Valid(); m = m.Next() {
			if strings.HasPrefix(m.Key(), "value") {
				value = m
			}
		}
		if name == "" {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "each parameter of $%s has a name", req.Operation.Name).AtNode(p)
		}
		if size += len(p.Raw()); size > maxParams {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeTooCostly, "the parameters of $%s have more than %d bytes", req.Operation.Name, maxParams)
		}
		params = append(params, search.KV{Name: name, Value: value.Text()})
	}
	return params, nil
}

// operationPath is the path of an operation below the base URL.
func operationPath(req *Request) string {
	path := ""
	if req.Type != "" {
		path = "/" + req.Type
	}
	if req.ID != "" {
		path += "/" + req.ID
	}
	return fmt.Sprintf("%s/$%s", path, req.Operation.Name)
}
