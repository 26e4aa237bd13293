package osmem

import (
	"errors"
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
	err := unix.Madvise(b, unix.MADV_REMOVE)
	if notPossible(err) {
		return nil
	}
	return err
}

// punchesHoles tries the system call behind MADV_REMOVE on the first page of
// the new file, which is a hole anyway.
func punchesHoles(f *os.File) bool {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, int64(PageSize())) == nil
}

// notPossible reports whether err says that the file system has no holes.
func notPossible(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL)
}
