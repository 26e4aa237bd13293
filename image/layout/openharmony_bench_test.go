package layout

import (
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// tlsfLarge returns a pool with n nodes, one in eight of them free.
func tlsfLarge(b testing.TB, l TLSF, n int) (Bytes, *TLSFHeap) {
	h := &TLSFHeap{Layout: l, Addr: 0x1000}
	stack := make(heap.Stack, l.LRs)
	for i := range stack {
		stack[i] = 0x20000 + heap.Addr(i)*64
	}
	h.Nodes = make([]TLSFNode, n)
	for i := range h.Nodes {
		h.Nodes[i] = TLSFNode{Size: uint64(16 + i%5*4), Stack: stack, Free: i%8 == 7}
	}
	pool, _, err := h.Encode()
	if err != nil {
		b.Fatal(err)
	}
	return Bytes{h.Addr, pool}, h
}

// BenchmarkTLSFWalk walks over 10 million nodes; ns/node is what counts.
func BenchmarkTLSFWalk(b *testing.B) {
	const n = 10_000_000
	for _, d := range []struct {
		name string
		l    TLSF
	}{
		{"m", TLSF{}},
		{"m-leak", TLSF{LeakCheck: true, LRs: 3, Waterline: true}},
		{"a-leak", TLSF{A: true, Integrity: true, LeakCheck: true, LRs: 3, Waterline: true}},
	} {
		b.Run("layout="+d.name, func(b *testing.B) {
			count := n
			if d.l.LRs > 0 {
				count /= 2 // a node can have 2^29 bytes, and a pool no more
			}
			m, h := tlsfLarge(b, d.l, count)
			p, err := openTLSF(m, h.Addr, &d.l, d.l.A)
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
						seen := 0
						s := p.Walk(func(*heap.Node) bool { seen++; return true }, report)
						if seen != count || s.Findings != 0 {
							b.Fatal(seen, s)
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(count), "ns/node")
				})
			}
		})
	}
}

// BenchmarkTLSFFind looks for a pool in 1 GiB, most of it zeroes.
func BenchmarkTLSFFind(b *testing.B) {
	m, _ := tlsfLarge(b, TLSF{Waterline: true}, 10_000)
	ram := Bytes{Data: make([]byte, 1<<30)}
	copy(ram.Data[m.Addr:], m.Data)
	b.SetBytes(1 << 30)
	for b.Loop() {
		if found, _ := findLiteOSM(ram, &Hints{}); len(found) != 1 {
			b.Fatal("not found")
		}
	}
}

// BenchmarkTLSFHostile checks pools of 64 MiB of which nothing but the head
// makes sense.
func BenchmarkTLSFHostile(b *testing.B) {
	for name, fill := range tlsfHostile {
		b.Run("fill="+name, func(b *testing.B) {
			p := tlsfHostilePool(b, 64<<20, fill)
			for b.Loop() {
				p.Walk(func(*heap.Node) bool { return true }, func(*heap.Finding) {})
			}
		})
	}
}

// tlsfHostile fills a pool's memory, words at their addresses.
var tlsfHostile = map[string]func(at uint32) uint32{
	"0xff":        func(uint32) uint32 { return 0xffffffff },
	"zeroes":      func(uint32) uint32 { return 0 },
	"itself":      func(at uint32) uint32 { return at },
	"one behind":  func(at uint32) uint32 { return at - 8 },
	"sizes":       func(at uint32) uint32 { return []uint32{at - 8, 8 | tlsfUsed<<24}[at>>2&1] },
	"free":        func(at uint32) uint32 { return []uint32{at - 16, 16, at - 24, at + 8}[at>>2&3] },
	"to the end":  func(at uint32) uint32 { return []uint32{at - 64, (64<<20+0x1000-at-4)&^7 | tlsfUsed<<24}[at>>2&1] },
	"magics":      func(at uint32) uint32 { return []uint32{tlsfMagic, at - 4, 12 | tlsfUsed<<24}[at/4%3] },
	"broken rows": func(at uint32) uint32 { return []uint32{at - 8 - at>>6&1<<2, 8 | tlsfUsed<<24}[at>>2&1] },
}

// tlsfHostilePool returns a pool of n bytes with what fill gives behind the
// head.
func tlsfHostilePool(t testing.TB, n int, fill func(uint32) uint32) *TLSFPool {
	l := TLSF{Waterline: true, Integrity: false}
	h := TLSFHeap{Layout: l, Addr: 0x1000, Nodes: []TLSFNode{{Size: 100}}}
	pool, _, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	o := l.Offsets()
	b := make([]byte, n)
	copy(b, pool[:o.FirstNode])
	for i := o.FirstNode; i+4 <= n; i += 4 {
		putWord(b[i:], 4, uint64(fill(uint32(h.Addr)+uint32(i))))
	}
	putWord(b[o.PoolSize:], 4, uint64(n))
	p, err := openTLSF(Bytes{h.Addr, b}, h.Addr, &l, false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTLSFHostile: such pools are walked to their end, in order.
func TestTLSFHostile(t *testing.T) {
	for name, fill := range tlsfHostile {
		t.Run(name, func(t *testing.T) { checkWalk(t, tlsfHostilePool(t, 1<<20, fill)) })
	}
}
