//go:build !linux

package symbol

import (
	"os"
	"time"
)

func peakRSS(*os.ProcessState) int64 { return 0 }

func cpuTime() time.Duration { return 0 }
