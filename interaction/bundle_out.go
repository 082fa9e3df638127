package interaction

import (
	"io"
	"strconv"
	"time"

	"ingle/fhir"
)

// A bundleWriter splices stored resources into a Bundle while it is written.
type bundleWriter struct {
	w     io.Writer
	buf   []byte
	err   error
	count int
}

// link is one Bundle.link.
type link struct{ relation, url string }

// begin writes the head of a Bundle. total is left out if negative.
func (b *bundleWriter) begin(kind string, at time.Time, total int, links []link) {
	b.buf = append(b.buf, `{"resourceType":"Bundle","meta":{"lastUpdated":"`...)
	b.buf = append(b.buf, instant(at)...)
	b.buf = append(b.buf, `"},"type":"`...)
	b.buf = append(append(b.buf, kind...), '"')
	if total >= 0 {
		b.buf = strconv.AppendInt(append(b.buf, `,"total":`...), int64(total), 10)
	}
	if len(links) > 0 {
		b.buf = append(b.buf, `,"link":[`...)
		for i, l := range links {
			if i > 0 {
				b.buf = append(b.buf, ',')
			}
			b.buf = append(b.buf, `{"relation":"`...)
			b.buf = append(append(b.buf, l.relation...), `","url":`...)
			b.buf = append(fhir.AppendString(b.buf, l.url), '}')
		}
		b.buf = append(b.buf, ']')
	}
}

// entry begins an entry; fullURL may be empty.
func (b *bundleWriter) entry(fullURL string) {
	if b.count == 0 {
		b.buf = append(b.buf, `,"entry":[{`...)
	} else {
		b.buf = append(b.buf, `},{`...)
	}
	b.count++
	if fullURL != "" {
		b.buf = fhir.AppendString(append(b.buf, `"fullUrl":`...), fullURL)
	}
}

// member adds a property of the current entry.
func (b *bundleWriter) member(name string, value []byte) {
	if c := b.buf[len(b.buf)-1]; c != '{' {
		b.buf = append(b.buf, ',')
	}
	b.buf = append(append(append(b.buf, '"'), name...), `":`...)
	if len(value) < 1024 {
		b.buf = append(b.buf, value...)
		return
	}
	b.flush()
	b.write(value)
	// what follows is never the first property
	b.buf = append(b.buf, ' ')
}

// stream adds a property that is written by somebody else.
func (b *bundleWriter) stream(name string, write func(io.Writer) error) error {
	b.member(name, nil)
	b.flush()
	if b.err == nil {
		b.err = write(b.w)
	}
	b.buf = append(b.buf, ' ')
	return b.err
}

func (b *bundleWriter) end() error {
	if b.count > 0 {
		b.buf = append(b.buf, `}]`...)
	}
	b.buf = append(b.buf, '}')
	b.flush()
	return b.err
}

func (b *bundleWriter) flush() {
	b.write(b.buf)
	b.buf = b.buf[:0]
}

func (b *bundleWriter) write(p []byte) {
	if b.err == nil {
		_, b.err = b.w.Write(p)
	}
}
