package demo

// project is a study or the clinic; its resource path is the label of what belongs to it.
type project struct {
	id, path string
}

var (
	cardiometabolic = project{"cmh", "/programs/demo/projects/cardiometabolic"}
	congenital      = project{"chd", "/programs/demo/projects/congenital-heart"}
	clinic          = project{"clinic", "/programs/demo/projects/clinic"}
)

// Projects are the resource paths of the cohort's labels.
func Projects() []string {
	return []string{cardiometabolic.path, congenital.path, clinic.path}
}

// person is the plan of one patient; the rest follows from it and from the id as a seed.
type person struct {
	id            string
	given, family string
	sex           string // male, female
	born          string
	died          string
	race          race
	ethnicity     ethnicity
	home          int // index into places
	project       project
	problems      []string // keys of problemTable
	smoking       string   // key of smokingTable
	household     string   // family of the congenital study
	role          string   // CHILD, MTH, FTH in the household
}

type race struct{ code, display string }

type ethnicity struct{ code, display string }

var (
	white           = race{"2106-3", "White"}
	black           = race{"2054-5", "Black or African American"}
	asian           = race{"2028-9", "Asian"}
	americanIndian  = race{"1002-5", "American Indian or Alaska Native"}
	hispanic        = ethnicity{"2135-2", "Hispanic or Latino"}
	notHispanic     = ethnicity{"2186-5", "Not Hispanic or Latino"}
	raceAndEthnicOM = "urn:oid:2.16.840.1.113883.6.238"
)

