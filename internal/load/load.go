// Package load sends files of resources to a FHIR server: transaction and batch
// Bundles, single resources and NDJSON, packed by gzip, zstd or tar, in folders.
//
// It works over HTTP alone, so it loads any FHIR server. What the server
// refuses is reported with file, line and reason, and everything else is
// stored. Resources with an id are PUT, so loading them again changes nothing;
// Bundles are sent as they are, so it is their conditions that decide. What was
// refused because something that it refers to was not there yet is tried once
// more when everything else is in.
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ingle/fhir"
)

// Options say what to load and where.
type Options struct {
	Paths   []string
	Base    string      // the server's base URL
	Header  http.Header // sent with every request: Authorization
	Workers int         // requests at once; 0: 4
	Client  *http.Client
	Log     io.Writer // reports of refused resources
	Status  io.Writer // progress; nil for none
	Bar     bool      // Status is a terminal: draw a bar
}

// Result counts what happened.
type Result struct {
	Stored    int64 // resources the server accepted: created, updated or there already
	Refused   int64
	Requests  int64
	Bytes     int64 // of input, as stored on the disk
	Duration  time.Duration
	bytesDone atomic.Int64
}

// Run loads everything. The error tells why it could not go on; refused
// resources are no error but counted.
func Run(ctx context.Context, o Options) (*Result, error) {
	if o.Workers <= 0 {
		o.Workers = 4
	}
	if o.Client == nil {
		o.Client = &http.Client{Timeout: 5 * time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: o.Workers, MaxIdleConns: o.Workers, Proxy: http.ProxyFromEnvironment}}
	}
	names, size, err := files(o.Paths)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, errors.New("there is nothing to load: no .json, .ndjson or packed file below the paths given")
	}
	res := &Result{Bytes: size}
	started := time.Now()
	l := &loader{Options: o, res: res}
	stop := l.progress(started)
	err = l.all(ctx, names)
	res.Duration = time.Since(started)
	stop()
	return res, err
}

type loader struct {
	Options
	res *Result

	mu    sync.Mutex // guards later, Log
	later []piece    // to be tried once more
	held  int        // bytes in later
	final bool       // this is the second try
}

// maxHeld bounds the memory of what is to be tried again; more is reported as refused.
const maxHeld = 256 << 20

func (l *loader) all(ctx context.Context, names []string) error {
	err := l.pool(ctx, func(send func(piece) error, drain func()) error {
		for _, name := range names {
			fault, err := walk(name, func(n int) { l.res.bytesDone.Add(int64(n)) }, func(p piece) error {
				if first.MatchString(p.file) { // alone: what follows refers to it
					drain()
					defer drain()
				}
				return send(p)
			})
			if err != nil {
				return err
			}
			if fault != nil { // the other files are none the worse for it
				l.refuse(filepath.ToSlash(name), 1, "file", "it cannot be read to its end: "+fault.Error())
			}
		}
		return nil
	})
	if err != nil || len(l.later) == 0 {
		return err
	}
	again := l.later
	l.later, l.final = nil, true
	return l.pool(ctx, func(send func(piece) error, _ func()) error {
		for _, p := range again {
			if err := send(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// pool runs workers that take what feed sends, and waits for them. drain waits
// until nothing is under way.
func (l *loader) pool(ctx context.Context, feed func(send func(piece) error, drain func()) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pieces := make(chan piece)
	var busy sync.WaitGroup
	var workers sync.WaitGroup
	for range l.Workers {
		workers.Go(func() {
			for p := range pieces {
				if err := l.load(ctx, p); err != nil {
					cancel(err)
				}
				busy.Done()
			}
		})
	}
	err := feed(func(p piece) error {
		busy.Add(1)
		select {
		case pieces <- p:
			return nil
		case <-ctx.Done():
			busy.Done()
			return context.Cause(ctx)
		}
	}, busy.Wait)
	close(pieces)
	workers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// refuse reports one refused resource.
func (l *loader) refuse(file string, line int, what, reason string) {
	atomic.AddInt64(&l.res.Refused, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.Log, "%s:%d: %s: %s\n", file, line, what, reason)
}

// retry keeps a piece for the second try; false if this is it.
func (l *loader) retry(p piece) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.final || l.held+len(p.data) > maxHeld {
		return false
	}
	l.later = append(l.later, p)
	l.held += len(p.data)
	return true
}

// load sends one piece. Its error stops everything: the server is away, or does
// not let us in.
func (l *loader) load(ctx context.Context, p piece) error {
	if p.kind == lines {
		return l.loadLines(ctx, p)
	}
	doc, err := fhir.Parse(p.data, fhir.Limits{Nodes: 1 << 24, String: 1 << 28})
	if err != nil {
		l.refuseError(p.file, p.line, err)
		return nil
	}
	root := doc.Root()
	typ := root.Get("resourceType").Text()
	if typ == "Bundle" {
		switch t := root.Get("type").Text(); t {
		case "transaction", "batch":
			return l.loadBundle(ctx, p, doc, t == "batch")
		case "collection", "searchset", "history", "document", "message":
			return l.loadCollection(ctx, p, root)
		}
	}
	return l.loadOne(ctx, p, root)
}

func (l *loader) refuseError(file string, line int, err error) {
	if e := fhir.AsError(err); e != nil {
		is := e.Issues[0]
		line += max(is.Line, 1) - 1
		// the reason counts from the document's first line, the reader of the report from the file's
		l.refuse(file, line, "document", strings.Replace(is.Diagnostics, fmt.Sprintf(" line %d,", is.Line), fmt.Sprintf(" line %d,", line), 1))
		return
	}
	l.refuse(file, line, "document", err.Error())
}

// Exit returns the exit status: 0 if everything was stored, else 1.
func (r *Result) Exit() int {
	if r.Refused > 0 {
		return 1
	}
	return 0
}

// IsTerminal tells whether a file is a terminal.
func IsTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
