package heapwright

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// TickHz is the rate of the ticks in Node.Birth and Snapshot.Tick: 100 a
// second, as on LiteOS. A birth tick has 32 bits, so that the age of a node in
// a pool older than 497 days is not exact any more: ticks stop there.
const TickHz = 100

// Reading the time costs several times what the rest of an allocation does. So
// while any pool with LeakCheck is open, one goroutine keeps the current tick
// where allocations can load it.
var clock struct {
	now  atomic.Uint64
	mu   sync.Mutex
	uses int
	stop chan struct{}
}

var clockEpoch = time.Now()

func realTicks() uint64 { return uint64(time.Since(clockEpoch) / (time.Second / TickHz)) }

// clockTicks returns the ticks since the program started. It is exact only
// while the clock runs.
func clockTicks() uint64 { return clock.now.Load() }

func startClock() {
	clock.mu.Lock()
	defer clock.mu.Unlock()
	if clock.uses++; clock.uses > 1 {
		return
	}
	clock.now.Store(realTicks())
	stop := make(chan struct{})
	clock.stop = stop
	go func() {
		t := time.NewTicker(time.Second / TickHz)
		defer t.Stop()
		for {
			select {
			case <-t.C:
				clock.now.Store(realTicks())
			case <-stop:
				return
			}
		}
	}()
}

func stopClock() {
	clock.mu.Lock()
	defer clock.mu.Unlock()
	if clock.uses--; clock.uses == 0 {
		close(clock.stop)
	}
}

// tick is the current tick of the pool, counted from 1 at its creation so that
// 0 means unknown.
func (p *Pool) tick() uint32 {
	return uint32(min(clockTicks()-p.birth+1, math.MaxUint32))
}
