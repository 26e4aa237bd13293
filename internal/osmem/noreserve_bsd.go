//go:build darwin || dragonfly || netbsd || openbsd || solaris

package osmem

import "golang.org/x/sys/unix"

const (
	noReserve    = unix.MAP_NORESERVE
	reserveFlags = noReserve
)
