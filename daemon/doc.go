// Package daemon is what a long-running program needs to live on a machine: that
// there is only one of it on a data directory, a start in the background that
// tells whether it worked, a stop that waits, a log file that does not grow for
// ever, and the words that systemd wants to hear.
//
// Four files stand in the data directory. daemon.lock is held (flock, LockFileEx)
// by the running process and by nothing else; the system lets go of it however
// the process ends. So [Look] never believes a number alone: daemon.pid and
// daemon.json, which say who is running, count only while the lock is held. What
// is written there by a process that crashed is told as such. daemon.log is the
// log, with its rotated predecessors beside it.
//
// A background start re-executes the program in a session of its own ([Start]).
// The new process tells on its standard output, a pipe, that it is ready or why
// not ([Report]); what must not stand in a log, such as a pairing code, goes to
// the starting person that way.
package daemon
