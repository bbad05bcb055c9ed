package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is USER_HZ, which is 100 on every Linux that Go runs on.
const ticksPerSecond = 100

// stat is what /proc/PID/stat tells, the fields after the command's name, which
// may hold anything. Field 3 of proc(5) is the first.
func stat(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil // it has ended
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// withChildren adds the processes that descend from those given.
func withChildren(pids []int) []int {
	all := slices.Clone(pids)
	if len(all) == 0 {
		return nil
	}
	dirs, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	parents := make(map[int]int, len(dirs))
	for _, dir := range dirs {
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if fields := stat(pid); len(fields) > 1 {
			parents[pid], _ = strconv.Atoi(fields[1]) // the kernel writes numbers
		}
	}
	for i := 0; i < len(all); i++ {
		for child, parent := range parents {
			if parent == all[i] && !slices.Contains(all, child) {
				all = append(all, child)
			}
		}
	}
	slices.Sort(all)
	return all
}

// cpuSeconds is what the processes have used, in user and kernel.
func cpuSeconds(pids []int) (sum float64) {
	for _, pid := range pids {
		fields := stat(pid)
		if len(fields) < 13 {
			continue
		}
		for _, field := range fields[11:13] {
			ticks, _ := strconv.ParseUint(field, 10, 64) // the kernel writes numbers
			sum += float64(ticks) / ticksPerSecond
		}
	}
	return sum
}

// memory is what the processes hold in RAM, in bytes; what they share is divided
// among them.
func memory(pids []int) (sum int64) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, "Pss:"); ok {
				kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64) // the kernel writes numbers
				sum += kb << 10
			}
		}
	}
	return sum
}

func filesAndThreads(pids []int) (files, threads int) {
	for _, pid := range pids {
		if d, err := os.Open(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
			names, _ := d.Readdirnames(-1) // of a process that ends: fewer
			files += len(names)
			_ = d.Close()
		}
		if fields := stat(pid); len(fields) > 17 {
			n, _ := strconv.Atoi(fields[17]) // the kernel writes numbers
			threads += n
		}
	}
	return files, threads
}

// ownCPU is what this process has used, in seconds.
func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

func readMachine() (t machineTime) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for i, field := range strings.Fields(string(line)) {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil || i > 8 { // guests are counted in user already
			continue
		}
		t.total += n
		if i == 4 || i == 5 { // idle, and waiting for a disk
			t.idle += n
		}
	}
	return t
}

// listeners are the processes that listen on a port of this machine.
func listeners(port int) (pids []int) {
	sockets := make(map[string]bool)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			// sl local_address rem_address st ... inode
			fields := strings.Fields(lines.Text())
			const listening = "0A"
			if len(fields) > 9 && fields[3] == listening && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", port)) {
				sockets["socket:["+fields[9]+"]"] = true
			}
		}
		_ = f.Close()
	}
	if len(sockets) == 0 {
		return nil
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is good
	for _, fd := range fds {
		if link, err := os.Readlink(fd); err == nil && sockets[link] {
			if pid, err := strconv.Atoi(strings.Split(fd, "/")[2]); err == nil && !slices.Contains(pids, pid) {
				pids = append(pids, pid)
			}
		}
	}
	slices.Sort(pids)
	return pids
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func kernel() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

// needFiles fails when the process may not open what so many clients need.
func needFiles(clients int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return nil // it will be seen
	}
	const own = 64
	if uint64(clients+own) > limit.Cur {
		return fmt.Errorf("%d clients need %d open files, but only %d are allowed; raise it with ulimit -n", clients, clients+own, limit.Cur)
	}
	return nil
}
