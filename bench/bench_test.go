// Package bench compares the pool, in each of its configurations, with the C
// library's malloc through cgo and with the Go heap, in one run:
//
//	go test -bench . -count 10 | tee bench.out
//	go tool -modfile=../tools/go.mod benchstat -col /alloc bench.out
//
// Every iteration is one allocation and one free, and touches the memory.
package bench

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/bench/peer"
)

// allocator is what is compared.
type allocator struct {
	name  string
	start func(b *testing.B) (alloc func(n int) unsafe.Pointer, free func(unsafe.Pointer))
}

func pool(cfg heapwright.Config) func(b *testing.B) (func(int) unsafe.Pointer, func(unsafe.Pointer)) {
	return func(b *testing.B) (func(int) unsafe.Pointer, func(unsafe.Pointer)) {
		p, err := heapwright.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { p.Close() })
		alloc := func(n int) unsafe.Pointer {
			q, err := p.Alloc(n)
			if err != nil {
				panic(err)
			}
			return q
		}
		return alloc, func(q unsafe.Pointer) {
			if err := p.Free(q); err != nil {
				panic(err)
			}
		}
	}
}

var allocators = []allocator{
	{"malloc", func(*testing.B) (func(int) unsafe.Pointer, func(unsafe.Pointer)) { return peer.Malloc, peer.Free }},
	{"make", func(*testing.B) (func(int) unsafe.Pointer, func(unsafe.Pointer)) {
		return func(n int) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(make([]byte, n))) }, func(unsafe.Pointer) {}
	}},
	{"off", pool(heapwright.Config{})},
	{"leak", pool(heapwright.Config{LeakCheck: true})},
	{"backup", pool(heapwright.Config{HeadBackup: true})},
	{"both", pool(heapwright.Config{LeakCheck: true, HeadBackup: true})},
}

func each(b *testing.B, f func(b *testing.B, alloc func(int) unsafe.Pointer, free func(unsafe.Pointer))) {
	for _, a := range allocators {
		b.Run("alloc="+a.name, func(b *testing.B) {
			alloc, free := a.start(b)
			f(b, alloc, free)
		})
	}
}

// BenchmarkPair allocates 64 bytes and frees them at once.
func BenchmarkPair(b *testing.B) {
	each(b, func(b *testing.B, alloc func(int) unsafe.Pointer, free func(unsafe.Pointer)) {
		for b.Loop() {
			q := alloc(64)
			*(*uint64)(q) = 1
			free(q)
		}
	})
}

// BenchmarkReplace frees a random one of many live nodes and allocates another
// of random size in its place.
func BenchmarkReplace(b *testing.B) {
	for _, c := range []struct{ live, least, most int }{
		{10_000, 16, 1024},
		{1_000_000, 16, 1024},
		{10_000, 16, 64 << 10},
	} {
		b.Run(fmt.Sprintf("live=%d/size=%d-%d", c.live, c.least, c.most), func(b *testing.B) {
			each(b, func(b *testing.B, alloc func(int) unsafe.Pointer, free func(unsafe.Pointer)) {
				r := rand.New(rand.NewPCG(1, 2))
				size := func() int { return c.least + r.IntN(c.most-c.least+1) }
				live := make([]unsafe.Pointer, c.live)
				for i := range live {
					live[i] = alloc(size())
				}
				b.ResetTimer()
				for range b.N {
					i := r.IntN(len(live))
					free(live[i])
					q := alloc(size())
					*(*uint64)(q) = 1
					live[i] = q
				}
				b.StopTimer()
				for _, q := range live {
					free(q)
				}
			})
		})
	}
}

// BenchmarkTwoGoroutines is BenchmarkPair on two goroutines over one pool.
func BenchmarkTwoGoroutines(b *testing.B) {
	each(b, func(b *testing.B, alloc func(int) unsafe.Pointer, free func(unsafe.Pointer)) {
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range b.N / 2 {
					q := alloc(64)
					*(*uint64)(q) = 1
					free(q)
				}
			})
		}
		wg.Wait()
	})
}
