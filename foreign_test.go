package heapwright

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
)

// A file written by another build keeps that build's addresses.
func TestOpenForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pool")
	p, err := New(Config{File: path, MaxSize: 64 << 10, LeakCheck: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Alloc(10); err != nil {
		t.Fatal(err)
	}
	here, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	p.Close()

	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mem := make([]uint64, len(b)/8) // aligned
	image := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(mem))), len(b))
	copy(image, b)
	head := node.HeadAt(unsafe.Pointer(unsafe.SliceData(mem)))
	info, err := head.Read()
	if err != nil {
		t.Fatal(err)
	}
	info.Text++
	info.Anchor += 0x1000
	info.Base = 0x7000_0000
	head.Write(info)
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}

	p, err = Open(path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	there, err := p.Snapshot()
	if err != nil || len(there.Nodes) != 1 {
		t.Fatalf("%d nodes, %v", len(there.Nodes), err)
	}
	if !p.Foreign() || !p.ReadOnly() || p.Addr() != 0x7000_0000 {
		t.Errorf("foreign %v, read-only %v, at %s", p.Foreign(), p.ReadOnly(), p.Addr())
	}
	n := there.Nodes[0]
	if n.Addr-p.Addr() != heap.Addr(front+p.lay.HeadU)*node.Unit {
		t.Errorf("node at %s", n.Addr)
	}
	for i, a := range here.Nodes[0].Stack {
		if n.Stack[i] != a+0x1000 {
			t.Errorf("LR[%d] is %s, want %s", i, n.Stack[i], a+0x1000)
		}
	}
	if callers.TextID() == 0 {
		t.Error("no identity of the build")
	}
}
