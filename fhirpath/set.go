package fhirpath

import "hash/maphash"

// set is a collection without duplicates. Up to a dozen items are compared one
// by one; more are found by a hash that equal values share.
type set struct {
	items []Value
	index map[uint64][]int32
}

const smallSet = 12

var hashSeed = maphash.MakeSeed()

// hash is the same for values that are equal by =. Values whose equality is
// not one of text share a hash with all others of their kind.
func (v Value) hash() uint64 {
	s, ok := v.scalar()
	if !ok {
		return 1
	}
	switch s.kind {
	case KindString:
		return maphash.String(hashSeed, s.str)
	case KindBoolean:
		return uint64(s.n) + 2
	case KindInteger, KindDecimal:
		d, _ := s.decimal()
		f, err := d.Float64()
		if err != nil {
			return 5
		}
		return maphash.Comparable(hashSeed, f)
	case KindQuantity, KindDate, KindDateTime, KindTime, KindTypeInfo:
		return 4 + uint64(s.kind)
	}
	name := v.typ.name
	if v.typ.system == KindQuantity { // an Age may equal a Quantity
		name = "Quantity"
	}
	return maphash.Comparable(hashSeed, v.node.Len()) ^ maphash.String(hashSeed, name) ^ v.hashParts()
}

// hashParts mixes the strings directly in a complex element.
func (v Value) hashParts() (h uint64) {
	for c := v.node.First(); c.Valid(); c = c.Next() {
		if f := v.typ.member(key(c), c); f != nil && f.system == KindString && f.prim {
			h ^= maphash.String(hashSeed, text(c))
		}
	}
	return h
}

// has tells whether an equal value is in the set, and how many were compared.
func (s *set) has(v Value) (found bool, compared int) {
	if s.index == nil {
		for i := range s.items {
			if equalValues(s.items[i], v) == yes {
				return true, i + 1
			}
		}
		return false, len(s.items)
	}
	bucket := s.index[v.hash()]
	for n, i := range bucket {
		if equalValues(s.items[i], v) == yes {
			return true, n + 1
		}
	}
	return false, len(bucket)
}

// add adds a value that is not in the set.
func (s *set) add(v Value) {
	s.items = append(s.items, v)
	if s.index == nil && len(s.items) > smallSet {
		s.index = make(map[uint64][]int32, 4*smallSet)
		for i := range s.items {
			h := s.items[i].hash()
			s.index[h] = append(s.index[h], int32(i))
		}
		return
	}
	if s.index != nil {
		h := v.hash()
		s.index[h] = append(s.index[h], int32(len(s.items)-1))
	}
}

// addNew adds the values that are not yet in the set.
func (s *set) addNew(ev *evaluation, values []Value) error {
	for i := range values {
		found, n := s.has(values[i])
		if err := ev.step(1 + n); err != nil {
			return err
		}
		if !found {
			s.add(values[i])
		}
	}
	return nil
}
