package store

import "bytes"

// resourceTypeFirst moves the top-level resourceType of a body to its front, in
// place: jsonb sorts the names of an object by length, and readers, people and
// programs alike, look for it there. No resource holds another one behind its
// own resourceType (contained, entry and parameter are shorter names), so it is
// the last one in the text.
func resourceTypeFirst(body []byte, resourceType string) {
	var buf [64]byte
	member := append(append(append(buf[:0], `"resourceType": "`...), resourceType...), '"')
	i := bytes.LastIndex(body, member)
	if i < 4 || !bytes.Equal(body[i-2:i], []byte(", ")) {
		return // it is there already, or this is text as the client wrote it
	}
	n := len(member)
	copy(body[1+n+2:], body[1:i-2])
	copy(body[1:], member)
	copy(body[1+n:], ", ")
}
