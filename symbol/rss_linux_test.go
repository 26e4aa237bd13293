package symbol

import (
	"os"
	"syscall"
)

// peakRSS returns the largest resident set of a process that ended, in bytes.
func peakRSS(p *os.ProcessState) int64 {
	return p.SysUsage().(*syscall.Rusage).Maxrss << 10
}
