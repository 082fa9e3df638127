package server

import "io"

// Encoding is a format of resources beside JSON, in which everything is stored
// and handled: XML.
type Encoding interface {
	// MediaTypes are its names, the one of answers first: application/fhir+xml,
	// application/xml, text/xml; Short the values of _format ("xml").
	MediaTypes() []string
	Short() []string
	// Decode turns a resource in this format into JSON; its errors are *fhir.Error.
	Decode(body []byte) ([]byte, error)
	// Encode writes a resource given as JSON.
	Encode(w io.Writer, json []byte, pretty bool) error
}

const (
	fhirJSON = "application/fhir+json"
	fhirXML  = "application/fhir+xml"
)

// isJSON tells the media types of resources in JSON.
func isJSON(mediaType string) bool {
	switch mediaType {
	case fhirJSON, "application/json", "text/json", "application/json+fhir":
		return true
	}
	return false
}

// isXML tells the media types of resources in XML.
func isXML(mediaType string) bool {
	switch mediaType {
	case fhirXML, "application/xml", "text/xml", "application/xml+fhir":
		return true
	}
	return false
}

// encodingOf finds the encoding of a media type, nil for none.
func (s *Server) encodingOf(mediaType string) Encoding {
	for _, e := range s.cfg.Encodings {
		for _, m := range e.MediaTypes() {
			if m == mediaType {
				return e
			}
		}
	}
	return nil
}
