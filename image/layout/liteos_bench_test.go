package layout

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
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

// BenchmarkFind finds a pool in the middle of 1 GiB and walks over it. The other
// memory is zeroes, or random, or words of a program: small numbers, addresses,
// and empty lists, which point to themselves as a pool does.
func BenchmarkFind(b *testing.B) {
	const size = 1 << 30
	both := LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}
	pool, h := large(b, both, 1_000_000)
	for _, d := range []struct {
		rest string
		word func(i int) uint32
	}{
		{"zeroes", nil},
		{"random", func(int) uint32 { return rand.Uint32() }},
		{"program", func(i int) uint32 {
			switch at := uint32(0x10000 + i); i >> 2 & 63 {
			case 0, 1, 2, 3:
				return at &^ 7
			case 4, 5, 6, 7:
				return at*2654435761>>4&^3 + 0x10000
			}
			return uint32(i) * 2654435761 >> 26
		}},
	} {
		b.Run("rest="+d.rest, func(b *testing.B) {
			m := Bytes{Addr: 0x10000, Data: make([]byte, size)}
			for i := 0; d.word != nil && i < size; i += 4 {
				binary.LittleEndian.PutUint32(m.Data[i:], d.word(i))
			}
			moved := *h
			moved.Addr = m.Addr + size/2
			at, _, err := moved.Encode()
			if err != nil || len(at) != len(pool.Data) {
				b.Fatal(err)
			}
			copy(m.Data[size/2:], at)
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				found, _, err := Find(m, Hints{})
				if err != nil || len(found) != 1 {
					b.Fatal(len(found), err)
				}
				s := found[0].Walk(func(*heap.Node) bool { return true }, func(f *heap.Finding) { b.Error(f) })
				if n := s.Stats.UsedNodes + s.Stats.FreeNodes; n != uint64(len(h.Nodes)) {
					b.Fatal(n)
				}
			}
		})
	}
}
