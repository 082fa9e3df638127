package bench

import (
	"fmt"

	"ingle/fhir"
)

// labelSystem is the system of the security labels that a server knows by default.
const labelSystem = "urn:gen3:authz"

// labelPath is the n-th of the paths that the data are labelled with.
func labelPath(n int) string { return fmt.Sprintf("/programs/bench/projects/p%03d", n) }

// labelled puts the resources of a transaction Bundle under one path, as a
// commons does with the records of a project.
func labelled(body []byte, path string) []byte {
	doc, err := fhir.Parse(body, bigLimits)
	if err != nil {
		return body
	}
	label := `"security":[{"system":"` + labelSystem + `","code":"` + path + `"}]`
	out := make([]byte, 0, len(body)+len(body)/8)
	done := 0
	for e := doc.Root().Get("entry").First(); e.Valid(); e = e.Next() {
		res := e.Get("resource")
		if res.Kind() != fhir.Object {
			continue
		}
		text := `"meta":{` + label + `},`
		at, _ := res.Span()
		if meta := res.Get("meta"); meta.Kind() == fhir.Object && meta.Len() > 0 {
			at, _ = meta.Span()
			text = label + ","
		}
		out = append(append(out, body[done:at+1]...), text...)
		done = at + 1
	}
	return append(out, body[done:]...)
}
