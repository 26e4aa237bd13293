package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/symbol"
)

func newDemo(t *testing.T, cfg Config) (*Demo, *strings.Builder) {
	t.Helper()
	var out strings.Builder
	if cfg.Out == nil {
		cfg.Out = &out
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d, &out
}

func snapshot(t *testing.T, d *Demo) *heap.Snapshot {
	t.Helper()
	s, err := d.pool.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fill works until the cache has been full for a while.
func fill(t *testing.T, d *Demo) {
	t.Helper()
	if err := d.work.run(context.Background(), span{ops: 10000}, nil); err != nil {
		t.Fatal(err)
	}
	if d.cache.Len() < entries*9/10 {
		t.Fatalf("%d entries, want about %d", d.cache.Len(), entries)
	}
}

func TestLeakIsOnTop(t *testing.T) {
	for seed := range uint64(5) {
		d, _ := newDemo(t, Config{Ops: 1, Seed: seed, Bugs: Bugs{Leak: true}})
		fill(t, d)
		before := snapshot(t, d)
		if err := d.work.run(context.Background(), span{ops: 10000}, nil); err != nil {
			t.Fatal(err)
		}
		now := snapshot(t, d)
		v := judge(before, now)
		if !v.grew || !strings.HasSuffix(v.frame.Function, ".(*Cache).replaceValue") {
			t.Errorf("seed %d: the verdict is %+v", seed, v)
		}
		// All that grew is what the cache does not hold any more.
		if lost := len(now.Nodes) - 2*d.cache.Len(); v.growth > lost || v.growth < lost/4 {
			t.Errorf("seed %d: %d nodes more, %d lost altogether", seed, v.growth, lost)
		}
		diff := leak.Compare(leak.Listing{before}, leak.Listing{now}, symbol.Process)
		if f := diff.Changes[0].Frames[0]; !strings.HasSuffix(f.File, "cache.go") || f.Line == 0 {
			t.Errorf("seed %d: the top frame is %v", seed, f)
		}
	}
}

func TestNoLeakNoVerdict(t *testing.T) {
	for seed := range uint64(5) {
		d, _ := newDemo(t, Config{Ops: 1, Seed: seed})
		fill(t, d)
		before := snapshot(t, d)
		if err := d.work.run(context.Background(), span{ops: 10000}, nil); err != nil {
			t.Fatal(err)
		}
		now := snapshot(t, d)
		if v := judge(before, now); v.grew {
			t.Errorf("seed %d: the verdict is %+v", seed, v)
		}
		if n := len(now.Nodes); n != 2*d.cache.Len() {
			t.Errorf("seed %d: %d nodes, %d entries", seed, n, d.cache.Len())
		}
	}
}

func TestTour(t *testing.T) {
	d, out := newDemo(t, Config{Ops: 20000, Seed: 1, Bugs: Bugs{Leak: true, Overflow: true}})
	if err := d.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for _, want := range []string{
		"heapwright # mark full\n",
		"heapwright # diff -n 1 full\n",
		"=> demo.(*Cache).replaceValue leaks what it allocates at\ninternal/demo/cache.go:",
		"heapwright # memcheck -s\n",
		"can be restored\nsystem memcheck over, 1 finding\n",
		"header-damaged noticed by free in pool demo: ",
		"heapwright # memcheck\nsystem memcheck over, all passed!\n",
		"demo.(*Cache).Append, which had\nasked for 184 bytes at internal/demo/cache.go:",
	} {
		i := strings.Index(text, want)
		if i < 0 {
			t.Fatalf("%q is missing, or not in its place, in\n%s", want, out)
		}
		text = text[i+len(want):]
	}
	rows := 0
	for line := range strings.Lines(out.String()) {
		rows++
		if n := len(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if rows > 60 {
		t.Errorf("the tour takes %d lines", rows)
	}
}

func TestSoundTour(t *testing.T) {
	d, out := newDemo(t, Config{Ops: 20000, Seed: 1})
	if err := d.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "nothing\nleaks") || strings.Contains(out.String(), "memcheck") {
		t.Errorf("a program without bugs is shown as\n%s", out)
	}
}

func TestShortTour(t *testing.T) {
	d, out := newDemo(t, Config{Ops: 300, Seed: 1, Bugs: Bugs{Leak: true}})
	if err := d.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "still filling up") || strings.Contains(out.String(), "leaks what") {
		t.Errorf("a run too short to tell is shown as\n%s", out)
	}
}

// The culprit is the node of the buffer that was written beyond, and its stack
// that of the function that asked for it.
func TestOverflowCulprit(t *testing.T) {
	for _, leaks := range []bool{false, true} {
		d, _ := newDemo(t, Config{Ops: 1, Seed: 3, Bugs: Bugs{Leak: leaks, Overflow: true}})
		fill(t, d)
		if err := d.overflow(); err != nil {
			t.Fatal(err)
		}
		value := (*d.cache.find("log")).value
		var found []heap.Finding
		if _, err := d.pool.Check(func(f heap.Finding) { found = append(found, f) }); err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			t.Fatal("memcheck finds nothing")
		}
		for _, f := range found {
			if f.Culprit == nil || f.Culprit.Payload != heap.Addr(uintptr(unsafe.Pointer(&value[0]))) {
				t.Fatalf("the culprit is %+v, want the node of %p", f.Culprit, &value[0])
			}
			frames := symbol.Process.Frames(f.Culprit.Stack[0])
			if !strings.HasSuffix(frames[0].Function, ".(*Cache).Append") {
				t.Errorf("the culprit was allocated by %v", frames[0])
			}
		}
	}
}

func TestWithoutOverflow(t *testing.T) {
	d, _ := newDemo(t, Config{Ops: 1, Seed: 3})
	fill(t, d)
	if err := d.overflow(); err != nil {
		t.Fatal(err)
	}
	if n, err := d.pool.Check(nil); n != 0 || err != nil {
		t.Errorf("%d findings, %v", n, err)
	}
	if v, ok := d.cache.Get("log"); !ok || len(v) != 256 || v[255] != 'A' {
		t.Errorf("the padded value is %q, %v", v, ok)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, cfg := range []Config{{Duration: time.Hour}, {Ops: math.MaxInt}} {
		cfg.Bugs = Bugs{Leak: true, Overflow: true}
		d, out := newDemo(t, cfg)
		if err := d.Run(ctx); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), "heapwright # memcheck") {
			t.Errorf("an interrupted tour does not go to its end:\n%s", out)
		}
		if !strings.Contains(out.String(), "Too early to tell") {
			t.Errorf("an interrupted tour gives a verdict:\n%s", out)
		}
	}
}

