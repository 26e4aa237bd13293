package layout

import (
	"slices"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// FuzzTLSF walks whatever lies there: as given, and as far as it is taken for a
// pool. The walk must end, in order, within the pool.
func FuzzTLSF(f *testing.F) {
	all := tlsfLayouts()
	for i := 0; i < len(all); i += 37 {
		b, _, err := tlsfSmallHeap(all[i]).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint16(i))
		for _, at := range []int{len(b) - 300, len(b) - 40, 12, 100} {
			bad := slices.Clone(b)
			for k := range 20 {
				bad[at+k] = 0xff
			}
			f.Add(bad, uint16(i))
		}
		f.Add(b[:len(b)-30], uint16(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint16) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		m := Bytes{Addr: 0x20000000, Data: b}
		l := all[int(which)%len(all)]
		var pools []Pool
		for _, a := range []bool{false, true} {
			found, _ := findTLSF(m, &Hints{}, a)
			pools = append(pools, found...)
		}
		if p, err := openTLSF(m, m.Addr, &l, l.A); err == nil {
			pools = append(pools, p)
		}
		for _, p := range pools {
			checkWalk(t, p)
		}
	})
}

// checkWalk walks a pool of anything and checks what holds for every walk.
func checkWalk(t *testing.T, p Pool) {
	span := p.About().Span
	at := span.Start
	s := p.Walk(func(n *heap.Node) bool {
		if n.Addr < at || n.Total == 0 || n.Addr+heap.Addr(n.Total) > span.End || n.Addr+heap.Addr(n.Total) < n.Addr {
			t.Fatalf("node %s of %d bytes behind %s", n.Addr, n.Total, at)
		}
		at = n.Addr + heap.Addr(n.Total)
		for _, f := range p.Fields(n) {
			if f.Len() == 0 || f.Start < n.Addr {
				t.Fatalf("node %s: %+v", n.Addr, f)
			}
		}
		return true
	}, func(f *heap.Finding) { _ = f.Summary() })
	for i, g := range s.Gaps {
		if g.End <= g.Start || i > 0 && g.Start < s.Gaps[i-1].End {
			t.Fatalf("gaps %v", s.Gaps)
		}
	}
}
