package bench

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clock reads the CPU time that a set of processes has used so far; ok is false
// where it cannot be known.
type clock func() (used time.Duration, ok bool)

// processClock is the time of one process with all its threads.
func processClock(pid int) clock {
	if pid <= 0 {
		return noClock
	}
	return func() (time.Duration, bool) { return threads(pid) }
}

func noClock() (time.Duration, bool) { return 0, false }

// together adds clocks up; a figure without one of its parts would mislead.
func together(list ...clock) clock {
	return func() (time.Duration, bool) {
		var sum time.Duration
		for _, c := range list {
			d, ok := c()
			if !ok {
				return 0, false
			}
			sum += d
		}
		return sum, true
	}
}

// postgresClock is the time of a postmaster and its children, the ended ones included.
func postgresClock(postmaster int) clock {
	if postmaster <= 0 {
		return noClock
	}
	return func() (time.Duration, bool) {
		sum, ok := threads(postmaster)
		if !ok {
			return 0, false
		}
		fields, ok := stat(postmaster)
		if !ok {
			return 0, false
		}
		sum += ticks(fields[13]) + ticks(fields[14]) // cutime, cstime
		for _, pid := range children(postmaster) {
			if d, ok := threads(pid); ok {
				sum += d
			}
		}
		return sum, true
	}
}

// threads sums the time on a processor of a process's threads, in nanoseconds
// where the kernel counts them.
func threads(pid int) (time.Duration, bool) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, false
	}
	var sum int64
	for _, name := range tasks {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // ended meanwhile
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, false
		}
		sum += n
	}
	return time.Duration(sum), true
}

// stat returns the fields of /proc/PID/stat after the command's name: [1] is the parent.
func stat(pid int) ([]string, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, false
	}
	_, rest, ok := cutLast(string(text), ")")
	fields := strings.Fields(rest)
	return fields, ok && len(fields) > 20
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// ticks converts what /proc tells in USER_HZ, which is 100 on every platform of Linux that Go runs on.
func ticks(field string) time.Duration {
	n, _ := strconv.ParseInt(field, 10, 64)
	return time.Duration(n) * 10 * time.Millisecond
}

func children(parent int) []int {
	names, _ := filepath.Glob("/proc/[0-9]*")
	var out []int
	for _, name := range names {
		pid, _ := strconv.Atoi(filepath.Base(name))
		if f, ok := stat(pid); ok && f[1] == strconv.Itoa(parent) {
			out = append(out, pid)
		}
	}
	return out
}

// parentOf returns the parent of a local process with the given name, 0 if there is none.
func parentOf(pid int, command string) int {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil || strings.TrimSpace(string(comm)) != command {
		return 0
	}
	f, ok := stat(pid)
	if !ok {
		return 0
	}
	parent, _ := strconv.Atoi(f[1])
	return parent
}

// residentMB is the memory of a process in use, 0 if unknown.
func residentMB(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.Atoi(fields[1])
	return pages * os.Getpagesize() >> 20
}

// metricsClock reads process_cpu_seconds_total of a server that shows Prometheus metrics.
func metricsClock(ctx context.Context, client *http.Client, url string) clock {
	return func() (time.Duration, bool) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return 0, false
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, false
		}
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); resp.StatusCode == http.StatusOK && lines.Scan(); {
			if value, ok := strings.CutPrefix(lines.Text(), "process_cpu_seconds_total "); ok {
				f, err := strconv.ParseFloat(value, 64)
				return time.Duration(f * float64(time.Second)), err == nil
			}
		}
		return 0, false
	}
}
