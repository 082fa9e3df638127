package search

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode"

	"ingle/fhir"
)

// Full text: _text looks at the narrative, _content at the whole resource, and
// :text of a token parameter at the words that go with its codes (R4 search, "token").
// The words of a resource, folded as strings are, stand in one tsvector with a
// mark in front of each:
//
//	t:word     in the narrative
//	c:word     in any other text, plain-text attachments among them
//	code=word  in the display or text of a code of the parameter "code"
//
// The words of a contained resource by itself have containedMark in front of that.
//
// _text and _content take words, all of which must be there; "or", "not" and
// parentheses; and a word with "*" for any that begin so. In quotes each word is
// taken for itself: the order of words is not looked at. The words of :text are
// beginnings of words.

const (
	maxWord  = 64      // bytes; a longer word is cut
	maxWords = 900_000 // bytes of all words of a resource: a tsvector holds 1,048,575
)

// EnableFullText makes IndexRows fill Rows.Words, and Parse accept _text,
// _content and :text. The store calls it when it keeps the rows of relation
// Text; it must be called before the first use of the registry.
func (r *Registry) EnableFullText() { r.fullText = true }

// FullTextBuilding tells that what was stored before full text was switched on
// has no words yet: searches for words are refused until it has.
func (r *Registry) FullTextBuilding(yes bool) {
	r.textBuilding.Store(yes)
	r.changes.Add(1)
}

// TextBuilding tells what FullTextBuilding was told.
func (r *Registry) TextBuilding() bool { return r.textBuilding.Load() }

// FullText tells whether words are extracted and searched.
func (r *Registry) FullText() bool { return r.fullText }

// words calls yield for each word of a text, folded.
func words(s string, yield func(string)) {
	for _, w := range strings.FieldsFunc(fold(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(w) > maxWord {
			w = strings.ToValidUTF8(w[:maxWord], "")
		}
		yield(w)
	}
}

// addWords notes the words of a text under a mark.
func (x *extraction) addWords(mark, s string) {
	mark = x.mark + mark
	words(s, func(w string) {
		if x.wordsFull {
			x.rows.WordsCut = true
			return
		}
		x.wordBytes += len(mark) + len(w) + 4
		x.rows.Words = append(x.rows.Words, mark+w)
		if x.wordBytes < maxWords {
			return
		}
		x.finishWords() // the same words again do not count
		x.wordBytes = 0
		for _, w := range x.rows.Words {
			x.wordBytes += len(w) + 4
		}
		x.wordsFull = x.wordBytes > maxWords*3/4
	})
}

// finishWords makes the words distinct.
func (x *extraction) finishWords() {
	slices.Sort(x.rows.Words)
	x.rows.Words = slices.Compact(x.rows.Words)
}

// technical are members whose text no reader would look for.
var technical = map[string]bool{"id": true, "resourceType": true, "system": true, "url": true, "reference": true, "profile": true,
	"versionId": true, "lastUpdated": true, "contentType": true, "fullUrl": true, "hash": true}

// allText notes the words of a resource.
func (x *extraction) allText(root fhir.Node) {
	for c := root.First(); c.Valid(); c = c.Next() {
		if c.KeyIs("text") && c.Get("div").Valid() {
			x.addWords("t:", stripTags(c.Get("div").Text()))
			continue
		}
		x.contentText(c)
	}
}

func (x *extraction) contentText(n fhir.Node) {
	switch n.Kind() {
	case fhir.String:
		if !technical[n.Key()] && !n.KeyIs("data") {
			x.addWords("c:", n.Text())
		}
	case fhir.Array, fhir.Object:
		if technical[n.Key()] {
			return
		}
		if data := n.Get("data"); data.Kind() == fhir.String && strings.HasPrefix(text(n, "contentType"), "text/") && len(data.Bytes()) < 1<<20 {
			if raw, err := base64.StdEncoding.DecodeString(data.Text()); err == nil {
				s := strings.ToValidUTF8(string(raw), " ")
				if strings.HasPrefix(text(n, "contentType"), "text/html") {
					s = stripTags(s)
				}
				x.addWords("c:", s)
			}
		}
		if n.KeyIs("text") && n.Get("div").Valid() { // of a contained resource
			x.addWords("c:", stripTags(n.Get("div").Text()))
			return
		}
		for c := n.First(); c.Valid(); c = c.Next() {
			x.contentText(c)
		}
	}
}

// stripTags takes the markup out of XHTML.
func stripTags(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '<')
		if i < 0 {
			break
		}
		b.WriteString(s[:i])
		b.WriteByte(' ')
		j := strings.IndexByte(s[i:], '>')
		if j < 0 {
			s = ""
			break
		}
		s = s[i+j+1:]
	}
	b.WriteString(s)
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", "&quot;", `"`, "&#39;", "'", "&nbsp;", " ", "&#160;", " ").Replace(b.String())
}

// tokenWords notes the words that go with a token: CodeableConcept.text,
// Coding.display and Identifier.type.text (R4 search, "token").
func (x *extraction) tokenWords(p *Param, typ string, n fhir.Node) {
	mark := p.Code + "="
	switch typ {
	case "Coding":
		x.addWords(mark, text(n, "display"))
	case "CodeableConcept":
		x.addWords(mark, text(n, "text"))
		for c := n.Get("coding").First(); c.Valid(); c = c.Next() {
			x.addWords(mark, text(c, "display"))
		}
	case "Identifier":
		x.addWords(mark, text(n.Get("type"), "text"))
	}
}

// lexeme writes a word for a tsquery.
func lexeme(word string, beginning bool) string {
	s := "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(word) + "'"
	if beginning {
		s += ":*"
	}
	return s
}

// lexemes writes a word under any of some marks.
func lexemes(marks []string, word string, beginning bool) string {
	any := make([]string, len(marks))
	for i, m := range marks {
		any[i] = lexeme(m+word, beginning)
	}
	if len(any) == 1 {
		return any[0]
	}
	return "(" + strings.Join(any, " | ") + ")"
}

// marksOf are the marks that words have in resources of the types.
func marksOf(types []string, marks ...string) []string {
	resources, contained := SplitContained(types)
	var out []string
	if resources != nil {
		out = append(out, marks...)
	}
	for _, m := range marks {
		if contained != nil {
			out = append(out, containedMark+m)
		}
	}
	return out
}

// textScan finds resources by a tsquery.
func textScan(types []string, query string) cond {
	return &scan{rel: Text, types: types, unique: true, order: rankOpen, where: func(c *compilation, a string) string {
		return a + ".words @@ " + c.arg(query) + "::tsquery"
	}}
}

func (v *valueReader) tokenText() (cond, error) {
	if !v.p.r.fullText {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s: the modifier :text is not supported: full text is switched off", v.name)
	}
	if err := v.p.r.textReady(v.name); err != nil {
		return nil, err
	}
	var parts []string
	for _, value := range v.values {
		var all []string
		words(unescape(value), func(w string) { all = append(all, lexemes(marksOf(v.types, v.ps[0].Code+"="), w, true)) })
		if all == nil {
			return nil, v.fail(value, "a word is expected")
		}
		parts = append(parts, "("+strings.Join(all, " & ")+")")
	}
	return textScan(v.types, strings.Join(parts, " | ")), nil
}

// fullText reads _text and _content.
func (p *parser) fullText(types []string, code, modifier, name, value string) (cond, error) {
	if !p.r.fullText {
		return nil, &unknownParameter{err: fhir.Errorf(400, fhir.CodeNotSupported, "%s is not supported: full text is switched off", name)}
	}
	if modifier != "" {
		return nil, fhir.Errorf(400, fhir.CodeNotSupported, "%s takes no modifier", name)
	}
	if err := p.r.textReady(name); err != nil {
		return nil, err
	}
	p.useWords(types, code)
	marks := []string{"t:"}
	if code == "_content" {
		marks = []string{"c:", "t:"}
	}
	q := &textQuery{words: tokenizeText(unescape(value)), marks: marksOf(types, marks...)}
	query, ok := q.or(0)
	if !ok || len(q.words) > 0 {
		return nil, fhir.Errorf(400, fhir.CodeInvalid, "%s=%s: words are expected, with and, or, not and balanced parentheses between them", name, value)
	}
	return textScan(types, query), nil
}

func (r *Registry) textReady(name string) error {
	if r.textBuilding.Load() {
		return fhir.Errorf(400, fhir.CodeNotSupported, "%s: the words of the resources that were there before full text was switched on are still being indexed; try again later", name)
	}
	return nil
}

// textQuery reads the language of _text and _content into a tsquery.
type textQuery struct {
	words []string
	marks []string
}

func tokenizeText(s string) []string {
	s = strings.NewReplacer("(", " ( ", ")", " ) ", `"`, " ").Replace(s)
	return strings.Fields(s)
}

