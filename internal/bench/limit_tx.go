package bench

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/search"
)

// prepared are the rows of one transaction, all that a server has to write for
// it, as arrays: resources and the five index tables.
type prepared struct {
	entries int
	rid     []int64
	rk      []int64
	rtype   []int16
	id      []string
	body    []string

	token, ref, date, str, quantity table
}

// table are columns of index rows; rid is relative to the transaction's first.
type table struct {
	rid     []int64
	columns []any
}

// prepare does beforehand what a server does with a Bundle before it writes:
// ids, references, index rows.
func prepare(b bundle, defs *fhir.Definitions, reg *search.Registry) (*prepared, error) {
	doc, err := fhir.Parse(b.body, bigLimits)
	if err != nil {
		return nil, err
	}
	lu := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	var pairs []string
	for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
		if url := e.Get("fullUrl").Text(); url != "" {
			pairs = append(pairs, url, e.Get("resource").Get("resourceType").Text()+"/"+uuid())
		}
	}
	body := newReplacer(pairs)(b.body)
	if doc, err = fhir.Parse(body, bigLimits); err != nil {
		return nil, err
	}
	p := &prepared{}
	h, tp := []int64{}, []int32{}
	rk, rp := []int64{}, []int32{}
	dk, dlo, dhi, dmin, dmax, dwide := []int64{}, []int64{}, []int64{}, []bool{}, []bool{}, []bool{}
	sk, smin, smax, sval, swhole, sraw := []int64{}, []bool{}, []bool{}, []string{}, []*string{}, []*string{}
	qk, qlo, qhi, qu, qt, qs, qmin, qmax := []int64{}, []string{}, []string{}, []int64{}, []int64{}, []int64{}, []bool{}, []bool{}
	for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
		res := e.Get("resource")
		typ := res.Get("resourceType").Text()
		ref := e.Get("fullUrl").Text()
		if !bytes.HasPrefix([]byte(ref), []byte(typ+"/")) {
			ref = typ + "/" + uuid()
		}
		one, err := withIdentity(res, id(ref), lu)
		if err != nil {
			return nil, err
		}
		parsed, err := fhir.Parse(one, fhir.Limits{})
		if err != nil {
			return nil, err
		}
		rows, err := reg.IndexRows(parsed)
		if err != nil {
			return nil, err
		}
		at := int64(p.entries)
		p.entries++
		p.rid, p.rk, p.rtype = append(p.rid, at), append(p.rk, search.RefKey(ref)), append(p.rtype, defs.TypeNumber(typ))
		p.id, p.body = append(p.id, id(ref)), append(p.body, string(one))
		for _, r := range rows.Tokens {
			p.token.rid, h, tp = append(p.token.rid, at), append(h, r.H), append(tp, int32(r.P))
		}
		for _, r := range rows.Refs {
			p.ref.rid, rk, rp = append(p.ref.rid, at), append(rk, r.RK), append(rp, int32(r.P))
		}
		for _, r := range rows.Dates {
			p.date.rid = append(p.date.rid, at)
			dk, dlo, dhi, dmin, dmax, dwide = append(dk, r.K), append(dlo, r.Lo), append(dhi, r.Hi), append(dmin, r.SMin), append(dmax, r.SMax), append(dwide, r.Wide)
		}
		for _, r := range rows.Strings {
			p.str.rid = append(p.str.rid, at)
			sk, smin, smax, sval, swhole, sraw = append(sk, r.K), append(smin, r.SMin), append(smax, r.SMax), append(sval, r.Val), append(swhole, r.Whole), append(sraw, r.Raw)
		}
		for _, r := range rows.Quantities {
			p.quantity.rid = append(p.quantity.rid, at)
			qk, qlo, qhi, qu, qt, qs = append(qk, r.K), append(qlo, r.Lo), append(qhi, r.Hi), append(qu, r.Unit), append(qt, r.UText), append(qs, r.Sys)
			qmin, qmax = append(qmin, r.SMin), append(qmax, r.SMax)
		}
	}
	p.token.columns = []any{h, tp}
	p.ref.columns = []any{rk, rp}
	p.date.columns = []any{dk, dlo, dhi, dmin, dmax, dwide}
	p.str.columns = []any{sk, smin, smax, sval, swhole, sraw}
	p.quantity.columns = []any{qk, qlo, qhi, qu, qt, qs, qmin, qmax}
	return p, nil
}

// prepareTemplates prepares Observations, each by itself.
func prepareTemplates(templates [][]byte) ([]*prepared, error) {
	reg := search.NewRegistry(r4.Definitions())
	out := make([]*prepared, len(templates))
	for i, t := range templates {
		body := append([]byte(`{"resourceType":"Bundle","entry":[{"resource":`), finish(t, "", "final", "")...)
		var err error
		if out[i], err = prepare(bundle{append(body, `}]}`...), 1}, r4.Definitions(), reg); err != nil {
			return nil, fmt.Errorf("prepare the limit: %w", err)
		}
	}
	return out, nil
}

