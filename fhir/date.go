package fhir

// Precision is how much of a date or time is given.
type Precision uint8

// The precisions, coarse to fine.
const (
	PrecisionYear Precision = iota + 1
	PrecisionMonth
	PrecisionDay
	PrecisionHour // FHIRPath and search values only
	PrecisionMinute
	PrecisionSecond
	PrecisionFraction // any fraction of a second
)

// Date is a date, dateTime, instant or time as written, with its precision.
type Date struct {
	text string
	prec Precision
}

// ParseDate parses a FHIR date: YYYY, YYYY-MM or YYYY-MM-DD.
func ParseDate(text string) (Date, error) { return Date{}, nil }

// ParseDateTime parses a FHIR dateTime: a date, or date, time with seconds and zone.
func ParseDateTime(text string) (Date, error) { return Date{}, nil }

// ParseInstant parses a FHIR instant: date, time with seconds and zone.
func ParseInstant(text string) (Date, error) { return Date{}, nil }

// ParseTime parses a FHIR time: hh:mm:ss with optional fraction.
func ParseTime(text string) (Date, error) { return Date{}, nil }

// ParseSearchDate parses a date in a search value: a dateTime that may stop at
// the minute and may lack the zone.
func ParseSearchDate(text string) (Date, error) { return Date{}, nil }

// String returns the text as written.
func (d Date) String() string { return d.text }

// Precision returns how much is given.
func (d Date) Precision() Precision { return d.prec }

// Range returns the span that the value stands for, in microseconds since
// 1970-01-01T00:00:00Z: lo is its first microsecond, hi its last one, both
// inclusive. Without a zone it is UTC.
func (d Date) Range() (lo, hi int64) { return 0, 0 }
