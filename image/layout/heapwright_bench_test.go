package layout

import (
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

// BenchmarkOwn finds and walks a pool with a million nodes, one in eight of them
// free; ns/node is what counts.
func BenchmarkOwn(b *testing.B) {
	const n = 1_000_000
	for _, c := range []struct {
		name string
		cfg  heapwright.Config
	}{
		{"plain", heapwright.Config{}},
		{"leak", heapwright.Config{LeakCheck: true}},
		{"both", ownBoth},
	} {
		b.Run("layout="+c.name, func(b *testing.B) {
			o := newOwn(b, c.cfg, n*(64+32))
			nodes := make([]unsafe.Pointer, n)
			for i := range nodes {
				q, err := o.Alloc(8 + i%5*4)
				if err != nil {
					b.Fatal(err)
				}
				nodes[i] = q
			}
			for i := 0; i < n; i += 8 {
				o.Free(nodes[i])
			}
			m := Bytes{o.Addr(), o.region}
			per := func(b *testing.B) {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/node")
			}
			b.Run("find", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					findOwn(b, m, Hints{})
				}
				per(b)
			})
			p := findOwn(b, m, Hints{})
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
						if count < n || s.Findings != 0 || s.Partial != "" {
							b.Fatal(count, s)
						}
					}
					per(b)
				})
			}
		})
	}
}

// BenchmarkFindOwn looks for pools where there are none, in 1 GiB of zeroes.
func BenchmarkFindOwn(b *testing.B) {
	m := Bytes{Data: make([]byte, 1<<30)}
	b.SetBytes(1 << 30)
	for b.Loop() {
		if _, _, err := Find(m, Hints{System: "heapwright"}); err == nil {
			b.Fatal("found")
		}
	}
}
