package noninterference

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ingle/internal/testdata"
)

// syntheaPeople is how many people of the example data are added where it is there.
const syntheaPeople = 2

// synthea are the resources of some people that Synthea made, referring to each
// other by their ids; none where the test data is absent.
func synthea(t testing.TB) (out []map[string]any) {
	t.Helper()
	dir := os.Getenv("INGLE_TESTDATA")
	if dir == "" {
		dir = filepath.Join(testdata.Root(), "..", "shared", "data")
	}
	const archive = "synthea/synthea-2.4.0-2019.tar.zst"
	if _, err := os.Stat(filepath.Join(dir, archive)); err != nil {
		t.Log("without the people of Synthea: no test data")
		return nil
	}
	people := 0
	for _, f := range testdata.Files(t, archive) {
		if people == syntheaPeople || !strings.HasSuffix(f.Name, ".json") || len(f.Data) > 320_000 {
			continue
		}
		var b struct {
			Entry []struct {
				FullURL  string
				Resource map[string]any
			}
		}
		if err := decode(f.Data, &b); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range b.Entry {
			typ := e.Resource["resourceType"].(string)
			names = append(names, e.FullURL, typ+"/"+strings.TrimPrefix(e.FullURL, "urn:uuid:"))
		}
		text := strings.NewReplacer(names...)
		for _, e := range b.Entry {
			e.Resource["id"] = strings.TrimPrefix(e.FullURL, "urn:uuid:")
			var r map[string]any
			if err := decode([]byte(text.Replace(string(encode(e.Resource)))), &r); err != nil {
				t.Fatal(err)
			}
			out = append(out, r)
		}
		people++
	}
	return out
}
