package profiles

// vitalSigns are the profiles of R4's vital signs by the codes that ask for
// them (observation-vitalsigns.html): LOINC, and SNOMED CT codes of the same
// meaning.
var vitalSigns = map[string]string{
	"85353-1": "vitalspanel",
	"9279-1":  "resprate", "86290005": "resprate",
	"8867-4": "heartrate", "364075005": "heartrate",
	"2708-6": "oxygensat", "103228002": "oxygensat",
	"8310-5": "bodytemp", "276885007": "bodytemp", "386725007": "bodytemp",
	"8302-2": "bodyheight", "50373000": "bodyheight",
	"9843-4": "headcircum", "363812007": "headcircum",
	"29463-7": "bodyweight", "27113001": "bodyweight",
	"39156-5": "bmi", "60621009": "bmi",
	"85354-9": "bp", "75367002": "bp",
}

// vitalSign validates an Observation of a vital sign against its profile.
func (r *run) vitalSign(it *item) {
	for c := it.n.Get("code").Get("coding").First(); c.Valid(); c = c.Next() {
		system := c.Get("system").Text()
		if system != "http://loinc.org" && system != snomed {
			continue
		}
		if name := vitalSigns[c.Get("code").Text()]; name != "" {
			if p, err := r.e.profile(sdPrefix + name); err == nil {
				r.apply(p.root, it)
			}
			return
		}
	}
}
