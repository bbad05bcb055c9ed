// Package e2e drives the built gateway from outside, over real sockets: what a
// client, an operator or a failing model server can do to it, one file a
// subject. Everything waits for what it needs to see; the only measure that is
// held to a time is that of a hang-up.
package e2e

import (
	"testing"
	"time"

	"agentzero/test/gateway"
)

func TestMain(m *testing.M) { gateway.Main(m) }

// patience is how long a step may take before its test fails. It is a safety
// net, not a measure.
const patience = 15 * time.Second

// eventually waits until ok, which it asks again and again because what it asks
// for makes no sound.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
