package layout

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// hostile returns images of n bytes that were made to waste time.
func hostile(n int) map[string]Bytes {
	fill := func(word func(at uint32) uint32) Bytes {
		m := Bytes{Addr: 0x10000, Data: make([]byte, n)}
		for i := 0; i+4 <= n; i += 4 {
			binary.LittleEndian.PutUint32(m.Data[i:], word(uint32(m.Addr)+uint32(i)))
		}
		return m
	}
	within := func(m Bytes, l LiteOS) Bytes { // the head and the end of a pool around it
		o := l.Offsets()
		putWord(m.Data, o.Word, uint64(m.Addr))
		binary.LittleEndian.PutUint32(m.Data[o.PoolSize:], uint32(n))
		e := encoder{LiteOSHeap: &LiteOSHeap{Layout: l, Addr: m.Addr}, o: o, b: m.Data, end: m.Addr + heap.Addr(n-o.Head)}
		for i := range freeLists {
			at := m.Addr + heap.Addr(o.Lists+2*o.Word*i)
			e.put(at, o.Word, uint64(at))
			e.put(at+heap.Addr(o.Word), o.Word, uint64(at))
		}
		e.header(e.end, m.Addr+heap.Addr(o.FirstNode), uint64(o.Head), &LiteOSNode{})
		return m
	}
	self := func(at uint32) uint32 { return at }
	magic := func(at uint32) uint32 { return ^at }
	ff := func(uint32) uint32 { return 0xffffffff }
	short := func(uint32) uint32 { return 32 }
	size := func(at uint32) uint32 { // sizes that lead to the end of the pool
		if at%8 == 0 {
			return ^at
		}
		return uint32(0x10000+n) - at
	}
	prev := func(at uint32) uint32 {
		switch at % 16 {
		case 0:
			return ^at
		case 8:
			return at - 24
		case 12:
			return usedBit | 16
		}
		return at - 16
	}
	plain, both := LiteOS{}, LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}
	return map[string]Bytes{
		"0xFF":                     fill(ff),
		"own address":              fill(self),
		"own magic":                fill(magic),
		"small numbers":            fill(short),
		"pool of 0xFF":             within(fill(ff), both),
		"pool of own addresses":    within(fill(self), plain),
		"pool of own magics":       within(fill(magic), plain),
		"backups of own magics":    within(fill(magic), both),
		"pool of small numbers":    within(fill(short), plain),
		"backups of small numbers": within(fill(short), both),
		"pool of sizes":            within(fill(size), plain),
		"pool of nodes":            within(fill(prev), plain),
		"backups of addresses":     within(fill(self), both),
	}
}

// TestHostile: whatever lies in memory, the search and the walk end.
func TestHostile(t *testing.T) {
	for name, m := range hostile(1 << 18) {
		found, _, _ := Find(m, Hints{System: "liteos"})
		for _, p := range found {
			s := p.Walk(func(*heap.Node) bool { return true }, func(*heap.Finding) {})
			t.Logf("%s: %s, %d findings, %v", name, p.About().Layout, s.Findings, s.Partial)
		}
	}
}

// BenchmarkHostile is the time for 16 MiB that were made to waste it.
func BenchmarkHostile(b *testing.B) {
	const n = 16 << 20
	for name, m := range hostile(n) {
		b.Run("image="+name, func(b *testing.B) {
			b.SetBytes(n)
			for b.Loop() {
				found, _, _ := Find(m, Hints{System: "liteos"})
				for _, p := range found {
					p.Walk(func(*heap.Node) bool { return true }, func(*heap.Finding) {})
				}
			}
		})
	}
}

// BenchmarkManyFaults walks over a pool of 64 MiB, small nodes, most of them hit.
func BenchmarkManyFaults(b *testing.B) {
	for _, l := range []LiteOS{{LeakCheck: true, LRs: 3}, {LeakCheck: true, LRs: 3, HeadBackup: true}} {
		o := l.Offsets()
		clean, h := large(b, l, (64<<20)/(o.Head+16))
		_, starts, err := h.Encode()
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range []struct {
			name       string
			every, off int
			n          int
			with       byte
		}{
			{"every second head 0xFF", 2, 0, o.Head, 0xff},
			{"every head 0xFF", 1, 0, o.Head, 0xff},
			{"every head zero", 1, 0, o.Head, 0},
			{"every own header", 1, o.Own, o.Ctl, 0xff},
			{"every size", 1, o.Own + o.Size, 4, 0xff},
			{"every size zero", 1, o.Own + o.Size, 4, 0},
			{"every previous node", 1, o.Own + o.Prev, 4, 0x41},
			{"every magic", 1, o.Own, 4, 0x41},
			{"every hundredth head 0xFF", 100, 0, o.Head, 0xff},
			{"every thousandth size", 1000, o.Own + o.Size, 4, 0xff},
		} {
			b.Run("layout="+itemOf(l)+"/fault="+d.name, func(b *testing.B) {
				m := Bytes{clean.Addr, slices.Clone(clean.Data)}
				for i := 1; i < len(starts); i += d.every {
					for k := range d.n {
						m.Data[int(starts[i]-m.Addr)+d.off+k] = d.with
					}
				}
				p := openAs(m, m.Addr, l)
				b.SetBytes(int64(len(m.Data)))
				var s Survey
				for b.Loop() {
					s = p.Walk(func(*heap.Node) bool { return true }, func(*heap.Finding) {})
				}
				b.ReportMetric(float64(s.Findings), "findings")
				b.ReportMetric(float64(len(h.Nodes)-int(s.Stats.UsedNodes+s.Stats.FreeNodes)), "lost")
			})
		}
	}
}

func itemOf(l LiteOS) string {
	if l.HeadBackup {
		return "both"
	}
	return "leak"
}
