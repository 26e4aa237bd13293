package layout

import (
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// FuzzLiteOS walks whatever lies there: as given, and as far as it is taken for
// a pool. The walk must end, in order, within the pool.
func FuzzLiteOS(f *testing.F) {
	seed := func(l LiteOS) {
		h := LiteOSHeap{Layout: l, Addr: 0x8000, Nodes: []LiteOSNode{{Size: 40, Task: 3}, {Size: 12, Free: true}, {Size: 100, Gap: 28}, {Size: 8, Free: true}}}
		b, _, err := h.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint8(0))
		for _, at := range []int{len(b) / 2, len(b) / 3, 0, len(b) - 40} {
			bad := append([]byte(nil), b...)
			for i := range 20 {
				bad[at+i] = 0xff
			}
			f.Add(bad, uint8(17))
		}
		f.Add(b[:len(b)-30], uint8(3))
	}
	seed(LiteOS{})
	seed(LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, TaskStat: true, Tasks: 2, MulPool: true})
	seed(LiteOS{Bits64: true, LeakCheck: true, LRs: 2, HeadBackup: true, RecordInfo: true})
	real := dump(f, "both-overflow-header", 0x8000)
	f.Add(real.Data[:8192], uint8(29))
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		m := Bytes{Addr: 0x8000, Data: b}
		all := append(nodeLayouts(LiteOS{}), nodeLayouts(LiteOS{Bits64: true})...)
		l := all[int(which)%len(all)]
		found, _ := pools(m, Hints{})
		if p := openAs(m, m.Addr, l); p != nil {
			found = append(found, p)
		}
		for _, p := range found {
			at := p.Addr
			s := p.Walk(func(n *heap.Node) bool {
				if n.Addr < at || n.Total == 0 || uint64(n.Addr-p.Addr)+n.Total > p.Size {
					t.Fatalf("node %s of %d bytes behind %s", n.Addr, n.Total, at)
				}
				at = n.Addr + heap.Addr(n.Total)
				return true
			}, func(f *heap.Finding) { _ = f.Summary() })
			for i, g := range s.Gaps {
				if g.End <= g.Start || i > 0 && g.Start < s.Gaps[i-1].End {
					t.Fatalf("gaps %v", s.Gaps)
				}
			}
		}
	})
}
