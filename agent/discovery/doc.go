// Package discovery finds model servers on this machine and answers with the best
// of them.
//
// [Find] asks the ports where the known servers listen by default, and the user's
// own addresses, all at once. What a server is is told by what it answers, never
// by its port. [Auto] is the agent.Agent behind `provider = "auto"`: it looks
// again and again, so that a server that goes away is replaced by the next best,
// and used again when it is back.
package discovery
