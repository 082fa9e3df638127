// Package export fetches a bulk export from a FHIR server into a folder: it asks for
// it, waits for the manifest and downloads the files, several at once.
//
// It works over HTTP alone, so it exports from any server with Bulk Data Access. What
// it has done stands in the folder: the same call goes on where another was broken
// off. Files are for their owner's eyes alone.
package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Options say what to export and where to.
type Options struct {
	Base    string      // the server's base URL
	Level   string      // "" for the system, "Patient" or "Group/<id>"
	Query   url.Values  // parameters of $export
	Out     string      // folder, made where it is missing
	Header  http.Header // sent with every request to the server: Authorization
	Workers int         // files at once; 0: 2
	Client  *http.Client
	Status  io.Writer // progress; nil for none
}

// Result tells what is in the folder.
type Result struct {
	Files, Resources int
	Bytes            int64
	Time             string   // transactionTime: where the next export can go on (_since)
	Faults           []string // files in which the server says what it could not export
}

// state is what is known of an export, kept in the folder.
type state struct {
	Request  string    `json:"request"`         // URL
	Place    string    `json:"place,omitempty"` // where the server tells of it; "" once all is here
	Manifest *manifest `json:"manifest,omitempty"`
}

// manifest is the server's answer.
type manifest struct {
	TransactionTime string `json:"transactionTime"`
	Output          []file `json:"output"`
	Deleted         []file `json:"deleted"`
	Error           []file `json:"error"`
}

type file struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

const (
	stateFile   = "export.json"
	maxManifest = 256 << 20 // bytes
)

var typeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,99}$`)

// Run exports. Its error tells why it could not go on; calling it again goes on.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Workers <= 0 {
		o.Workers = 2
	}
	if o.Client == nil {
		o.Client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: o.Workers, Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: 2 * time.Minute}}
	}
	if err := os.MkdirAll(o.Out, 0o700); err != nil {
		return nil, err
	}
	e := &exporter{Options: o}
	client := *o.Client
	client.CheckRedirect = e.redirected
	e.Client = &client
	if err := e.load(); err != nil {
		return nil, err
	}
	if e.Place == "" && e.Manifest == nil {
		if err := e.kickOff(ctx); err != nil {
			return nil, err
		}
	}
	if e.Manifest == nil {
		if err := e.wait(ctx); err != nil {
			return nil, err
		}
	}
	res, err := e.download(ctx)
	if err != nil || e.Place == "" {
		return res, err
	}
	e.forget(ctx)
	e.Place = ""
	return res, e.save()
}

type exporter struct {
	Options
	state
}

// load reads what an earlier call left.
func (e *exporter) load() error {
	path := strings.TrimRight(e.Base, "/")
	if e.Level != "" {
		path += "/" + e.Level
	}
	request := path + "/$export"
	if len(e.Query) > 0 {
		request += "?" + e.Query.Encode()
	}
	text, err := os.ReadFile(filepath.Join(e.Out, stateFile))
	if errors.Is(err, os.ErrNotExist) {
		e.Request = request
		return e.empty()
	}
	if err == nil {
		err = json.Unmarshal(text, &e.state)
	}
	if err != nil {
		return fmt.Errorf("read what was done before: %w", err)
	}
	if e.Request != request {
		return fmt.Errorf("%s holds another export, %s; choose another folder", e.Out, e.Request)
	}
	return nil
}

// empty refuses a folder with files that would be taken for those of this export.
func (e *exporter) empty() error {
	files, err := os.ReadDir(e.Out)
	for _, f := range files {
		if f.Name() != stateFile+".part" {
			return fmt.Errorf("%s holds %s, but no export that could go on; choose an empty folder", e.Out, f.Name())
		}
	}
	return err
}

func (e *exporter) save() error {
	text, err := json.MarshalIndent(e.state, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(e.Out, stateFile)
	if err := os.WriteFile(path+".part", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}

// own tells that a URL is one of the server that is asked.
func (e *exporter) own(u *url.URL) bool {
	base, err := url.Parse(e.Base)
	return err == nil && base.Scheme == u.Scheme && base.Host == u.Host
}

// redirected lets a server send its client elsewhere to read, without its credentials.
func (e *exporter) redirected(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) == 10:
		return errors.New("10 redirects, one after the other")
	case e.own(req.URL):
	case req.Method != http.MethodGet:
		return http.ErrUseLastResponse
	default:
		for name := range e.Header {
			delete(req.Header, name)
		}
	}
	return nil
}

// ask sends a request. The headers of the caller, credentials among them, go to the
// server alone.
func (e *exporter) ask(ctx context.Context, method, target, accept string, more ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, nil)
	if err != nil {
		return nil, err
	}
	if e.own(req.URL) {
		for name, values := range e.Header {
			req.Header[name] = values
		}
	}
	req.Header.Set("Accept", accept)
	for i := 0; i+1 < len(more); i += 2 {
		req.Header.Set(more[i], more[i+1])
	}
	return e.Client.Do(req)
}

func (e *exporter) kickOff(ctx context.Context) error {
	e.tell("asking")
	resp, err := e.ask(ctx, http.MethodGet, e.Request, "application/fhir+json", "Prefer", "respond-async")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	e.Place = resp.Header.Get("Content-Location")
	if resp.StatusCode != http.StatusAccepted || e.Place == "" {
		return refused("the server does not export", resp)
	}
	return e.save()
}

// wait asks for the manifest until it is there.
func (e *exporter) wait(ctx context.Context) error {
	for {
		resp, err := e.ask(ctx, http.MethodGet, e.Place, "application/json")
		if err != nil {
			return err
		}
		wait, err := e.look(resp)
		_ = resp.Body.Close()
		if err != nil || wait == 0 {
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// look reads an answer at the export's place; wait is when to ask again, 0 when the
// manifest is there.
func (e *exporter) look(resp *http.Response) (wait time.Duration, err error) {
	switch resp.StatusCode {
	case http.StatusAccepted, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.tell("waiting: " + resp.Header.Get("X-Progress"))
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return time.Duration(min(max(seconds, 1), 60)) * time.Second, nil
	case http.StatusOK:
		var m manifest
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxManifest)).Decode(&m); err != nil {
			return 0, fmt.Errorf("read the manifest: %w", err)
		}
		for _, f := range m.Output {
			if !typeName.MatchString(f.Type) { // it becomes a file's
				return 0, fmt.Errorf("read the manifest: %.50q is not the name of a resource type", f.Type)
			}
		}
		e.Manifest = &m
		return 0, e.save()
	}
	return 0, refused("the export is not to be had; begin anew, in another folder", resp)
}

// forget tells the server that all is here. It would forget by itself, later.
func (e *exporter) forget(ctx context.Context) {
	if place, err := url.Parse(e.Place); err != nil || !e.own(place) {
		return // another's to delete
	}
	if resp, err := e.ask(ctx, http.MethodDelete, e.Place, "application/fhir+json"); err == nil {
		_ = resp.Body.Close()
	}
}

func (e *exporter) tell(what string) {
	if e.Status != nil {
		fmt.Fprintln(e.Status, what)
	}
}

// refused makes an error of an answer: its status and what it says.
func refused(what string, resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var outcome struct {
		Issue []struct{ Diagnostics string }
	}
	text := ""
	if json.Unmarshal(body, &outcome) == nil {
		for _, i := range outcome.Issue {
			text += ": " + i.Diagnostics
		}
	}
	return fmt.Errorf("%s: %s%s", what, resp.Status, text)
}
