//go:build !unix

package reach

import "time"

var began = time.Now()

// cpuTime returns the time since the process began.
func cpuTime() time.Duration { return time.Since(began) }
