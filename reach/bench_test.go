package reach

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"github.com/heapwright/heapwright/heap"
)

const (
	benchBase = heap.Addr(0x20000000)
	benchHead = 16
)

// benchHeap is a heap as devices have it: nodes of 32 to 208 bytes in steps of
// 16, with heads of 16 bytes, all used; a share of their words points to the
// start of some node's payload, the others are numbers below the heap. The 64
// KiB of globals in front hold pointers in one word of fifty.
type benchHeap struct {
	globals, data []byte
	nodes         []heap.Span
}

func newBenchHeap(size int, pointers float64) *benchHeap {
	r := rand.New(rand.NewPCG(1, 2))
	h := &benchHeap{data: make([]byte, size), globals: make([]byte, 64<<10)}
	for at := 0; at+1024 < size; {
		n := 32 + 16*r.IntN(12)
		h.nodes = append(h.nodes, heap.Span{Start: benchBase + heap.Addr(at), End: benchBase + heap.Addr(at+n)})
		at += n
	}
	h.fill(r, h.globals, 0.02)
	h.fill(r, h.data, pointers)
	return h
}

func (h *benchHeap) fill(r *rand.Rand, b []byte, pointers float64) {
	for i := 0; i+4 <= len(b); i += 4 {
		v := r.Uint32() & 0x0fffffff
		if r.Float64() < pointers {
			v = uint32(h.nodes[r.IntN(len(h.nodes))].Start) + benchHead
		}
		binary.LittleEndian.PutUint32(b[i:], v)
	}
}

func (h *benchHeap) memory() heap.RAM {
	return pieces{{Addr: 0x10000000, Bytes: h.globals}, {Addr: benchBase, Bytes: h.data}}
}

func (h *benchHeap) root() Root {
	return Root{Name: ".bss", Span: heap.Span{Start: 0x10000000, End: 0x10000000 + heap.Addr(len(h.globals))}}
}

func (h *benchHeap) pool() Pool {
	return Pool{Span: heap.Span{Start: benchBase, End: benchBase + heap.Addr(len(h.data))}, Walk: func(visit func(*heap.Node) bool) {
		var n heap.Node
		for _, s := range h.nodes {
			n.Addr, n.Payload, n.Total, n.State = s.Start, s.Start+benchHead, s.Len(), heap.Used
			if !visit(&n) {
				return
			}
		}
	}}
}

// naive does what one writes first: a sorted array, a binary search for each
// word, a stack. It tells reachable nodes only.
func (h *benchHeap) naive() (reached int) {
	var starts, ends []heap.Addr
	h.pool().Walk(func(n *heap.Node) bool {
		starts, ends = append(starts, n.Addr), append(ends, n.Addr+heap.Addr(n.Total))
		return true
	})
	mark := make([]bool, len(starts))
	var stack []int
	scan := func(b []byte) {
		for ; len(b) >= 4; b = b[4:] {
			v := heap.Addr(binary.LittleEndian.Uint32(b))
			if v < starts[0] || v >= ends[len(ends)-1] {
				continue
			}
			k := sort.Search(len(starts), func(i int) bool { return starts[i] > v }) - 1
			if v < ends[k] && !mark[k] {
				mark[k] = true
				reached++
				stack = append(stack, k)
			}
		}
	}
	scan(h.globals)
	for len(stack) > 0 {
		k := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		scan(h.data[starts[k]+benchHead-benchBase : ends[k]-benchBase])
	}
	return reached
}

// BenchmarkAnalyse searches whole heaps, the walk and the index included. It
// gives processor time, which with GOMAXPROCS=1 is that of one core.
// x/reach is how many times longer a method takes than method=reach on the same
// heap. In method=reach-two-pools the second pool lies far away, so that much of
// what is between them looks like pointers.
func BenchmarkAnalyse(b *testing.B) {
	for _, mib := range []int{1, 64, 256, 1024} {
		if mib > 64 && testing.Short() {
			continue
		}
		var h *benchHeap
		var ours time.Duration
		bench := func(method string, fn func() int) {
			b.Run(fmt.Sprintf("heap=%dMiB/method=%s", mib, method), func(b *testing.B) {
				if h == nil {
					h = newBenchHeap(mib<<20, 0.08)
				}
				b.SetBytes(int64(mib) << 20)
				reached := 0
				began := cpuTime()
				for b.Loop() {
					reached = fn()
				}
				each := (cpuTime() - began) / time.Duration(b.N)
				if ours == 0 {
					ours = each
				}
				b.ReportMetric(float64(each)/1e6, "cpu-ms/op")
				b.ReportMetric(float64(each)/float64(max(ours, 1)), "x/reach")
				b.ReportMetric(float64(each)/float64(len(h.nodes)), "cpu-ns/node")
				b.ReportMetric(float64(reached), "reached")
			})
		}
		analyse := func(o Options, more ...Pool) int {
			r, err := Analyse(b.Context(), h.memory(), append(more, h.pool()), []Root{h.root()}, o)
			if err != nil {
				b.Fatal(err)
			}
			return int(r.Reachable.Nodes)
		}
		far := Pool{Span: heap.Span{Start: 0x1000, End: 0x2000}, Walk: func(func(*heap.Node) bool) {}}
		bench("reach", func() int { return analyse(Options{PointerSize: 4}) })
		bench("naive", func() int { return h.naive() })
		bench("reach-unaligned", func() int { return analyse(Options{PointerSize: 4, Unaligned: true}) })
		bench("reach-two-pools", func() int { return analyse(Options{PointerSize: 4}, far) })
	}
}

// BenchmarkLost searches a heap of which nearly nothing is referenced: all of
// it is scanned twice, to tell heads from what is lost through them.
func BenchmarkLost(b *testing.B) {
	for _, pointers := range []float64{0, 0.01, 0.08} {
		b.Run(fmt.Sprintf("heap=64MiB/pointers=%v", pointers), func(b *testing.B) {
			h := newBenchHeap(64<<20, pointers)
			clear(h.globals)
			r := Root{Name: "r0", Value: h.nodes[0].Start}
			var n Count
			b.SetBytes(64 << 20)
			began := cpuTime()
			for b.Loop() {
				res, err := Analyse(b.Context(), h.memory(), []Pool{h.pool()}, []Root{r, h.root()}, Options{PointerSize: 4})
				if err != nil {
					b.Fatal(err)
				}
				n = res.Lost()
			}
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N)/1e6, "cpu-ms/op")
			b.ReportMetric(float64(n.Nodes), "lost")
		})
	}
}

// BenchmarkPointersTo looks for all words that point to one node.
func BenchmarkPointersTo(b *testing.B) {
	h := newBenchHeap(64<<20, 0.08)
	r, err := Analyse(b.Context(), h.memory(), []Pool{h.pool()}, []Root{h.root()}, Options{PointerSize: 4})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(64 << 20)
	n := 0
	for i := 0; b.Loop(); i++ {
		found, _, err := r.PointersTo(b.Context(), h.nodes[i%len(h.nodes)].Start, 1<<20)
		if err != nil {
			b.Fatal(err)
		}
		n += len(found)
	}
	b.ReportMetric(float64(n)/float64(b.N), "found")
}
