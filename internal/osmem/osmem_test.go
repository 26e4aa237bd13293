package osmem_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright/internal/osmem"
)

var page = osmem.PageSize()

// bytesOf returns [off, off+n) of r as a slice.
func bytesOf(r *osmem.Region, off, n uintptr) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(r.Base(), off)), n)
}

// region fails the test if err is not nil, and closes r when the test ends.
func region(t *testing.T, r *osmem.Region, err error) *osmem.Region {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func reserve(t *testing.T, n uintptr) *osmem.Region {
	t.Helper()
	r, err := osmem.Reserve(n)
	return region(t, r, err)
}

func create(t *testing.T, n uintptr) (r *osmem.Region, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "pool")
	r, err := osmem.Create(path, n)
	return region(t, r, err), path
}

func fill(b []byte, v byte) {
	for i := range b {
		b[i] = v
	}
}

func all(b []byte, v byte) bool { return bytes.Count(b, []byte{v}) == len(b) }

func TestCommit(t *testing.T) {
	r := reserve(t, 16*page-1)
	if r.Size() != 16*page {
		t.Errorf("size %d, want the next multiple of the page size, %d", r.Size(), 16*page)
	}
	if uintptr(r.Base())%page != 0 {
		t.Errorf("base %p is not the start of a page", r.Base())
	}
	for _, c := range []struct{ off, n uintptr }{
		{0, page}, {4 * page, 2 * page}, {15 * page, page}, // apart, to the end
		{16 * page, 0}, // nothing
	} {
		if err := r.Commit(c.off, c.n); err != nil {
			t.Fatal(err)
		}
		b := bytesOf(r, c.off, c.n)
		if !all(b, 0) {
			t.Errorf("freshly committed memory at %#x is not zero", c.off)
		}
		fill(b, 0xA5)
	}
	// Over and between what is there: old contents stay, new ones are zero.
	if err := r.Commit(0, r.Size()); err != nil {
		t.Fatal(err)
	}
	for i := range uintptr(16) {
		want := byte(0)
		if i == 0 || i == 4 || i == 5 || i == 15 {
			want = 0xA5
		}
		if !all(bytesOf(r, i*page, page), want) {
			t.Errorf("page %d is not all %#x", i, want)
		}
	}
	if err := r.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
}

func TestCommitRefuses(t *testing.T) {
	r := reserve(t, 4*page)
	for _, c := range []struct{ off, n uintptr }{
		{0, 5 * page},
		{4 * page, page},
		{5 * page, 0},
		{page, ^uintptr(0)},
		{^uintptr(0), page},
		{page, -page},
		{1, page},
		{0, page - 1},
	} {
		if err := r.Commit(c.off, c.n); err == nil {
			t.Errorf("Commit(%#x, %#x) succeeded", c.off, c.n)
		}
	}
	for _, c := range []struct{ off, n uintptr }{{0, 5 * page}, {page, -page}, {^uintptr(0), 2}} {
		if err := r.Release(c.off, c.n); err == nil {
			t.Errorf("Release(%#x, %#x) succeeded", c.off, c.n)
		}
	}
}

func TestReserveRefuses(t *testing.T) {
	for _, n := range []uintptr{0, math.MaxInt, math.MaxInt - 1, math.MaxInt + 1, ^uintptr(0), ^uintptr(0) - page, math.MaxInt &^ (page - 1), math.MaxInt/2 + 1} {
		r, err := osmem.Reserve(n)
		if err == nil {
			if n > math.MaxInt32 || n == 0 { // 2 GiB may well be there
				t.Errorf("Reserve(%#x) succeeded with %#x bytes", n, r.Size())
			}
			r.Close()
		}
	}
}

