package layout

import (
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

// BenchmarkWalk walks over 10 million nodes; ns/node is what counts.
func BenchmarkWalk(b *testing.B) {
	const n = 10_000_000
	for _, d := range []struct {
		name string
		l    LiteOS
	}{
		{"leak", LiteOS{LeakCheck: true, LRs: 3}},
		{"both", LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}},
	} {
		b.Run("layout="+d.name, func(b *testing.B) {
			m, h := large(b, d.l, n)
			p, err := OpenLiteOS(m, h.Addr, &d.l)
			if err != nil {
				b.Fatal(err)
			}
			for _, check := range []bool{false, true} {
				name := "walk"
				var report func(*heap.Finding)
				if check {
					name, report = "check", func(f *heap.Finding) { b.Error(f) }
				}
				b.Run(name, func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						count := 0
						s := p.Walk(func(*heap.Node) bool { count++; return true }, report)
						if count != n || s.Findings != 0 {
							b.Fatal(count, s)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/node")
				})
			}
		})
	}
}

// BenchmarkFind looks for a pool in 1 GiB, most of it zeroes.
func BenchmarkFind(b *testing.B) {
	m, _ := large(b, both, 10_000)
	ram := Bytes{Data: make([]byte, 1<<30)}
	copy(ram.Data[m.Addr:], m.Data)
	b.SetBytes(1 << 30)
	for b.Loop() {
		if len(FindLiteOS(ram)) != 1 {
			b.Fatal("not found")
		}
	}
}
