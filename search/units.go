package search

// canonical is a UCUM unit's way to its canonical form.
type canonical struct {
	unit string
}

func canonicalUnit(code string) (canonical, bool) { return canonical{}, false }

func (c canonical) convert(v string) (string, bool) { return "", false }
