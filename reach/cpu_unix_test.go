//go:build unix

package reach

import (
	"syscall"
	"time"
)

// cpuTime returns the processor time that the process has taken: on a busy
// machine the only figure that means anything.
func cpuTime() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
