package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// chart collects the resources of one person. Ids are the person's id and a running number for each kind, so that a
// new kind of resource moves no other id.
type chart struct {
	person
	random    *rand.Rand
	birth     time.Time
	resources []object
	numbers   map[string]int
	doctor    int // index into practitioners
}

func newChart(p person) *chart {
	seed := uint64(14695981039346656037) // FNV-1a
	for _, b := range []byte(p.id) {
		seed = (seed ^ uint64(b)) * 1099511628211
	}
	birth, err := time.ParseInLocation(time.DateOnly, p.born, zone)
	if err != nil {
		panic("demo: " + err.Error())
	}
	c := &chart{person: p, random: rand.New(rand.NewPCG(seed, 1)), birth: birth, numbers: map[string]int{}}
	c.doctor = c.random.IntN(4)
	if p.project == congenital {
		c.doctor = 4
	}
	return c
}

func (c *chart) labels() []string { return []string{c.project.path} }

// add numbers a resource and keeps it; it returns the id.
func (c *chart) add(kind, short, profile string, rest ...any) string {
	c.numbers[short]++
	id := fmt.Sprintf("%s-%s%d", c.id, short, c.numbers[short])
	c.resources = append(c.resources, resource(kind, id, c.labels(), profile, rest...))
	return id
}

func (c *chart) subject() object { return named("Patient", c.id, c.given+" "+c.family) }

// age in whole years at a time.
func (c *chart) age(at time.Time) int {
	years := at.Year() - c.birth.Year()
	if at.YearDay() < c.birth.YearDay() {
		years--
	}
	return years
}

// around is a whole number near the middle.
func (c *chart) around(middle, spread int) int {
	if spread == 0 {
		return middle
	}
	return middle - spread + c.random.IntN(2*spread+1)
}

func (c *chart) has(problem string) bool {
	for _, p := range c.problems {
		if p == problem {
			return true
		}
	}
	return false
}

func (c *chart) patient() object {
	home := places[c.home]
	street := fmt.Sprintf("%d %s", 100+c.random.IntN(4800), streets[c.random.IntN(len(streets))])
	phone := fmt.Sprintf("(312) 555-01%02d", c.random.IntN(100))
	profile, extensions := "", array{usCore("race", c.race.code, c.race.display), usCore("ethnicity", c.ethnicity.code, c.ethnicity.display)}
	extensions = append(extensions, extension("http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueCode", map[string]string{"male": "M", "female": "F"}[c.sex]))
	identifiers := array{obj(
		"use", "usual", "type", one(hl7+"v2-0203", "MR", "Medical record number"),
		"system", own+"mrn", "value", "MRN-"+strings.TrimPrefix(c.id, "demo-p")+"-"+fmt.Sprint(10000+c.random.IntN(90000)),
	)}
	if c.project != clinic {
		profile = "ncpi-participant"
		extensions = append(extensions,
			extension(ncpi+"research-date-of-birth-method", "valueCoding", obj("system", ncpiCodes+"research-data-date-of-birth-method", "code", "exact")),
			partOfStudy(c.project),
		)
		identifiers = append(identifiers, obj("use", "secondary", "system", own+"participant", "value", participantID(c.person)))
	}
	var deceased any
	if c.died != "" {
		deceased = c.died
	}
	title := map[string]string{"male": "Mr.", "female": "Ms."}[c.sex]
	if c.age(today) < 18 {
		title = ""
	}
	r := resource("Patient", c.id, c.labels(), profile,
		"extension", extensions,
		"identifier", identifiers,
		"active", true,
		"name", array{obj("use", "official", "family", c.family, "given", array{c.given}, "prefix", arr(title))},
		"telecom", array{
			obj("system", "phone", "value", phone, "use", "home"),
			obj("system", "email", "value", strings.ToLower(c.given+"."+c.family)+"@example.org"),
		},
		"gender", c.sex,
		"birthDate", c.born,
		"deceasedDateTime", deceased,
		"address", array{obj("use", "home", "line", array{street}, "city", home.city, "district", home.county, "state", home.state, "postalCode", home.zip, "country", "US")},
		"communication", array{obj("language", one("urn:ietf:bcp:47", language(c.person), ""), "preferred", true)},
		"generalPractitioner", array{named("Practitioner", practitioners[c.doctor].id, practitioners[c.doctor].name())},
		"managingOrganization", named("Organization", lakeshore, "Lakeshore Community Health Center"),
	)
	return r
}

func language(p person) string {
	if p.ethnicity == hispanic && p.role == "" {
		return "es"
	}
	return "en-US"
}

func participantID(p person) string {
	return strings.ToUpper(p.project.id) + "-" + strings.TrimPrefix(p.id, "demo-p")
}

// usCore is the extension for race or ethnicity.
func usCore(name, code, display string) object {
	return obj("url", "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"+name, "extension", array{
		extension("ombCategory", "valueCoding", coding(raceAndEthnicOM, code, display)),
		extension("text", "valueString", display),
	})
}

func partOfStudy(p project) object {
	return extension(ncpi+"part-of-study", "valueReference", reference("ResearchStudy", studyID(p)))
}

// of is the extension that ties a resource to the person's study, nothing for patients of the clinic.
func (c *chart) ofStudy() array {
	if c.project == clinic {
		return nil
	}
	return array{partOfStudy(c.project)}
}
