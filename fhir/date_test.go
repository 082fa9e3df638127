package fhir

import (
	"regexp"
	"testing"
	"time"
)

func TestDateRange(t *testing.T) {
	const layout = "2006-01-02T15:04:05.000000Z"
	tests := []struct {
		parse        func(string) (Date, error)
		text, lo, hi string
	}{
		{ParseDate, "2012", "2012-01-01T00:00:00.000000Z", "2012-12-31T23:59:59.999999Z"},
		{ParseDate, "2012-02", "2012-02-01T00:00:00.000000Z", "2012-02-29T23:59:59.999999Z"},
		{ParseDate, "2012-12", "2012-12-01T00:00:00.000000Z", "2012-12-31T23:59:59.999999Z"},
		{ParseDate, "1900-02-28", "1900-02-28T00:00:00.000000Z", "1900-02-28T23:59:59.999999Z"},
		{ParseDate, "0001-01-01", "0001-01-01T00:00:00.000000Z", "0001-01-01T23:59:59.999999Z"},
		{ParseDate, "9999", "9999-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"},
		{ParseDateTime, "2015-08-12", "2015-08-12T00:00:00.000000Z", "2015-08-12T23:59:59.999999Z"},
		{ParseDateTime, "2015-08-12T05:23:45Z", "2015-08-12T05:23:45.000000Z", "2015-08-12T05:23:45.999999Z"},
		{ParseDateTime, "2015-08-12T01:23:45+02:00", "2015-08-11T23:23:45.000000Z", "2015-08-11T23:23:45.999999Z"},
		{ParseDateTime, "2015-08-12T23:23:45-03:30", "2015-08-13T02:53:45.000000Z", "2015-08-13T02:53:45.999999Z"},
		{ParseInstant, "2015-02-07T13:28:17.239+02:00", "2015-02-07T11:28:17.239000Z", "2015-02-07T11:28:17.239999Z"},
		{ParseInstant, "2015-02-07T13:28:17.5Z", "2015-02-07T13:28:17.500000Z", "2015-02-07T13:28:17.599999Z"},
		{ParseInstant, "2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123456Z"},
		{ParseInstant, "2015-02-07T13:28:17.123456789Z", "2015-02-07T13:28:17.123456Z", "2015-02-07T13:28:17.123456Z"},
		{ParseInstant, "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z", "2017-01-01T00:00:00.999999Z"},
		{ParseSearchDate, "2015-08-12T05:23", "2015-08-12T05:23:00.000000Z", "2015-08-12T05:23:59.999999Z"},
		{ParseSearchDate, "2015-08-12T05:23+14:00", "2015-08-11T15:23:00.000000Z", "2015-08-11T15:23:59.999999Z"},
		{ParseSearchDate, "2015-08-12T05:23:45", "2015-08-12T05:23:45.000000Z", "2015-08-12T05:23:45.999999Z"},
		{ParseTime, "05:23:45", "1970-01-01T05:23:45.000000Z", "1970-01-01T05:23:45.999999Z"},
		{ParseTime, "05:23:45.50", "1970-01-01T05:23:45.500000Z", "1970-01-01T05:23:45.509999Z"},
	}
	for _, tt := range tests {
		d, err := tt.parse(tt.text)
		if err != nil {
			t.Error(err)
			continue
		}
		lo, hi := d.Range()
		if got := time.UnixMicro(lo).UTC().Format(layout); got != tt.lo {
			t.Errorf("%s begins at %s, want %s", tt.text, got, tt.lo)
		}
		if got := time.UnixMicro(hi).UTC().Format(layout); got != tt.hi {
			t.Errorf("%s ends at %s, want %s", tt.text, got, tt.hi)
		}
		if d.String() != tt.text {
			t.Errorf("%s became %s", tt.text, d)
		}
	}
}

// Every day of the calendar agrees with package time.
func TestDays(t *testing.T) {
	day := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	for day.Year() < 10000 {
		y, m, d := day.Date()
		if got := daysFromCivil(y, int(m), d); got != day.Unix()/86400 {
			t.Fatalf("%s is day %d, want %d", day.Format(time.DateOnly), got, day.Unix()/86400)
		}
		day = day.AddDate(0, 0, 1)
	}
}

func TestDateRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		parse func(string) (Date, error)
		texts []string
	}{
		"date": {ParseDate, []string{"", "201", "20122", "0000", "2012-", "2012-13", "2012-00", "2012-1", "2012-02-30", "2013-02-29", "1900-02-29", "2012-04-31",
			"2012-01-01T00:00:00Z", " 2012", "2012 ", "-2012", "2012/01/01", "２０１２"}},
		"dateTime": {ParseDateTime, []string{"2012-01-01T", "2012-01-01T10", "2012-01-01T10:00", "2012-01-01T10:00Z", "2012-01-01T10:00:00", "2012-01-01T24:00:00Z",
			"2012-01-01T10:60:00Z", "2012-01-01T10:00:61Z", "2012-01-01T10:00:00.Z", "2012-01-01T10:00:00+14:01", "2012-01-01T10:00:00+15:00", "2012-01-01T10:00:00+0200",
			"2012-01-01 10:00:00Z", "2012-01-01t10:00:00z", "2012-01T10:00:00Z", "2012-01-01T10:00:00ZZ", "2012-01-01T10:00:00+02:60", "2012-01-01T1"}},
		"instant": {ParseInstant, []string{"2012", "2012-01-01", "2012-01-01T10:00:00", "10:00:00"}},
		"time":    {ParseTime, []string{"10:00", "24:00:00", "10:00:00Z", "10:00:00+01:00", "T10:00:00", "1:00:00", "10:00:00.", ""}},
		"search":  {ParseSearchDate, []string{"2012-01-01T10", "2012-01-01T10Z", "now", "2012-01-01T10:00:", "2012-01-01T10:00.5"}},
	} {
		for _, text := range tt.texts {
			if d, err := tt.parse(text); err == nil {
				t.Errorf("%s: %q was taken for %+v", name, text, d)
			}
		}
	}
}

func TestDateRangeBytes(t *testing.T) {
	text := []byte("2015-02-07T13:28:17.239+02:00")
	d, _ := ParseInstant(string(text))
	lo, hi := d.Range()
	gotLo, gotHi, ok := DateRange(text)
	if !ok || gotLo != lo || gotHi != hi {
		t.Errorf("DateRange = %d %d %v", gotLo, gotHi, ok)
	}
	if n := testing.AllocsPerRun(100, func() { DateRange(text) }); n != 0 {
		t.Errorf("DateRange allocates %v times", n)
	}
	if zone, ok := d.Zone(); zone != 120 || !ok || d.FractionDigits() != 3 || d.Time().Format(time.RFC3339Nano) != string(text) {
		t.Errorf("zone %d %v, digits %d, time %s", zone, ok, d.FractionDigits(), d.Time())
	}
}

// The regular expressions of the specification (datatypes.html#primitive).
var (
	reDateTime = regexp.MustCompile(`^([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00)))?)?)?$`)
	reDay      = regexp.MustCompile(`^\d{4}-\d\d-\d\d`)
)

func FuzzDate(f *testing.F) {
	for _, s := range []string{"2012", "2012-02-29", "2015-02-07T13:28:17.239+02:00", "2012-01-01T24:00:00Z", "10:00:00", "0000"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDateTime(text)
		want := reDateTime.MatchString(text)
		if day := reDay.FindString(text); want && day != "" {
			_, wrong := time.Parse(time.DateOnly, day)
			want = wrong == nil
		}
		if (err == nil) != want {
			t.Fatalf("%q: %v, want acceptable %v", text, err, want)
		}
		if lo, hi := d.Range(); err == nil && lo > hi {
			t.Fatalf("%q: from %d to %d", text, lo, hi)
		}
		_, _ = ParseTime(text)
		if s, err := ParseSearchDate(text); want && (err != nil || s != d) {
			t.Fatalf("%q is no search date", text)
		}
	})
}
