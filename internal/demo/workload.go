package demo

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"time"
)

const (
	entries = 500  // the cache has at most
	keys    = 1500 // in use
	rate    = 8000 // operations a second, when it runs by the clock
)

// workload uses a cache as a server would: it reads most of the time, writes
// values of changing sizes, and deletes now and then. The same seed does the
// same.
type workload struct {
	cache *Cache
	rng   *rand.Rand
	ops   int // done
}

func newWorkload(c *Cache, seed uint64) *workload {
	return &workload{cache: c, rng: rand.New(rand.NewPCG(seed, 0))}
}

// step does one operation.
func (w *workload) step() error {
	w.ops++
	key := fmt.Sprintf("session:%06d", w.rng.IntN(keys))
	switch dice := w.rng.IntN(100); {
	case dice < 60:
		w.cache.Get(key)
		return nil
	case dice < 96:
		value := make([]byte, 40+8*w.rng.IntN(8))
		for i := range value {
			value[i] = 'a' + byte(i%26)
		}
		return w.cache.Set(key, value)
	default:
		return w.cache.Delete(key)
	}
}

// A span is how long a workload goes on: a number of operations or, if that is
// 0, a time.
type span struct {
	ops  int
	time time.Duration
}

// run goes on for a span, or until ctx is done, which is no error.
func (w *workload) run(ctx context.Context, s span, tick func()) error {
	if s.time == 0 {
		for range s.ops {
			if w.ops%1024 == 0 && ctx.Err() != nil {
				return nil
			}
			if err := w.step(); err != nil {
				return err
			}
		}
		return nil
	}
	start, from := time.Now(), w.ops
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		passed := min(time.Since(start), s.time)
		for w.ops-from < int(passed.Seconds()*rate) {
			if err := w.step(); err != nil {
				return err
			}
		}
		if passed == s.time {
			return nil
		}
		tick()
	}
}

// progress rewrites one line of a terminal, four times a second.
type progress struct {
	w    io.Writer // nil: nobody watches
	last time.Time
	any  bool
}

func (p *progress) show(format string, args ...any) {
	if p.w == nil || time.Since(p.last) < 250*time.Millisecond {
		return
	}
	p.last, p.any = time.Now(), true
	fmt.Fprintf(p.w, "\r\x1b[K"+format, args...)
}

func (p *progress) clear() {
	if p.any {
		io.WriteString(p.w, "\r\x1b[K")
		p.any = false
	}
}
