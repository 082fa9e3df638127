// Command reference writes the reference of all settings to the file it is given.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"ingle/internal/config"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: reference FILE")
		os.Exit(2)
	}
	if err := os.MkdirAll(filepath.Dir(os.Args[1]), 0o755); err == nil {
		err = os.WriteFile(os.Args[1], []byte(config.Reference()), 0o644)
		if err == nil {
			return
		}
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
}
