package config

import (
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Bytes is a size. As text it has a unit: B, KB, MB, GB (powers of 1000) or KiB, MiB, GiB (powers of 1024).
type Bytes int64

var byteUnits = []struct {
	unit string
	size int64
}{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"KB", 1e3}, {"kB", 1e3}, {"B", 1},
}

// ParseBytes reads "5MB", "16 KiB" or "512B".
func ParseBytes(text string) (Bytes, error) {
	for _, u := range byteUnits {
		number, ok := strings.CutSuffix(text, u.unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 0 {
			break
		}
		if n > math.MaxInt64/u.size {
			return 0, fmt.Errorf("%q is too large", text)
		}
		return Bytes(n * u.size), nil
	}
	return 0, fmt.Errorf("%q is not a size such as 512B, 5MB or 16KiB", text)
}

// String is the shortest text that ParseBytes reads back.
func (b Bytes) String() string {
	best := strconv.FormatInt(int64(b), 10) + "B"
	for _, u := range byteUnits {
		if u.unit != "kB" && b != 0 && int64(b)%u.size == 0 {
			if s := strconv.FormatInt(int64(b)/u.size, 10) + u.unit; len(s) < len(best) {
				best = s
			}
		}
	}
	return best
}

var (
	bytesType    = reflect.TypeFor[Bytes]()
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
)

// isScalar tells the types that one text fills.
func isScalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	}
	return t == prefixType
}

// parse reads the text of a scalar type.
func parse(t reflect.Type, text string) (reflect.Value, error) {
	text = strings.TrimSpace(text)
	v := reflect.New(t).Elem()
	switch {
	case t == bytesType:
		b, err := ParseBytes(text)
		v.SetInt(int64(b))
		return v, err
	case t == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return v, fmt.Errorf("%q is not a duration such as 500ms, 10s or 5m", text)
		}
		v.SetInt(int64(d))
	case t == prefixType:
		p, err := parsePrefix(text)
		if err != nil {
			return v, fmt.Errorf("%q is not a network such as 10.0.0.0/8 or an address", text)
		}
		v.Set(reflect.ValueOf(p))
	case t.Kind() == reflect.Bool:
		switch text {
		case "true", "1", "yes", "on":
			v.SetBool(true)
		case "false", "0", "no", "off":
		default:
			return v, fmt.Errorf("%q is neither true nor false", text)
		}
	case t.Kind() == reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return v, fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	default:
		v.SetString(text)
	}
	return v, nil
}

// parsePrefix takes a single address for the network of only that address.
func parsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Prefix(a.BitLen())
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}

// format is the text that parse reads back.
func format(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case Bytes:
		return x.String()
	case time.Duration:
		return formatDuration(x)
	case netip.Prefix:
		return x.String()
	}
	return fmt.Sprint(v.Interface())
}

// formatDuration leaves out zero parts: 1m, not 1m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// checkTags holds a scalar against the tags oneof, min and max of its field.
func checkTags(v reflect.Value, tag reflect.StructTag) error {
	if allowed, ok := tag.Lookup("oneof"); ok {
		list := strings.Split(allowed, "|")
		for _, a := range list {
			if a == v.String() {
				return nil
			}
		}
		if list[0] == "" {
			list = list[1:]
		}
		return fmt.Errorf("%q is none of %s", v.String(), strings.Join(list, ", "))
	}
	for _, end := range []string{"min", "max"} {
		text, ok := tag.Lookup(end)
		if !ok {
			continue
		}
		limit, err := parse(v.Type(), text)
		if err != nil {
			return fmt.Errorf("the tag %s: %w", end, err)
		}
		if end == "min" && v.Int() < limit.Int() {
			return fmt.Errorf("%s is less than %s", format(v), text)
		}
		if end == "max" && v.Int() > limit.Int() {
			return fmt.Errorf("%s is more than %s", format(v), text)
		}
	}
	return nil
}
