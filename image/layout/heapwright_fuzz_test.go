package layout

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

// FuzzOwn looks for pools in whatever lies there and walks them: the walk must
// end, in order, within the pool, and write nothing.
func FuzzOwn(f *testing.F) {
	for _, cfg := range []heapwright.Config{{}, {LeakCheck: true, RecordLR: 5}, {HeadBackup: true}, ownBoth} {
		o := newOwn(f, cfg, 8<<10)
		o.churn(rand.New(rand.NewPCG(1, 2)), 60, 300)
		b := bytes.Clone(o.region)
		f.Add(b, uint16(0), uint16(0))
		f.Add(b, uint16(0), uint16(24))
		f.Add(b[:len(b)*2/3], uint16(256), uint16(80))
		for _, at := range []int{8, 60, len(b) / 2, len(b) - 40} {
			bad := bytes.Clone(b)
			for i := range 20 {
				bad[at+i] = 0xff
			}
			f.Add(bad, uint16(at), uint16(3))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, at, n uint16) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		for i := int(at); i < min(int(at)+int(n), len(b)); i++ {
			b[i] ^= 0x41
		}
		m := Bytes{Addr: 0x8000, Data: b}
		image := bytes.Clone(b)
		pools, _, _ := Find(m, Hints{System: "heapwright"})
		if p, _, err := Find(m, Hints{System: "heapwright", At: m.Addr}); err == nil {
			pools = append(pools, p...)
		}
		for _, p := range pools {
			span := p.About().Span
			at := span.Start
			s := p.Walk(func(n *heap.Node) bool {
				if n.Addr < at || n.Total == 0 || uint64(n.Addr-span.Start)+n.Total > span.Len() {
					t.Fatalf("node %s of %d bytes behind %s", n.Addr, n.Total, at)
				}
				p.Fields(n)
				at = n.Addr + heap.Addr(n.Total)
				return true
			}, func(f *heap.Finding) { _ = f.Summary() })
			for i, g := range s.Gaps {
				if g.End <= g.Start || i > 0 && g.Start < s.Gaps[i-1].End {
					t.Fatalf("gaps %v", s.Gaps)
				}
			}
		}
		if !bytes.Equal(image, b) {
			t.Fatal("the image was written to")
		}
	})
}
