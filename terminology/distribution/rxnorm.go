package distribution

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"ingle/terminology"
)

// rxnorm is RxNorm in Rich Release Format.
type rxnorm struct {
	base
	names, relations, types string
}

var (
	rxnormDate = regexp.MustCompile(`(?i)rxnorm_(?:full|weekly|prescribe)_(\d{2})(\d{2})(\d{4})`)
	// rxnormRank orders the kinds of term for the display.
	rxnormRank = []string{"SY", "TMSY", "ET", "PSN", "DF", "DFG", "IN", "PIN", "MIN", "BN", "SCDC", "SCDF", "SCDG", "SBDC", "SBDF", "SBDG", "GPCK", "BPCK", "SCD", "SBD"}
)

func openRxNorm(f *files, opt Options) (terminology.Distribution, error) {
	r := &rxnorm{base: base{f: f}}
	for _, x := range []struct {
		to      *string
		pattern string
	}{{&r.names, `RXNCONSO\.RRF`}, {&r.relations, `RXNREL\.RRF`}, {&r.types, `RXNSTY\.RRF`}} {
		list, err := f.find(x.pattern)
		if err != nil {
			return nil, err
		}
		if len(list) > 0 { // the full release repeats a part of itself in "prescribe"
			slices.SortFunc(list, func(a, b string) int { return len(a) - len(b) })
			*x.to = list[0]
			r.used = append(r.used, list[0])
		}
	}
	version := opt.Version
	if m := rxnormDate.FindStringSubmatch(f.name); version == "" && m != nil {
		version = m[1] + m[2] + m[3] // MMDDYYYY, as the publisher writes it
	}
	if version == "" {
		return nil, errors.New("distribution: the date of the RxNorm release is not in the file's name; give the version")
	}
	r.info = terminology.SystemInfo{URL: orElse(opt.URL, "http://www.nlm.nih.gov/research/umls/rxnorm"), Version: version, Name: "RxNorm", Title: "RxNorm",
		Status: "active", Language: "en", ValueSet: "http://www.nlm.nih.gov/research/umls/rxnorm/vs", HierarchyMeaning: "is-a", CaseSensitive: true}
	r.info.Properties = append(r.info.Properties, []terminology.PropertyInfo{{Code: "TTY", Type: "code"}, {Code: "STY", Type: "string"}, {Code: "SAB", Type: "code"}}...)
	return r, nil
}

func (r *rxnorm) columns(ctx context.Context, name string, want int, fn func(cols [][]byte) error) error {
	if name == "" {
		return nil
	}
	var cols [][]byte
	return r.f.lines(name, func(n int, line []byte) error {
		if len(line) == 0 {
			return nil
		}
		if n%65536 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if cols = cut(line, '|', cols); len(cols) < want {
			return fmt.Errorf("there are %d columns, not %d", len(cols), want)
		}
		return fn(cols)
	})
}

// own tells whether a line of RXNCONSO is RxNorm's own name.
func own(cols [][]byte) bool { return string(cols[11]) == "RXNORM" }

// Read reads codes and isa edges, or group by group all of it.
func (r *rxnorm) Read(ctx context.Context, codesOnly bool, to terminology.Receiver) error {
	if codesOnly {
		last := ""
		err := r.columns(ctx, r.names, 17, func(cols [][]byte) error {
			if !own(cols) || string(cols[0]) == last {
				return nil
			}
			last = string(cols[0])
			return to.Concept(&terminology.Concept{Code: last})
		})
		if err != nil {
			return err
		}
		// RXNREL says "the second has the relation to the first"
		return r.columns(ctx, r.relations, 8, func(cols [][]byte) error {
			if string(cols[7]) != "isa" || len(cols[0]) == 0 || len(cols[4]) == 0 {
				return nil
			}
			return to.Parent(string(cols[4]), string(cols[0]))
		})
	}
	groups := uint32(r.f.size(r.names, r.relations)/groupBytes) + 1
	for g := range groups {
		if err := r.readGroup(ctx, g, groups, to); err != nil {
			return err
		}
	}
	return nil
}

type rxConcept struct {
	terminology.Concept
	rank  int
	alive bool
	names []string
	ttys  []string
}

func (r *rxnorm) readGroup(ctx context.Context, g, groups uint32, to terminology.Receiver) error {
	concepts := map[string]*rxConcept{}
	var order []*rxConcept
	err := r.columns(ctx, r.names, 17, func(cols [][]byte) error {
		if !own(cols) || group(cols[0], groups) != g {
			return nil
		}
		c := concepts[string(cols[0])]
		if c == nil {
			c = &rxConcept{rank: -1}
			c.Code = string(cols[0])
			concepts[c.Code] = c
			order = append(order, c)
		}
		tty, name, suppressed := string(cols[12]), string(cols[14]), string(cols[16])
		c.alive = c.alive || suppressed == "N" || suppressed == ""
		rank := slices.Index(rxnormRank, tty)
		if suppressed != "N" && suppressed != "" {
			rank = -1
		}
		if rank >= c.rank && (rank > c.rank || c.Display == "") {
			c.rank, c.Display = rank, name
		}
		c.names = append(c.names, name)
		c.ttys = append(c.ttys, tty)
		return nil
	})
	if err != nil {
		return err
	}
	err = r.columns(ctx, r.types, 4, func(cols [][]byte) error {
		if c := concepts[string(cols[0])]; c != nil {
			prop(&c.Concept, "STY", "String", string(cols[3]))
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = r.columns(ctx, r.relations, 8, func(cols [][]byte) error {
		rela := string(cols[7])
		if c := concepts[string(cols[4])]; c != nil && rela != "" && rela != "isa" && rela != "inverse_isa" && len(cols[0]) > 0 {
			p := terminology.Property{Code: rela, Type: "Code", Value: string(cols[0])}
			if !slices.Contains(c.Properties, p) {
				c.Properties = append(c.Properties, p)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range order {
		c.Inactive = !c.alive
		for i, name := range c.names {
			designation(&c.Concept, "en", r.info.URL, c.ttys[i], name)
			if p := (terminology.Property{Code: "TTY", Type: "Code", Value: c.ttys[i]}); !slices.Contains(c.Properties, p) {
				c.Properties = append(c.Properties, p)
			}
		}
		prop(&c.Concept, "SAB", "Code", "RXNORM")
		if err := to.Concept(&c.Concept); err != nil {
			return err
		}
	}
	return nil
}