func TestRelease(t *testing.T) {
	r := reserve(t, 64*page)
	if !r.Releases() {
		t.Error("Releases is false")
	}
	if err := r.Commit(0, 64*page); err != nil {
		t.Fatal(err)
	}
	fill(bytesOf(r, 0, 64*page), 0xA5)
	// Only the whole pages inside: 11 to 19.
	if err := r.Release(10*page+1, 10*page-2); err != nil {
		t.Fatal(err)
	}
	if !all(bytesOf(r, 0, 11*page), 0xA5) || !all(bytesOf(r, 19*page, 45*page), 0xA5) {
		t.Error("memory outside the range changed")
	}
	for i := uintptr(11); i < 19; i++ {
		b := bytesOf(r, i*page, page)
		if !all(b, 0) && !all(b, 0xA5) {
			t.Errorf("page %d is neither zero nor as it was", i)
		}
		if runtime.GOOS == "linux" && b[0] != 0 {
			t.Errorf("page %d was not given back", i)
		}
	}
	fill(bytesOf(r, 0, 64*page), 0x5A) // still writable
	// Ranges without a whole page.
	for _, c := range []struct{ off, n uintptr }{{0, 0}, {0, page - 1}, {1, page}, {page - 1, page}, {64 * page, 0}} {
		if err := r.Release(c.off, c.n); err != nil {
			t.Errorf("Release(%d, %d): %v", c.off, c.n, err)
		}
	}
	if !all(bytesOf(r, 0, 64*page), 0x5A) {
		t.Error("a range without a whole page was released")
	}
}

func TestFile(t *testing.T) {
	const size = 100_000 // not whole pages
	path := filepath.Join(t.TempDir(), "pool")
	r, err := osmem.Create(path, size)
	region(t, r, err)
	if r.Size() != size {
		t.Errorf("size %d, want %d", r.Size(), size)
	}
	if err := r.Commit(0, size); err != nil {
		t.Errorf("Commit: %v", err)
	}
	b := bytesOf(r, 0, size)
	if !all(b, 0) {
		t.Error("a new file is not zero")
	}
	fill(b, 0xA5)
	if err := r.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}

	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() != size || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the file has %d bytes and mode %v", info.Size(), info.Mode())
	}

	p, err := osmem.OpenPrivate(path)
	region(t, p, err)
	if p.Size() != size || !all(bytesOf(p, 0, size), 0xA5) {
		t.Error("the file reads differently")
	}
	fill(bytesOf(p, 0, size), 0x5A)
	if err := p.Sync(); err != nil {
		t.Errorf("Sync: %v", err)
	}
	if err := p.Release(0, size); err != nil {
		t.Errorf("Release: %v", err)
	}
	fill(bytesOf(p, 0, size), 0x33)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || len(b) != size || !all(b, 0xA5) {
		t.Errorf("a private mapping changed the file (%d bytes, %v)", len(b), err)
	}
}

// TestFileVisible: what is written is in the file without Sync and Close, as
// after a crash.
func TestFileVisible(t *testing.T) {
	r, path := create(t, 4*page)
	fill(bytesOf(r, page, page), 0xA5)
	b, err := os.ReadFile(path)
	if err != nil || len(b) != int(4*page) || !all(b[page:2*page], 0xA5) || !all(b[2*page:], 0) {
		t.Errorf("the file does not show what was written (%d bytes, %v)", len(b), err)
	}
}

func TestFileRelease(t *testing.T) {
	r, path := create(t, 64*page)
	fill(bytesOf(r, 0, 64*page), 0xA5)
	if err := r.Release(8*page, 48*page); err != nil {
		t.Fatal(err)
	}
	want := byte(0xA5)
	if r.Releases() {
		want = 0
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !all(b[:8*page], 0xA5) || !all(b[56*page:], 0xA5) || !all(b[8*page:56*page], want) {
		t.Errorf("wrong contents after a release (Releases: %t)", r.Releases())
	}
	fill(bytesOf(r, 0, 64*page), 0x5A)
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "old")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := osmem.Create(path, page); !errors.Is(err, os.ErrExist) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Create over a file: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "old" {
		t.Errorf("the old file now has %q", b)
	}
	path = filepath.Join(dir, "new")
	for _, size := range []uintptr{0, math.MaxInt, math.MaxInt + 1, ^uintptr(0)} {
		if r, err := osmem.Create(path, size); err == nil {
			r.Close()
			os.Remove(path)
			if size != math.MaxInt32 { // 2 GiB may well be there
				t.Errorf("Create of %#x bytes succeeded", size)
			}
		}
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("Create of %#x bytes failed but left a file", size)
			os.Remove(path)
		}
	}
	if _, err := osmem.Create(filepath.Join(dir, "no", "such"), page); err == nil {
		t.Error("Create in a missing directory succeeded")
	}
}

