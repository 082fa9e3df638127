package noninterference

import "fmt"

const codeSystems = 14

// codes are code systems and value sets that include each other, over projects.
func codes() (out []map[string]any) {
	for i := range codeSystems {
		system, set := fmt.Sprintf("http://codes.test/CodeSystem/%d", i), fmt.Sprintf("http://codes.test/ValueSet/%d", i)
		out = append(out, map[string]any{"resourceType": "CodeSystem", "id": fmt.Sprintf("cs%d", i), "url": system, "status": "active", "content": "complete",
			"concept": []any{map[string]any{"code": "a", "display": fmt.Sprintf("code a of %d", i), "concept": []any{map[string]any{"code": "b", "display": "code b"}}},
				map[string]any{"code": "c", "display": "code c"}}})
		include := []any{map[string]any{"system": system}}
		if i%2 == 1 {
			include = append(include, map[string]any{"valueSet": []any{fmt.Sprintf("http://codes.test/ValueSet/%d", (i*5+3)%codeSystems)}})
		}
		if i%3 == 0 {
			include = append(include, map[string]any{"system": "http://loinc.org", "concept": []any{map[string]any{"code": "8867-4"}, map[string]any{"code": "29463-7"}, map[string]any{"code": "8302-2"}}})
		}
		vs := map[string]any{"resourceType": "ValueSet", "id": fmt.Sprintf("vs%d", i), "url": set, "status": "active", "compose": map[string]any{"include": include}}
		if i%4 == 0 { // a code system in two versions, perhaps in two projects
			twin := map[string]any{"resourceType": "CodeSystem", "id": fmt.Sprintf("twin%d", i), "url": system, "version": "2", "status": "active", "content": "complete",
				"concept": []any{map[string]any{"code": "c", "display": "the second c"}}}
			out = append(out, twin)
		}
		out = append(out, vs)
	}
	return out
}

// lists are Lists over resources of all projects.
func lists(all []map[string]any) (out []map[string]any) {
	for i := range 12 {
		var entries []any
		for j := range 25 {
			r := all[(i*97+j*31)%len(all)]
			entries = append(entries, map[string]any{"item": map[string]any{"reference": fmt.Sprintf("%s/%s", r["resourceType"], r["id"])}})
		}
		out = append(out, map[string]any{"resourceType": "List", "id": fmt.Sprintf("list%d", i), "status": "current", "mode": "working", "entry": entries})
	}
	return out
}
