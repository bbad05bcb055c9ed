//go:build !linux

package bench

// Elsewhere the cost of processes is not known.

func withChildren(pids []int) []int    { return pids }
func cpuSeconds([]int) float64         { return 0 }
func memory([]int) int64               { return 0 }
func filesAndThreads([]int) (int, int) { return 0, 0 }
func ownCPU() float64                  { return 0 }
func readMachine() machineTime         { return machineTime{} }
func listeners(int) []int              { return nil }
func cpuModel() string                 { return "" }
func kernel() string                   { return "" }
func needFiles(int) error              { return nil }
