package fhirpath

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"ingle/fhir"
)

func parse(t testing.TB, src string) fhir.Node {
	t.Helper()
	d, err := fhir.Parse([]byte(src), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return d.Root()
}

const patient = `{"resourceType":"Patient","id":"p1","meta":{"versionId":"3"},
"contained":[{"resourceType":"Organization","id":"o1","name":"Ward"}],
"extension":[{"url":"http://e/race","extension":[{"url":"code","valueCoding":{"system":"s","code":"2106-3"}}]},{"url":"http://e/age","valueAge":{"value":30,"system":"http://unitsofmeasure.org","code":"a"}}],
"active":true,
"name":[{"use":"official","family":"Peeters","given":["Ann","Mary"],"_given":[{"id":"g1","extension":[{"url":"http://e/x","valueBoolean":true}]}]},{"use":"usual","given":["Annie"]}],
"gender":"female","birthDate":"1980-02","_birthDate":{"extension":[{"url":"http://e/time","valueDateTime":"1980-02-03T04:05:06Z"}]},
"_deceasedBoolean":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]},
"multipleBirthInteger":2,
"generalPractitioner":[{"reference":"Practitioner/7"},{"reference":"#o1"},{"reference":"http://other/Organization/8/_history/2"}],
"managingOrganization":{"reference":"#o1"}}`

// TestLanguage evaluates on the Patient above; results are joined with " | ".
func TestLanguage(t *testing.T) {
	root := parse(t, patient)
	focus := Resource(root)
	other := Resource(parse(t, `{"resourceType":"Practitioner","id":"7"}`))
	env := &Env{
		Resource: focus, RootResource: focus,
		Now:       time.Date(2026, 3, 4, 5, 6, 7, 8_000_000, time.FixedZone("", 3600)),
		Variables: map[string]Collection{"mine": {Integer(4), String("x")}},
		Resolve: func(_ context.Context, ref string) (fhir.Node, error) {
			if ref == "Practitioner/7" {
				return other.Node(), nil
			}
			return fhir.Node{}, nil
		},
		MemberOf: func(_ context.Context, v Value, vs string) (bool, bool, error) {
			s, _ := v.Text()
			return s == "female", vs == "http://vs", nil
		},
	}
	for _, c := range [][2]string{
		{"name.given", "Ann | Mary | Annie"},
		{"name.given.id", "g1"},
		{"name.given[0].extension.value", "true"},
		{"name.given.extension('http://e/x').exists()", "true"},
		{"birthDate.extension('http://e/time').value", "1980-02-03T04:05:06Z"},
		{"deceased.exists() and deceased.hasValue().not()", "true"},
		{"deceased.extension.value", "unknown"},
		{"deceased is boolean", "true"},
		{"deceased.getValue()", ""},
		{"multipleBirth", "2"},
		{"multipleBirth is integer and multipleBirth + 1 = 3", "true"},
		{"Patient.multipleBirth.ofType(integer)", "2"},
		{"multipleBirthInteger", ""},
		{"extension('http://e/race').extension('code').value.code", "2106-3"},
		{"extension('http://e/age').value is Quantity", "true"},
		{"extension('http://e/age').value = 30 'a'", "true"},
		{"extension('http://e/age').value > 29 'a'", "true"},
		{"extension('http://e/age').value > 29 years", ""},
		{"Resource.id", "p1"},
		{"DomainResource.contained.name", "Ward"},
		{"contained.ofType(Organization).name", "Ward"},
		{"Observation.id", ""},
		{"managingOrganization.resolve().name", "Ward"},
		{"generalPractitioner.resolve().id", "7 | o1"},
		{"generalPractitioner.where(resolve() is Practitioner).reference", "Practitioner/7"},
		{"generalPractitioner.getReferenceKey()", "ERR one value"},
		{"generalPractitioner.select(getReferenceKey(Organization))", "8"},
		{"getResourceKey()", "p1"},
		{"gender.memberOf('http://vs')", "true"},
		{"gender.memberOf('http://unknown')", ""},
		{"%mine", "4 | x"},
		{"%context.id & %resource.id & %rootResource.id", "p1p1p1"},
		{"%nothing", "ERR not known"},
		{"now()", "2026-03-04T05:06:07.008+01:00"},
		{"today()", "2026-03-04"},
		{"timeOfDay()", "05:06:07.008"},
		{"birthDate < today()", "true"},
		{"birthDate + 11 months", "1981-01"},
		{"@2024-01-31 + 1 month", "2024-02-29"},
		{"@2024 + 30 days", "2024"},
		{"@2024-03-01 - 1 day", "2024-02-29"},
		{"@2024-03-01T00:00:00Z - 1 second", "2024-02-29T23:59:59Z"},
		{"@T23:30 + 45 minutes", "00:15"},
		{"@T23:30 + 1 day", "ERR hours or less"},
		{"@9999-12-31 + 1 day", ""},
		{"@2024-02-30", "ERR exists"},
		{"1 week = 7 days and 1 year != 365 days", ""},
		{"1 year = 12 months", "true"},
		{"1 year ~ 1 'a'", "true"},
		{"1 year = 1 'a'", ""},
		{"3 'km' + 50 'm'", "3050 'm'"},
		{"10 'mg/dL' * 2", "20 'mg/dL'"},
		{"1 'kg' < 1 'm'", ""},
		{"1 'kg' = 1 'm'", ""},
		{"37 'Cel' = 98.6 '[degF]'", "true"},
		{"'5 days'.toQuantity()", "5 days"},
		{"(5 'g').toQuantity('mg')", "5000 'mg'"},
		{"2147483647 + 1", ""},
		{"2147483648", "ERR beyond"},
		{"0.1 + 0.2 = 0.3", "true"},
		{"1 / 3", "0.3333333333333333333333333333"},
		{"7 mod 0", ""},
		{"100.log(10)", "2"},
		{"name.given.aggregate($total & $this, '')", "AnnMaryAnnie"},
		{"name.select(given.select($index & ''))", "ERR String"},
		{"name.select(given.select($index.toString()))", "0 | 1 | 0"},
		{"name.given.where($index > 0)", "Mary | Annie"},
		{"$index", "ERR meaning"},
		{"$total", "ERR meaning"},
		{"(1 | 2 | 3).sum() | (1 | 2 | 4).avg() | ('b' | 'a').min()", "6 | 2.333333333333333333333333333 | a"},
		{"name.sort(family desc).family", "Peeters"},
		{"(3 | 1 | 2).sort($this desc)", "3 | 2 | 1"},
		{"coalesce(name.suffix, gender, id)", "female"},
		{"defineVariable('n', name.given).select(%n.count() + 1)", "4"},
		{"defineVariable('n').select(%n.id)", "p1"},
		{"(defineVariable('a', 1) | id) | %a", "ERR not known"},
		{"defineVariable('context', 1)", "ERR meaning already"},
		{"defineVariable('a').defineVariable('a')", "ERR defined already"},
		{"id.matches('^p[0-9]$')", "true"},
		{"id.matches('(')", "ERR cannot be read"},
		{"'AbC'.matchesFull('abc', 'i')", "true"},
		{"'abcd'.replaceMatches('(b)(c)', '$2x$1')", "acxbd"},
		{"'öß€'.length() | 'öß€'.indexOf('€') | 'öß€'.substring(1, 1)", "3 | 2 | ß"},
		{"'a-b-c'.split('-')", "a | b | c"},
		{"name[0].children().count()", "4"},
		{"name.descendants().count() > 5", "true"},
		{"active.type().namespace & '.' & active.type().name", "FHIR.boolean"},
		{"1.type().name", "Integer"},
		{"active and gender = 'female' implies birthDate.exists()", "true"},
		{"name and true", "ERR one value"},
		{"name.family is String", "false"},
		{"name.family is string", "true"},
		{"gender is string", "true"},
		{"gender.as(string)", ""},
		{"id.nosuch()", "ERR not known"},
		{"id.Length()", "ERR length()"},
		{"id.length(1)", "ERR no arguments"},
		{"id is Nosuch", "ERR not known"},
		{"1 > 'a'", "ERR no order"},
		{"1 + 'a'", "ERR no meaning"},
		{"id.subsumes(id)", "true"},
		{"conformsTo('http://hl7.org/fhir/StructureDefinition/DomainResource')", "true"},
		{"conformsTo('http://nowhere')", "ERR not known"},
		{"'<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>x</p></div>'.htmlChecks()", "true"},
		{"'<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>'.htmlChecks()", "false"},
		{"@2014-02.highBoundary() | @2014-02.lowBoundary(8)", "2014-02-28 | 2014-02-01"},
		{"birthDate.yearOf() | birthDate.monthOf() | birthDate.dayOf()", "1980 | 2"},
		{"iif(active, 'yes', 1 / 'a')", "yes"},
		{"(1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 1.0 | 14 | '14').count()", "15"},
		{"generalPractitioner.reference.distinct().count() | (name | name).count()", "3 | 2"},
		{"name.where(use = 'official').given.exists($this = 'Mary')", "true"},
		{"name.given.join('-')", "Ann-Mary-Annie"},
		{"meta.versionId.toInteger() + 1", "4"},
		{"`Patient`.`name`.family", "Peeters"},
		{"Patient.name.given.is", ""},
	} {
		got := ""
		e, err := Compile(c[0])
		if err == nil {
			var out Collection
			if out, err = e.Eval(context.Background(), env, focus); err == nil {
				var parts []string
				for _, v := range out {
					parts = append(parts, v.String())
				}
				got = strings.Join(parts, " | ")
			}
		}
		if want, isErr := strings.CutPrefix(c[1], "ERR "); isErr {
			var fault *Error
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q, %v; want an error with %q", c[0], got, err, want)
			}
		} else if err != nil || got != c[1] {
			t.Errorf("%s: %q, %v; want %q", c[0], got, err, c[1])
		}
	}
}

