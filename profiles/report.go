package profiles

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"ingle/fhir"
)

// Report writes issues for people: each with its place, the line of the source
// it is about, and what is wrong.
type Report struct {
	W     io.Writer
	Color bool
}

const (
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	blue   = "\x1b[34m"
	bold   = "\x1b[1m"
	faint  = "\x1b[2m"
	reset  = "\x1b[0m"
)

// Write writes the issues of one file. base is added to line numbers: the line
// before the resource in a file of several.
func (r Report) Write(name string, src []byte, issues []fhir.Issue, base int) {
	for i := range issues {
		is := &issues[i]
		color := blue
		switch is.Severity {
		case fhir.SeverityError, fhir.SeverityFatal:
			color = red
		case fhir.SeverityWarning:
			color = yellow
		}
		place := name
		if is.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", name, base+is.Line, is.Col)
		}
		fmt.Fprintf(r.W, "%s %s", r.paint(bold, place+":"), r.paint(color, is.Severity))
		if len(is.Expression) > 0 {
			fmt.Fprintf(r.W, " %s", is.Expression[0])
		}
		fmt.Fprintf(r.W, "\n    %s\n", is.Diagnostics)
		if is.Line > 0 {
			r.excerpt(src, is.Line, is.Col, base, color)
		}
		if is.Source != "" {
			fmt.Fprintf(r.W, "    %s\n", r.paint(faint, is.Source))
		}
	}
}

func (r Report) paint(code, text string) string {
	if !r.Color {
		return text
	}
	return code + text + reset
}

// excerptWidth is how much of a line is shown around the column.
const excerptWidth = 100

func (r Report) excerpt(src []byte, line, col, base int, color string) {
	for range line - 1 {
		_, src, _ = bytes.Cut(src, []byte{'\n'})
	}
	text, _, _ := bytes.Cut(src, []byte{'\n'})
	runes := []rune(strings.ReplaceAll(strings.TrimRight(string(text), "\r"), "\t", " "))
	at := min(max(col-1, 0), len(runes))
	from := 0
	if at > excerptWidth*3/4 {
		from = at - excerptWidth/4
	}
	to := min(len(runes), from+excerptWidth)
	number := fmt.Sprintf("%6d", base+line)
	fmt.Fprintf(r.W, "%s %s\n", r.paint(faint, number+" |"), string(runes[from:to]))
	fmt.Fprintf(r.W, "%s %s%s\n", r.paint(faint, strings.Repeat(" ", len(number))+" |"), strings.Repeat(" ", at-from), r.paint(color, "^"))
}
