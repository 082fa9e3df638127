package terminology

import "ingle/fhir"

// compiled returns what a resource compiles to, from the cache where it may.
// Of many that want the same at once, as after a start, one compiles.
func compiled[T any](s *Service, res *Resource, compile func(fhir.Node) (T, error)) (T, error) {
	now := func() (T, error) {
		doc, err := res.Doc()
		if err != nil {
			var none T
			return none, err
		}
		return compile(doc.Root())
	}
	if res.Key == "" || s.cache == nil {
		return now()
	}
	if v, ok := s.cache.Get(res.Key); ok {
		return v.(T), nil
	}
	v, err, shared := s.flight.Do(res.Key, func() (any, error) {
		if v, ok := s.cache.Get(res.Key); ok {
			return v, nil
		}
		v, err := now()
		if err == nil {
			s.cache.Set(res.Key, v)
		}
		return v, err
	})
	if err != nil && shared {
		return now() // it may have been the one's alone who tried: a request that was given up
	}
	return v.(T), err
}

func weight(v any) uint32 {
	switch v := v.(type) {
	case *resourceSystem:
		return uint32(len(v.concepts)) + 1
	case *valueSet:
		n := uint32(1)
		for i := range v.include {
			n += uint32(len(v.include[i].concepts))
		}
		return n
	}
	return 1
}