func (q *textQuery) peek() string {
	if len(q.words) == 0 {
		return ""
	}
	return q.words[0]
}

func (q *textQuery) or(depth int) (string, bool) {
	left, ok := q.and(depth)
	for ok && strings.EqualFold(q.peek(), "or") {
		q.words = q.words[1:]
		var right string
		if right, ok = q.and(depth); ok {
			left = "(" + left + " | " + right + ")"
		}
	}
	return left, ok
}

func (q *textQuery) and(depth int) (string, bool) {
	left, ok := q.not(depth)
	for ok && q.peek() != "" && q.peek() != ")" && !strings.EqualFold(q.peek(), "or") {
		if strings.EqualFold(q.peek(), "and") {
			q.words = q.words[1:]
		}
		var right string
		if right, ok = q.not(depth); ok {
			left = "(" + left + " & " + right + ")"
		}
	}
	return left, ok
}

func (q *textQuery) not(depth int) (string, bool) {
	if depth > 16 || q.peek() == "" {
		return "", false
	}
	w := q.peek()
	q.words = q.words[1:]
	switch {
	case strings.EqualFold(w, "not"):
		inner, ok := q.not(depth + 1)
		return "!" + inner, ok
	case w == "(":
		inner, ok := q.or(depth + 1)
		if !ok || q.peek() != ")" {
			return "", false
		}
		q.words = q.words[1:]
		return inner, true
	case w == ")", strings.EqualFold(w, "or"), strings.EqualFold(w, "and"):
		return "", false
	}
	w, beginning := strings.CutSuffix(w, "*")
	var all []string
	words(w, func(w string) {
		all = append(all, lexemes(q.marks, w, beginning))
	})
	if all == nil {
		return "", false
	}
	return "(" + strings.Join(all, " & ") + ")", true
}
