package bench

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Report is what a run showed.
type Report struct {
	Started    time.Time
	Rounds     int
	Length     time.Duration
	Cores      int
	PostgreSQL string
	Resources  int64
	MemoryMB   int
	Drift      float64 // of the null request, share of its median
	Rows       []Row
	Notes      []string
}

// Row is one workload at one concurrency.
type Row struct {
	Workload string
	Clients  int
	Unit     string // what is counted a second; "requests" if empty
	Server   figures
	Limit    *figures
	Goal     float64 // least ratio to the limit, 0 for none
	Note     string  // also why there are no figures
}

// Ratio is the server's rate over the limit's, 0 without a limit.
func (r *Row) Ratio() float64 {
	if r.Limit == nil || r.Limit.Rate() == 0 {
		return 0
	}
	return r.Server.Rate() / r.Limit.Rate()
}

// CPURatio is the limit's CPU time over the server's, 0 if unknown.
func (r *Row) CPURatio() float64 {
	if r.Limit == nil || r.Server.CPU == 0 {
		return 0
	}
	return r.Limit.CPU.Seconds() / r.Server.CPU.Seconds()
}

// Wrong counts the answers of all rows that were not the right ones.
func (r *Report) Wrong() int {
	n := 0
	for i := range r.Rows {
		n += r.Rows[i].Server.Wrong
		if r.Rows[i].Limit != nil {
			n += r.Rows[i].Limit.Wrong
		}
	}
	return n
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

var heads = []string{"workload", "clients", "a second", "± %", "p50 ms", "p95 ms", "p99 ms", "CPU ms", "limit a second", "limit CPU ms", "ratio", "CPU ratio", "goal", ""}

func (r *Row) cells() []string {
	if len(r.Server.Rates) == 0 {
		return []string{r.Workload, "", "", "", "", "", "", "", "", "", "", "", "", r.Note}
	}
	ms := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return figure(float64(d) / float64(time.Millisecond))
	}
	out := []string{r.Workload, fmt.Sprint(r.Clients), figure(r.Server.Rate()), fmt.Sprintf("%.0f", r.Server.Spread()*50),
		ms(r.Server.P50), ms(r.Server.P95), ms(r.Server.P99), ms(r.Server.CPU), "", "", "", "", "", ""}
	var notes []string
	if r.Limit != nil {
		out[8], out[9] = figure(r.Limit.Rate()), ms(r.Limit.CPU)
		out[10] = fmt.Sprintf("%.2f", r.Ratio())
		if c := r.CPURatio(); c > 0 {
			out[11] = fmt.Sprintf("%.2f", c)
		}
		if r.Goal > 0 {
			out[12] = fmt.Sprintf("%.2f", r.Goal)
			if r.Ratio() < r.Goal {
				notes = append(notes, "below")
			}
		}
		if r.Limit.Wrong > 0 {
			notes = append(notes, fmt.Sprintf("%d wrong answers of the limit: %s", r.Limit.Wrong, r.Limit.FirstWrong))
		}
	}
	if r.Server.Wrong > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d answers wrong: %s", r.Server.Wrong, r.Server.Requests, r.Server.FirstWrong))
	}
	if r.Note != "" {
		notes = append(notes, r.Note)
	}
	out[13] = strings.Join(notes, "; ")
	return out
}

// figure writes three digits that count.
func figure(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.*f", max(0, 2-int(math.Floor(math.Log10(f)))), f)
}

func (r *Row) line() string {
	c := r.cells()
	if len(r.Server.Rates) == 0 {
		return r.Workload + ": " + r.Note
	}
	s := fmt.Sprintf("%s, %s clients: %s/s ±%s%%, p50 %s p99 %s ms, CPU %s ms", c[0], c[1], c[2], c[3], c[4], c[6], c[7])
	if r.Limit != nil {
		s += fmt.Sprintf("; limit %s/s, CPU %s ms; ratio %s, of CPU %s", c[8], c[9], c[10], c[11])
	}
	if c[13] != "" {
		s += "; " + c[13]
	}
	return s
}

// Text writes the report as a table of fixed width.
func (r *Report) Text(w io.Writer) {
	all := [][]string{heads}
	for i := range r.Rows {
		all = append(all, r.Rows[i].cells())
	}
	width := make([]int, len(heads))
	for _, cells := range all {
		for i, c := range cells {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for _, cells := range all {
		var line strings.Builder
		for i, c := range cells {
			pad := strings.Repeat(" ", width[i]-len([]rune(c)))
			switch {
			case i == 0:
				line.WriteString(c + pad)
			case i == len(cells)-1:
				line.WriteString("  " + c)
			default:
				line.WriteString("  " + pad + c)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
	for _, n := range r.remarks() {
		fmt.Fprintln(w, n)
	}
}

// Markdown writes the report as a table of a Markdown document.
func (r *Report) Markdown(w io.Writer) {
	fmt.Fprintln(w, "| "+strings.Join(heads, " | ")+" |")
	fmt.Fprintln(w, "| --- |"+strings.Repeat(" ---: |", len(heads)-2)+" --- |")
	for i := range r.Rows {
		cells := r.Rows[i].cells()
		for j := range cells {
			cells[j] = strings.ReplaceAll(cells[j], "|", `\|`)
		}
		cells[0] = "`" + cells[0] + "`"
		fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
	}
	fmt.Fprintln(w)
	for _, n := range r.remarks() {
		fmt.Fprintln(w, "- "+n)
	}
}

func (r *Report) remarks() []string {
	out := []string{fmt.Sprintf("%d cores, %d rounds of A B B A, %s a run", r.Cores, r.Rounds, r.Length)}
	if r.PostgreSQL != "" {
		out[0] += ", PostgreSQL " + r.PostgreSQL
	}
	out = append(out, r.Notes...)
	drift := fmt.Sprintf("the null request drifted by up to %.0f %% of its median", r.Drift*100)
	if r.Drift > 0.05 {
		drift += ": the machine was not quiet, only ratios count"
	}
	out = append(out, drift)
	if r.MemoryMB > 0 {
		out = append(out, fmt.Sprintf("the server's memory at the end: %d MB", r.MemoryMB))
	}
	if n := r.Wrong(); n > 0 {
		out = append(out, fmt.Sprintf("%d answers were WRONG", n))
	}
	return out
}
