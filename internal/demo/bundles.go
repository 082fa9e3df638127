package demo

import "iter"

// Marker is the reference of the resource that is written last: a server that holds it holds the whole cohort.
const Marker = "Group/demo-participants-chd"

// Bundles yields the cohort as transaction Bundles in the order in which they have to be loaded: first what charts
// refer to, then one Bundle for each person, then the groups.
func Bundles() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for resources := range batches() {
			if !yield(transaction(resources)) {
				return
			}
		}
	}
}

// batches yields the resources of each Bundle.
func batches() iter.Seq[[]object] {
	return func(yield func([]object) bool) {
		first := foundation()
		for _, s := range studies {
			first = append(first, s.resources()...)
		}
		if !yield(first) {
			return
		}
		// A family comes as one, so that every reference leads to the same or an earlier Bundle.
		for i := 0; i < len(people); {
			end := i + 1
			for people[i].household != "" && end < len(people) && people[end].household == people[i].household {
				end++
			}
			var resources []object
			for _, p := range people[i:end] {
				resources = append(resources, newChart(p).complete()...)
			}
			if !yield(resources) {
				return
			}
			i = end
		}
		yield(groups())
	}
}

// complete makes all resources of a person.
func (c *chart) complete() []object {
	c.resources = append(c.resources, c.patient())
	visits := c.visits()
	for _, v := range visits {
		c.vitals(v)
		c.labs(v)
	}
	c.conditions(visits)
	c.immunizations(visits)
	c.allergies(visits[0])
	c.participation(visits[0])
	c.relationships()
	return c.resources
}

// transaction is a Bundle that puts every resource under its own id.
func transaction(resources []object) []byte {
	entries := make(array, len(resources))
	for i, r := range resources {
		at := r.get("resourceType").(string) + "/" + r.get("id").(string)
		entries[i] = obj("fullUrl", own+"fhir/"+at, "resource", r, "request", obj("method", "PUT", "url", at))
	}
	return appendJSON(nil, obj("resourceType", "Bundle", "type", "transaction", "entry", entries))
}