// people is the cohort: twelve adults of the cardiometabolic study, four families of three of the congenital heart
// study, six patients of the clinic alone.
var people = []person{
	{id: "demo-p01", given: "Margaret", family: "Okafor", sex: "female", born: "1958-03-12", race: black, ethnicity: notHispanic, home: 0, project: cardiometabolic, problems: []string{"hypertension", "diabetes", "hyperlipidemia"}, smoking: "never"},
	{id: "demo-p02", given: "James", family: "Whitfield", sex: "male", born: "1951-11-02", race: white, ethnicity: notHispanic, home: 1, project: cardiometabolic, problems: []string{"hypertension", "hyperlipidemia", "coronary"}, smoking: "former"},
	{id: "demo-p03", given: "Rosa", family: "Delgado", sex: "female", born: "1964-07-25", race: white, ethnicity: hispanic, home: 2, project: cardiometabolic, problems: []string{"diabetes", "obesity"}, smoking: "never"},
	{id: "demo-p04", given: "Daniel", family: "Kowalski", sex: "male", born: "1970-01-19", race: white, ethnicity: notHispanic, home: 3, project: cardiometabolic, problems: []string{"hypertension"}, smoking: "current"},
	{id: "demo-p05", given: "Aisha", family: "Rahman", sex: "female", born: "1979-05-08", race: asian, ethnicity: notHispanic, home: 4, project: cardiometabolic, problems: []string{"prediabetes", "hyperlipidemia"}, smoking: "never"},
	{id: "demo-p06", given: "Robert", family: "Lindqvist", sex: "male", born: "1947-09-30", race: white, ethnicity: notHispanic, home: 5, project: cardiometabolic, problems: []string{"hypertension", "atrialFibrillation", "kidney"}, smoking: "former"},
	{id: "demo-p07", given: "Thuy", family: "Nguyen", sex: "female", born: "1972-12-14", race: asian, ethnicity: notHispanic, home: 6, project: cardiometabolic, problems: []string{"hyperlipidemia"}, smoking: "never"},
	{id: "demo-p08", given: "Marcus", family: "Bell", sex: "male", born: "1962-04-03", race: black, ethnicity: notHispanic, home: 0, project: cardiometabolic, problems: []string{"hypertension", "diabetes", "kidney"}, smoking: "current"},
	{id: "demo-p09", given: "Elena", family: "Petrova", sex: "female", born: "1968-08-21", race: white, ethnicity: notHispanic, home: 1, project: cardiometabolic, problems: []string{"obesity", "prediabetes"}, smoking: "former"},
	{id: "demo-p10", given: "William", family: "Yazzie", sex: "male", born: "1956-06-17", race: americanIndian, ethnicity: notHispanic, home: 2, project: cardiometabolic, problems: []string{"diabetes", "hypertension"}, smoking: "never"},
	{id: "demo-p11", given: "Priya", family: "Raman", sex: "female", born: "1983-10-05", race: asian, ethnicity: notHispanic, home: 3, project: cardiometabolic, problems: []string{"prediabetes"}, smoking: "never"},
	{id: "demo-p12", given: "Gloria", family: "Santiago", sex: "female", born: "1960-02-28", race: white, ethnicity: hispanic, home: 4, project: cardiometabolic, problems: []string{"hypertension", "hyperlipidemia", "obesity"}, smoking: "never"},

	{id: "demo-p13", given: "Mateo", family: "Hernandez", sex: "male", born: "2017-05-22", race: white, ethnicity: hispanic, home: 5, project: congenital, problems: []string{"fallot"}, household: "hernandez", role: "CHILD"},
	{id: "demo-p14", given: "Lucia", family: "Hernandez", sex: "female", born: "1988-09-09", race: white, ethnicity: hispanic, home: 5, project: congenital, smoking: "never", household: "hernandez", role: "MTH"},
	{id: "demo-p15", given: "Andres", family: "Hernandez", sex: "male", born: "1986-01-30", race: white, ethnicity: hispanic, home: 5, project: congenital, problems: []string{"hyperlipidemia"}, smoking: "never", household: "hernandez", role: "FTH"},
	{id: "demo-p16", given: "Amelia", family: "Brooks", sex: "female", born: "2019-11-11", race: black, ethnicity: notHispanic, home: 6, project: congenital, problems: []string{"ventricularSeptalDefect"}, household: "brooks", role: "CHILD"},
	{id: "demo-p17", given: "Hannah", family: "Brooks", sex: "female", born: "1991-04-18", race: black, ethnicity: notHispanic, home: 6, project: congenital, problems: []string{"asthma"}, smoking: "never", household: "brooks", role: "MTH"},
	{id: "demo-p18", given: "Tyler", family: "Brooks", sex: "male", born: "1989-12-01", race: black, ethnicity: notHispanic, home: 6, project: congenital, smoking: "former", household: "brooks", role: "FTH"},
	{id: "demo-p19", given: "Oliver", family: "Chen", sex: "male", born: "2015-08-03", race: asian, ethnicity: notHispanic, home: 0, project: congenital, problems: []string{"atrialSeptalDefect"}, household: "chen", role: "CHILD"},
	{id: "demo-p20", given: "Mei-Ling", family: "Chen", sex: "female", born: "1984-03-27", race: asian, ethnicity: notHispanic, home: 0, project: congenital, smoking: "never", household: "chen", role: "MTH"},
	{id: "demo-p21", given: "David", family: "Chen", sex: "male", born: "1982-07-15", race: asian, ethnicity: notHispanic, home: 0, project: congenital, problems: []string{"hypertension"}, smoking: "never", household: "chen", role: "FTH"},
	{id: "demo-p22", given: "Zoe", family: "Adeyemi", sex: "female", born: "2020-02-14", race: black, ethnicity: notHispanic, home: 1, project: congenital, problems: []string{"fallot"}, household: "adeyemi", role: "CHILD"},
	{id: "demo-p23", given: "Funke", family: "Adeyemi", sex: "female", born: "1990-06-06", race: black, ethnicity: notHispanic, home: 1, project: congenital, smoking: "never", household: "adeyemi", role: "MTH"},
	{id: "demo-p24", given: "Samuel", family: "Adeyemi", sex: "male", born: "1987-10-23", race: black, ethnicity: notHispanic, home: 1, project: congenital, smoking: "never", household: "adeyemi", role: "FTH"},

	{id: "demo-p25", given: "Walter", family: "Jensen", sex: "male", born: "1939-05-04", died: "2026-01-17", race: white, ethnicity: notHispanic, home: 2, project: clinic, problems: []string{"hypertension", "coronary", "atrialFibrillation"}, smoking: "former"},
	{id: "demo-p26", given: "Dorothy", family: "Fitzgerald", sex: "female", born: "1944-08-29", race: white, ethnicity: notHispanic, home: 3, project: clinic, problems: []string{"osteoarthritis", "hypertension"}, smoking: "never"},
	{id: "demo-p27", given: "Kevin", family: "Murphy", sex: "male", born: "2009-03-21", race: white, ethnicity: notHispanic, home: 4, project: clinic, problems: []string{"asthma"}, smoking: "never"},
	{id: "demo-p28", given: "Sofia", family: "Marino", sex: "female", born: "1995-12-12", race: white, ethnicity: notHispanic, home: 5, project: clinic, smoking: "never"},
	{id: "demo-p29", given: "Jamal", family: "Carter", sex: "male", born: "1976-09-16", race: black, ethnicity: notHispanic, home: 6, project: clinic, problems: []string{"diabetes", "hyperlipidemia"}, smoking: "current"},
	{id: "demo-p30", given: "Ingrid", family: "Sorensen", sex: "female", born: "1986-04-02", race: white, ethnicity: notHispanic, home: 0, project: clinic, problems: []string{"asthma", "obesity"}, smoking: "never"},
}

type place struct{ city, state, zip, county string }

var places = []place{
	{"Chicago", "IL", "60637", "Cook"},
	{"Milwaukee", "WI", "53204", "Milwaukee"},
	{"Grand Rapids", "MI", "49503", "Kent"},
	{"Gary", "IN", "46402", "Lake"},
	{"Evanston", "IL", "60201", "Cook"},
	{"Waukegan", "IL", "60085", "Lake"},
	{"Kenosha", "WI", "53140", "Kenosha"},
}

var streets = []string{"Lakeview Ave", "Prairie St", "Michigan St", "Birchwood Dr", "Harbor Rd", "Elm St", "Orchard Ln"}

var smokingTable = map[string][2]string{
	"never":   {"266919005", "Never smoker"},
	"former":  {"8517006", "Former smoker"},
	"current": {"449868002", "Current every day smoker"},
}
