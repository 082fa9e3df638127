package interaction

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"ingle/fhir"
	"ingle/store"
)

// Bulk export (Bulk Data Access 2.0, http://hl7.org/fhir/uv/bulkdata): $export is
// answered later, by a manifest of files with one resource a line. What is exported
// is decided once, in one snapshot, and kept as a list of versions. Bodies are read
// when a file is fetched, as the caller may see them then: what was withdrawn,
// hidden or moved to another label since is not given.

const (
	exportTime  = 10 * time.Minute // that the lists may take
	exportKeep  = 24 * time.Hour   // that the files stay
	exportLines = 100_000          // resources of one of them
	exportFiles = 10_000           // of one export
)

// exportOperations are $export at its three levels.
func (s *Service) exportOperations() []*Operation {
	const definition = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
	op := func(name, what string) *Operation {
		return &Operation{Name: "export", Definition: definition + name, Do: s.export,
			Documentation: "Exports " + what + " as NDJSON; answered at the URL in Content-Location."}
	}
	system, patient, group := op("export", "everything"), op("patient-export", "what is in the compartments of Patients"), op("group-export", "what is in the compartments of the Group's members")
	system.System = true
	patient.Type, patient.Types = true, []string{"Patient"}
	group.Instance, group.Types = true, []string{"Group"}
	return []*Operation{system, patient, group}
}

// export begins an export. What can be said against it is said at once.
func (s *Service) export(ctx context.Context, session *store.Session, req *Request) (*Response, error) {
	if !req.Prefer.Async {
		return nil, fhir.Errorf(http.StatusBadRequest, fhir.CodeInvalid, "$export is answered later: send the header Prefer: respond-async")
	}
	asked, err := s.understandExport(ctx, session, req)
	if err != nil {
		return nil, err
	}
	if _, err := s.exportPatients(ctx, session, asked); err != nil {
		return nil, err
	}
	resp, err := s.begin(ctx, session, req, asyncWork{lane: s.later.exports, export: true, keep: exportKeep, time: exportTime,
		do: func(ctx context.Context, tx *store.Tx, id string) (*Response, error) {
			return s.runExport(ctx, tx, id, asked)
		},
		status: func(r *Response) int { return r.Status },
		write: func(w io.Writer, r *Response) error {
			content, err := r.content("")
			if err == nil {
				_, err = w.Write(content)
			}
			return err
		}})
	if err == nil {
		resp.Issues = append(resp.Issues, asked.notes...)
	}
	return resp, err
}

// runExport lists what is asked for and answers with the manifest.
func (s *Service) runExport(ctx context.Context, tx *store.Tx, id string, asked *exportRequest) (*Response, error) {
	at := s.db.Time(nil)
	if err := tx.ExportTime(ctx, at); err != nil {
		return nil, err
	}
	patients, err := s.exportPatients(ctx, tx, asked)
	if err != nil {
		return nil, err
	}
	var files []*store.ExportFile
	add := func(typ string, list *store.VersionList) error {
		if len(files) == exportFiles {
			return fhir.Errorf(http.StatusUnprocessableEntity, fhir.CodeTooCostly, "the export has more than %d files of %d resources; ask for some types, or for changes since a time", exportFiles, exportLines)
		}
		f := &store.ExportFile{Number: len(files) + 1, Type: typ, Versions: *list}
		if typ != "" {
			f.Elements = asked.elementsOf(typ)
		}
		if err := tx.Session().AddExportFile(ctx, id, f); err != nil {
			return err
		}
		f.Versions = store.VersionList{Count: list.Count} // the rest is stored
		files = append(files, f)
		return nil
	}
	list := store.Listing{Since: asked.since, Until: asked.until, Inside: asked.level != "", Patients: patients}
	for _, typ := range asked.types {
		if len(asked.filters[typ]) == 0 {
			list.Types = append(list.Types, typ)
		}
	}
	if err := tx.List(ctx, list, exportLines, add); err != nil {
		return nil, err
	}
	for _, typ := range asked.types {
		if list.Matching = asked.filters[typ]; len(list.Matching) > 0 {
			list.Types = []string{typ}
			if err := tx.List(ctx, list, exportLines, add); err != nil {
				return nil, err
			}
		}
	}
	if asked.since != nil {
		list.Types, list.Matching, list.Deleted = asked.types, nil, true
		if err := tx.List(ctx, list, exportLines, add); err != nil {
			return nil, err
		}
	}
	return &Response{Status: http.StatusOK, Body: manifest(asked, at, id, files)}, nil
}

// manifest is the answer to an export: where its files are. Counts are of the time
// of the transaction; of deletions they are Bundles.
func manifest(asked *exportRequest, at time.Time, id string, files []*store.ExportFile) []byte {
	j := &jsonText{}
	j.open("", '{')
	j.text("transactionTime", instant(at))
	j.text("request", asked.url)
	j.raw("requiresAccessToken", strconv.FormatBool(asked.authenticated))
	list := func(name string, deleted bool) {
		j.open(name, '[')
		for _, f := range files {
			if deleted != (f.Type == "") {
				continue
			}
			typ, count := f.Type, f.Versions.Count
			if deleted {
				typ, count = "Bundle", (count+deletionsALine-1)/deletionsALine
			}
			j.open("", '{')
			j.text("type", typ)
			j.text("url", fmt.Sprintf("%s/%s/%s/%d", asked.base, asyncPath, id, f.Number))
			j.raw("count", strconv.Itoa(count))
			j.close('}')
		}
		j.close(']')
	}
	list("output", false)
	list("deleted", true)
	j.open("error", '[')
	j.close(']')
	j.close('}')
	return j.b
}
