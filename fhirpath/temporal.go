package fhirpath

import (
	"cmp"
	"math"
	"strconv"

	"ingle/fhirpath/syntax"
)

// precision tells how far a date or time is given. Seconds and their fraction
// are one precision when values are compared (N1, 6.2).
type precision uint8

const (
	precYear precision = iota + 1
	precMonth
	precDay
	precHour
	precMinute
	precSecond
	precMilli
)

// Temporal is a Date, DateTime or Time, possibly partial.
type Temporal struct {
	year                     int16
	month, day, hour, minute int8
	second                   int8
	nano                     int32
	digits                   uint8 // of the fraction of a second
	prec                     precision
	zoned                    bool
	zone                     int16 // minutes east of UTC
	text                     string
}

// String returns the value as it is written in FHIR, without @ and T.
func (t *Temporal) String() string { return t.text }

var daysIn = [...]int8{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysInMonth(year, month int) int {
	if month == 2 && !leap(year) {
		return 28
	}
	return int(daysIn[month-1])
}

func number2(s string) int8 {
	if len(s) < 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return -1
	}
	return int8(s[0]-'0')*10 + int8(s[1]-'0')
}

// parseDate reads YYYY, YYYY-MM or YYYY-MM-DD and returns the rest.
func (t *Temporal) parseDate(s string) (rest string, ok bool) {
	hi, lo := number2(s), int8(-1)
	if len(s) >= 4 {
		lo = number2(s[2:])
	}
	if hi < 0 || lo < 0 || hi == 0 && lo == 0 {
		return s, false
	}
	t.year, t.prec = int16(hi)*100+int16(lo), precYear
	s = s[4:]
	if len(s) < 3 || s[0] != '-' {
		return s, true
	}
	if t.month = number2(s[1:]); t.month < 1 || t.month > 12 {
		return s, false
	}
	t.prec = precMonth
	s = s[3:]
	if len(s) < 3 || s[0] != '-' {
		return s, true
	}
	if t.day = number2(s[1:]); t.day < 1 || int(t.day) > daysInMonth(int(t.year), int(t.month)) {
		return s, false
	}
	t.prec = precDay
	return s[3:], true
}

// parseClock reads hh(:mm(:ss(.f+)?)?)? and returns the rest.
func (t *Temporal) parseClock(s string) (rest string, ok bool) {
	if t.hour = number2(s); t.hour < 0 || t.hour > 23 {
		return s, false
	}
	t.prec = precHour
	s = s[2:]
	if len(s) < 3 || s[0] != ':' {
		return s, true
	}
	if t.minute = number2(s[1:]); t.minute < 0 || t.minute > 59 {
		return s, false
	}
	t.prec = precMinute
	s = s[3:]
	if len(s) < 3 || s[0] != ':' {
		return s, true
	}
	if t.second = number2(s[1:]); t.second < 0 || t.second > 60 {
		return s, false
	}
	t.prec = precSecond
	s = s[3:]
	if len(s) < 2 || s[0] != '.' {
		return s, true
	}
	i, scale := 1, int32(100_000_000)
	for ; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		t.nano += int32(s[i]-'0') * scale
		scale /= 10
	}
	if i == 1 {
		return s, false
	}
	t.prec, t.digits = precMilli, uint8(min(i-1, 200))
	return s[i:], true
}

// parseZone reads Z, ±hh:mm or nothing.
func (t *Temporal) parseZone(s string) bool {
	switch {
	case s == "":
		return true
	case s == "Z" || s == "z":
		t.zoned = true
		return true
	case len(s) != 6 || s[0] != '+' && s[0] != '-' || s[3] != ':':
		return false
	}
	h, m := number2(s[1:]), number2(s[4:])
	if h < 0 || h > 14 || m < 0 || m > 59 {
		return false
	}
	t.zoned, t.zone = true, int16(h)*60+int16(m)
	if s[0] == '-' {
		t.zone = -t.zone
	}
	return true
}

func parseDate(s string) (*Temporal, bool) {
	t := &Temporal{text: s}
	rest, ok := t.parseDate(s)
	return t, ok && rest == ""
}

