package fhir

import (
	"fmt"
	"time"
)

// Precision is how much of a date or time is given.
type Precision uint8

// The precisions, coarse to fine.
const (
	PrecisionYear Precision = iota + 1
	PrecisionMonth
	PrecisionDay
	PrecisionMinute // search values only
	PrecisionSecond
	PrecisionFraction // any fraction of a second
)

// Date is a date, dateTime, instant or time as written, with its precision. It
// is a valid date of the calendar, year 1 to 9999.
type Date struct {
	text       string
	prec       Precision
	hasZone    bool
	zone       int16 // minutes east of UTC
	year       int16 // 0 for a time of day
	month, day uint8
	hour, min  uint8
	sec        uint8 // to 60, a leap second
	digits     uint8 // of the fraction as written, at most 255
	micro      int32 // the fraction, cut off after the microsecond
}

// dateForm is a lexical form: one of FHIR's four types, or a search value.
type dateForm uint8

const (
	formDate dateForm = iota
	formDateTime
	formInstant
	formTime
	formSearch
)

var dateForms = [...]struct{ name, shape string }{
	{"date", "YYYY, YYYY-MM or YYYY-MM-DD"},
	{"dateTime", "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with Z or +zz:zz"},
	{"instant", "YYYY-MM-DDThh:mm:ss with Z or +zz:zz"},
	{"time", "hh:mm:ss"},
	{"date to search by", "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss] with or without Z or +zz:zz"},
}

// ParseDate parses a FHIR date: YYYY, YYYY-MM or YYYY-MM-DD.
func ParseDate(text string) (Date, error) { return parseDate(text, formDate) }

// ParseDateTime parses a FHIR dateTime: a date, or a date and time with seconds
// and zone.
func ParseDateTime(text string) (Date, error) { return parseDate(text, formDateTime) }

// ParseInstant parses a FHIR instant: date and time with seconds and zone.
func ParseInstant(text string) (Date, error) { return parseDate(text, formInstant) }

// ParseTime parses a FHIR time: hh:mm:ss with an optional fraction.
func ParseTime(text string) (Date, error) { return parseDate(text, formTime) }

// ParseSearchDate parses a date in a search value (search.html#date): a
// dateTime that may stop at the minute and may lack the zone.
func ParseSearchDate(text string) (Date, error) { return parseDate(text, formSearch) }

func parseDate(text string, form dateForm) (Date, error) {
	d, ok := scanDate(text, form)
	if !ok {
		return Date{}, fmt.Errorf("%q is not a %s: %s, a day of the calendar", text, dateForms[form].name, dateForms[form].shape)
	}
	d.text = text
	return d, nil
}

// DateRange is Range for the bytes of a date, dateTime or instant; it does not
// allocate. ok is false where the text is none of these.
func DateRange(text []byte) (lo, hi int64, ok bool) {
	d, ok := scanDate(text, formDateTime)
	if !ok {
		return 0, 0, false
	}
	lo, hi = d.Range()
	return lo, hi, true
}

// String returns the text as written.
func (d Date) String() string { return d.text }

// Precision returns how much is given.
func (d Date) Precision() Precision { return d.prec }

// FractionDigits returns the number of digits written after the seconds.
func (d Date) FractionDigits() int { return int(d.digits) }

// Zone returns the offset from UTC in minutes, false if none is written.
func (d Date) Zone() (minutes int, ok bool) { return int(d.zone), d.hasZone }

// Clock returns the parts as written; month and day are 1 and the rest 0 where
// they are not given, year is 0 for a time of day. micro is the fraction of the
// second, cut off after the microsecond.
func (d Date) Clock() (year, month, day, hour, minute, second, micro int) {
	return int(d.year), int(d.month), int(d.day), int(d.hour), int(d.min), int(d.sec), int(d.micro)
}

// Time returns the first moment of the value in its own zone, UTC if it has
// none. A time of day counts from 1970-01-01.
func (d Date) Time() time.Time {
	loc := time.UTC
	if d.zone != 0 {
		loc = time.FixedZone("", int(d.zone)*60)
	}
	lo, _ := d.Range()
	return time.UnixMicro(lo).In(loc)
}

const (
	microSecond = int64(1_000_000)
	microDay    = 86_400 * microSecond
)

