package heapwright_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
)

// Every benchmark allocates and frees once per iteration and touches the
// memory, in each configuration. bench/ has the same against other allocators.

var configs = []struct {
	name string
	cfg  heapwright.Config
}{
	{"debug=off", heapwright.Config{}},
	{"debug=leak", heapwright.Config{LeakCheck: true}},
	{"debug=backup", heapwright.Config{HeadBackup: true}},
	{"debug=both", heapwright.Config{LeakCheck: true, HeadBackup: true}},
}

func eachConfig(b *testing.B, f func(b *testing.B, p *heapwright.Pool)) {
	for _, c := range configs {
		b.Run(c.name, func(b *testing.B) {
			p, err := heapwright.New(c.cfg)
			if err != nil {
				b.Fatal(err)
			}
			f(b, p)
			b.StopTimer()
			p.Close()
		})
	}
}

func BenchmarkPair(b *testing.B) {
	eachConfig(b, func(b *testing.B, p *heapwright.Pool) {
		for b.Loop() {
			q, err := p.Alloc(64)
			if err != nil {
				b.Fatal(err)
			}
			*(*uint64)(q) = 1
			if err := p.Free(q); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// replace frees a random one of live nodes and allocates another.
func replace(b *testing.B, p *heapwright.Pool, live, least, most int) {
	r := rand.New(rand.NewPCG(1, 2))
	nodes := make([]unsafe.Pointer, live)
	size := func() int { return least + r.IntN(most-least+1) }
	for i := range nodes {
		q, err := p.Alloc(size())
		if err != nil {
			b.Fatal(err)
		}
		nodes[i] = q
	}
	b.ResetTimer()
	for range b.N {
		i := r.IntN(live)
		if err := p.Free(nodes[i]); err != nil {
			b.Fatal(err)
		}
		q, err := p.Alloc(size())
		if err != nil {
			b.Fatal(err)
		}
		*(*uint64)(q) = 1
		nodes[i] = q
	}
}

func BenchmarkReplace(b *testing.B) {
	for _, n := range []struct {
		name              string
		live, least, most int
	}{
		{"live=10k/size=16-1024", 10_000, 16, 1024},
		{"live=1M/size=16-1024", 1_000_000, 16, 1024},
		{"live=10k/size=16-64k", 10_000, 16, 64 << 10},
	} {
		b.Run(n.name, func(b *testing.B) {
			eachConfig(b, func(b *testing.B, p *heapwright.Pool) {
				replace(b, p, n.live, n.least, n.most)
			})
		})
	}
}

func BenchmarkTwoGoroutines(b *testing.B) {
	eachConfig(b, func(b *testing.B, p *heapwright.Pool) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range b.N / 2 {
					q, err := p.Alloc(64)
					if err != nil {
						b.Error(err)
						return
					}
					*(*uint64)(q) = 1
					p.Free(q)
				}
			})
		}
		wg.Wait()
	})
}