// parseDateTime also accepts a date alone; a literal may end in T.
func parseDateTime(s string) (*Temporal, bool) {
	t := &Temporal{text: s}
	rest, ok := t.parseDate(s)
	if !ok || rest == "" {
		return t, ok
	}
	if rest[0] != 'T' {
		return t, false
	}
	if rest = rest[1:]; rest == "" {
		t.text = s[:len(s)-1]
		return t, true
	}
	if t.prec != precDay {
		return t, false
	}
	rest, ok = t.parseClock(rest)
	return t, ok && t.parseZone(rest)
}

func parseTime(s string) (*Temporal, bool) {
	t := &Temporal{text: s}
	rest, ok := t.parseClock(s)
	return t, ok && rest == ""
}

// days counts from 1970-01-01 in the proleptic Gregorian calendar.
func days(y, m, d int) int {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	yoe := y - era*400
	doy := (153*(m-3)+2)/5 + d - 1
	return era*146097 + yoe*365 + yoe/4 - yoe/100 + doy - 719468
}

// civil is the reverse of days.
func civil(z int) (y, m, d int) {
	z += 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	y = yoe + era*400
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d = doy - (153*mp+2)/5 + 1
	if m = mp + 3; m > 12 {
		m -= 12
		y++
	}
	return y, m, d
}

// moment is a point on the line of time: seconds and nanoseconds.
type moment struct {
	sec  int64
	nano int32
}

func (a moment) cmp(b moment) int {
	if c := cmp.Compare(a.sec, b.sec); c != 0 {
		return c
	}
	return cmp.Compare(a.nano, b.nano)
}

// span returns the first moment of the value and the first one after it; for a
// point in time they are the same. Values without a zone are read as UTC.
func (t *Temporal) span() (lo, hi moment) {
	y, m, d := int(t.year), max(int(t.month), 1), max(int(t.day), 1)
	if y == 0 { // a time of day
		y = 1970
	}
	lo.sec = int64(days(y, m, d))*86400 + int64(t.hour)*3600 + int64(t.minute)*60 + int64(t.second) - int64(t.zone)*60
	lo.nano = t.nano
	hi = lo
	switch t.prec {
	case precYear:
		hi.sec += int64(days(y+1, 1, 1)-days(y, 1, 1)) * 86400
	case precMonth:
		hi.sec += int64(daysInMonth(y, m)) * 86400
	case precDay:
		hi.sec += 86400
	case precHour:
		hi.sec += 3600
	case precMinute:
		hi.sec += 60
	}
	return lo, hi
}

// compareTemporal orders two values; ok is false where the precision (or a
// missing zone) leaves it open.
func compareTemporal(a, b *Temporal) (c int, ok bool) {
	alo, ahi := a.span()
	blo, bhi := b.span()
	zoneless := a.zoned != b.zoned
	if zoneless {
		// The value without a zone may lie anywhere from UTC+14 to UTC-12.
		lo, hi := &alo, &ahi
		if a.zoned {
			lo, hi = &blo, &bhi
		}
		lo.sec -= 14 * 3600
		hi.sec += 12 * 3600
	}
	pa, pb := min(a.prec, precSecond), min(b.prec, precSecond)
	if !zoneless && pa == pb {
		if c := alo.cmp(blo); c == 0 || pa == precSecond || pa <= precDay || a.zone == b.zone {
			return c, true
		}
	}
	switch {
	case ahi.cmp(blo) <= 0 && alo.cmp(blo) < 0:
		return -1, true
	case bhi.cmp(alo) <= 0 && blo.cmp(alo) < 0:
		return 1, true
	}
	return 0, false
}

// equivalentTemporal is ~: the same precision and the same value.
func equivalentTemporal(a, b *Temporal) bool {
	if min(a.prec, precSecond) != min(b.prec, precSecond) || a.zoned != b.zoned {
		return false
	}
	c, ok := compareTemporal(a, b)
	return ok && c == 0
}

