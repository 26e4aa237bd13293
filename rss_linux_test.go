package heapwright_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

// resident returns how many bytes the system has given to this process.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func fillPool(t *testing.T, p *heapwright.Pool, total, size int) []unsafe.Pointer {
	t.Helper()
	var all []unsafe.Pointer
	for n := 0; n < total; n += size {
		q, err := p.Alloc(size)
		if err != nil {
			t.Fatal(err)
		}
		b := unsafe.Slice((*byte)(q), size)
		for i := range b {
			b[i] = 1
		}
		all = append(all, q)
	}
	return all
}

// Freed runs go back to the system without being asked for.
func TestFreedMemoryGoesBack(t *testing.T) {
	skipQuadratic(t)
	const total = 256 << 20
	for _, size := range []int{100, 5000, 1 << 20} {
		p := newPool(t, heapwright.Config{HeadBackup: true})
		all := fillPool(t, p, total/4, size)
		full := resident(t)
		for _, q := range all {
			if err := p.Free(q); err != nil {
				t.Fatal(err)
			}
		}
		if left := full - resident(t); left < total/4*9/10-(8<<20) {
			t.Errorf("nodes of %d bytes: of %d MiB freed only %d MiB went back", size, total/4>>20, left>>20)
		}
		p.Close()
	}
}

// ReleaseFree gives back what lies between used nodes, and the pool still
// works.
func TestReleaseFree(t *testing.T) {
	skipQuadratic(t)
	p := newPool(t, both)
	all := fillPool(t, p, 32<<20, 32<<10)
	full := resident(t)
	for i, q := range all {
		if i%4 != 0 {
			p.Free(q)
		}
	}
	if _, err := p.ReleaseFree(); err != nil {
		t.Fatal(err)
	}
	if back := full - resident(t); back < 20<<20 {
		t.Errorf("of 24 MiB freed %d MiB went back", back>>20)
	}
	fillPool(t, p, 16<<20, 10_000)
	if n, _ := p.Check(func(f heap.Finding) { t.Error(f.Summary()) }); n != 0 {
		t.Error("not sound")
	}
}
