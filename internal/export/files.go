package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// tries is how often a file is begun.
const tries = 4

// download fetches what is not in the folder yet.
func (e *exporter) download(ctx context.Context) (*Result, error) {
	res := &Result{Time: e.Manifest.TransactionTime}
	var mu sync.Mutex
	all := e.files()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(e.Workers)
	for _, f := range all {
		group.Go(func() error {
			n, size, err := e.file(ctx, f)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			res.Files, res.Bytes = res.Files+1, res.Bytes+size
			if f.fault {
				res.Faults = append(res.Faults, f.name)
			} else {
				res.Resources += n
			}
			e.tell(fmt.Sprintf("%d of %d files, %d resources, %d MB", res.Files, len(all), res.Resources, res.Bytes/1e6))
			return nil
		})
	}
	return res, group.Wait()
}

const faults = "error" // the name of files of faults

// named is a file of the manifest with its name in the folder.
type named struct {
	name, url string
	fault     bool // it holds OperationOutcomes
}

func (e *exporter) files() (out []named) {
	count := map[string]int{}
	add := func(prefix string, list []file) {
		for _, f := range list {
			kind := prefix
			if kind == "" {
				kind = f.Type
			}
			count[kind]++
			out = append(out, named{fmt.Sprintf("%s.%d.ndjson", kind, count[kind]), f.URL, prefix == faults})
		}
	}
	add("", e.Manifest.Output)
	add("deleted", e.Manifest.Deleted)
	add(faults, e.Manifest.Error)
	return out
}

// file fetches one file unless it is there, and counts its lines and bytes. One that
// is broken off is begun again: the server reads it anew each time.
func (e *exporter) file(ctx context.Context, f named) (lines int, size int64, err error) {
	path := filepath.Join(e.Out, f.name)
	if in, err := os.Open(path); err == nil {
		defer in.Close()
		var c counter
		_, err := io.Copy(&c, in)
		return c.lines, c.size, err
	}
	for try := range tries {
		if try > 0 {
			select {
			case <-time.After(time.Duration(1<<try) * 100 * time.Millisecond):
			case <-ctx.Done():
				return 0, 0, ctx.Err()
			}
		}
		var c counter
		var final bool
		if c, final, err = e.fetch(ctx, f.url, path); err == nil {
			return c.lines, c.size, nil
		}
		if final || ctx.Err() != nil {
			break
		}
	}
	return 0, 0, err
}

var errCutOff = errors.New("it ends within a line")

// fetch downloads a file whole or not at all; final tells that trying again is no use.
func (e *exporter) fetch(ctx context.Context, target, path string) (c counter, final bool, err error) {
	resp, err := e.ask(ctx, http.MethodGet, target, "application/fhir+ndjson")
	if err != nil {
		return c, false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return c, resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests, refused("the server does not give it", resp)
	}
	part, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return c, true, err
	}
	_, err = io.Copy(io.MultiWriter(part, &c), resp.Body)
	if err == nil && c.size > 0 && c.last != '\n' {
		err = errCutOff
	}
	if err == nil {
		err = part.Sync() // what has its name is there, whatever happens
	}
	if err := errors.Join(err, part.Close()); err != nil {
		return c, false, err
	}
	return c, true, os.Rename(path+".part", path)
}

// counter counts what is written to it.
type counter struct {
	lines int
	size  int64
	last  byte
}

func (c *counter) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte{'\n'})
	c.size += int64(len(p))
	if len(p) > 0 {
		c.last = p[len(p)-1]
	}
	return len(p), nil
}
