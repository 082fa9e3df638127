package terminology

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"ingle/fhir"
)

// maxBatch is how many validations one call may bring.
const maxBatch = 1000

// batchValidate answers $batch-validate-code: each parameter "validation" is a
// Parameters resource for $validate-code, and all other parameters hold for each
// of them that does not have its own. The answers come in the same order:
// Parameters, or an OperationOutcome where one could not be done.
func (s *Service) batchValidate(ctx context.Context, src Source, c *Call) ([]byte, error) {
	var common []Parameter
	var each [][]Parameter
	for i := range c.List {
		p := &c.List[i]
		if p.Name != "validation" {
			common = append(common, *p)
			continue
		}
		if p.Node.Get("resourceType").Text() != "Parameters" {
			return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "the parameter validation must be a Parameters resource")
		}
		list, err := readParts(p.Node.Get("parameter"), "Parameters.parameter", 0)
		if err != nil {
			return nil, err
		}
		if !c.Lenient {
			if err := onlyAccepted(list, c.Type, "batch-validate-code", fmt.Sprintf("Parameters.parameter[%d].resource", i)); err != nil {
				return nil, err
			}
		}
		each = append(each, list)
	}
	if len(each) == 0 {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeRequired, "there is no parameter validation")
	}
	if len(each) > maxBatch {
		return nil, fhir.Errorf(http.StatusUnprocessableEntity, fhir.CodeTooCostly, "there are %d validations; at most %d are done at once", len(each), maxBatch)
	}
	w := &writer{}
	w.open('{').str("resourceType", "Parameters").key("parameter").open('[')
	for _, own := range each {
		p := Parameters{List: own, AcceptLanguage: c.AcceptLanguage}
		for _, x := range common {
			if x.Name == "tx-resource" || !(&Parameters{List: own}).has(x.Name) {
				p.List = append(p.List, x)
			}
		}
		var body []byte
		var err error
		if c.Type == "CodeSystem" || p.hasNoSet() {
			body, err = s.ValidateInCodeSystem(ctx, src, systemAsURL(&p))
		} else {
			body, err = s.ValidateInValueSet(ctx, src, &p)
		}
		var fe *fhir.Error
		if errors.As(err, &fe) {
			body, err = fhir.AppendOutcome(nil, fe.Issues, ""), nil
		}
		if err != nil {
			return nil, err
		}
		w.open('{').str("name", "validation").key("resource").raw(body).close('}')
	}
	return w.close(']').close('}').b, nil
}

// hasNoSet tells a validation against a code system alone.
func (p *Parameters) hasNoSet() bool { return !p.has("url") && !p.has("valueSet") }

// systemAsURL names the code system as CodeSystem/$validate-code wants it.
func systemAsURL(p *Parameters) *Parameters {
	if p.has("url") || !p.has("system") {
		return p
	}
	out := *p
	out.List = nil
	for _, x := range p.List {
		switch x.Name {
		case "system":
			x.Name = "url"
		case "systemVersion":
			x.Name = "version"
		}
		out.List = append(out.List, x)
	}
	return &out
}
