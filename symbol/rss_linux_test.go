package symbol

import (
	"os"
	"syscall"
	"time"
)

// peakRSS returns the largest resident set of a process that ended, in bytes.
func peakRSS(p *os.ProcessState) int64 {
	return int64(p.SysUsage().(*syscall.Rusage).Maxrss) << 10 // it has 32 bits on some machines
}

// cpuTime returns the time that processors spent on this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
