package distribution_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"ingle/fhir"
	"ingle/fhir/r4"
	"ingle/store"
	"ingle/store/concepts"
	"ingle/store/storetest"
	"ingle/terminology"
	"ingle/terminology/distribution"
)

type house struct {
	db  *store.DB
	svc *terminology.Service
	src terminology.Source
}

func newHouse(t testing.TB) *house {
	db := storetest.Open(t)
	svc := terminology.New(terminology.Options{Concepts: db.Concepts()})
	return &house{db, svc, terminology.Definitions(r4.Definitions())}
}

func put(t testing.TB, name string, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func zipped(t testing.TB, name string, files map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	m := fstest.MapFS{}
	for n, c := range files {
		m[n] = &fstest.MapFile{Data: []byte(c)}
	}
	fs.WalkDir(m, ".", func(p string, e fs.DirEntry, _ error) error {
		if !e.IsDir() {
			w, _ := z.Create(p)
			r, _ := m.Open(p)
			io.Copy(w, r)
		}
		return nil
	})
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	f.Close()
	return path
}

func (h *house) imports(t testing.TB, path string, opt distribution.Options) *concepts.Result {
	t.Helper()
	d, err := distribution.Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	res, err := h.svc.Import(t.Context(), d, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func params(list ...string) *terminology.Parameters {
	p := &terminology.Parameters{}
	for i := 0; i < len(list); i += 2 {
		p.List = append(p.List, terminology.Parameter{Name: list[i], Text: list[i+1]})
	}
	return p
}

func (h *house) lookup(t testing.TB, system, code string) string {
	t.Helper()
	out, err := h.svc.Lookup(t.Context(), h.src, params("system", system, "code", code, "property", "*"))
	if err != nil {
		t.Fatalf("%s#%s: %v", system, code, err)
	}
	return string(out)
}

func (h *house) subsumes(t testing.TB, system, a, b string) string {
	t.Helper()
	out, err := h.svc.Subsumes(t.Context(), h.src, params("system", system, "codeA", a, "codeB", b))
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Parameter []struct{ ValueCode string } }
	json.Unmarshal(out, &p)
	return p.Parameter[0].ValueCode
}

// members expands an inline value set with one include.
func (h *house) members(t testing.TB, include string, more ...string) []string {
	t.Helper()
	doc, err := fhir.Parse([]byte(`{"resourceType":"ValueSet","status":"active","compose":{"include":[`+include+`]}}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	p := params(more...)
	p.List = append(p.List, terminology.Parameter{Name: "valueSet", Node: doc.Root()})
	out, err := h.svc.Expand(t.Context(), h.src, p)
	if err != nil {
		t.Fatal(err)
	}
	var vs struct {
		Expansion struct{ Contains []struct{ Code string } }
	}
	if err := json.Unmarshal(out, &vs); err != nil {
		t.Fatal(err)
	}
	codes := []string{}
	for _, c := range vs.Expansion.Contains {
		codes = append(codes, c.Code)
	}
	return codes
}

func want(t testing.TB, what, got string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(got, p) {
			t.Errorf("%s: %s\nlacks %s", what, got, p)
		}
	}
}

func TestLOINC(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	res := h.imports(t, zipped(t, "Loinc_2.99.zip", map[string]string{
		"LoincTable/Loinc.csv": "\"LOINC_NUM\",\"COMPONENT\",\"SYSTEM\",\"SCALE_TYP\",\"CLASS\",\"STATUS\",\"SHORTNAME\",\"LONG_COMMON_NAME\",\"DefinitionDescription\"\n" +
			"\"90001-1\",\"Zorbin\",\"Bld\",\"Qn\",\"CHEM\",\"ACTIVE\",\"Zorb Bld\",\"Zorbin [Mass/volume] in Blood\",\"A made-up, \"\"quoted\"\" analyte\"\n" +
			"\"90002-9\",\"Zorbin\",\"Urine\",\"Ord\",\"CHEM\",\"DEPRECATED\",\"Zorb Ur\",\"Zorbin [Presence] in Urine\",\"\"\n",
		"AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv": "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n" +
			",1,,LP1,Root\nLP1,1,LP1,LP2,Zorbins\nLP1.LP2,1,LP2,90001-1,Zorbin Bld\n",
		"AccessoryFiles/AnswerFile/AnswerList.csv":                      "AnswerListId,AnswerListName,AnswerStringId,DisplayText\nLL1,Some,LA1,None\nLL1,Some,LA2,Few\nLL2,Other,LA2,Few\n",
		"AccessoryFiles/LinguisticVariants/LinguisticVariants.csv":      "ID,ISO_LANGUAGE,ISO_COUNTRY\n15,de,DE\n",
		"AccessoryFiles/LinguisticVariants/deDE15LinguisticVariant.csv": "LOINC_NUM,COMPONENT,LONG_COMMON_NAME,LinguisticVariantDisplayName\n90001-1,Zorbin,Zorbin [Masse/Volumen] in Blut,\"Zorbin, Blut\"\n99999-9,Nix,Nix,Nix\n",
		"AccessoryFiles/LinguisticVariants/frFR18LinguisticVariant.csv": "LOINC_NUM,LONG_COMMON_NAME\n90002-9,Zorbine urinaire\n",
	}), distribution.Options{})
	if res.Concepts != 8 {
		t.Errorf("%d concepts", res.Concepts)
	}
	want(t, "lookup", h.lookup(t, "http://loinc.org", "90001-1"), `"valueString":"Zorbin [Mass/volume] in Blood"`, `"valueString":"2.99"`, `A made-up, \"quoted\" analyte`,
		`{"name":"code","valueCode":"SCALE_TYP"},{"name":"value","valueString":"Qn"}`, `Zorb Bld`)
	want(t, "variants", h.lookup(t, "http://loinc.org", "90001-1"), `{"name":"language","valueCode":"de-DE"}`, `"valueString":"Zorbin, Blut"`, `Masse/Volumen`)
	want(t, "variants", h.lookup(t, "http://loinc.org", "90002-9"), `{"name":"language","valueCode":"fr-FR"}`, `Zorbine urinaire`)
	if got := h.members(t, `{"system":"http://loinc.org"}`, "filter", "urinaire", "count", "10"); fmt.Sprint(got) != "[90002-9]" {
		t.Error(got)
	}
	if got := h.subsumes(t, "http://loinc.org", "LP1", "90001-1"); got != "subsumes" {
		t.Error(got)
	}
	if got := h.members(t, `{"system":"http://loinc.org","filter":[{"property":"SCALE_TYP","op":"=","value":"Ord"}]}`); fmt.Sprint(got) != "[90002-9]" {
		t.Error(got)
	}
	out, err := h.svc.Expand(t.Context(), h.src, params("url", "http://loinc.org/vs/LL1"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "answer list", string(out), `"code":"LA1"`, `"code":"LA2"`)
	if got := h.members(t, `{"system":"http://loinc.org"}`, "filter", "zorb bloo", "count", "10"); fmt.Sprint(got) != "[90001-1]" {
		t.Error(got)
	}
	if got := h.members(t, `{"system":"http://loinc.org"}`, "filter", "zorb", "activeOnly", "true"); fmt.Sprint(got) != "[LP2 90001-1]" {
		t.Error(got)
	}
}

const rf2 = "20990131"

func rf2Files() map[string]string {
	dir := "Snapshot/Terminology/"
	c := "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\r\n"
	for _, l := range []string{"138875005\t20020131\t1\t900000000000207008\t900000000000074008", "1001\t20020131\t1\t900000000000207008\t900000000000074008",
		"1002\t20020131\t1\t900000000000207008\t900000000000073002", "1003\t20020131\t1\t900000000000207008\t900000000000074008", "1004\t20020131\t0\t900000000000207008\t900000000000074008"} {
		c += l + "\r\n"
	}
	d := "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\tcaseSignificanceId\r\n"
	for i, l := range []string{"138875005\ten\t900000000000003001\tSNOMED CT Concept", "1001\ten\t900000000000003001\tFinding of zorbin (finding)", "1001\ten\t900000000000013009\tZorbin finding",
		"1001\ten\t900000000000013009\tZorbin observation", "1002\ten\t900000000000003001\tHigh zorbin (finding)", "1002\ten\t900000000000013009\tHyperzorbinaemia", "1002\tde\t900000000000013009\tHohes Zorbin",
		"1003\ten\t900000000000013009\tOther zorbin finding", "1004\ten\t900000000000013009\tOld zorbin"} {
		cols := strings.SplitN(l, "\t", 2)
		d += fmt.Sprintf("%d\t20020131\t1\t900000000000207008\t%s\t%s\t900000000000448009\r\n", 5000+i, cols[0], cols[1])
	}
	r := "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\ttypeId\tcharacteristicTypeId\tmodifierId\r\n"
	for i, l := range []string{"1001\t138875005\t0\t116680003", "1002\t1001\t0\t116680003", "1003\t1001\t0\t116680003", "1002\t1003\t0\t116680003", "1002\t1001\t1\t363698007"} {
		r += fmt.Sprintf("%d\t20020131\t1\t900000000000207008\t%s\t900000000000011006\t900000000000451002\r\n", 7000+i, l)
	}
	lang := "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\tacceptabilityId\r\n" +
		"x\t20020131\t1\t900000000000207008\t900000000000509007\t5003\t900000000000548007\r\n"
	simple := "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\r\ny\t20020131\t1\t900000000000207008\t2001\t1003\r\n"
	return map[string]string{
		dir + "sct2_Concept_Snapshot_INT_" + rf2 + ".txt":                               c,
		dir + "sct2_Description_Snapshot-en_INT_" + rf2 + ".txt":                        d,
		dir + "sct2_Relationship_Snapshot_INT_" + rf2 + ".txt":                          r,
		"Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_INT_" + rf2 + ".txt": lang,
		"Snapshot/Refset/Content/der2_Refset_SimpleSnapshot_INT_" + rf2 + ".txt":        simple,
		"Full/Terminology/sct2_Concept_Full_INT_" + rf2 + ".txt":                        "not read",
	}
}

func TestSNOMED(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	res := h.imports(t, zipped(t, "SnomedCT_Made_Up.zip", rf2Files()), distribution.Options{})
	if res.Concepts != 5 {
		t.Errorf("%d concepts", res.Concepts)
	}
	const sct = "http://snomed.info/sct"
	want(t, "lookup", h.lookup(t, sct, "1001"), `"name":"display","valueString":"Zorbin observation"`, `http://snomed.info/sct/900000000000207008/version/20990131`, `"Finding of zorbin (finding)"`)
	want(t, "lookup", h.lookup(t, sct, "1002"), `"valueCode":"363698007"`, `Hohes Zorbin`)
	for _, c := range []struct{ a, b, want string }{{"138875005", "1002", "subsumes"}, {"1003", "1002", "subsumes"}, {"1002", "1003", "subsumed-by"}, {"1001", "1001", "equivalent"}, {"1004", "1001", "not-subsumed"}} {
		if got := h.subsumes(t, sct, c.a, c.b); got != c.want {
			t.Errorf("%s %s: %s", c.a, c.b, got)
		}
	}
	for filter, codes := range map[string]string{
		`{"property":"concept","op":"is-a","value":"1001"}`:            "[1001 1002 1003]",
		`{"property":"concept","op":"descendent-of","value":"1001"}`:   "[1002 1003]",
		`{"property":"concept","op":"child-of","value":"1001"}`:        "[1002 1003]",
		`{"property":"concept","op":"child-of","value":"1003"}`:        "[1002]",
		`{"property":"concept","op":"generalizes","value":"1002"}`:     "[138875005 1001 1002 1003]",
		`{"property":"concept","op":"is-not-a","value":"1001"}`:        "[138875005 1004]",
		`{"property":"concept","op":"descendent-leaf","value":"1001"}`: "[1002]",
		`{"property":"363698007","op":"=","value":"1001"}`:             "[1002]",
		`{"property":"inactive","op":"=","value":"true"}`:              "[1004]",
		`{"property":"memberOf","op":"=","value":"2001"}`:              "[1003]",
		`{"property":"code","op":"regex","value":"100[23]"}`:           "[1002 1003]",
		`{"property":"363698007","op":"exists","value":"true"}`:        "[1002]",
		`{"property":"concept","op":"in","value":"1002,1004"}`:         "[1002 1004]",
		`{"property":"display","op":"regex","value":".*zorbin.*"}`:     "[1002 1003 1004]",
	} {
		if got := h.members(t, `{"system":"`+sct+`","filter":[`+filter+`]}`, "excludeNested", "true"); fmt.Sprint(got) != codes {
			t.Errorf("%s: %v, want %s", filter, got, codes)
		}
	}
	for url, codes := range map[string][]string{"http://snomed.info/sct?fhir_vs=isa/1003": {`"1003"`, `"1002"`}, "http://snomed.info/sct?fhir_vs=refset/2001": {`"1003"`}} {
		out, err := h.svc.Expand(t.Context(), h.src, params("url", url))
		if err != nil {
			t.Fatal(err)
		}
		want(t, url, string(out), codes...)
	}
}

func TestRxNorm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	row := func(cui, sab, tty, name, suppress string) string {
		return strings.Join([]string{cui, "ENG", "", "", "", "", "", "1", "", "", "", sab, tty, cui, name, "", suppress, "", ""}, "|") + "\n"
	}
	res := h.imports(t, zipped(t, "RxNorm_full_01052099.zip", map[string]string{
		"rrf/RXNCONSO.RRF": row("1", "RXNORM", "IN", "zorbine", "N") + row("1", "MMSL", "IN", "Zorbine other", "N") +
			row("2", "RXNORM", "SY", "zorbine 5 tab", "N") + row("2", "RXNORM", "SCD", "zorbine 5 MG Oral Tablet", "N") + row("3", "RXNORM", "SBD", "zorbine old", "O"),
		"rrf/RXNREL.RRF": "1||CUI|RO|2||CUI|has_ingredient|9||RXNORM|||||||\n1||CUI|RN|2||CUI|isa|10||RXNORM|||||||\n",
		"rrf/RXNSTY.RRF": "1|T109|A1|Organic Chemical|AT1||\n",
	}), distribution.Options{})
	if res.Concepts != 3 {
		t.Errorf("%d concepts", res.Concepts)
	}
	const rx = "http://www.nlm.nih.gov/research/umls/rxnorm"
	want(t, "lookup", h.lookup(t, rx, "2"), `"name":"display","valueString":"zorbine 5 MG Oral Tablet"`, `"valueCode":"has_ingredient"`, `"valueString":"01052099"`)
	if got := h.members(t, `{"system":"`+rx+`","filter":[{"property":"has_ingredient","op":"=","value":"1"}]}`); fmt.Sprint(got) != "[2]" {
		t.Error(got)
	}
	if got := h.members(t, `{"system":"`+rx+`","filter":[{"property":"TTY","op":"in","value":"SBD,IN"}]}`, "activeOnly", "true"); fmt.Sprint(got) != "[1]" {
		t.Error(got)
	}
	if got := h.subsumes(t, rx, "1", "2"); got != "subsumes" {
		t.Error(got)
	}
}

func TestICD10CM(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	line := func(n int, code string, billable int, text string) string {
		return fmt.Sprintf("%05d %-7s %d %-60s %s\n", n, code, billable, text, text+" in full")
	}
	path := put(t, filepath.Join(t.TempDir(), "icd10cm_order_2099.txt"),
		line(1, "Z77", 0, "Zorbin contact")+line(2, "Z770", 0, "Zorbin, air")+line(3, "Z7701", 1, "Zorbin dust")+line(4, "Z771", 1, "Zorbin, other")+line(5, "Z78", 1, "Other"))
	if res := h.imports(t, path, distribution.Options{}); res.Concepts != 5 {
		t.Errorf("%d concepts", res.Concepts)
	}
	const icd = "http://hl7.org/fhir/sid/icd-10-cm"
	want(t, "lookup", h.lookup(t, icd, "z77.01"), `"valueCode":"Z77.01"`, `"valueString":"Zorbin dust in full"`, `{"name":"code","valueCode":"parent"},{"name":"value","valueCode":"Z77.0"}`)
	if got := h.members(t, `{"system":"`+icd+`","filter":[{"property":"concept","op":"is-a","value":"Z77"},{"property":"billable","op":"=","value":"true"}]}`, "excludeNested", "true"); fmt.Sprint(got) != "[Z77.01 Z77.1]" {
		t.Error(got)
	}
	tab := put(t, filepath.Join(t.TempDir(), "icd10cm_tabular_2098.xml"), `<?xml version="1.0"?><ICD10CM.tabular><version>2098</version>
		<chapter><name>1</name><desc>Made-up (Z70-Z79)</desc><sectionIndex><sectionRef first="Z70" last="Z79" id="Z70-Z79">x</sectionRef></sectionIndex>
		<section id="Z70-Z79"><desc>Contacts</desc><diag><name>Z77</name><desc>Zorbin contact</desc><sevenChrDef><extension char="A">initial</extension><extension char="D">subsequent</extension></sevenChrDef>
		<diag><name>Z77.0</name><desc>Zorbin, air</desc></diag></diag></section></chapter></ICD10CM.tabular>`)
	if res := h.imports(t, tab, distribution.Options{}); res.Concepts != 6 {
		t.Errorf("%d concepts", res.Concepts)
	}
	out, err := h.svc.Lookup(t.Context(), h.src, params("system", icd, "code", "Z77.0XXA", "version", "2098"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "seventh character", string(out), `Zorbin, air, initial`)
	// the newest version is the default, and both stand side by side
	if got := h.lookup(t, icd, "Z77"); !strings.Contains(got, `"2099"`) {
		t.Error(got)
	}
}

const smallOBO = `format-version: 1.2
data-version: hp/releases/2099-01-02
ontology: hp

[Term]
id: HP:0000001
name: All

[Term]
id: HP:0000118
name: Phenotypic abnormality
def: "An \"abnormality\"." [HPO:probinson]
is_a: HP:0000001 ! All

[Term]
id: HP:0001
name: Zorbinism
synonym: "Zorbin excess" EXACT layperson [ORCID:1]
alt_id: HP:0009
xref: UMLS:C1
is_a: HP:0000118 {source="x"} ! Phenotypic abnormality
is_a: HP:0003

[Term]
id: HP:0002
name: obsolete thing
is_obsolete: true
replaced_by: HP:0001

[Term]
id: HP:0003
name: Excess
is_a: HP:0000118

[Typedef]
id: part_of
name: part of
`

func TestOBO(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if res := h.imports(t, put(t, filepath.Join(t.TempDir(), "hp.obo"), smallOBO), distribution.Options{}); res.Concepts != 5 {
		t.Errorf("%d concepts", res.Concepts)
	}
	const hpo = "http://human-phenotype-ontology.org"
	want(t, "lookup", h.lookup(t, hpo, "HP:0001"), `"valueString":"2099-01-02"`, `Zorbin excess`, `"valueCode":"HP:0009"`, `UMLS:C1`)
	want(t, "lookup", h.lookup(t, hpo, "HP:0000118"), `An \"abnormality\".`)
	if got := h.subsumes(t, hpo, "HP:0000118", "HP:0001"); got != "subsumes" {
		t.Error(got)
	}
	want(t, "obsolete", h.lookup(t, hpo, "HP:0002"), `{"name":"code","valueCode":"inactive"},{"name":"value","valueBoolean":true}`)
	if got := h.members(t, `{"system":"`+hpo+`"}`, "filter", "excess"); fmt.Sprint(got) != "[HP:0001 HP:0003]" {
		t.Error(got)
	}
}

func TestCSVVersionsAndIdempotence(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := t.TempDir()
	opt := distribution.Options{URL: "http://example.org/cs", Version: "1"}
	file := put(t, filepath.Join(dir, "codes.csv"), "\xef\xbb\xbfcode,display,parent,inactive,colour,designation:de\na,Alpha,,,red,Alfa\nb,Beta,a,,blue,\nc,Gamma,a|b,yes,,\n")
	first := h.imports(t, file, opt)
	if again := h.imports(t, file, opt); !again.Unchanged || again.ID != first.ID {
		t.Errorf("%+v", again)
	}
	want(t, "lookup", h.lookup(t, opt.URL, "a"), `"valueString":"Alfa"`, `"valueCode":"colour"`, `"valueString":"red"`)
	// the next version stands beside it
	two := opt
	two.Version = "2"
	h.imports(t, put(t, filepath.Join(dir, "two", "codes.csv"), "code,display\na,Alpha two\n"), two)
	if got := h.lookup(t, opt.URL, "a"); !strings.Contains(got, "Alpha two") {
		t.Error(got)
	}
	out, err := h.svc.Lookup(t.Context(), h.src, params("system", opt.URL, "code", "b", "version", "1"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, "version 1", string(out), "Beta")
	// another content of version 1 takes its place
	third := h.imports(t, put(t, file, "code,display\na,Alpha three\nd,Delta\n"), opt)
	if third.Unchanged || third.ID == first.ID {
		t.Errorf("%+v", third)
	}
	if _, err := h.svc.Lookup(t.Context(), h.src, params("system", opt.URL, "code", "b", "version", "1")); fhir.AsError(err) == nil || fhir.AsError(err).Status != 404 {
		t.Errorf("the replaced content is still there: %v", err)
	}
	if _, err := h.svc.Lookup(t.Context(), h.src, params("system", opt.URL, "code", "a", "version", "9")); fhir.AsError(err) == nil || !strings.Contains(fhir.AsError(err).Issues[0].Details, "Valid versions: ") {
		t.Errorf("unknown version: %v", err)
	}
	if ok, err := h.db.Concepts().Remove(t.Context(), opt.URL, "2"); !ok || err != nil {
		t.Error(ok, err)
	}
}

func TestCyclicHierarchy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	opt := distribution.Options{URL: "http://example.org/circle", Version: "1"}
	res := h.imports(t, put(t, filepath.Join(t.TempDir(), "c.csv"), "code,display,parent\na,A,c\nb,B,a\nc,C,b\nd,D,d\n"), opt)
	if res.Cycles != 2 || res.Concepts != 4 {
		t.Errorf("%+v", res)
	}
	if got := h.subsumes(t, opt.URL, "a", "c"); got != "subsumes" {
		t.Error(got)
	}
}

func TestBrokenDistributions(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		path string
		opt  distribution.Options
		says string
	}{
		"nothing":       {put(t, filepath.Join(dir, "a", "readme.md"), "x"), distribution.Options{}, "nothing that is known"},
		"format":        {filepath.Join(dir, "a"), distribution.Options{Format: "meddra"}, "not known"},
		"csv url":       {put(t, filepath.Join(dir, "b", "x.csv"), "code\na\n"), distribution.Options{}, "give its URL"},
		"csv header":    {put(t, filepath.Join(dir, "c", "x.csv"), "kode\na\n"), distribution.Options{URL: "http://e.org/c"}, `no column "code"`},
		"csv empty":     {put(t, filepath.Join(dir, "d", "x.csv"), "code\n"), distribution.Options{URL: "http://e.org/c"}, "no concepts"},
		"csv code":      {put(t, filepath.Join(dir, "e", "x.csv"), "code,display\n,a\n"), distribution.Options{URL: "http://e.org/c"}, "line 2"},
		"relative url":  {put(t, filepath.Join(dir, "f", "x.csv"), "code\na\n"), distribution.Options{URL: "c"}, "absolute URL"},
		"loinc version": {put(t, filepath.Join(dir, "g", "Loinc.csv"), "LOINC_NUM\na\n"), distribution.Options{}, "version of LOINC"},
		"snomed":        {put(t, filepath.Join(dir, "h", "sct2_Concept_Snapshot_INT_20990101.txt"), "id\n"), distribution.Options{}, "sct2_Description_Snapshot"},
		"obo":           {put(t, filepath.Join(dir, "i", "x.obo"), "ontology: x\n\n[Term]\nid: X:1\ndef: no quotes\n"), distribution.Options{}, "quoted text"},
		"xml":           {put(t, filepath.Join(dir, "j", "icd10cm_tabular_2099.xml"), "<a><chapter><name>1</name>"), distribution.Options{}, "XML"},
		"absent":        {filepath.Join(dir, "nope"), distribution.Options{}, "no such file"},
	} {
		p := c.path
		if filepath.Ext(p) == ".txt" || filepath.Base(p) == "Loinc.csv" {
			p = filepath.Dir(p)
		}
		err := func() error {
			d, err := distribution.Open(p, c.opt)
			if err != nil {
				return err
			}
			defer d.Close()
			_, err = h.svc.Import(context.Background(), d, false, nil)
			return err
		}()
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if v, err := h.db.Concepts().Versions(t.Context(), ""); len(v) != 0 || err != nil {
		t.Errorf("something stayed: %v %v", v, err)
	}
}
