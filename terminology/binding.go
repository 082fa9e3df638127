package terminology

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Membership is what is known of a code and a value set.
type Membership uint8

// Unknown is the answer where the value set or the code system is not known or
// cannot be asked: never a silent yes.
const (
	Unknown Membership = iota
	Member
	NotMember
)

// binding is a value set's members, for value sets that never change. Without a
// table it says that the value set cannot have one: to find that out again for
// each code would cost a part of the expansion.
type binding struct {
	generation uint64
	codes      map[bindingKey]struct{} // nil: no table
	anySystem  map[string]struct{}
}

type bindingKey struct{ system, code string }

// maxBinding is how large a value set may be for its members to be kept.
const maxBinding = 5_000

// Generational is a Source whose content may change while the process lives: the
// number is another one then. Sources without it never change.
type Generational interface{ Generation() uint64 }

// Generation adds up the generations of the sources.
func (s Sources) Generation() uint64 {
	var n uint64
	for _, x := range s {
		if g, ok := x.(Generational); ok {
			n += g.Generation()
		}
	}
	return n
}

// Member tells whether a coding is in a value set, for the bindings of
// validation. System "" is for elements of type code, whose system the value
// set tells. why says why not, or what is not known. Value sets of static
// content up to 5,000 codes are answered from a table.
func (s *Service) Member(ctx context.Context, src Source, valueSet string, c Coding) (m Membership, why string, err error) {
	var generation uint64
	if g, ok := src.(Generational); ok {
		generation = g.Generation()
	}
	kept, ok := s.bindings.Load(valueSet)
	known := ok && kept.(*binding).generation == generation
	if known && kept.(*binding).codes != nil {
		return kept.(*binding).has(valueSet, c)
	}
	r := s.newRun(ctx, src)
	v, err := r.valueSet(valueSet, nil)
	var missing *unknownValueSet
	if errors.As(err, &missing) {
		return Unknown, missing.Error(), nil
	} else if err != nil {
		return Unknown, "", err
	}
	if v.static && !known && !s.opt.NoCache {
		if b := s.bind(r, v, generation); b != nil {
			s.bindings.Store(valueSet, b)
			if b.codes != nil {
				return b.has(valueSet, c)
			}
		}
		r = s.newRun(ctx, src)
	}
	var vd verdict
	var in bool
	if c.System == "" {
		found, _, e := r.inferSystem(v, c.Code, &vd)
		in, err = len(found) > 0, e
	} else {
		got, e := r.contains(v, nil, c, &vd)
		in, err = got != nil, e
	}
	var unknown *unknownSystem
	switch {
	case errors.As(err, &unknown):
		return Unknown, unknown.Error(), nil
	case err != nil:
		return Unknown, "", err
	case in:
		return Member, "", nil
	case vd.cause != nil:
		return Unknown, vd.cause.Error(), nil
	case vd.missing != nil:
		return Unknown, vd.missing.Error(), nil
	}
	what := "the code '" + c.Code + "'"
	if c.System != "" {
		what += " of " + c.System
	}
	return NotMember, fmt.Sprintf("%s is not in the value set %s", what, v.shown()), nil
}

// bind lists a value set's members: without a table if not all of it is static
// and small, nil if that cannot be told now.
func (s *Service) bind(r *run, v *valueSet, generation uint64) *binding {
	b := &binding{generation: generation, codes: map[bindingKey]struct{}{}, anySystem: map[string]struct{}{}}
	r.budget = 20 * maxBinding
	err := r.walk(v, nil, Query{}, func(m *member) bool {
		if !r.static || m.sys == nil || m.sys.Info().Content != "complete" || !m.sys.Info().CaseSensitive || len(b.codes) >= maxBinding {
			r.failure = errNotListable
			return false
		}
		b.codes[bindingKey{m.system, m.code}] = struct{}{}
		b.anySystem[m.code] = struct{}{}
		return true
	})
	switch {
	case !r.static || errors.Is(r.failure, errNotListable) || errors.Is(err, errNotListable):
		return &binding{generation: generation}
	case err != nil || r.failure != nil:
		return nil
	}
	return b
}

func (b *binding) has(valueSet string, c Coding) (Membership, string, error) {
	ok := false
	if c.System == "" {
		_, ok = b.anySystem[c.Code]
	} else {
		_, ok = b.codes[bindingKey{c.System, c.Code}]
	}
	if ok {
		return Member, "", nil
	}
	return NotMember, "the code '" + strings.TrimPrefix(c.System+"#", "#") + c.Code + "' is not in the value set " + valueSet, nil
}

// Defined tells whether a code system defines a code.
func (s *Service) Defined(ctx context.Context, src Source, c Coding) (m Membership, why string, err error) {
	r := s.newRun(ctx, src)
	sys, err := r.system(c.System, c.Version)
	var unknown *unknownSystem
	if errors.As(err, &unknown) {
		return Unknown, unknown.Error(), nil
	} else if err != nil {
		return Unknown, "", err
	}
	got, err := sys.Concept(ctx, c.Code)
	switch {
	case errors.As(err, &unknown):
		return Unknown, unknown.Error(), nil
	case err != nil:
		return Unknown, "", err
	case got != nil:
		return Member, "", nil
	case sys.Info().Content != "complete":
		return Unknown, fmt.Sprintf("only a part of %s is known, and the code '%s' is not in it", c.System, c.Code), nil
	}
	return NotMember, fmt.Sprintf("the code '%s' is not one of %s", c.Code, sys.Info().Canonical()), nil
}
