package layout

import (
	"bytes"
	"slices"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// TestNuttXGuards: a heap whose structure is in the image is found although one
// of its guards is gone.
func TestNuttXGuards(t *testing.T) {
	for _, l := range []NuttX{{}, {Bits64: true, PID: true, Seqno: true, Backtrace: 8}, {PID: true, Align: 4}} {
		h := &NuttXHeap{Layout: l, Addr: 0x20001000}
		for i := range 8 {
			h.Nodes = append(h.Nodes, NuttXNode{Size: 40, Free: i%3 == 1})
		}
		image, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		head := l.offsets().head
		for _, at := range []heap.Addr{starts[0] - heap.Addr(head), h.Addr + heap.Addr(len(image)-head)} {
			for _, with := range []byte{0, 'A', 0xff} {
				bad := append(make([]byte, 4096), image...)
				copy(bad[at-h.Addr+4096:], bytes.Repeat([]byte{with}, head))
				pools, _, err := Find(Bytes{h.Addr - 4096, bad}, Hints{})
				if err != nil || len(pools) != 1 {
					t.Errorf("%s: %s full of %#x: %d pools, %v", l, at, with, len(pools), err)
					continue
				}
				nodes, findings, _ := poolWalked(pools[0])
				listed := make([]heap.Addr, len(nodes))
				for i := range nodes {
					listed[i] = nodes[i].Addr
				}
				if !slices.Equal(listed, starts) || len(findings) != 1 || findings[0].Node != at {
					t.Errorf("%s: %s full of %#x: nodes %v, findings %v", l, at, with, listed, findings)
				}
			}
		}
	}
}

// TestNuttXGuardAt: where a guard lies a heap is opened, whatever the payloads
// behind it hold.
func TestNuttXGuardAt(t *testing.T) {
	l := NuttX{PID: true, Align: 8}
	h := &NuttXHeap{Layout: l, Addr: 0x20001000}
	for range 8 {
		var pointers []byte
		for i := range 10 {
			pointers = append(pointers, byte(8*i), 0x14, 0, 0x20)
		}
		h.Nodes = append(h.Nodes, NuttXNode{Size: 40, Payload: pointers})
	}
	image, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	at := starts[0] - heap.Addr(l.offsets().head)
	pools, _, err := Find(Bytes{h.Addr, image}, Hints{System: "nuttx", At: at})
	if err != nil || len(pools) != 1 {
		t.Fatal(len(pools), err)
	}
	if nodes, findings, _ := poolWalked(pools[0]); len(nodes) != 8 || len(findings) > 0 {
		t.Errorf("%d nodes, %v", len(nodes), findings)
	}
}
