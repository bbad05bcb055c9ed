//go:build unix

package daemon

import "syscall"

// detached puts a process into a session of its own, out of reach of the
// terminal's signals and of its end.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