func TestOpenPrivateRefuses(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, empty, filepath.Join(dir, "missing"), os.DevNull} {
		if r, err := osmem.OpenPrivate(path); err == nil {
			t.Errorf("OpenPrivate(%s) succeeded", path)
			r.Close()
		}
	}
}

// TestOpenPrivateReadOnly: a file that may not be written can be mapped.
func TestOpenPrivateReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dump")
	if err := os.WriteFile(path, []byte("dump"), 0o400); err != nil {
		t.Fatal(err)
	}
	r, err := osmem.OpenPrivate(path)
	region(t, r, err)
	b := bytesOf(r, 0, r.Size())
	if string(b) != "dump" {
		t.Errorf("read %q", b)
	}
	b[0] = 'D'
}

func TestWrap(t *testing.T) {
	memory := make([]byte, 256)
	for shift := range 32 {
		for n := range 64 {
			b := memory[shift : shift+n]
			r, err := osmem.Wrap(b)
			start := (uintptr(unsafe.Pointer(unsafe.SliceData(b))) + osmem.Align - 1) &^ (osmem.Align - 1)
			pad := start - uintptr(unsafe.Pointer(unsafe.SliceData(b)))
			if uintptr(n) < pad+osmem.Align {
				if err == nil {
					t.Fatalf("Wrap of %d bytes at %p succeeded with %d", n, unsafe.SliceData(b), r.Size())
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if uintptr(r.Base()) != start || r.Size() != uintptr(n)-pad {
				t.Fatalf("Wrap of %d bytes at %p gives %d at %p", n, unsafe.SliceData(b), r.Size(), r.Base())
			}
			fill(bytesOf(r, 0, r.Size()), 0xA5)
			if r.Commit(0, r.Size()) != nil || r.Release(0, r.Size()) != nil || r.Sync() != nil || r.Releases() {
				t.Fatal("Commit, Release and Sync must do nothing")
			}
			if !all(bytesOf(r, 0, r.Size()), 0xA5) {
				t.Fatal("Commit or Release changed something")
			}
			if err := r.Commit(1, r.Size()); err == nil {
				t.Fatal("Commit beyond the end succeeded")
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := osmem.Wrap(nil); err == nil {
		t.Error("Wrap(nil) succeeded")
	}
}

// TestWrapKeepsAlive: the collector must not reuse wrapped bytes.
func TestWrapKeepsAlive(t *testing.T) {
	r, err := osmem.Wrap(make([]byte, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	fill(bytesOf(r, 0, r.Size()), 0xA5)
	for range 5 {
		runtime.GC()
		b := make([]byte, 1<<20)
		fill(b, 0xFF)
	}
	if !all(bytesOf(r, 0, r.Size()), 0xA5) {
		t.Error("wrapped bytes were reused")
	}
	runtime.KeepAlive(r)
}

func TestClosed(t *testing.T) {
	constructors := map[string]func() (*osmem.Region, error){
		"Reserve": func() (*osmem.Region, error) { return osmem.Reserve(page) },
		"Create":  func() (*osmem.Region, error) { return osmem.Create(filepath.Join(t.TempDir(), "f"), page) },
		"OpenPrivate": func() (*osmem.Region, error) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				return nil, err
			}
			return osmem.OpenPrivate(path)
		},
		"Wrap": func() (*osmem.Region, error) { return osmem.Wrap(make([]byte, 100)) },
		"zero": func() (*osmem.Region, error) { return new(osmem.Region), nil },
	}
	for name, construct := range constructors {
		t.Run(name, func(t *testing.T) {
			r, err := construct()
			region(t, r, err)
			for range 2 {
				if err := r.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			}
			for _, err := range []error{r.Commit(0, 0), r.Release(0, 0), r.Sync()} {
				if !errors.Is(err, os.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
			}
			if r.Base() != nil || r.Size() != 0 || r.Releases() {
				t.Errorf("after Close: %d bytes at %p", r.Size(), r.Base())
			}
		})
	}
}
