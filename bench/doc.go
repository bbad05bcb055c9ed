// Package bench measures servers that stream chat answers: any of them, over
// the doors that people use.
//
// Data flows through it in one line:
//
//	Plan, Target -> Run -> Result -> Compare -> Comparison -> report
//
// A [Plan] says what clients do, a [Target] to whom. [Run] does it once, for a
// bounded time and a bounded number of clients, and returns a [Result]: what
// was answered, how late, with which errors, and what it cost the server's
// processes. [Compare] runs several targets in turn, in interleaved rounds, so
// that a noisy machine is noisy for all of them. The folder report writes both
// as text, Markdown, HTML and JSON; the folder scenario keeps plans by name.
//
// The model behind the target should be the mock in the folder upstream: each
// of its deltas carries the time when it was sent, so that Run can tell how
// much later it came out of the server. That takes one clock: the upstream, the
// server and the load share a machine. Against any other model everything else
// is measured just the same.
//
// The load generator, the upstream and the server share the machine's cores.
// Both ends are therefore made to cost little, and a Result tells what they
// cost: a figure taken on a saturated machine is one of the machine.
package bench
