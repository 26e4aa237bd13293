// Package osmem gets memory outside the Go heap from the operating system:
// reserved address space that is committed and released piece by piece, files
// mapped shared or copy-on-write, and a caller's own bytes, all behind one
// type.
//
// How the pieces map onto the systems:
//
//	             linux             darwin, *BSD, solaris  windows
//	Reserve      mmap PROT_NONE    mmap PROT_NONE         VirtualAlloc MEM_RESERVE
//	Commit       mprotect          mprotect               VirtualAlloc MEM_COMMIT
//	Release      MADV_DONTNEED     MADV_FREE              MEM_RESET, out of the working set
//	Create       mmap MAP_SHARED   mmap MAP_SHARED        file mapping, read/write
//	  Release    MADV_REMOVE       not possible           not possible
//	OpenPrivate  mmap MAP_PRIVATE  mmap MAP_PRIVATE       file mapping, copy-on-write
//	  Release    MADV_DONTNEED     not possible           not possible
//
// On every other platform all constructors but Wrap fail.
package osmem

import (
	"errors"
	"fmt"
	"math"
	"os"
	"unsafe"
)

// Align is the alignment in bytes that the start of every Region has at least.
const Align = 16

// kind is what a region's memory is, and with it who may do what to it.
type kind uint8

const (
	closed   kind = iota // the zero Region is a closed one
	reserved             // anonymous address space, accessible where committed
	shared               // a file, written through
	private              // a file, copied on write
	wrapped              // bytes of the caller's
)

// Region is a range of address space whose contents the garbage collector
// neither scans nor moves: it must never hold a pointer to Go memory.
//
// A Region is not released when it becomes unreachable, because addresses
// inside it are invisible to the collector; call Close.
//
// Methods may be called concurrently as long as none of them is Close and no
// two of them change the same pages.
type Region struct {
	base     unsafe.Pointer
	size     uintptr // bytes that the user may use
	kind     kind
	releases bool
	keep     []byte   // wrapped: holds the caller's bytes alive
	file     *os.File // the open file, where Sync needs it; nil elsewhere
}

// PageSize returns the size in bytes of a page of this system: the granularity
// of Commit and Release.
func PageSize() uintptr { return uintptr(os.Getpagesize()) }

// Reserve reserves max bytes of address space, rounded up to whole pages.
// Nothing of it is accessible, and nothing of it costs memory, before Commit.
// It fails if max is 0 or if the address space is not there to be had.
func Reserve(max uintptr) (*Region, error) {
	page := PageSize()
	if max == 0 {
		return nil, errors.New("osmem: reserve: size is 0")
	}
	if max > limit-page {
		return nil, fmt.Errorf("osmem: reserve %d bytes: beyond the address space", max)
	}
	max = (max + page - 1) &^ (page - 1)
	base, err := reserve(max)
	if err != nil {
		return nil, fmt.Errorf("osmem: reserve %d bytes: %w", max, err)
	}
	return &Region{base: base, size: max, kind: reserved, releases: true}, nil
}

// Create creates the file path, which must not exist yet, with size zero bytes
// and permissions 0600, and maps all of it: what is written to the region is
// in the file, even if the process crashes afterwards. The file is sparse
// where the file system can do that, so its blocks are allocated as they are
// first written; a write that finds the file system full, or the file
// truncated by somebody else, is a memory fault and not an error.
//
// If Create fails it leaves no file behind, save one that was there before.
func Create(path string, size uintptr) (*Region, error) {
	if size == 0 || size > limit {
		return nil, fmt.Errorf("osmem: create %s: %d bytes cannot be mapped", path, size)
	}
	r, err := create(path, size)
	if err != nil {
		return nil, fmt.Errorf("osmem: create: %w", err)
	}
	r.size, r.kind = size, shared
	return r, nil
}

// OpenPrivate maps all of the existing regular file path copy-on-write: the
// region can be written to, the file never changes. The region's size is the
// length of the file, which must not be 0. Until a page is written to, changes
// that others make to the file may show in it, and a file that others truncate
// turns reads into memory faults.
func OpenPrivate(path string) (*Region, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, fmt.Errorf("osmem: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("osmem: %w", err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("osmem: open %s: not a regular file", path)
	case info.Size() == 0:
		return nil, fmt.Errorf("osmem: open %s: the file is empty", path)
	case uint64(info.Size()) > uint64(limit):
		return nil, fmt.Errorf("osmem: open %s: %d bytes are beyond the address space", path, info.Size())
	}
	size := uintptr(info.Size())
	base, err := mapPrivate(f, size)
	if err != nil {
		return nil, fmt.Errorf("osmem: map %s: %w", path, err)
	}
	return &Region{base: base, size: size, kind: private, releases: privateReleases}, nil
}

