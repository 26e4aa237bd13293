package layout

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// walkAny walks whatever pools there are. Walks must end, in order, within the
// pool.
func walkAny(t testing.TB, pools []Pool) {
	for _, p := range pools {
		a := p.About()
		at := a.Span.Start
		s := p.Walk(func(n *heap.Node) bool {
			if n.Addr < at || n.Total == 0 || n.Addr+heap.Addr(n.Total) > a.Span.End || n.Addr+heap.Addr(n.Total) <= n.Addr {
				t.Fatalf("node %s of %d bytes behind %s in %v", n.Addr, n.Total, at, a.Span)
			}
			at = n.Addr + heap.Addr(n.Total)
			p.Fields(n)
			return true
		}, func(f *heap.Finding) { _ = f.Summary() })
		for i, g := range s.Gaps {
			if g.End <= g.Start || i > 0 && g.Start < s.Gaps[i-1].End {
				t.Fatalf("gaps %v", s.Gaps)
			}
		}
	}
}

// addDamaged adds an image and forms of it to a corpus.
func addDamaged(f *testing.F, b []byte) {
	f.Add(b, uint8(0))
	for _, at := range []int{len(b) / 2, len(b) / 3, 0, len(b) - 40} {
		bad := bytes.Clone(b)
		for i := range 20 {
			bad[at+i] = 0xff
		}
		f.Add(bad, uint8(at))
	}
	f.Add(b[:len(b)-30], uint8(3))
}

func FuzzNuttX(f *testing.F) {
	for _, l := range []NuttX{{}, {Bits64: true, PID: true, Seqno: true, Backtrace: 2}} {
		h := NuttXHeap{Layout: l, Addr: 0x8000, Nodes: []NuttXNode{{Size: 40, PID: 3}, {Size: 12, Free: true}, {Size: 100, Seqno: 9}, {Size: 8, Free: true}}}
		b, _, err := h.Encode()
		if err != nil {
			f.Fatal(err)
		}
		addDamaged(f, b)
	}
	all := nuttxLayouts()
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		m := Bytes{Addr: 0x8000, Data: b}
		pools, _ := findNuttX(m, &Hints{})
		if p, err := openNuttX(m, m.Addr, &all[int(which)%len(all)]); err == nil {
			pools = append(pools, p)
		}
		walkAny(t, pools)
	})
}

func FuzzRTThread(f *testing.F) {
	all := rtLayouts()
	for _, l := range all {
		h := RTThreadHeap{Layout: l, Addr: 0x8000, Name: "heap", Nodes: []RTThreadNode{{Size: 40, Thread: "main"}, {Size: 12, Free: true}, {Size: 100}, {Size: 16, Free: true}}}
		b, _, err := h.Encode()
		if err != nil {
			f.Fatal(err)
		}
		addDamaged(f, b)
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		m := Bytes{Addr: 0x8000, Data: b}
		small, _ := findRTThread(m, &Hints{})
		memheap, _ := findRTThreadMemheap(m, &Hints{})
		pools := append(small, memheap...)
		if p, err := openRTThread(m, m.Addr, &all[int(which)%len(all)]); err == nil {
			pools = append(pools, p)
		}
		walkAny(t, pools)
	})
}

// TestChainHostile: images made to take long do not.
func TestChainHostile(t *testing.T) {
	const size = 4 << 20
	fill := func(words ...uint32) []byte {
		b := make([]byte, 0, size)
		for len(b) < size {
			for _, w := range words {
				b = binary.LittleEndian.AppendUint32(b, w)
			}
		}
		return b[:size]
	}
	self := make([]byte, size)
	for i := 0; i < size; i += 4 {
		binary.LittleEndian.PutUint32(self[i:], uint32(0x10000+i))
	}
	for name, b := range map[string][]byte{
		"0xff": bytes.Repeat([]byte{0xff}, size), "guards": fill(9, 17), "marks": fill(rtMagic16), "first nodes": fill(rtMagic16, 12, 0),
		"memheap": fill(rtMagic32|1, 0x10000, 0x10020, 0x10000), "itself": self, "last": fill(0x11ea0, 0x100000, 0),
		"used nodes": fill(0, 17, 5, 6), "wrapping": fill(rtMagic32, 0x10001, 0xfffffff0, 0xffffffff), "long": fill(9, 0x3ffff1),
	} {
		m := Bytes{Addr: 0x10000, Data: b}
		for _, find := range []func(heap.RAM, *Hints) ([]Pool, []string){findNuttX, findRTThread, findRTThreadMemheap} {
			pools, _ := find(m, &Hints{})
			if len(pools) > maxPools {
				t.Errorf("%s: %d pools", name, len(pools))
			}
			walkAny(t, pools)
		}
	}
}
