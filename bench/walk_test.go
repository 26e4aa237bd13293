package bench

import (
	"testing"

	"github.com/heapwright/heapwright"
)

// BenchmarkWalk looks at every one of a million used nodes: what Snapshot and
// Check hold the lock for. The metric is per node.
func BenchmarkWalk(b *testing.B) {
	const nodes = 1_000_000
	p, err := heapwright.New(heapwright.Config{LeakCheck: true, HeadBackup: true})
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for range nodes {
		if _, err := p.Alloc(64); err != nil {
			b.Fatal(err)
		}
	}
	for name, f := range map[string]func() error{
		"op=snapshot": func() error { _, err := p.Snapshot(); return err },
		"op=check":    func() error { _, err := p.Check(nil); return err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/nodes, "ns/node")
		})
	}
}
