//go:build !unix

package agent

import "net"

// isQuiet cannot tell here; a call that is lost on a closed connection is made
// again (see upstream.transportError).
func isQuiet(net.Conn) bool { return true }
