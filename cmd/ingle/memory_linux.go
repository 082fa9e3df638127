package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// unmapProgram gives back what is mapped of the program's own file, most of which
// only the start needed: 20 MB and more. What is needed again is mapped again, from
// the system's cache of files. Only mappings that nothing can write to and that hold
// no page of their own (a position-independent program is relocated in place) are
// given back. Where the system does not tell, nothing is.
func unmapProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var from, to uintptr // of the mapping that lines tell about, if it is ours
	ours := false
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		var begin, end uintptr
		var perms string
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &begin, &end, &perms); n == 3 {
			from, to = begin, end
			ours = (perms == "r-xp" || perms == "r--p") && strings.HasSuffix(line, " "+program)
			continue
		}
		if own, found := strings.CutPrefix(line, "Anonymous:"); ours && found && strings.TrimSpace(own) == "0 kB" {
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED)
		}
	}
}
