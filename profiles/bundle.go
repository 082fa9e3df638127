package profiles

import (
	"strings"

	"ingle/fhir"
)

// bundleRules checks what a Bundle asks for beyond its definition: absolute
// fullUrls that fit the ids, and for documents and messages that what they
// refer to is there, and only once (R4 bundle.html#references).
func (r *run) bundleRules(it *item) {
	kind := it.n.Get("type").Text()
	cite := it.tab.structure.canonical()
	idx := 0
	for e := it.n.Get("entry").First(); e.Valid(); e = e.Next() {
		step := item{name: "entry", idx: idx}
		idx++
		r.push(&step)
		r.entryRules(kind, cite, e)
		r.pop()
	}
	if kind == "document" || kind == "message" {
		r.bundleReferences(it, cite)
	}
	if kind == "document" || kind == "message" || kind == "collection" {
		for _, name := range [...]string{"first", "last", "next", "previous", "prev"} {
			i := 0
			for l := it.n.Get("link").First(); l.Valid(); l = l.Next() {
				if rel := l.Get("relation"); rel.Text() == name {
					r.steps = append(r.steps, step{name: "link", idx: i}, step{name: "relation", idx: -1})
					r.fail(rel, fhir.CodeValue, cite, "a link %s belongs to the pages of a search, not to a Bundle of type %s", clip(name), kind)
					r.steps = r.steps[:len(r.steps)-2]
				}
				i++
			}
		}
	}
}

func (r *run) entryRules(kind, cite string, e fhir.Node) {
	full := e.Get("fullUrl")
	res := e.Get("resource")
	if full.Kind() == fhir.String {
		url := full.Text()
		if !strings.Contains(url, ":") {
			r.fail(full, fhir.CodeValue, cite, "the fullUrl must be an absolute URL, %s is not", clip(url))
		} else if id := res.Get("id"); id.Valid() {
			ref := fhir.ParseReference(url, nil, r.e.reg.defs.IsResourceType)
			if ref.Form == fhir.RefAbsolute && (ref.ID != id.Text() || ref.Type != res.Get("resourceType").Text()) {
				r.fail(full, fhir.CodeValue, cite, "the fullUrl %s does not fit the resource %s/%s", clip(url), res.Get("resourceType").Text(), id.Text())
			}
			if rest, ok := strings.CutPrefix(url, "urn:uuid:"); ok && !validUUID(url) {
				r.fail(full, fhir.CodeValue, cite, "%s is not a UUID in small letters", clip(rest))
			}
		}
	} else if !full.Valid() && res.Valid() && (kind == "document" || kind == "message") {
		r.fail(e, fhir.CodeRequired, cite, "an entry of a Bundle of type %s needs a fullUrl", kind)
	}
	if kind == "searchset" && res.Valid() && !res.Get("id").Valid() && (e.Get("search").Get("mode").Text() == "match" || !isAnswer(res)) {
		step := item{name: "resource", idx: -1}
		r.push(&step)
		r.fail(res, fhir.CodeRequired, cite, "a resource in the result of a search must have an id")
		r.pop()
	}
	if kind == "searchset" && e.Get("search").Get("mode").Text() == "outcome" && res.Valid() && res.Get("resourceType").Text() != "OperationOutcome" {
		step := item{name: "resource", idx: -1}
		r.push(&step)
		r.fail(res, fhir.CodeValue, cite, "an entry of mode outcome is an OperationOutcome, not a %s", res.Get("resourceType").Text())
		r.pop()
	}
}

// isAnswer tells a resource that answers a request and is stored nowhere, so
// that it needs no id beside what a search found.
func isAnswer(res fhir.Node) bool {
	name := res.Get("resourceType").Text()
	return name == "OperationOutcome" || name == "Parameters"
}

// bundleReferences checks the references of the first entry of a document
// (Composition) or message (MessageHeader): relative ones and urn: ones must be
// found among the entries.
func (r *run) bundleReferences(it *item, cite string) {
	first := it.n.Get("entry").First()
	res := first.Get("resource")
	if !res.Valid() {
		return
	}
	counts := map[string]int{} // fullUrl, and fullUrl with version
	relative := map[string]int{}
	for e := it.n.Get("entry").First(); e.Valid(); e = e.Next() {
		u := e.Get("fullUrl").Text()
		body := e.Get("resource")
		if u == "" || !body.Valid() {
			continue
		}
		counts[u]++
		if v := body.Get("meta").Get("versionId").Text(); v != "" {
			counts[u+"/_history/"+v]++
		}
		if ref := fhir.ParseReference(u, nil, r.e.reg.defs.IsResourceType); ref.Form == fhir.RefAbsolute {
			relative[ref.Relative()]++
			if v := body.Get("meta").Get("versionId").Text(); v != "" {
				relative[ref.Relative()+"/_history/"+v]++
			}
		}
	}
	base := ""
	if ref := fhir.ParseReference(first.Get("fullUrl").Text(), nil, r.e.reg.defs.IsResourceType); ref.Form == fhir.RefAbsolute {
		base = ref.Base + "/"
	}
	entryStep, resStep := item{name: "entry", idx: 0}, item{name: "resource", idx: -1}
	r.push(&entryStep)
	r.push(&resStep)
	r.eachReference(res, func(n fhir.Node) {
		text := n.Text()
		local := strings.HasPrefix(text, "urn:uuid:") || strings.HasPrefix(text, "urn:oid:")
		if !strings.Contains(text, ":") && !strings.HasPrefix(text, "#") && text != "" {
			local = true
		}
		if !local {
			return
		}
		key, _, _ := strings.Cut(text, "#")
		found := counts[key]
		if found == 0 && base != "" && !strings.Contains(text, ":") {
			found = counts[base+key]
		}
		if found == 0 && base == "" && !strings.Contains(text, ":") {
			found = relative[key]
		}
		switch {
		case found == 0:
			r.fail(n, fhir.CodeNotFound, cite, "the reference %s is to no entry of the Bundle", clip(text))
		case found > 1:
			r.fail(n, fhir.CodeMultiple, cite, "the reference %s fits %d entries of the Bundle", clip(text), found)
		}
	})
	r.pop()
	r.pop()
}

// eachReference calls fn on the reference of every Reference below n, with its
// element as the one in hand.
func (r *run) eachReference(n fhir.Node, fn func(fhir.Node)) {
	for c := n.First(); c.Valid(); c = c.Next() {
		key := c.Key()
		if key == "reference" && c.Kind() == fhir.String {
			fn(c)
			continue
		}
		if c.Kind() != fhir.Object && c.Kind() != fhir.Array || key == "contained" {
			continue
		}
		r.steps = append(r.steps, step{name: key, idx: -1})
		if c.Kind() == fhir.Object {
			r.eachReference(c, fn)
		} else {
			i := 0
			for x := c.First(); x.Valid(); x = x.Next() {
				r.steps[len(r.steps)-1].idx = i
				i++
				r.eachReference(x, fn)
			}
		}
		r.pop()
	}
}
