//go:build darwin || dragonfly || freebsd || netbsd || openbsd || solaris

package osmem

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const privateReleases = false

// release lets the system take the pages when it runs short; until then they
// keep their contents, and the process keeps being charged for them.
//
// MADV_DONTNEED gives nothing back on these systems: it must preserve the
// contents. Darwin's MADV_FREE_REUSABLE would lower the process's footprint at
// once, but every page would need MADV_FREE_REUSE before it is used again, and
// the user of released memory does not announce that.
func release(_ kind, p unsafe.Pointer, n uintptr) error {
	return unix.Madvise(unsafe.Slice((*byte)(p), n), unix.MADV_FREE)
}

// cutsPages: these systems have no common way to cut mapped pages out of a file.
func cutsPages(*os.File, unsafe.Pointer, uintptr) bool { return false }