// Wrap makes a region of the caller's own bytes, which the region keeps alive.
// It starts at the first address in b that is a multiple of Align and reaches
// to the end of b; at least Align bytes must be left. Commit and Release do
// nothing, Close just lets go of b.
func Wrap(b []byte) (*Region, error) {
	p := unsafe.SliceData(b)
	pad := -uintptr(unsafe.Pointer(p)) % Align
	if uintptr(len(b)) < pad+Align {
		return nil, fmt.Errorf("osmem: wrap: %d bytes are too few", len(b))
	}
	return &Region{
		base: unsafe.Add(unsafe.Pointer(p), pad),
		size: uintptr(len(b)) - pad,
		kind: wrapped,
		keep: b,
	}, nil
}

// Base returns the address of the region's first byte, a multiple of Align;
// nil after Close.
func (r *Region) Base() unsafe.Pointer { return r.base }

// Size returns the length of the region in bytes, committed or not; 0 after
// Close.
func (r *Region) Size() uintptr { return r.size }

// Releases reports whether Release can give anything back at all.
func (r *Region) Releases() bool { return r.releases }

// Commit makes [off, off+n) readable and writable; what was never committed
// before reads as zero, what was keeps its contents. In a region from Reserve
// both off and n must be multiples of the page size, and the system may refuse
// for want of memory; the memory itself is taken up page by page when first
// written. In any other region everything is committed from the start.
func (r *Region) Commit(off, n uintptr) error {
	if err := r.check("commit", off, n); err != nil {
		return err
	}
	if r.kind != reserved || n == 0 {
		return nil
	}
	if (off|n)%PageSize() != 0 {
		return fmt.Errorf("osmem: commit [%#x, %#x): not whole pages", off, off+n)
	}
	if err := commit(unsafe.Add(r.base, off), n); err != nil {
		return fmt.Errorf("osmem: commit [%#x, %#x): %w", off, off+n, err)
	}
	return nil
}

// Release gives the whole pages inside [off, off+n) back to the system. They
// must be committed and stay so: they remain readable and writable, but what
// they hold is undefined until written to again: zero, the old contents, or in
// a region from OpenPrivate those of the file. Where Releases is false, or no
// whole page lies in the range, Release does nothing. The system may take the
// memory back at once (linux) or only when it runs short (elsewhere).
func (r *Region) Release(off, n uintptr) error {
	if err := r.check("release", off, n); err != nil {
		return err
	}
	page := PageSize()
	start, end := (off+page-1)&^(page-1), (off+n)&^(page-1)
	if !r.releases || start >= end {
		return nil
	}
	if err := release(r.kind, unsafe.Add(r.base, start), end-start); err != nil {
		return fmt.Errorf("osmem: release [%#x, %#x): %w", start, end, err)
	}
	return nil
}

// Sync returns after everything written to a region from Create has reached
// the disk. In any other region it does nothing.
func (r *Region) Sync() error {
	if err := r.check("sync", 0, 0); err != nil {
		return err
	}
	if r.kind != shared {
		return nil
	}
	if err := r.sync(); err != nil {
		return fmt.Errorf("osmem: sync: %w", err)
	}
	return nil
}

// Close gives the address space back. No address inside the region may be used
// any more, and every method that can fail does, with an error that is
// os.ErrClosed. Closing again does nothing.
func (r *Region) Close() error {
	base, size, k, f := r.base, r.size, r.kind, r.file
	*r = Region{}
	var err error
	if k != closed && k != wrapped {
		err = unmap(k, base, size)
	}
	if f != nil {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("osmem: close: %w", err)
	}
	return nil
}

// limit is the most that one region can hold: a length must fit an int.
const limit = uintptr(math.MaxInt)

// check refuses what is not inside an open region.
func (r *Region) check(op string, off, n uintptr) error {
	if r.kind == closed {
		return fmt.Errorf("osmem: %s: %w", op, os.ErrClosed)
	}
	if off > r.size || n > r.size-off {
		return fmt.Errorf("osmem: %s: %d bytes at %#x exceed the region's %d", op, n, off, r.size)
	}
	return nil
}
