package layout

import (
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// chainLarge returns pools with n nodes, one in eight of them free.
func chainLarge(tb testing.TB, n int) map[string]*chainBench {
	all := make(map[string]*chainBench)
	for name, l := range map[string]NuttX{
		"nuttx": {}, "nuttx-backtrace": {PID: true, Seqno: true, Backtrace: 4},
	} {
		h := &NuttXHeap{Layout: l, Addr: 0x1000, Nodes: make([]NuttXNode, n)}
		for i := range h.Nodes {
			h.Nodes[i] = NuttXNode{Size: uint64(8 + i%5*4), Free: i%8 == 7, Seqno: uint64(i), PID: int32(i % 9)}
		}
		b, _, err := h.Encode()
		if err != nil {
			tb.Fatal(err)
		}
		all[name] = &chainBench{Bytes{h.Addr, b}, findNuttX, func(m heap.RAM) (Pool, error) { return openNuttX(m, h.Addr, &l) }}
	}
	for name, l := range map[string]RTThread{
		"rtthread-small": {}, "rtthread-magic": {Kind: RTThreadMagic, MemTrace: true}, "rtthread-memheap": {Kind: RTThreadMemheap},
	} {
		h := &RTThreadHeap{Layout: l, Addr: 0x1000, Nodes: make([]RTThreadNode, n)}
		for i := range h.Nodes {
			h.Nodes[i] = RTThreadNode{Size: uint64(12 + i%5*4), Free: i%8 == 7, Thread: "main"}
		}
		b, _, err := h.Encode()
		if err != nil {
			tb.Fatal(err)
		}
		find := findRTThread
		if l.Kind == RTThreadMemheap {
			find = findRTThreadMemheap
		}
		all[name] = &chainBench{Bytes{h.Addr, b}, find, func(m heap.RAM) (Pool, error) { return openRTThread(m, h.Addr, &l) }}
	}
	return all
}

type chainBench struct {
	image Bytes
	find  func(heap.RAM, *Hints) ([]Pool, []string)
	open  func(heap.RAM) (Pool, error)
}

// BenchmarkChainWalk walks over a million nodes; ns/node is what counts.
func BenchmarkChainWalk(b *testing.B) {
	const n = 1_000_000
	for name, c := range chainLarge(b, n) {
		p, err := c.open(c.image)
		if err != nil {
			b.Fatal(err)
		}
		for _, check := range []bool{false, true} {
			mode := "walk"
			var report func(*heap.Finding)
			if check {
				mode, report = "check", func(f *heap.Finding) { b.Error(f) }
			}
			b.Run("layout="+name+"/"+mode, func(b *testing.B) {
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
	}
}

// BenchmarkChainFind looks for a pool in 1 GiB, most of it zeroes.
func BenchmarkChainFind(b *testing.B) {
	ram := Bytes{Data: make([]byte, 1<<30)}
	for name, c := range chainLarge(b, 10_000) {
		copy(ram.Data[c.image.Addr:], c.image.Data)
		b.Run("layout="+name, func(b *testing.B) {
			b.SetBytes(1 << 30)
			for b.Loop() {
				if pools, _ := c.find(ram, &Hints{}); len(pools) != 1 {
					b.Fatal(len(pools))
				}
			}
		})
		clear(ram.Data[c.image.Addr:][:len(c.image.Data)])
	}
}
