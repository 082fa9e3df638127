package interaction

import (
	"bytes"
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"ingle/fhir"
	"ingle/search"
	"ingle/terminology"
)

// capabilityParts are the cached statements, cut where the base URL stands.
type capabilityParts struct {
	full, normative, terminology [][]byte
	made                         time.Time
	changes                      uint64 // of the search parameters
}

// capabilityTTL is how long a statement may lag behind what changes while the
// server runs, search parameters apart: they are there at once.
const capabilityTTL = 10 * time.Second

// baseMark stands for the base URL while a statement is built.
const baseMark = "\x00"

// capabilities answers GET /metadata (R4 http.html#capabilities). The statement
// is made from what runs: the types, the search parameters of the registry, the
// operations that were registered.
func (s *Service) capabilities(ctx context.Context, req *Request) (*Response, error) {
	if err := s.onlyParams(req, "mode", "_summary", "_elements"); err != nil {
		return nil, err
	}
	made := s.currentCapabilities()
	parts := made.full
	switch mode, _ := req.param("mode"); mode {
	case "", "full":
	case "normative":
		parts = made.normative
	case "terminology":
		parts = made.terminology
	default:
		return nil, fhir.Errorf(400, fhir.CodeValue, "mode is full, normative or terminology, not %q", printable(mode))
	}
	base := fhir.AppendString(nil, req.BaseURL)
	body := bytes.Join(parts, base[1:len(base)-1])
	if mode, _ := req.param("mode"); mode == "terminology" && s.cfg.Terminology != nil {
		body = s.cfg.Terminology.Capabilities(ctx, nil, terminology.Software{Name: s.cfg.Software.Name, Version: s.cfg.Software.Version, URL: req.BaseURL})
	}
	cut := &Request{Query: slices.DeleteFunc(slices.Clone(req.Query), func(p search.KV) bool { return p.Name == "mode" }), Prefer: req.Prefer}
	part, err := s.subset(cut)
	if err != nil {
		return nil, err
	}
	if part != nil {
		if body, err = part.of(body); err != nil {
			return nil, err
		}
	}
	return &Response{Status: http.StatusOK, Body: body, LastModified: s.cfg.Software.Built}, nil
}

func (s *Service) currentCapabilities() *capabilityParts {
	s.capabilityLock.Lock()
	defer s.capabilityLock.Unlock()
	changes := s.registry.Changes()
	if s.capability == nil || s.capability.changes != changes || time.Since(s.capability.made) > capabilityTTL {
		split := func(b []byte) [][]byte { return bytes.Split(b, []byte(baseMark)) }
		s.capability = &capabilityParts{
			full:        split(s.capabilityStatement(s.cfg.Definitions.ResourceTypes())),
			normative:   split(s.capabilityStatement(normativeTypes)),
			terminology: split(s.terminologyCapabilities()),
			made:        time.Now(),
			changes:     changes,
		}
	}
	return s.capability
}

// normativeTypes are the resources with normative content in R4.
var normativeTypes = []string{"Binary", "Bundle", "CapabilityStatement", "CodeSystem", "Observation", "OperationDefinition",
	"OperationOutcome", "Parameters", "Patient", "StructureDefinition", "ValueSet"}

// jsonText builds a JSON object member by member.
type jsonText struct{ b []byte }

func (j *jsonText) sep() {
	if n := len(j.b); n > 0 && j.b[n-1] != '{' && j.b[n-1] != '[' && j.b[n-1] != ':' {
		j.b = append(j.b, ',')
	}
}

func (j *jsonText) key(name string) {
	j.sep()
	j.b = append(append(append(j.b, '"'), name...), `":`...)
}

func (j *jsonText) text(name, value string) {
	j.key(name)
	j.string(value)
}

// string writes a value; baseMark in it stays as it is.
func (j *jsonText) string(value string) {
	for i, part := range bytes.Split([]byte(value), []byte(baseMark)) {
		q := fhir.AppendString(nil, string(part))
		if i == 0 {
			j.b = append(j.b, '"')
		} else {
			j.b = append(j.b, baseMark...)
		}
		j.b = append(j.b, q[1:len(q)-1]...)
	}
	j.b = append(j.b, '"')
}

