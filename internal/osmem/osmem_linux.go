package osmem

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	noReserve = unix.MAP_NORESERVE

	// A private PROT_NONE mapping is never charged against the overcommit
	// limit, so MAP_NORESERVE adds nothing to a reservation. It would however
	// stay with the pages and exempt them from the limit once committed, and
	// what ought to be an error of Commit would become a visit of the OOM
	// killer.
	reserveFlags = 0

	privateReleases = true
)

// release drops the pages at once. Anonymous ones come back as zero, private
// ones of a file as the file has them. Those of a shared file must be cut out
// of the file, or they would come back as they were.
func release(k kind, p unsafe.Pointer, n uintptr) error {
	b := unsafe.Slice((*byte)(p), n)
	if k != shared {
		return unix.Madvise(b, unix.MADV_DONTNEED)
	}
	return unix.Madvise(b, unix.MADV_REMOVE)
}

// cutsPages finds out whether the file system, and what else may be between it
// and us, can take the first page of the new file f, mapped at p, out of it
// again. The page is allocated first: written to in vain, it would be a memory
// fault.
func cutsPages(f *os.File, p unsafe.Pointer, size uintptr) bool {
	n := min(size, PageSize())
	if unix.Fallocate(int(f.Fd()), 0, 0, int64(n)) != nil {
		return false
	}
	first := (*byte)(p)
	*first = 1
	err := unix.Madvise(unsafe.Slice(first, n), unix.MADV_REMOVE)
	cut := err == nil && *first == 0
	*first = 0
	return cut
}