func TestErrorNamesPosition(t *testing.T) {
	_, err := Compile("Patient.name\n  .where(use = )")
	var fault *Error
	if !errors.As(err, &fault) || fault.Line != 2 || fault.Col != 16 {
		t.Errorf("%+v", fault)
	}
	e := MustCompile("name.\n given & 'x'")
	_, err = e.Eval(context.Background(), nil, Resource(parse(t, patient)))
	if !errors.As(err, &fault) || fault.Line != 2 || fault.Col != 8 {
		t.Errorf("%v", err)
	}
}

func TestChecked(t *testing.T) {
	for expr, ok := range map[string]bool{
		"Patient.name.given":                                           true,
		"Patient.name.givn":                                            false,
		"contact.name.family":                                          true,
		"contact.name.nosuch":                                          false,
		"name.where(given = 'a' and usee = 'b')":                       false,
		"extension.value.nosuch":                                       false,
		"extension.value.unit":                                         true,
		"contained.anything":                                           true,
		"contained.ofType(Organization).alias":                         true,
		"contained.ofType(Organization).birthDate":                     false,
		"(deceased as dateTime).extension.url":                         true,
		"(deceased as boolean).nosuch":                                 false,
		"Observation.value":                                            false,
		"name.select(given | family).length()":                         true,
		"name.repeat(period).start":                                    true,
		"children().nosuch":                                            true,
		"generalPractitioner.resolve().ofType(Practitioner).nosuch":    false,
		"name.given.value":                                             true,
		"iif(active, name, contact).period":                            true,
		"iif(active, name, contact).nosuch":                            false,
		"name.given.first().type().namespace":                          true,
		"name.given.toChars().count() + name.given.count().toString()": true,
	} {
		_, err := Compile(expr, Checked("Patient"))
		if (err == nil) != ok {
			t.Errorf("%s: %v", expr, err)
		}
	}
	if _, err := Compile("id", Checked("Nosuch")); err == nil {
		t.Error("an unknown type is accepted")
	}
}