func (j *jsonText) raw(name, value string) {
	j.key(name)
	j.b = append(j.b, value...)
}

func (j *jsonText) open(name string, bracket byte) {
	if name == "" {
		j.sep()
	} else {
		j.key(name)
	}
	j.b = append(j.b, bracket)
}

func (j *jsonText) close(bracket byte) { j.b = append(j.b, bracket) }

func (j *jsonText) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	j.open(name, '[')
	for _, v := range values {
		j.sep()
		j.string(v)
	}
	j.close(']')
}

// head writes what both kinds of statement begin with.
func (s *Service) head(j *jsonText, resourceType, title string) {
	j.text("resourceType", resourceType)
	j.text("url", baseMark+"/metadata")
	if s.cfg.Software.Version != "" {
		j.text("version", s.cfg.Software.Version)
	}
	j.text("name", s.cfg.Software.Name)
	j.text("title", title)
	j.text("status", "active")
	j.text("date", s.cfg.Software.Built.UTC().Format("2006-01-02T15:04:05Z"))
	j.text("kind", "instance")
	j.open("software", '{')
	j.text("name", s.cfg.Software.Name)
	if s.cfg.Software.Version != "" {
		j.text("version", s.cfg.Software.Version)
	}
	j.text("releaseDate", s.cfg.Software.Built.UTC().Format("2006-01-02T15:04:05Z"))
	j.close('}')
	j.open("implementation", '{')
	j.text("description", s.cfg.Software.Name+", a FHIR R4 server on PostgreSQL")
	j.text("url", baseMark)
	j.close('}')
}

func (s *Service) capabilityStatement(types []string) []byte {
	j := &jsonText{b: make([]byte, 0, 1<<20)}
	j.open("", '{')
	s.head(j, "CapabilityStatement", s.cfg.Software.Name+" FHIR server")
	j.texts("instantiates", []string{"http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"})
	j.text("fhirVersion", s.cfg.Definitions.Version())
	formats := []string{"application/fhir+json", "json"}
	if s.cfg.XML {
		formats = append(formats, "application/fhir+xml", "xml")
	}
	j.texts("format", formats)
	j.texts("patchFormat", []string{jsonPatchType, "application/fhir+json"})
	j.open("rest", '[')
	j.open("", '{')
	j.text("mode", "server")
	j.open("security", '{')
	s.oauth(j)
	if s.cfg.CORS {
		j.raw("cors", "true")
	}
	description := s.cfg.Security
	if description == "" {
		description = "The server is open: every caller may read and write everything."
	}
	j.text("description", description)
	j.close('}')
	includes, revincludes := s.includes()
	j.open("resource", '[')
	for _, t := range types {
		s.resourceCapability(j, t, includes[t], revincludes[t])
	}
	j.close(']')
	interactions(j, "transaction", "batch", "search-system", "history-system")
	j.open("searchParam", '[')
	for _, p := range s.commonParams() {
		searchParam(j, p)
	}
	s.probed(j, "")
	j.open("", '{')
	j.text("name", "_type")
	j.text("type", "token")
	j.text("documentation", "The resource types to search")
	j.close('}')
	j.close(']')
	s.operationsOf(j, func(op *Operation) bool { return op.System })
	var compartments []string
	for _, name := range s.cfg.Definitions.Compartments() {
		compartments = append(compartments, s.cfg.Definitions.Compartment(name).URL)
	}
	j.texts("compartment", compartments)
	j.close('}')
	j.close(']')
	j.close('}')
	return j.b
}

func interactions(j *jsonText, codes ...string) {
	j.open("interaction", '[')
	for _, c := range codes {
		j.open("", '{')
		j.text("code", c)
		j.close('}')
	}
	j.close(']')
}

