// Command agentzero is a gateway for AI agents: one binary that keeps each
// conversation in an actor of its own.
//
// This package wires the parts together; what they do is in their packages.
package main

import (
	"context"
	"os"
)

func main() {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(a.run(context.Background(), os.Args[1:]))
}