func TestLimits(t *testing.T) {
	focus := Resource(parse(t, patient))
	for _, expr := range []string{
		"repeatAll($this)",
		"(1|2|3|4|5|6|7|8|9).select(%resource.descendants()).select(%resource.descendants()).select(%resource.descendants()).count()",
		"(1|2|3|4|5|6|7|8|9|10).aggregate(iif($total.empty(), 'abcdefghij', $total & $total & $total & $total & $total), {})",
		"(1|2|3|4|5|6|7|8|9|10|11|12|13|14|15).aggregate($total.replace('a', 'aaaa'), 'aaaa')",
		"(1|2|3|4|5|6|7|8|9).aggregate($total.combine($total).combine($total).combine($total).combine($total).combine($total), 1)",
	} {
		e := MustCompile(expr)
		start := time.Now()
		_, err := e.Eval(context.Background(), &Env{Limits: Limits{Steps: 300_000, Values: 10_000, Text: 1 << 16}}, focus)
		if !errors.Is(err, ErrLimit) {
			t.Errorf("%s: %v", expr, err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %v", expr, took)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	e := MustCompile("repeatAll(%resource.descendants()).count()")
	if _, err := e.Eval(ctx, &Env{Limits: Limits{Steps: 1 << 40, Values: 1 << 40}}, focus); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("deadline: %v", err)
	}
	for _, expr := range []string{
		strings.Repeat("(", 101) + "1" + strings.Repeat(")", 101),
		strings.Repeat("-", 101) + "1",
		"1" + strings.Repeat("+1", 10_001),
		"'" + strings.Repeat("x", 70_000) + "'",
		strings.Repeat("9", 65) + ".0",
	} {
		if _, err := Compile(expr); err == nil {
			t.Errorf("%.20s… of %d bytes is accepted", expr, len(expr))
		}
	}
}

func TestForSearch(t *testing.T) {
	e, err := Compile("Patient.generalPractitioner.where(resolve() is Organization)", ForSearch())
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Eval(context.Background(), nil, Resource(parse(t, patient)))
	if err != nil || len(out) != 2 { // the contained one and the one of another server
		t.Errorf("%v, %v", show(out), err)
	}
}

func TestBundle(t *testing.T) {
	root := parse(t, `{"resourceType":"Bundle","type":"collection","entry":[
		{"fullUrl":"http://s/fhir/Patient/1","resource":{"resourceType":"Patient","id":"1"}},
		{"fullUrl":"urn:uuid:5f1d7c1e-0c38-4b0e-8f4d-1d6a3c9e2b47","resource":{"resourceType":"Encounter","id":"2","subject":{"reference":"Patient/1"}}},
		{"fullUrl":"http://s/fhir/Observation/3","resource":{"resourceType":"Observation","id":"3","encounter":{"reference":"urn:uuid:5f1d7c1e-0c38-4b0e-8f4d-1d6a3c9e2b47"}}}]}`)
	e := MustCompile("entry.resource.ofType(Observation).encounter.resolve().subject.resolve().id")
	out, err := e.Eval(context.Background(), nil, Resource(root))
	if err != nil || len(out) != 1 || out[0].String() != "1" {
		t.Errorf("%v, %v", show(out), err)
	}
}

func TestTrace(t *testing.T) {
	var got []string
	env := &Env{Trace: func(name string, values Collection) { got = append(got, name+":"+strings.Join(show(values), ",")) }}
	if _, err := MustCompile("name.trace('n', given.first()).family").Eval(context.Background(), env, Resource(parse(t, patient))); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[n:string:Ann,string:Annie]" {
		t.Error(got)
	}
}

// TestConcurrent evaluates one expression on many goroutines.
func TestConcurrent(t *testing.T) {
	e := MustCompile("name.given.select($this & '-' & %resource.id).where(matches('A.*')).join('+') & (name | contact | extension).count().toString()")
	nodes := examples(t)
	var wg sync.WaitGroup
	want := make([]string, len(nodes))
	run := func(i int) string {
		v := Resource(nodes[i])
		out, err := e.Eval(context.Background(), &Env{Resource: v}, v)
		return fmt.Sprint(show(out), err)
	}
	for i := range nodes {
		want[i] = run(i)
	}
	for range 4 {
		wg.Go(func() {
			for i := range nodes {
				if got := run(i); got != want[i] {
					t.Errorf("%s, want %s", got, want[i])
				}
			}
		})
	}
	wg.Wait()
}

var raceDetector bool

// TestNoAllocation keeps the paths of invariants free of allocation.
func TestNoAllocation(t *testing.T) {
	if raceDetector {
		t.Skip("not with the race detector")
	}
	focus := Resource(parse(t, patient))
	env := &Env{Resource: focus, RootResource: focus}
	for _, expr := range []string{
		"name.where(use = 'official').given.exists()",
		"hasValue() or (children().count() > id.count())",
		"contained.contained.empty() and meta.security.empty()",
		"gender = 'female' implies name.family.exists() or name.given.exists()",
	} {
		e := MustCompile(expr)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := e.Holds(context.Background(), env, focus); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s allocates %v times", expr, n)
		}
	}
}

// TestEveryFunction: those that N1 names, and those that R4's page on FHIRPath
// adds, are there.
func TestEveryFunction(t *testing.T) {
	t.Parallel()
	const n1 = `empty exists all allTrue anyTrue allFalse anyFalse subsetOf supersetOf count distinct isDistinct
		where select repeat ofType single first last tail skip take intersect exclude union combine
		iif toBoolean convertsToBoolean toInteger convertsToInteger toDate convertsToDate toDateTime convertsToDateTime toDecimal convertsToDecimal
		toQuantity convertsToQuantity toString convertsToString toTime convertsToTime
		indexOf substring startsWith endsWith contains upper lower replace matches replaceMatches length toChars
		abs ceiling exp floor ln log power round sqrt truncate children descendants trace now timeOfDay today is as not aggregate type`
	const r4 = `extension hasValue getValue resolve ofType elementDefinition slice checkModifiers conformsTo memberOf subsumes subsumedBy htmlChecks`
	for _, name := range strings.Fields(n1 + " " + r4) {
		if _, ok := functions[name]; !ok {
			t.Errorf("%s() is missing", name)
		}
	}
}
