package demo

// problem is a condition with what is usually done about it.
type problem struct {
	snomed, icd, display string
	hpo, mondo           string // for the congenital study
	medications          []medication
	procedures           []code
	labs                 []string // keys of labTable, measured at each visit
}

type code struct{ code, display string }

type medication struct {
	rxnorm, display, text string
	perDay                int
}

var problemTable = map[string]problem{
	"hypertension": {
		snomed: "38341003", icd: "I10", display: "Hypertension",
		medications: []medication{
			{"314076", "lisinopril 10 MG Oral Tablet", "Take one tablet by mouth every morning", 1},
			{"197361", "amlodipine 5 MG Oral Tablet", "Take one tablet by mouth once a day", 1},
		},
		labs: []string{"creatinine", "potassium"},
	},
	"diabetes": {
		snomed: "44054006", icd: "E11.9", display: "Diabetes mellitus type 2",
		medications: []medication{{"860975", "24 HR metformin hydrochloride 500 MG Extended Release Oral Tablet", "Take one tablet by mouth with each of two meals", 2}},
		labs:        []string{"glucose", "a1c", "creatinine"},
	},
	"prediabetes": {snomed: "15777000", icd: "R73.03", display: "Prediabetes", labs: []string{"glucose", "a1c"}},
	"hyperlipidemia": {
		snomed: "55822004", icd: "E78.5", display: "Hyperlipidemia",
		medications: []medication{{"312961", "simvastatin 20 MG Oral Tablet", "Take one tablet by mouth at bedtime", 1}},
		labs:        []string{"cholesterol", "triglycerides", "ldl", "hdl"},
	},
	"obesity": {snomed: "162864005", icd: "E66.9", display: "Body mass index 30+ - obesity", labs: []string{"glucose"}},
	"coronary": {
		snomed: "53741008", icd: "I25.10", display: "Coronary arteriosclerosis",
		medications: []medication{{"309362", "clopidogrel 75 MG Oral Tablet", "Take one tablet by mouth once a day", 1}},
		procedures:  []code{{"41976001", "Cardiac catheterization"}},
		labs:        []string{"cholesterol", "ldl"},
	},
	"atrialFibrillation": {
		snomed: "49436004", icd: "I48.91", display: "Atrial fibrillation",
		medications: []medication{{"855332", "warfarin sodium 5 MG Oral Tablet", "Take one tablet by mouth every evening", 1}},
		procedures:  []code{{"40701008", "Echocardiography"}},
		labs:        []string{"potassium"},
	},
	"kidney":         {snomed: "433144002", icd: "N18.30", display: "Chronic kidney disease stage 3", labs: []string{"creatinine", "egfr", "potassium"}},
	"osteoarthritis": {snomed: "239873007", icd: "M17.9", display: "Osteoarthritis of knee", medications: []medication{{"313782", "acetaminophen 325 MG Oral Tablet", "Take two tablets by mouth up to three times a day as needed for pain", 3}}},
	"asthma": {
		snomed: "195967001", icd: "J45.909", display: "Asthma",
		medications: []medication{{"745679", "200 ACTUAT albuterol 0.09 MG/ACTUAT Metered Dose Inhaler", "Inhale two puffs every four hours as needed for wheezing", 2}},
		procedures:  []code{{"127783003", "Spirometry"}},
	},
	"fallot": {
		snomed: "86299006", icd: "Q21.3", display: "Tetralogy of Fallot", hpo: "HP:0001636", mondo: "MONDO:0008542",
		procedures: []code{{"40701008", "Echocardiography"}, {"41976001", "Cardiac catheterization"}}, labs: []string{"hemoglobin"},
	},
	"ventricularSeptalDefect": {
		snomed: "30288003", icd: "Q21.0", display: "Ventricular septal defect", hpo: "HP:0001629", mondo: "MONDO:0002070",
		procedures: []code{{"40701008", "Echocardiography"}}, labs: []string{"hemoglobin"},
	},
	"atrialSeptalDefect": {
		snomed: "70142008", icd: "Q21.10", display: "Atrial septal defect", hpo: "HP:0001631", mondo: "MONDO:0006664",
		procedures: []code{{"40701008", "Echocardiography"}}, labs: []string{"hemoglobin"},
	},
}

// lab is a laboratory test: where values usually lie, in units of 10^-places.
type lab struct {
	loinc, display   string
	unit, ucum       string
	places           int
	low, high        int // reference range; low 0 for none
	usual, spread    int
	with             string // a problem that moves the usual value
	raised           int    // to this
	improves         int    // by this each visit, under treatment
	referenceAsUpper bool   // the reference range has only an upper limit
}

var labTable = map[string]lab{
	"glucose":       {"2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", "mg/dL", 0, 70, 99, 88, 8, "diabetes", 176, 14, false},
	"a1c":           {"4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", "%", 1, 40, 56, 54, 2, "diabetes", 86, 4, false},
	"creatinine":    {"2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 2, 60, 130, 92, 14, "kidney", 172, -4, false},
	"egfr":          {"33914-3", "Glomerular filtration rate/1.73 sq M.predicted [Volume Rate/Area] in Serum or Plasma by Creatinine-based formula (MDRD)", "mL/min/{1.73_m2}", "mL/min/{1.73_m2}", 0, 60, 0, 96, 8, "kidney", 47, 1, false},
	"potassium":     {"2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", "mmol/L", 1, 35, 51, 42, 4, "kidney", 48, 0, false},
	"cholesterol":   {"2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 0, 0, 200, 178, 15, "hyperlipidemia", 248, 12, true},
	"triglycerides": {"2571-8", "Triglyceride [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 0, 0, 150, 112, 20, "hyperlipidemia", 214, 14, true},
	"ldl":           {"18262-6", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by Direct assay", "mg/dL", "mg/dL", 0, 0, 100, 92, 12, "hyperlipidemia", 162, 15, true},
	"hdl":           {"2085-9", "Cholesterol in HDL [Mass/volume] in Serum or Plasma", "mg/dL", "mg/dL", 0, 40, 0, 54, 8, "hyperlipidemia", 44, -1, false},
	"hemoglobin":    {"718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", "g/dL", 1, 115, 155, 132, 7, "fallot", 158, 5, false},
}