func TestDeterministic(t *testing.T) {
	history := func() string {
		d, _ := newDemo(t, Config{Ops: 1, Seed: 42, Bugs: Bugs{Leak: true}})
		fill(t, d)
		return fmt.Sprint(d.cache.Len(), d.pool.Stats())
	}
	if a, b := history(), history(); a != b {
		t.Errorf("the same seed gives %s and %s", a, b)
	}
}

func TestWriteError(t *testing.T) {
	d, _ := newDemo(t, Config{Ops: 2000, Out: closed{}})
	if err := d.Run(context.Background()); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Run: %v, want %v", err, io.ErrClosedPipe)
	}
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// The cache does what a map does.
func TestCacheModel(t *testing.T) {
	p, err := heapwright.New(heapwright.Config{HeadBackup: true})
	if err != nil {
		t.Fatal(err)
	}
	c := NewCache(p, 1000, Bugs{})
	w := newWorkload(nil, 7)
	model := map[string]string{}
	for i := range 20000 {
		key := fmt.Sprint(w.rng.IntN(600)) // all fit: nothing is evicted
		switch w.rng.IntN(4) {
		case 0:
			v := strings.Repeat("x", 1+w.rng.IntN(100)) + fmt.Sprint(i)
			if err := c.Set(key, []byte(v)); err != nil {
				t.Fatal(err)
			}
			model[key] = v
		case 1:
			if err := c.Delete(key); err != nil {
				t.Fatal(err)
			}
			delete(model, key)
		default:
			got, ok := c.Get(key)
			want, had := model[key]
			if ok != had || string(got) != want {
				t.Fatalf("Get(%s) = %q, %v; want %q, %v", key, got, ok, want, had)
			}
		}
		if c.Len() != len(model) {
			t.Fatalf("%d entries, want %d", c.Len(), len(model))
		}
	}
	for key := range model {
		if err := c.Delete(key); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestCacheEvictsLeastRecentlyUsed(t *testing.T) {
	p, err := heapwright.New(heapwright.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := NewCache(p, 3, Bugs{})
	for _, key := range []string{"a", "b", "c"} {
		if err := c.Set(key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	c.Get("a")
	if err := c.Set("d", []byte("d")); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Get("b"); ok || c.Len() != 3 {
		t.Errorf("b is still there, or one of %d is missing", c.Len())
	}
	for _, key := range []string{"a", "c", "d"} {
		if v, ok := c.Get(key); !ok || string(v) != key {
			t.Errorf("Get(%s) = %q, %v", key, v, ok)
		}
	}
}