// Range returns the span that the value stands for, in microseconds since
// 1970-01-01T00:00:00Z: lo is its first microsecond, hi its last one, both
// inclusive. 2012-05 is the whole month, 10:00:00Z the whole second, 10:00:00.5Z
// the whole tenth. Without a zone it is UTC. A time of day counts from midnight.
func (d Date) Range() (lo, hi int64) {
	days := int64(0)
	if d.year != 0 {
		days = daysFromCivil(int(d.year), int(d.month), int(d.day))
	}
	lo = days*microDay + (int64(d.hour)*3600+int64(d.min)*60+int64(d.sec)-int64(d.zone)*60)*microSecond + int64(d.micro)
	switch d.prec {
	case PrecisionYear:
		hi = daysFromCivil(int(d.year)+1, 1, 1) * microDay
	case PrecisionMonth:
		hi = daysFromCivil(int(d.year)+int(d.month)/12, int(d.month)%12+1, 1) * microDay
	case PrecisionDay:
		hi = lo + microDay
	case PrecisionMinute:
		hi = lo + 60*microSecond
	case PrecisionSecond:
		hi = lo + microSecond
	default:
		unit := microSecond
		for i := uint8(0); i < d.digits && unit > 1; i++ {
			unit /= 10
		}
		hi = lo + unit
	}
	return lo, hi - 1
}

// daysFromCivil counts the days from 1970-01-01 to a day of the Gregorian
// calendar (proleptic). Years begin in March, so that the leap day is their last.
func daysFromCivil(year, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	inYear := (153*(month-3)+2)/5 + day - 1
	return int64(year*365+year/4-year/100+year/400+inYear) - 719_468
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// scanDate reads the text in the given form.
func scanDate[S string | []byte](s S, form dateForm) (d Date, ok bool) {
	i := 0
	// number reads exactly n digits with a value from low to high.
	number := func(n, low, high int) int {
		if i < 0 || len(s)-i < n {
			i = -1
			return 0
		}
		value := 0
		for end := i + n; i < end; i++ {
			c := s[i]
			if c < '0' || c > '9' {
				i = -1
				return 0
			}
			value = value*10 + int(c-'0')
		}
		if value < low || value > high {
			i = -1
		}
		return value
	}
	// next tells whether c follows, and steps over it.
	next := func(c byte) bool {
		if i < 0 || i >= len(s) || s[i] != c {
			return false
		}
		i++
		return true
	}
	done := func() bool { return i == len(s) }

	if form != formTime {
		d.year, d.month, d.day, d.prec = int16(number(4, 1, 9999)), 1, 1, PrecisionYear
		if next('-') {
			d.month, d.prec = uint8(number(2, 1, 12)), PrecisionMonth
			if next('-') {
				d.day, d.prec = uint8(number(2, 1, 31)), PrecisionDay
			}
		}
		if i < 0 || int(d.day) > daysIn(int(d.year), int(d.month)) {
			return Date{}, false
		}
		if done() {
			return d, form != formInstant
		}
		if form == formDate || d.prec != PrecisionDay || !next('T') {
			return Date{}, false
		}
	}

	d.hour = uint8(number(2, 0, 23))
	if !next(':') {
		return Date{}, false
	}
	d.min, d.prec = uint8(number(2, 0, 59)), PrecisionMinute
	if next(':') {
		d.sec, d.prec = uint8(number(2, 0, 60)), PrecisionSecond
		if next('.') {
			d.prec = PrecisionFraction
			start := i
			for unit := int32(100_000); i >= 0 && i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
				d.micro += int32(s[i]-'0') * unit
				unit /= 10
			}
			if i == start {
				return Date{}, false
			}
			d.digits = uint8(min(i-start, 255))
		}
	} else if form != formSearch {
		return Date{}, false
	}
	if form == formTime {
		return d, done()
	}

	switch {
	case next('Z'):
		d.hasZone = true
	case next('+'), next('-'):
		sign := int16(1)
		if s[i-1] == '-' {
			sign = -1
		}
		hours := number(2, 0, 14)
		if !next(':') {
			return Date{}, false
		}
		minutes := number(2, 0, 59)
		if hours == 14 && minutes != 0 {
			return Date{}, false
		}
		d.zone, d.hasZone = sign*int16(hours*60+minutes), true
	case form != formSearch:
		return Date{}, false
	}
	return d, done()
}
