package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"ingle/fhir"
)

// created collects the ids of resources made by the create workload.
type created struct {
	mu   sync.Mutex
	refs []string
}

// templates are sampled Observations without id and meta, open at the end.
func (s *sample) templates() ([][]byte, error) {
	var templates [][]byte
	for _, o := range s.observations {
		doc, err := fhir.Parse(o.body, fhir.Limits{})
		if err != nil {
			return nil, err
		}
		out := []byte(`{"resourceType":"Observation"`)
		for m := doc.Root().First(); m.Valid(); m = m.Next() {
			switch k := m.Key(); k {
			case "resourceType", "id", "meta", "status", "note":
			default:
				out = append(append(append(append(out, ','), fhir.AppendString(nil, k)...), ':'), m.Raw()...)
			}
		}
		templates = append(templates, out)
		if len(templates) == 500 {
			break
		}
	}
	return templates, nil
}

// writes are creates of sampled Observations and updates of those.
func (b *bench) writes(ctx context.Context) error {
	if !b.wants("create") && !b.wants("update") {
		return nil
	}
	templates := b.spec.Templates
	if b.pool == nil {
		var err error
		if templates, err = b.sample.templates(); err != nil {
			return err
		}
	}
	made, limitMade := &created{}, &created{}
	if err := b.creates(ctx, templates, made, limitMade); err != nil {
		return err
	}
	return b.updates(ctx, templates, made, limitMade)
}

func finish(template []byte, id, status, note string) []byte {
	out := slices.Clone(template)
	if id != "" {
		out = append(out, `,"id":"`+id+`"`...)
	}
	out = append(out, `,"status":"`+status+`"`...)
	if note != "" {
		out = append(out, `,"note":[{"text":"`+note+`"}]`...)
	}
	return append(out, '}')
}

// creates alternates with two limits: one writes what the server has to write,
// its index rows prepared beforehand, the other the body alone.
func (b *bench) creates(ctx context.Context, templates [][]byte, made, limitMade *created) error {
	post := func(c *client, made *created, path func(template int) string, ref func(*reply, string) string) func(ctx context.Context, w *worker) error {
		return func(ctx context.Context, w *worker) error {
			i := w.IntN(len(templates))
			p := path(i)
			r, err := c.do(ctx, http.MethodPost, p, finish(templates[i], "", "final", ""))
			if err != nil {
				return err
			}
			defer r.release()
			if r.status != http.StatusCreated {
				return r.refused()
			}
			at := ref(r, p)
			if at == "" {
				return errors.New("no Location")
			}
			made.mu.Lock()
			made.refs = append(made.refs, at)
			made.mu.Unlock()
			return nil
		}
	}
	located := func(r *reply, _ string) string {
		loc := r.header.Get("Location")
		loc, _, _ = strings.Cut(loc, "/_history/")
		if i := strings.LastIndex(loc, "Observation/"); i >= 0 {
			return loc[i:]
		}
		return ""
	}
	named := func(_ *reply, path string) string { return id(path) }
	server := arm{post(b.c, made, func(int) string { return "Observation" }, located), b.server}
	if b.limit == nil {
		return b.row(ctx, Row{Workload: "create", Goal: goalCreate}, server, nil)
	}
	indexed := arm{post(b.limit, &created{}, func(i int) string { return "create/" + strconv.Itoa(i) + "/" + uuid() }, named), b.limits}
	if err := b.row(ctx, Row{Workload: "create", Goal: goalCreate}, server, &indexed); err != nil {
		return err
	}
	bare := arm{post(b.limit, limitMade, func(int) string { return "create/" + uuid() }, named), b.limits}
	return b.row(ctx, Row{Workload: "create over an insert without index rows"}, server, &bare)
}

// updates changes the status, which is indexed, and a text, which is not.
func (b *bench) updates(ctx context.Context, templates [][]byte, made, limitMade *created) error {
	if !b.wants("update") || len(made.refs) == 0 {
		return nil
	}
	var count atomic.Int64
	put := func(c *client, made *created, prefix string) func(ctx context.Context, w *worker) error {
		return func(ctx context.Context, w *worker) error {
			// each worker has its own resources, so that none meets another's
			i := w.IntN(len(made.refs)/32)*32 + w.number%32
			ref := made.refs[i]
			status := "final"
			n := count.Add(1)
			if n%2 == 0 {
				status = "amended"
			}
			template := templates[(i*7)%len(templates)]
			r, err := c.do(ctx, http.MethodPut, prefix+ref, finish(template, ref[strings.LastIndexByte(ref, '/')+1:], status, "change "+strconv.FormatInt(n, 10)))
			if err != nil {
				return err
			}
			defer r.release()
			if r.status != http.StatusOK {
				return r.refused()
			}
			if tag := r.header.Get("ETag"); tag == "" || tag == `W/"1"` {
				return fmt.Errorf("the ETag is %q after an update", tag)
			}
			return nil
		}
	}
	if len(made.refs) < 32 {
		b.add(Row{Workload: "update", Note: "too few resources were created"})
		return nil
	}
	var limit *arm
	if b.limit != nil && len(limitMade.refs) >= 32 {
		limit = &arm{put(b.limit, limitMade, "update/"), b.limits}
	}
	return b.row(ctx, Row{Workload: "update with history"}, arm{put(b.c, made, ""), b.server}, limit)
}