// as is one prepared resource under another id, with the body that came for it.
func (p *prepared) as(id, body string) *prepared {
	one := *p
	one.rk, one.id, one.body = []int64{search.RefKey("Observation/" + id)}, []string{id}, []string{body}
	return &one
}

// withIdentity puts id and meta into a resource, as a server does.
func withIdentity(res fhir.Node, id, lu string) ([]byte, error) {
	meta := `"versionId":"1","lastUpdated":"` + lu + `"`
	out := append([]byte(`{"resourceType":`), fhir.AppendString(nil, res.Get("resourceType").Text())...)
	out = append(out, `,"id":"`+id+`","meta":{`+meta...)
	for m := res.Get("meta").First(); m.Valid(); m = m.Next() {
		if k := m.Key(); k != "versionId" && k != "lastUpdated" {
			out = append(append(append(append(out, ','), fhir.AppendString(nil, k)...), ':'), m.Raw()...)
		}
	}
	out = append(out, '}')
	for m := res.First(); m.Valid(); m = m.Next() {
		if k := m.Key(); k != "resourceType" && k != "id" && k != "meta" {
			out = append(append(append(append(out, ','), fhir.AppendString(nil, k)...), ':'), m.Raw()...)
		}
	}
	return append(out, '}'), nil
}

const (
	putResources = `INSERT INTO resource (rid, rk, lu, version, label, rtype, op, fhir_id, body)
		SELECT $1 + n.rid, n.rk, $2, 1, 0, n.rtype, 1, n.id, n.body::jsonb FROM unnest($3::int8[], $4::int8[], $5::int2[], $6::text[], $7::text[]) AS n(rid, rk, rtype, id, body)`
	putTokens = `INSERT INTO idx_token (rid, label, h, p) SELECT $1 + n.rid, 0, n.h, n.p FROM unnest($2::int8[], $3::int8[], $4::int4[]) AS n(rid, h, p)`
	putRefs   = `INSERT INTO idx_ref (rid, label, rk, p) SELECT $1 + n.rid, 0, n.rk, n.p FROM unnest($2::int8[], $3::int8[], $4::int4[]) AS n(rid, rk, p)`
	putDates  = `INSERT INTO idx_date (rid, label, k, lo, hi, smin, smax, wide) SELECT $1 + n.rid, 0, n.k, n.lo, n.hi, n.smin, n.smax, n.wide
		FROM unnest($2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::bool[], $7::bool[], $8::bool[]) AS n(rid, k, lo, hi, smin, smax, wide)`
	putStrings = `INSERT INTO idx_string (rid, label, k, smin, smax, val, whole, raw) SELECT $1 + n.rid, 0, n.k, n.smin, n.smax, n.val, n.whole, n.raw
		FROM unnest($2::int8[], $3::int8[], $4::bool[], $5::bool[], $6::text[], $7::text[], $8::text[]) AS n(rid, k, smin, smax, val, whole, raw)`
	putQuantities = `INSERT INTO idx_quantity (rid, label, k, lo, hi, unit, utext, sys, smin, smax) SELECT $1 + n.rid, 0, n.k, n.lo::numeric, n.hi::numeric, n.unit, n.utext, n.sys, n.smin, n.smax
		FROM unnest($2::int8[], $3::int8[], $4::text[], $5::text[], $6::int8[], $7::int8[], $8::int8[], $9::bool[], $10::bool[]) AS n(rid, k, lo, hi, unit, utext, sys, smin, smax)`
)

// write does it: one pipeline, one durable transaction. first is the number of
// its first resource.
func (p *prepared) write(ctx context.Context, pool *pgxpool.Pool, first int64) error {
	b := &pgx.Batch{}
	b.Queue(putResources, first, time.Now().UTC(), p.rid, p.rk, p.rtype, p.id, p.body)
	for _, t := range []struct {
		sql string
		*table
	}{{putTokens, &p.token}, {putRefs, &p.ref}, {putDates, &p.date}, {putStrings, &p.str}, {putQuantities, &p.quantity}} {
		if len(t.rid) > 0 {
			b.Queue(t.sql, append([]any{first, t.rid}, t.columns...)...)
		}
	}
	return pool.SendBatch(ctx, b).Close() // a pipeline without BEGIN is one transaction
}

// newReplacer replaces quoted texts by others, in one pass: {"old", "new", …}.
func newReplacer(pairs []string) func([]byte) []byte {
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(src []byte) []byte {
		out := make([]byte, 0, len(src))
		for len(src) > 0 {
			start := bytes.IndexByte(src, '"')
			if start < 0 {
				break
			}
			end := start + 1
			for end < len(src) && src[end] != '"' {
				if src[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(src) {
				break
			}
			out = append(out, src[:start+1]...)
			if to, ok := m[string(src[start+1:end])]; ok {
				out = append(out, to...)
			} else {
				out = append(out, src[start+1:end]...)
			}
			out = append(out, '"')
			src = src[end+1:]
		}
		return append(out, src...)
	}
}

func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
