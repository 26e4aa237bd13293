//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd || solaris

package osmem

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFlags keeps the opening of a FIFO from waiting for a writer; it is
// refused afterwards for not being a regular file.
const openFlags = unix.O_NONBLOCK

func reserve(n uintptr) (unsafe.Pointer, error) {
	return unix.MmapPtr(-1, 0, nil, n, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|reserveFlags)
}

func commit(p unsafe.Pointer, n uintptr) error {
	return unix.Mprotect(unsafe.Slice((*byte)(p), n), unix.PROT_READ|unix.PROT_WRITE)
}

func create(path string, size uintptr) (_ *Region, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		f.Close() // the mapping outlives the descriptor
		if err != nil {
			os.Remove(path)
		}
	}()
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	base, err := unix.MmapPtr(int(f.Fd()), 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	return &Region{base: base, releases: cutsPages(f, base, size)}, nil
}

// mapPrivate maps with MAP_NORESERVE: of a large file few pages will ever be
// copied, so memory for a copy of the whole must not be a precondition.
func mapPrivate(f *os.File, size uintptr) (unsafe.Pointer, error) {
	return unix.MmapPtr(int(f.Fd()), 0, nil, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|noReserve)
}

func (r *Region) sync() error {
	return unix.Msync(unsafe.Slice((*byte)(r.base), r.size), unix.MS_SYNC)
}

func unmap(_ kind, base unsafe.Pointer, size uintptr) error { return unix.MunmapPtr(base, size) }
