package terminology

import (
	"fmt"
	"slices"
	"strings"

	"ingle/fhir"
)

// checkDisplay compares the display of a coding with the names that its concept
// has in the wanted languages. Case does not matter, white space does.
func (r *run) checkDisplay(in *validation, i int, c Coding, names []name, add addIssue) {
	var usable []name
	for k := range names {
		n := &names[k]
		if n.withdrawn() || n.Value == "" || slices.ContainsFunc(usable, func(u name) bool { return u.Value == n.Value && u.Language == n.Language }) {
			continue
		}
		usable = append(usable, *n)
	}
	wanted := usable
	if !r.lang.empty() {
		wanted = nil
		for _, n := range usable {
			if r.lang.wants(n.Language) || n.Language == "" {
				wanted = append(wanted, n)
			}
		}
	}
	fits := func(list []name) bool {
		return slices.ContainsFunc(list, func(n name) bool { return strings.EqualFold(n.Value, c.Display) })
	}
	if fits(wanted) || len(usable) == 0 {
		return
	}
	at, severity := in.path(i, "display"), fhir.SeverityError
	if in.lenient {
		severity = fhir.SeverityWarning
	}
	shown := c.System + "#" + c.Code
	if len(wanted) == 0 {
		if fits(usable) {
			add(fhir.SeverityInformation, fhir.CodeInvalid, "invalid-display", "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_OK", at, true,
				"There are no valid display names found for the code %s for language(s) '%s'. The display is '%s' which is a valid display for the default language", shown, r.lang.shown(), c.Display)
			return
		}
		base := usable[0].Value
		for _, n := range usable {
			if n.base {
				base = n.Value
				break
			}
		}
		add(severity, fhir.CodeInvalid, "invalid-display", "NO_VALID_DISPLAY_FOUND_NONE_FOR_LANG_ERR", at, true,
			"Wrong Display Name '%s' for %s. There are no valid display names found for language(s) '%s'. Default display is '%s'", c.Display, shown, r.lang.shown(), base)
		return
	}
	id, wrong := "Display_Name_for__should_be_one_of__instead_of", "Wrong Display Name"
	if slices.ContainsFunc(wanted, func(n name) bool { return strings.EqualFold(spaced(n.Value), spaced(c.Display)) }) {
		id, wrong = "Display_Name_WS_for__should_be_one_of__instead_of", "Wrong whitespace in Display Name"
	}
	text := fmt.Sprintf("Valid display is %s", quoted(wanted[0]))
	if len(wanted) > 1 {
		list := make([]string, len(wanted))
		for k := range wanted {
			list[k] = quoted(wanted[k])
		}
		last := len(list) - 1
		text = fmt.Sprintf("Valid display is one of %d choices: %s or %s", len(list), strings.Join(list[:last], ", "), list[last])
	}
	add(severity, fhir.CodeInvalid, "invalid-display", id, at, true, "%s '%s' for %s. %s (for the language(s) '%s')", wrong, c.Display, shown, text, r.lang.shown())
}

func quoted(n name) string {
	if n.Language == "" {
		return "'" + n.Value + "'"
	}
	return "'" + n.Value + "' (" + n.Language + ")"
}

func spaced(s string) string { return strings.Join(strings.Fields(s), " ") }