func (s *Service) resourceCapability(j *jsonText, t string, includes, revincludes []string) {
	j.open("", '{')
	j.text("type", t)
	profile := "http://hl7.org/fhir/StructureDefinition/" + t
	if a := s.cfg.Definitions.Added(t); a != nil {
		profile = a.URL
	}
	j.text("profile", profile)
	if must := s.combinations(t); must != "" {
		j.text("documentation", must)
	}
	interactions(j, "read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type")
	j.text("versioning", "versioned")
	j.raw("readHistory", "true")
	if s.cfg.UpdateCreate {
		j.raw("updateCreate", "true")
	} else {
		j.raw("updateCreate", "false")
	}
	j.raw("conditionalCreate", "true")
	j.text("conditionalRead", "full-support")
	j.raw("conditionalUpdate", "true")
	conditional := "multiple"
	switch {
	case s.cfg.DeleteLimit < 0:
		conditional = "not-supported"
	case s.cfg.DeleteLimit == 1:
		conditional = "single"
	}
	j.text("conditionalDelete", conditional)
	policy := []string{"literal", "logical", "local"}
	if s.cfg.CheckReferences {
		policy = append(policy, "enforced")
	}
	j.texts("referencePolicy", policy)
	j.texts("searchInclude", includes)
	j.texts("searchRevInclude", revincludes)
	j.open("searchParam", '[')
	for _, p := range s.registry.Params(t) {
		if searchable(p) && s.registry.Permits(t, p.Code) {
			searchParam(j, p)
		}
	}
	s.probed(j, t)
	j.close(']')
	s.operationsOf(j, func(op *Operation) bool { return (op.Type || op.Instance) && op.of(t) })
	j.close('}')
}

func searchParam(j *jsonText, p *search.Param) {
	j.open("", '{')
	j.text("name", p.Code)
	if p.URL != "" {
		j.text("definition", p.URL)
	}
	j.text("type", p.Type)
	if d := p.Definition; d != nil && d.Description != "" {
		j.text("documentation", d.Description)
	}
	j.close('}')
}

// operationsOf writes the operations that of picks, sorted by name.
func (s *Service) operationsOf(j *jsonText, of func(*Operation) bool) {
	var chosen []*Operation
	for _, ops := range s.operations {
		for _, op := range ops {
			if of(op) {
				chosen = append(chosen, op)
			}
		}
	}
	if len(chosen) == 0 {
		return
	}
	slices.SortFunc(chosen, func(a, b *Operation) int { return strings.Compare(a.Name, b.Name) })
	j.open("operation", '[')
	for _, op := range chosen {
		j.open("", '{')
		j.text("name", op.Name)
		j.text("definition", op.Definition)
		if op.Documentation != "" {
			j.text("documentation", op.Documentation)
		}
		j.close('}')
	}
	j.close(']')
}

// terminologyCapabilities answers mode=terminology. It lists what there is: code
// systems and value sets are stored and found like any resource, and no
// terminology operation is claimed that is not registered.
func (s *Service) terminologyCapabilities() []byte {
	j := &jsonText{}
	j.open("", '{')
	s.head(j, "TerminologyCapabilities", s.cfg.Software.Name+" terminology")
	has := func(name string) bool { return s.operations[name] != nil }
	if !has("expand") && !has("validate-code") && !has("lookup") && !has("translate") {
		j.text("description", "This server offers no terminology operations. CodeSystem, ValueSet and ConceptMap can be stored and searched.")
	}
	if has("expand") {
		j.open("expansion", '{')
		j.raw("hierarchical", "false")
		j.raw("paging", "true")
		j.close('}')
	}
	if has("validate-code") {
		j.open("validateCode", '{')
		j.raw("translations", "false")
		j.close('}')
	}
	if has("translate") {
		j.open("translation", '{')
		j.raw("needsMap", "true")
		j.close('}')
	}
	if has("closure") {
		j.open("closure", '{')
		j.raw("translation", "false")
		j.close('}')
	}
	j.close('}')
	return j.b
}

// oauth writes where the authorization server is (SMART App Launch 1.0, section
// "Using the FHIR CapabilityStatement"): first in the object, as JSON of FHIR has it.
func (s *Service) oauth(j *jsonText) {
	if len(s.cfg.OAuth) == 0 {
		return
	}
	j.open("extension", '[')
	j.open("", '{')
	j.text("url", "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris")
	j.open("extension", '[')
	for _, name := range slices.Sorted(maps.Keys(s.cfg.OAuth)) {
		j.open("", '{')
		j.text("url", name)
		j.text("valueUri", s.cfg.OAuth[name])
		j.close('}')
	}
	j.close(']')
	j.close('}')
	j.close(']')
}