// format writes the text from the fields, for values that were computed.
func (t *Temporal) format(kind Kind) {
	b := make([]byte, 0, 32)
	pad := func(v, width int) {
		s := strconv.Itoa(v)
		for range width - len(s) {
			b = append(b, '0')
		}
		b = append(b, s...)
	}
	if kind != KindTime {
		pad(int(t.year), 4)
		if t.prec >= precMonth {
			b = append(b, '-')
			pad(int(t.month), 2)
		}
		if t.prec >= precDay {
			b = append(b, '-')
			pad(int(t.day), 2)
		}
		if t.prec >= precHour {
			b = append(b, 'T')
		}
	}
	if t.prec >= precHour {
		pad(int(t.hour), 2)
	}
	if t.prec >= precMinute {
		b = append(b, ':')
		pad(int(t.minute), 2)
	}
	if t.prec >= precSecond {
		b = append(b, ':')
		pad(int(t.second), 2)
	}
	if t.prec == precMilli {
		digits := strconv.Itoa(1_000_000_000 + int(t.nano))[1:]
		n := min(max(int(t.digits), 1), 9)
		for n < 9 && digits[n:] != "000000000"[n:] {
			n++
		}
		t.digits = uint8(n)
		b = append(b, '.')
		b = append(b, digits[:n]...)
	}
	if t.zoned && t.prec >= precHour {
		if t.zone == 0 {
			b = append(b, 'Z')
		} else {
			z := int(t.zone)
			if z < 0 {
				b, z = append(b, '-'), -z
			} else {
				b = append(b, '+')
			}
			pad(z/60, 2)
			b = append(b, ':')
			pad(z%60, 2)
		}
	}
	t.text = string(b)
}

// add moves the value by n units of a calendar duration, n being whole but for
// seconds, whose fraction is in nanos. ok is false where the result is outside
// the years 1 to 9999.
func (t *Temporal) add(kind Kind, n int64, nanos int64, unit string) (*Temporal, bool) {
	r := *t
	const most = math.MaxInt32
	if n > most || n < -most {
		return nil, false
	}
	if kind == KindTime {
		return r.addClock(n, nanos, unit)
	}
	// A unit finer than the value is counted in the value's own precision:
	// 30 days a month, 365 days a year (N1, 6.6.7).
	switch r.prec {
	case precYear, precMonth:
		months := int64(0)
		switch unit {
		case "year":
			months = 12 * n
		case "month":
			months = n
		default:
			d := wholeDays(n, nanos, unit)
			if r.prec == precYear {
				months = d / 365 * 12
			} else {
				months = d / 30
			}
		}
		if r.prec == precYear {
			months = months / 12 * 12
		}
		return r.addMonths(kind, months)
	case precDay:
		if unit != "year" && unit != "month" {
			n, unit = wholeDays(n, nanos, unit), "day"
		}
	}
	switch unit {
	case "year":
		return r.addMonths(kind, 12*n)
	case "month":
		return r.addMonths(kind, n)
	}
	secs, fraction := seconds(n, nanos, unit)
	switch r.prec {
	case precHour:
		secs, fraction = secs/3600*3600, 0
	case precMinute:
		secs, fraction = secs/60*60, 0
	}
	total := int64(days(int(r.year), int(r.month), int(r.day)))*86400 + int64(r.hour)*3600 + int64(r.minute)*60 + int64(r.second) + secs
	ns := int64(r.nano) + fraction
	total += floorDiv(ns, 1_000_000_000)
	ns -= floorDiv(ns, 1_000_000_000) * 1_000_000_000
	day := floorDiv(total, 86400)
	y, m, d := civil(int(day))
	if y < 1 || y > 9999 {
		return nil, false
	}
	r.setClock(total-day*86400, ns)
	r.year, r.month, r.day = int16(y), int8(m), int8(d)
	r.format(kind)
	return &r, true
}

func (t *Temporal) setClock(secs, ns int64) {
	t.hour, t.minute, t.second, t.nano = int8(secs/3600), int8(secs/60%60), int8(secs%60), int32(ns)
	if ns != 0 && t.prec == precSecond {
		t.prec, t.digits = precMilli, 3
	}
}

func (t *Temporal) addMonths(kind Kind, n int64) (*Temporal, bool) {
	total := int64(t.year)*12 + int64(max(t.month, 1)) - 1 + n
	y, m := floorDiv(total, 12), total-floorDiv(total, 12)*12+1
	if y < 1 || y > 9999 {
		return nil, false
	}
	t.year = int16(y)
	if t.month > 0 {
		t.month = int8(m)
	}
	if t.day > 0 { // 31 March + 1 month is 30 April
		t.day = int8(min(int(t.day), daysInMonth(int(y), int(m))))
	}
	t.format(kind)
	return t, true
}

