package search

import (
	"strconv"
	"strings"

	"ingle/fhir"
)

// control reads a parameter that shapes the result and does not filter.
func (p *parser) control(name, modifier string, kv KV) (known bool, err error) {
	plain := func() error {
		if modifier != "" {
			return fhir.Errorf(400, fhir.CodeInvalid, "%s takes no modifier", name)
		}
		return nil
	}
	switch name {
	case "_format", "_pretty":
		return true, nil
	case "_include", "_revinclude":
		return true, p.parseInclude(name, modifier, kv.Value)
	case "_sort":
		if err := plain(); err != nil {
			return true, err
		}
		if modifier == "" && kv.Value == "" {
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_sort is empty; name one or more search parameters, with - in front for descending order")
		}
		return true, p.within(p.parseSort(kv.Value), "_sort")
	case "_count":
		if err := plain(); err != nil {
			return true, err
		}
		n, err := strconv.Atoi(kv.Value)
		if err != nil || n < 0 {
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_count=%s: a whole number from 0 is expected", kv.Value)
		}
		if n > p.lim.MaxCount {
			p.q.CountCapped, n = n, p.lim.MaxCount
		}
		p.q.Count = n
		return true, nil
	case "_explain":
		if err := plain(); err != nil {
			return true, err
		}
		if kv.Value != "true" && kv.Value != "false" {
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_explain=%s: true or false is expected", kv.Value)
		}
		p.q.Explain = kv.Value == "true"
		return true, nil
	case "_total":
		if err := plain(); err != nil {
			return true, err
		}
		if kv.Value != TotalNone && kv.Value != TotalEstimate && kv.Value != TotalAccurate {
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_total=%s: one of none, estimate and accurate is expected", kv.Value)
		}
		p.q.Total = kv.Value
		return true, nil
	case "_summary":
		if err := plain(); err != nil {
			return true, err
		}
		switch kv.Value {
		case "false":
			p.q.Summary = SummaryNone
		case SummaryTrue, SummaryText, SummaryData, SummaryCount:
			p.q.Summary = kv.Value
		default:
			return true, fhir.Errorf(400, fhir.CodeInvalid, "_summary=%s: one of true, text, data, count and false is expected", kv.Value)
		}
		return true, nil
	case "_elements":
		if err := plain(); err != nil {
			return true, err
		}
		for _, e := range strings.Split(kv.Value, ",") {
			e = strings.TrimSpace(e)
			if _, after, ok := strings.Cut(e, "."); ok && e[0] >= 'A' && e[0] <= 'Z' {
				e = after
			}
			if e == "" || strings.ContainsAny(e, ".:[") {
				return true, fhir.Errorf(400, fhir.CodeInvalid, "_elements=%s: names of top-level elements, separated by commas, are expected", kv.Value)
			}
			p.q.Elements = append(p.q.Elements, e)
		}
		return true, nil
	case "_type":
		if p.req.Type != "" {
			return true, &unknownParameter{err: fhir.Errorf(400, fhir.CodeNotSupported, "_type belongs to a search over all types, not to one of %s", p.req.Type)}
		}
		return true, plain()
	case "_contained", "_containedType": // see scope
		return true, plain()
	}
	return false, nil
}
