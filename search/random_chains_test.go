package search

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// compareChains asks n random chains that do not say to which type of resource they lead,
// and compares them with those that do, for each type by itself: a condition on many
// types at once is to find what the conditions on each find together.
func (g *generator) compareChains(t *testing.T, n int, label string) {
	failed, hits, several := 0, 0, 0
	for i := 0; i < n; i++ {
		typ, head, tail := g.chained()
		if tail == "" {
			i--
			continue
		}
		text := typ + "?" + strings.Replace(tail, "@", head, 1)
		driven, probed, err := g.both(t, text)
		if err != nil { // a type that it may lead to refuses it
			continue
		}
		var want []int64
		led, refused := 0, false
		for _, to := range g.leadsTo(typ, head) {
			found, also, err := g.both(t, typ+"?"+strings.Replace(tail, "@", head+":"+to, 1))
			if err != nil {
				_, _, unknown := g.o.w.reg.Parse(request(to + "?" + strings.TrimPrefix(strings.TrimPrefix(tail, "_filter="), "@.")))
				refused = refused || !strings.Contains(err.Error(), "has no search parameter") && (unknown == nil || !strings.Contains(unknown.Error(), "has no search parameter"))
				continue
			}
			led++
			want = append(want, found...)
			want = append(want, also...)
		}
		if refused {
			continue
		}
		slices.Sort(want)
		want = slices.Compact(want)
		slices.Reverse(want)
		for _, got := range [][]int64{driven, probed} {
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s", text, g.o.w.difference(got, want))
				failed++
			}
		}
		if failed >= 10 {
			t.Fatal("too many differences")
		}
		if len(want) > 0 {
			hits++
		}
		if led > 1 {
			several++
		}
	}
	t.Logf("%s: %d passed, %d failed; %d of them found something, %d led to several types", label, n-failed, failed, hits, several)
}

// chained makes a chain: the type, the reference parameter and the rest, in which @
// stands for the parameter. tail is "" where nothing came of it.
func (g *generator) chained() (typ, head, tail string) {
	typ = pick(g.r, g.types)
	if g.chance(0.5) {
		typ = pick(g.r, []string{"Observation", "Encounter", "Condition", "MedicationRequest", "Procedure", "Composition", "DiagnosticReport", "Task", "CarePlan"})
	}
	p := pick(g.r, g.o.w.reg.Params(typ))
	if p.Type != "reference" || !p.indexed || (len(p.Targets) == 0 || len(p.Targets) > 12) && !g.chance(0.1) {
		return "", "", ""
	}
	s, vals := g.sample(p)
	if s == nil {
		return "", "", ""
	}
	for _, r := range g.o.refs(pick(g.r, vals), s) {
		for _, to := range g.o.resolve(vals[0], r) {
			if len(p.Targets) > 0 && !slices.Contains(p.Targets, to.typ) {
				continue
			}
			if g.chance(0.25) {
				if f, and := g.filter(to.typ, 0), g.filter(to.typ, 3); f != "" && and != "" {
					return typ, p.Code, "_filter=" + pick(g.r, []string{"@[" + f + "]." + and, "@[not (" + f + ")]." + and, "@." + and})
				}
			}
			if inner := g.term(to.typ, 1); inner != "" {
				return typ, p.Code, "@." + inner
			}
		}
	}
	return "", "", ""
}

// leadsTo are the types of the resources in the world that a parameter may point to.
func (g *generator) leadsTo(typ, code string) []string {
	targets := g.o.w.reg.Param(typ, code).Targets
	return slices.DeleteFunc(slices.Clone(g.types), func(t string) bool { return len(targets) > 0 && !slices.Contains(targets, t) })
}

// both finds what a search matches, newest first: as a search does, and as a condition on
// each resource.
func (g *generator) both(t *testing.T, text string) (driven, probed []int64, err error) {
	t.Helper()
	w, req := g.o.w, request(text)
	req.Terminology = g.sets
	q, _, err := w.reg.Parse(req)
	if err != nil {
		return nil, nil, err
	}
	var args Args
	sql, err := w.reg.Matching(q, w.src, &args)
	if err != nil {
		return nil, nil, err
	}
	c := &compilation{r: w.reg, q: q, src: w.src}
	res, x := c.from(Resource, q.types, "x")
	each := "SELECT " + x + ".rid FROM " + res + " WHERE " + and(in(c, x+".rtype", c.numbers(q.types)), c.probe(both(q.conds), resourceRow(x), false)) + " ORDER BY 1 DESC"
	ask := func(sql string, values []any) (rids []int64) {
		rows, err := w.conn.Query(context.Background(), sql, append([]any{pgx.QueryExecModeCacheDescribe}, values...)...)
		if err == nil {
			rids, err = pgx.CollectRows(rows, pgx.RowTo[int64])
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", text, err, sql)
		}
		return rids
	}
	return ask("SELECT DISTINCT rid FROM ("+sql+") AS m ORDER BY 1 DESC", args.Values()), ask(each, c.args.Values()), nil
}