func (t *Temporal) addClock(n, nanos int64, unit string) (*Temporal, bool) {
	secs, fraction := seconds(n, nanos, unit)
	switch t.prec {
	case precHour:
		secs, fraction = secs/3600*3600, 0
	case precMinute:
		secs, fraction = secs/60*60, 0
	}
	secs += int64(t.hour)*3600 + int64(t.minute)*60 + int64(t.second)
	ns := int64(t.nano) + fraction
	secs += floorDiv(ns, 1_000_000_000)
	ns -= floorDiv(ns, 1_000_000_000) * 1_000_000_000
	secs -= floorDiv(secs, 86400) * 86400 // a clock goes round
	t.setClock(secs, ns)
	t.format(KindTime)
	return t, true
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// seconds converts a duration of weeks or less.
func seconds(n, nanos int64, unit string) (secs, ns int64) {
	switch unit {
	case "week":
		return n * 7 * 86400, 0
	case "day":
		return n * 86400, 0
	case "hour":
		return n * 3600, 0
	case "minute":
		return n * 60, 0
	case "second":
		return n, nanos
	}
	return n / 1000, n % 1000 * 1_000_000 // millisecond
}

func wholeDays(n, nanos int64, unit string) int64 {
	switch unit {
	case "week":
		return n * 7
	case "day":
		return n
	}
	secs, _ := seconds(n, nanos, unit)
	return secs / 86400
}

// digitsPrecision counts the digits that are given: 4 for a year, 17 for a
// dateTime with milliseconds, 4 for a time with minutes, 9 with milliseconds.
func (t *Temporal) digitsPrecision(kind Kind) int {
	n := [...]int{0, 4, 6, 8, 10, 12, 14, 17}[t.prec]
	if t.prec == precMilli {
		n = 14 + int(t.digits)
	}
	if kind == KindTime {
		n -= 8
	}
	return n
}

// boundary returns the first or last value that a partial one may stand for,
// given to as many digits as digitsPrecision counts.
func (t *Temporal) boundary(kind Kind, digits int, high bool) (*Temporal, bool) {
	r := *t
	if kind == KindTime {
		digits += 8
	}
	switch digits {
	case 4, 6, 8:
		if kind == KindTime {
			return nil, false
		}
		r.prec = precision(digits/2 - 1)
	case 10, 12, 14:
		if kind == KindDate {
			return nil, false
		}
		r.prec = precision(digits/2 - 1)
	case 17:
		if kind == KindDate {
			return nil, false
		}
		r.prec, r.digits = precMilli, 3
	default:
		return nil, false
	}
	fill := func(have precision, lo, hi int8, part *int8) {
		if t.prec < have {
			*part = lo
			if high {
				*part = hi
			}
		}
	}
	if kind != KindTime {
		fill(precMonth, 1, 12, &r.month)
		fill(precDay, 1, int8(daysInMonth(int(r.year), max(int(r.month), 1))), &r.day)
	}
	fill(precHour, 0, 23, &r.hour)
	fill(precMinute, 0, 59, &r.minute)
	fill(precSecond, 0, 59, &r.second)
	if t.prec < precMilli && high {
		r.nano = 999_000_000
	}
	switch r.prec {
	case precYear:
		r.month, r.day = 0, 0
	case precMonth:
		r.day = 0
	}
	if r.prec >= precHour && kind == KindDateTime && !t.zoned {
		// Without a zone the earliest is in UTC+14, the latest in UTC-12.
		r.zoned, r.zone = true, 14*60
		if high {
			r.zone = -12 * 60
		}
	}
	if r.prec < precHour {
		r.zoned, r.zone = false, 0
	}
	if r.prec < precMilli {
		r.nano = 0
	}
	r.format(kind)
	return &r, true
}

func temporalLiteral(l *syntax.Literal) (v Value, ok bool) {
	switch l.Kind {
	case syntax.Date:
		t, ok := parseDate(l.Text)
		return Value{kind: KindDate, ref: t}, ok
	case syntax.DateTime:
		t, ok := parseDateTime(l.Text)
		return Value{kind: KindDateTime, ref: t}, ok
	}
	t, ok := parseTime(l.Text)
	return Value{kind: KindTime, ref: t}, ok
}
