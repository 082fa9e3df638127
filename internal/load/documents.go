package load

import "fmt"

// Documents gives every JSON document below the paths to yield, unpacked, in
// the order in which Run sends them; NDJSON comes in pieces of whole lines. name
// is for people. A file that cannot be read to its end is an error.
func Documents(paths []string, yield func(name string, data []byte) error) error {
	names, _, err := files(paths)
	if err != nil {
		return err
	}
	for _, name := range names {
		fault, err := walk(name, func(int) {}, func(p piece) error { return yield(p.file, p.data) })
		if err != nil {
			return err
		}
		if fault != nil {
			return fmt.Errorf("%s: %w", name, fault)
		}
	}
	return nil
}
