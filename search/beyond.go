package search

// beyond is a parameter whose expression only FHIRPath can follow.
type beyond struct {
	p *Param
}

func (r *Registry) plantFHIRPath(t *typeIndex, p *Param) {
	t.beyond = append(t.beyond, &beyond{p: p})
}

func (x *extraction) evaluate(b *beyond) error { return nil }
