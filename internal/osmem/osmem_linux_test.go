package osmem_test

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/heapwright/heapwright/internal/osmem"
)

// resident returns how many pages of r are in memory.
func resident(t *testing.T, r *osmem.Region) (n int) {
	t.Helper()
	in := make([]byte, (r.Size()+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(r.Base()), r.Size(), uintptr(unsafe.Pointer(&in[0])))
	if errno != 0 {
		t.Skip("mincore: ", errno)
	}
	for _, b := range in {
		n += int(b & 1)
	}
	return n
}

func TestResident(t *testing.T) {
	const pages = 4096
	r := reserve(t, pages*page)
	if n := resident(t, r); n != 0 {
		t.Errorf("%d pages resident after Reserve", n)
	}
	if err := r.Commit(0, r.Size()); err != nil {
		t.Fatal(err)
	}
	if n := resident(t, r); n != 0 {
		t.Errorf("%d pages resident after Commit", n)
	}
	fill(bytesOf(r, 0, r.Size()), 1)
	if n := resident(t, r); n != pages {
		t.Errorf("%d of %d pages resident after writing", n, pages)
	}
	if err := r.Release(0, r.Size()); err != nil {
		t.Fatal(err)
	}
	if n := resident(t, r); n != 0 {
		t.Errorf("%d pages resident after Release", n)
	}
}

// blocks returns the space that the file takes on the disk, in units of 512
// bytes.
func blocks(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks)
}

func TestFileBlocks(t *testing.T) {
	r, path := create(t, 4096*page)
	sparse := blocks(t, path)
	fill(bytesOf(r, 0, r.Size()), 1)
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	full := blocks(t, path)
	if !r.Releases() {
		t.Skip("the file system has no holes")
	}
	if sparse >= full {
		t.Errorf("%d blocks before, %d after writing: the new file is not sparse", sparse, full)
	}
	if err := r.Release(0, r.Size()); err != nil {
		t.Fatal(err)
	}
	if got := blocks(t, path); got >= full/2 {
		t.Errorf("%d of %d blocks left after Release", got, full)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != int64(r.Size()) {
		t.Errorf("Release changed the length of the file: %v", info.Size())
	}
}

// TestUncommittedFaults: reserved memory is not accessible before Commit.
func TestUncommittedFaults(t *testing.T) {
	r := reserve(t, 4*page)
	if err := r.Commit(0, page); err != nil {
		t.Fatal(err)
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() == nil {
			t.Error("writing to uncommitted memory went well")
		}
	}()
	bytesOf(r, page, 1)[0] = 1
}

// TestOpenPrivateFIFO: opening a FIFO must not wait for a writer.
func TestOpenPrivateFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := osmem.OpenPrivate(path); err == nil {
		t.Error("OpenPrivate of a FIFO succeeded")
	}
}
