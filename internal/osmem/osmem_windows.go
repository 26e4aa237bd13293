package osmem

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	openFlags       = 0
	privateReleases = false
)

func reserve(n uintptr) (unsafe.Pointer, error) {
	addr, err := windows.VirtualAlloc(0, n, windows.MEM_RESERVE, windows.PAGE_NOACCESS)
	return pointer(addr), err
}

// commit may find pages committed already: MEM_COMMIT leaves those alone.
func commit(p unsafe.Pointer, n uintptr) error {
	_, err := windows.VirtualAlloc(uintptr(p), n, windows.MEM_COMMIT, windows.PAGE_READWRITE)
	return err
}

// release declares the contents worthless and takes the pages out of the
// working set. Decommitting and committing again would free them for certain,
// but if the second step failed, memory that the caller may touch at any time
// would be gone.
func release(_ kind, p unsafe.Pointer, n uintptr) error {
	if _, err := windows.VirtualAlloc(uintptr(p), n, windows.MEM_RESET, windows.PAGE_READWRITE); err != nil {
		return err
	}
	// Unlocking what is not locked fails, having done what it is called for.
	_ = windows.VirtualUnlock(uintptr(p), n)
	return nil
}

func create(path string, size uintptr) (_ *Region, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(path)
		}
	}()
	// A file system that cannot do sparse files allocates the whole.
	var got uint32
	_ = windows.DeviceIoControl(windows.Handle(f.Fd()), windows.FSCTL_SET_SPARSE, nil, 0, nil, 0, &got, nil)
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	base, err := view(f, size, windows.PAGE_READWRITE, windows.FILE_MAP_WRITE)
	if err != nil {
		return nil, &os.PathError{Op: "map", Path: path, Err: err}
	}
	return &Region{base: base, file: f}, nil
}

func mapPrivate(f *os.File, size uintptr) (unsafe.Pointer, error) {
	return view(f, size, windows.PAGE_WRITECOPY, windows.FILE_MAP_COPY)
}

// view maps the first size bytes of f. The view keeps the mapping alive, so
// its handle need not.
func view(f *os.File, size uintptr, protect, access uint32) (unsafe.Pointer, error) {
	n := uint64(size)
	h, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, protect, uint32(n>>32), uint32(n), nil)
	if err != nil {
		return nil, err
	}
	addr, err := windows.MapViewOfFile(h, access, 0, 0, size)
	windows.CloseHandle(h)
	return pointer(addr), err
}

// sync needs both steps: the first hands the pages to the file system, the
// second waits for the disk.
func (r *Region) sync() error {
	if err := windows.FlushViewOfFile(uintptr(r.base), r.size); err != nil {
		return err
	}
	return windows.FlushFileBuffers(windows.Handle(r.file.Fd()))
}

func unmap(k kind, base unsafe.Pointer, _ uintptr) error {
	if k == reserved {
		return windows.VirtualFree(uintptr(base), 0, windows.MEM_RELEASE)
	}
	return windows.UnmapViewOfFile(uintptr(base))
}

// pointer turns an address that the system has just handed out into a pointer.
// It is no Go memory, so the rules that vet guards do not apply to it; the
// detour over memory tells vet so.
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }
