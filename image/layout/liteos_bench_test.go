package layout

import (
	"fmt"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// large returns the image of a pool with n nodes, one in eight of them free.
func large(b *testing.B, l LiteOS, n int) (Bytes, *LiteOSHeap) {
	h := &LiteOSHeap{Layout: l, Addr: 0x1000}
	stack := make(heap.Stack, l.LRs)
	for i := range stack {
		stack[i] = 0x20000 + heap.Addr(i)*64
	}
	h.Nodes = make([]LiteOSNode, n)
	for i := range h.Nodes {
		h.Nodes[i] = LiteOSNode{Size: uint64(8 + i%5*4), Stack: stack, Free: i%8 == 7}
	}
	pool, _, err := h.Encode()
	if err != nil {
		b.Fatal(err)
	}
	return Bytes{h.Addr, pool}, h
}

// BenchmarkWalk walks over 10 million nodes with headers of every kind; ns/node
// is what counts. check=off is without report.
func BenchmarkWalk(b *testing.B) {
	const n = 10_000_000
	for _, bits := range []int{32, 64} {
		for _, d := range []struct {
			name string
			l    LiteOS
		}{
			{"none", LiteOS{}},
			{"leak", LiteOS{LeakCheck: true, LRs: 3}},
			{"backup", LiteOS{HeadBackup: true}},
			{"both", LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}},
		} {
			n := n
			d.l.Bits64 = bits == 64
			if most := sizeMask / (d.l.Offsets().Head + 40); n > most {
				n = most // no pool is longer
			}
			b.Run(fmt.Sprintf("bits=%d/layout=%s", bits, d.name), func(b *testing.B) {
				m, h := large(b, d.l, n)
				p := openAs(m, h.Addr, d.l)
				b.Run("check=off", func(b *testing.B) { walk(b, p, n, nil) })
				b.Run("check=on", func(b *testing.B) { walk(b, p, n, func(f *heap.Finding) { b.Error(f) }) })
			})
		}
	}
}

func walk(b *testing.B, p *LiteOSPool, n int, report func(*heap.Finding)) {
	b.ReportAllocs()
	for b.Loop() {
		count := 0
		s := p.Walk(func(*heap.Node) bool { count++; return true }, report)
		if count != n || s.Findings != 0 {
			b.Fatal(count, s)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/node")
}

// BenchmarkFind looks for a pool in 1 GiB, most of it zeroes.
func BenchmarkFind(b *testing.B) {
	m, _ := large(b, both, 10_000)
	ram := Bytes{Data: make([]byte, 1<<30)}
	copy(ram.Data[m.Addr:], m.Data)
	b.SetBytes(1 << 30)
	for b.Loop() {
		if found, _, _ := Find(ram, Hints{}); len(found) != 1 {
			b.Fatal("not found")
		}
	}
}
