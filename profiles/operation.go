package profiles

import (
	"context"
	"slices"

	"ingle/fhir"
)

// Call is a call of $validate (R4 resource-operation-validate.html), free of
// HTTP and of the store.
type Call struct {
	Type string // resource type of the URL, "" at the system level
	ID   string // of the instance level, "" elsewhere
	// Body is what was sent: the resource itself, or a Parameters with
	// resource, mode and profile; nil for none.
	Body *fhir.Doc
	// Mode and Profiles are the parameters in the URL; those of a Parameters
	// body stand beside them.
	Mode     string
	Profiles []string
	// Stored reads the instance in the URL, as the caller may see it; nil doc:
	// it is not there. Only asked where no resource was sent, or for the mode
	// delete.
	Stored func(ctx context.Context) (*fhir.Doc, error)
	Around Around // that of Request
}

// Operate answers $validate: the issues of an OperationOutcome, at least one.
// The answer is 200 whatever they say. Its errors are *fhir.Error for a call
// that cannot be answered.
func (v *Validator) Operate(ctx context.Context, c Call) ([]fhir.Issue, error) {
	n, mode, urls, err := c.read()
	if err != nil {
		return nil, err
	}
	req := Request{Profiles: urls, Warnings: true, Schema: true, Around: c.Around}
	switch mode {
	case "", "profile":
		if mode == "profile" && len(urls) == 0 {
			return nil, fhir.Errorf(400, fhir.CodeRequired, "the mode 'profile' needs the parameter profile")
		}
	case "create", "update":
		req.Rules = true
	case "delete":
		return v.deletable(ctx, c)
	default:
		return nil, fhir.Errorf(400, fhir.CodeValue, "the mode %s is none of create, update, delete and profile", clip(mode))
	}
	if !n.Valid() && c.ID != "" && c.Stored != nil {
		doc, err := c.Stored(ctx)
		if err != nil {
			return nil, err
		}
		if doc == nil {
			return nil, fhir.Errorf(404, fhir.CodeNotFound, "%s/%s is not known", c.Type, c.ID)
		}
		n = doc.Root()
	}
	if !n.Valid() {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "there is no resource to validate: send it as the body, or as the parameter resource of a Parameters")
	}
	var issues []fhir.Issue
	if typ := n.Get("resourceType"); c.Type != "" && typ.Kind() == fhir.String && typ.Text() != c.Type {
		line, col := typ.LineCol()
		issues = append(issues, fhir.Issue{Severity: fhir.SeverityError, Code: fhir.CodeInvalid, Line: line, Col: col,
			Diagnostics: "the resource is a " + typ.Text() + ", but the URL is of " + c.Type})
	}
	if mode == "update" && c.ID != "" && n.Get("id").Text() != c.ID {
		issues = append(issues, fhir.Issue{Severity: fhir.SeverityError, Code: fhir.CodeInvalid, Expression: []string{c.Type + ".id"},
			Diagnostics: "the id of the resource must be " + clip(c.ID) + ", that of the URL, for an update"})
	}
	if mode == "create" && v.cfg.mode(c.Type) == Off {
		req.Rules = false
	}
	issues = append(issues, v.ValidateNode(ctx, n, req)...)
	return allOK(issues), c.Around.Stored.Err()
}

// deletable answers the mode delete: whether the resource is there to be
// deleted. What else stands against it only the delete itself can tell.
func (v *Validator) deletable(ctx context.Context, c Call) ([]fhir.Issue, error) {
	if c.ID == "" || c.Stored == nil {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "the mode 'delete' is for an instance: /%s/[id]/$validate", c.Type)
	}
	doc, err := c.Stored(ctx)
	if err != nil {
		return nil, err
	}
	if doc == nil {
		return nil, fhir.Errorf(404, fhir.CodeNotFound, "%s/%s is not known", c.Type, c.ID)
	}
	return allOK(nil), nil
}

// read takes the body apart.
func (c *Call) read() (n fhir.Node, mode string, urls []string, err error) {
	mode, urls = c.Mode, slices.Clone(c.Profiles)
	if c.Body == nil {
		return n, mode, urls, nil
	}
	n = c.Body.Root()
	if n.Get("resourceType").Text() != "Parameters" || c.Type == "Parameters" && !n.Get("parameter").Valid() {
		return n, mode, urls, nil
	}
	var resource fhir.Node
	known := false
	for p := n.Get("parameter").First(); p.Valid(); p = p.Next() {
		switch p.Get("name").Text() {
		case "resource":
			resource, known = p.Get("resource"), true
		case "mode":
			known = true
			if m := p.Get("valueCode"); m.Valid() {
				mode = m.Text()
			} else {
				mode = p.Get("valueString").Text()
			}
		case "profile":
			known = true
			for _, name := range []string{"valueUri", "valueCanonical", "valueUrl", "valueString"} {
				if v := p.Get(name); v.Valid() {
					urls = append(urls, v.Text())
				}
			}
		}
	}
	if !known && c.Type == "Parameters" {
		return n, mode, urls, nil // a Parameters that is to be validated itself
	}
	return resource, mode, urls, nil
}

// allOK makes sure that an outcome has an issue.
func allOK(issues []fhir.Issue) []fhir.Issue {
	if len(issues) == 0 {
		return []fhir.Issue{{Severity: fhir.SeverityInformation, Code: fhir.CodeInformational, Diagnostics: "nothing stands against it"}}
	}
	return issues
}

// SnapshotCall is a call of StructureDefinition/$snapshot.
type SnapshotCall struct {
	// Body is the StructureDefinition, or a Parameters with it as definition or
	// with its url; nil for none.
	Body *fhir.Doc
	URL  string // the parameter url
	// Stored reads the instance in the URL; nil at the type level.
	Stored func(ctx context.Context) (*fhir.Doc, error)
}

// OperateSnapshot answers $snapshot: the StructureDefinition with its snapshot.
// Its errors are *fhir.Error.
func (v *Validator) OperateSnapshot(ctx context.Context, c SnapshotCall) ([]byte, error) {
	doc, url := c.Body, c.URL
	if doc != nil && doc.Root().Get("resourceType").Text() == "Parameters" {
		body := doc.Root()
		doc = nil
		for p := body.Get("parameter").First(); p.Valid(); p = p.Next() {
			switch p.Get("name").Text() {
			case "definition":
				d, err := fhir.Parse(p.Get("resource").Raw(), fhir.Limits{})
				if err != nil {
					return nil, fhir.Errorf(400, fhir.CodeRequired, "the parameter definition holds no resource")
				}
				doc = d
			case "url":
				url = p.Get("valueUri").Text() + p.Get("valueString").Text() + p.Get("valueCanonical").Text()
			}
		}
	}
	if doc == nil && c.Stored != nil {
		d, err := c.Stored(ctx)
		if err != nil {
			return nil, err
		}
		doc = d
	}
	if doc == nil && url != "" {
		src, ok := v.reg.Canonical("StructureDefinition", url)
		if !ok {
			return nil, fhir.Errorf(404, fhir.CodeNotFound, "the StructureDefinition %s is not known", url)
		}
		d, err := fhir.Parse(src, fhir.Limits{})
		if err != nil {
			return nil, err
		}
		doc = d
	}
	if doc == nil {
		return nil, fhir.Errorf(400, fhir.CodeRequired, "there is no StructureDefinition: send it as the body, or name it by the parameter url")
	}
	return v.Snapshot(doc)
}
