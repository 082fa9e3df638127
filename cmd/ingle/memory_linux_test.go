package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// What is mapped of the program is given back, and the program goes on.
func TestUnmapProgram(t *testing.T) {
	resident := func() int {
		t.Helper()
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip(err)
		}
		found := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(status)
		if found == nil {
			t.Skip("the system does not tell what is resident of files")
		}
		n, _ := strconv.Atoi(string(found[1]))
		return n
	}
	before := resident()
	unmapProgram()
	if after := resident(); after >= before {
		t.Errorf("%d kB of files are resident, %d kB before", after, before)
	}
}
