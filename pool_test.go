package heapwright_test

import (
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

func newPool(t testing.TB, cfg heapwright.Config) *heapwright.Pool {
	t.Helper()
	p, err := heapwright.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestZeroConfig(t *testing.T) {
	p := newPool(t, heapwright.Config{})
	if c := p.Config(); c.LeakCheck || c.HeadBackup || c.IntegrityCheck || c.MaxSize != heapwright.DefaultMaxSize {
		t.Errorf("config %+v", c)
	}
	b, err := p.AllocBytes(100)
	if err != nil || len(b) != 100 || cap(b) != 100 {
		t.Fatalf("%d of %d bytes, %v", len(b), cap(b), err)
	}
	if err := p.FreeBytes(b); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestErrorsAreDistinctAndChangeNothing(t *testing.T) {
	p := newPool(t, heapwright.Config{MaxSize: 1 << 20})
	keep, err := p.Alloc(1000)
	if err != nil {
		t.Fatal(err)
	}
	closed := newPool(t, heapwright.Config{})
	closed.Close()
	before := p.Stats()
	alloc := func(p *heapwright.Pool, n, align int) func() error {
		return func() error { _, err := p.AllocWith(n, heapwright.Options{Align: align}); return err }
	}
	for _, c := range []struct {
		name string
		want error
		f    func() error
	}{
		{"zero", heapwright.ErrZeroSize, alloc(p, 0, 0)},
		{"negative", heapwright.ErrNegativeSize, alloc(p, -1, 0)},
		{"most negative", heapwright.ErrNegativeSize, alloc(p, math.MinInt, 0)},
		{"overflowing", heapwright.ErrSizeOverflow, alloc(p, math.MaxInt, 0)},
		{"too large", heapwright.ErrTooLarge, alloc(p, 1<<20+1, 0)},
		{"exhausted", heapwright.ErrExhausted, alloc(p, 1<<20-100, 0)},
		{"exhausted by alignment", heapwright.ErrExhausted, alloc(p, 600<<10, 1<<20)},
		{"alignment", heapwright.ErrAlignment, alloc(p, 1, 24)},
		{"small alignment", heapwright.ErrAlignment, alloc(p, 1, 4)},
		{"negative alignment", heapwright.ErrAlignment, alloc(p, 1, -16)},
		{"large alignment", heapwright.ErrAlignment, alloc(p, 1, 2<<20)},
		{"zero alignment", heapwright.ErrAlignment, func() error { _, err := p.AllocAligned(1, 0); return err }},
		{"closed", heapwright.ErrClosed, alloc(closed, 1, 0)},
		{"closed free", heapwright.ErrClosed, func() error { return closed.Free(keep) }},
		{"closed realloc", heapwright.ErrClosed, func() error { _, err := closed.Realloc(keep, 1); return err }},
		{"closed twice", heapwright.ErrClosed, closed.Close},
		{"realloc to zero", heapwright.ErrZeroSize, func() error { _, err := p.Realloc(keep, 0); return err }},
		{"realloc too large", heapwright.ErrTooLarge, func() error { _, err := p.Realloc(keep, 2<<20); return err }},
		{"realloc exhausted", heapwright.ErrExhausted, func() error { _, err := p.Realloc(keep, 1<<20-200); return err }},
		{"slice overflow", heapwright.ErrSizeOverflow, func() error { _, err := heapwright.AllocSlice[uint64](p, math.MaxInt/4); return err }},
		{"slice negative", heapwright.ErrNegativeSize, func() error { _, err := heapwright.AllocSlice[uint64](p, -1); return err }},
	} {
		all := []error{
			heapwright.ErrZeroSize, heapwright.ErrNegativeSize, heapwright.ErrSizeOverflow, heapwright.ErrTooLarge,
			heapwright.ErrExhausted, heapwright.ErrAlignment, heapwright.ErrClosed, heapwright.ErrWildPointer,
		}
		err := c.f()
		for _, e := range all {
			if errors.Is(err, e) != (e == c.want) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	after := p.Stats()
	after.Size, after.Free, after.FreeNodes, after.LargestFree = before.Size, before.Free, before.FreeNodes, before.LargestFree
	if after != before {
		t.Errorf("failed operations changed the pool from %+v to %+v", before, after)
	}
	p.Free(keep)
}

func TestExhaustionSaysWhatIsLeft(t *testing.T) {
	p := newPool(t, heapwright.Config{Name: "small", Region: make([]byte, 16<<10)})
	keep, _ := p.Alloc(10_000)
	_, err := p.Alloc(7000)
	var e *heapwright.ExhaustedError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	s := p.Stats()
	head, _ := p.HeadBytes()
	if e.Pool != "small" || e.Asked != 7000 || e.LargestFree != s.LargestFree-uint64(head) || e.Waterline != s.Waterline || e.MaxSize != 16<<10 {
		t.Errorf("%+v, stats %+v", e, s)
	}
	// What it says can be served can be served.
	q, err := p.Alloc(int(e.LargestFree))
	if err != nil {
		t.Fatal(err)
	}
	p.Free(q)
	p.Free(keep)
}

func TestConfigErrors(t *testing.T) {
	for name, cfg := range map[string]heapwright.Config{
		"levels":              {LeakCheck: true, RecordLR: 33},
		"negative levels":     {OmitLR: -2},
		"two sources":         {Region: make([]byte, 4096), File: "x"},
		"region and maximum":  {Region: make([]byte, 4096), MaxSize: 1},
		"region too small":    {Region: make([]byte, 200)},
		"huge":                {MaxSize: 1 << 40},
		"negative":            {MaxSize: -1},
		"policy":              {Policy: 9},
		"file in no folder":   {File: filepath.Join(t.TempDir(), "no", "file")},
		"file exists already": {File: os.Args[0]},
	} {
		if p, err := heapwright.New(cfg); err == nil {
			t.Errorf("%s: no error", name)
			p.Close()
		}
	}
}

func TestPoolsAreListed(t *testing.T) {
	var mine []*heapwright.Pool
	for range 3000 {
		p, err := heapwright.New(heapwright.Config{MaxSize: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Alloc(10); err != nil {
			t.Fatal(err)
		}
		mine = append(mine, p)
	}
	all := heapwright.Pools()
	if len(all) < len(mine) || all[len(all)-1] != mine[len(mine)-1] {
		t.Errorf("%d pools are listed", len(all))
	}
	for _, p := range mine {
		if err := p.Close(); !errors.Is(err, heapwright.ErrStillUsed) {
			t.Fatal(err)
		}
	}
	if n := len(heapwright.Pools()); n != len(all)-len(mine) {
		t.Errorf("%d pools are listed after closing", n)
	}
}

func TestCloseListsUsedNodes(t *testing.T) {
	p, err := heapwright.New(both)
	if err != nil {
		t.Fatal(err)
	}
	q, _ := p.Alloc(123)
	r, _ := p.Alloc(77)
	err = p.Close()
	var left *heapwright.UsedNodesError
	if !errors.As(err, &left) || len(left.Nodes) != 2 || left.Bytes != 200 {
		t.Fatalf("%v", err)
	}
	if n := left.Nodes[0]; n.Payload != addrOf(q) || n.Size != 123 || left.Nodes[1].Payload != addrOf(r) {
		t.Errorf("nodes %+v", left.Nodes)
	}
	if !strings.Contains(err.Error(), "TestCloseListsUsedNodes") {
		t.Errorf("the message does not say who allocated: %v", err)
	}
}

func TestReallocInPlace(t *testing.T) {
	p := newPool(t, both)
	q, _ := p.Alloc(5000)
	guard, _ := p.Alloc(16)
	if r, err := p.Realloc(q, 100); r != q || err != nil {
		t.Errorf("shrinking moved it: %v", err)
	}
	if r, err := p.Realloc(q, 4990); r != q || err != nil {
		t.Errorf("growing into the free node behind moved it: %v", err)
	}
	*(*byte)(unsafe.Add(q, 4989)) = 1
	if r, err := p.Realloc(q, 6000); r == q || err != nil {
		t.Errorf("it grew over its neighbour: %v", err)
	} else if *(*byte)(unsafe.Add(r, 4989)) != 1 {
		t.Error("moving lost contents")
	} else {
		p.Free(r)
	}
	p.Free(guard)
	if n, _ := p.Check(func(f heap.Finding) { t.Error(f.Summary()) }); n != 0 {
		t.Error("not sound")
	}
}

func TestBestFit(t *testing.T) {
	p := newPool(t, heapwright.Config{})
	// Free nodes of many sizes, kept apart by used ones.
	var holes []unsafe.Pointer
	hole := map[unsafe.Pointer]int{}
	for i := range 400 {
		n := 4992 + (i*7919)%4000*16
		q, err := p.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Alloc(16); err != nil {
			t.Fatal(err)
		}
		holes = append(holes, q)
		hole[q] = n
	}
	for _, q := range holes {
		p.Free(q)
	}
	for want := 68_000; want > 5000; want -= 977 {
		best, size := unsafe.Pointer(nil), math.MaxInt
		for q, n := range hole {
			if n >= want && n < size {
				best, size = q, n
			}
		}
		q, err := p.Alloc(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := hole[q]; best != nil && (!ok || got != size) {
			t.Fatalf("%d bytes went into a hole of %d, the best is %d", want, got, size)
		}
		delete(hole, q)
		p.Free(q)
		hole[q] = size
		if _, err := p.ReleaseFree(); err != nil { // coalesce what the test counts on
			t.Fatal(err)
		}
	}
	p.Close()
}

//go:noinline
func allocHere(p *heapwright.Pool) unsafe.Pointer {
	q, _ := p.Alloc(10)
	return q
}

//go:noinline
func allocThere(p *heapwright.Pool) unsafe.Pointer {
	q := allocHere(p)
	return q
}

func only(t *testing.T, p *heapwright.Pool) heap.Node {
	t.Helper()
	s, err := p.Snapshot()
	if err != nil || len(s.Nodes) != 1 {
		t.Fatalf("%d nodes, %v", len(s.Nodes), err)
	}
	return s.Nodes[0]
}

func functions(s heap.Stack) string {
	var names []string
	for _, f := range heapwright.Frames(s) {
		names = append(names, strings.TrimPrefix(f.Function, "github.com/heapwright/heapwright"))
	}
	return strings.Join(names, " ")
}

// LR[0] is the caller of the public function, whichever that is.
func TestFirstLRIsTheCaller(t *testing.T) {
	var buf []byte
	for name, f := range map[string]func(p *heapwright.Pool){
		"Alloc":        func(p *heapwright.Pool) { p.Alloc(10) },
		"AllocZeroed":  func(p *heapwright.Pool) { p.AllocZeroed(10) },
		"AllocAligned": func(p *heapwright.Pool) { p.AllocAligned(10, 64) },
		"AllocWith":    func(p *heapwright.Pool) { p.AllocWith(10, heapwright.Options{Owner: 1}) },
		"AllocBytes":   func(p *heapwright.Pool) { buf, _ = p.AllocBytes(10) },
		"AllocSlice":   func(p *heapwright.Pool) { heapwright.AllocSlice[uint32](p, 10) },
		"Realloc":      func(p *heapwright.Pool) { p.Realloc(allocHere(p), 2000) },
		"ReallocBytes": func(p *heapwright.Pool) { buf, _ = p.AllocBytes(10); p.ReallocBytes(buf, 5) },
	} {
		p := newPool(t, heapwright.Config{LeakCheck: true})
		f(p)
		n := only(t, p)
		if len(n.Stack) != heapwright.DefaultRecordLR {
			t.Errorf("%s: %d LRs", name, len(n.Stack))
		}
		if got := functions(n.Stack[:1]); !strings.HasPrefix(got, "_test.TestFirstLRIsTheCaller.func") {
			t.Errorf("%s: LR[0] is in %s", name, got)
		}
	}
}

func TestOmitAndRecordLR(t *testing.T) {
	for _, c := range []struct {
		omit, record int
		want         string
	}{
		{heapwright.None, 3, ".(*Pool).allocate .(*Pool).Alloc _test.allocHere"},
		{1, 2, ".(*Pool).Alloc _test.allocHere"},
		{2, 1, "_test.allocHere"},
		{0, 0, "_test.allocHere _test.allocThere _test.TestOmitAndRecordLR"},
		{3, 2, "_test.allocThere _test.TestOmitAndRecordLR"},
		{32, 4, ""},
		{0, heapwright.None, ""},
	} {
		p := newPool(t, heapwright.Config{LeakCheck: true, HeadBackup: true, OmitLR: c.omit, RecordLR: c.record})
		allocThere(p)
		// Where the recording function is inlined it shows in level 0.
		got := strings.TrimPrefix(functions(only(t, p).Stack), "/internal/callers.Record ")
		if got != c.want {
			t.Errorf("omit %d, record %d: %q, want %q", c.omit, c.record, got, c.want)
		}
	}
	p := newPool(t, heapwright.Config{LeakCheck: true, RecordLR: 32})
	allocThere(p)
	if s := only(t, p).Stack; len(s) < 4 || len(s) > 32 {
		t.Errorf("%d LRs of at most 32", len(s))
	}
}

func TestSnapshotSaysWhatIsKnown(t *testing.T) {
	p := newPool(t, heapwright.Config{Name: "cache", LeakCheck: true})
	p.NameOwner(3, "index")
	q, _ := p.AllocWith(50, heapwright.Options{Owner: 3})
	s, err := p.Snapshot()
	if err != nil || s.Pool != "cache" || s.TickHz != heapwright.TickHz || s.Partial != "" || len(s.Nodes) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	n := s.Nodes[0]
	head, _ := p.HeadBytes()
	if n.Payload != addrOf(q) || n.Addr != addrOf(q)-heap.Addr(head) || n.Size != 50 || n.Total != uint64(head)+64 || s.OwnerName(n.Owner) != "index" {
		t.Errorf("node %+v", n)
	}
	if n.Birth == 0 || n.Birth > s.Tick {
		t.Errorf("born at tick %d, now %d", n.Birth, s.Tick)
	}
	if o := p.Owners(); len(o) != 2-1 || o[0].Name != "index" || o[0].Used != n.Total || o[0].Nodes != 1 || o[0].Waterline != n.Total {
		t.Errorf("owners %+v", o)
	}
}

func TestTicksAdvance(t *testing.T) {
	p := newPool(t, heapwright.Config{LeakCheck: true})
	allocHere(p)
	born := only(t, p).Birth
	for {
		s, err := p.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if s.Tick > born {
			return // else the test times out
		}
		time.Sleep(time.Millisecond)
	}
}

type plain struct {
	A [3]uint16
	B struct{ X, Y float64 }
}

type pointy struct {
	A int
	B [2]struct{ S []string }
}

func TestTypedSlices(t *testing.T) {
	p := newPool(t, both)
	s, err := heapwright.AllocSlice[plain](p, 5)
	if err != nil || len(s) != 5 || cap(s) != 5 || s[4] != (plain{}) {
		t.Fatalf("%v, %v", s, err)
	}
	if err := heapwright.FreeSlice(p, s); err != nil {
		t.Error(err)
	}
	for range 2 { // the second answer comes from the cache
		_, err = heapwright.AllocSlice[pointy](p, 1)
		if !errors.Is(err, heapwright.ErrHasPointers) || !strings.Contains(err.Error(), ".B[0].S") {
			t.Errorf("%v", err)
		}
	}
	for _, err := range []error{
		second(heapwright.AllocSlice[*int](p, 1)), second(heapwright.AllocSlice[string](p, 1)),
		second(heapwright.AllocSlice[unsafe.Pointer](p, 1)), second(heapwright.AllocSlice[any](p, 1)),
		second(heapwright.AllocSlice[func()](p, 1)), second(heapwright.AllocSlice[map[int]int](p, 1)),
		second(heapwright.AllocSlice[chan int](p, 1)), second(heapwright.AllocSlice[[]byte](p, 1)),
	} {
		if !errors.Is(err, heapwright.ErrHasPointers) {
			t.Errorf("%v", err)
		}
	}
	if _, err := heapwright.AllocSlice[struct{}](p, 1); !errors.Is(err, heapwright.ErrZeroSize) {
		t.Errorf("%v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// The address space grows by commit up to the maximum.
func TestGrowsToTheMaximum(t *testing.T) {
	p := newPool(t, heapwright.Config{MaxSize: 8 << 20})
	if s := p.Stats(); s.Size >= 1<<20 || s.MaxSize != 8<<20 {
		t.Errorf("stats of a new pool %+v", s)
	}
	n := 0
	for {
		if _, err := p.Alloc(10_000); err != nil {
			if !errors.Is(err, heapwright.ErrExhausted) {
				t.Fatal(err)
			}
			break
		}
		n += 10_000
	}
	if s := p.Stats(); s.Size != 8<<20 || n < 7<<20 {
		t.Errorf("%d bytes allocated, stats %+v", n, s)
	}
}

func TestConcurrentUse(t *testing.T) {
	for _, cfg := range []heapwright.Config{{}, both} {
		p := newPool(t, cfg)
		var wg sync.WaitGroup
		pass := make(chan []byte, 100) // freed by another goroutine
		for g := range 8 {
			wg.Go(func() {
				var live [][]byte
				for i := range 2000 {
					b, err := p.AllocBytes(1 + (i*31+g*17)%3000)
					if err != nil {
						t.Error(err)
						return
					}
					b[0], b[len(b)-1] = byte(g), byte(g)
					live = append(live, b)
					if i%3 == 0 {
						select {
						case pass <- live[0]:
							live = live[1:]
						default:
						}
					}
					if i%5 == 0 {
						select {
						case b := <-pass:
							if b[0] != b[len(b)-1] {
								t.Error("contents changed")
							}
							p.FreeBytes(b)
						default:
						}
					}
					if len(live) > 50 {
						if live[7][0] != byte(g) || live[7][len(live[7])-1] != byte(g) {
							t.Error("contents changed")
						}
						p.FreeBytes(live[7])
						live[7] = live[len(live)-1]
						live = live[:len(live)-1]
					}
					switch i % 500 {
					case 100:
						p.Stats()
					case 200:
						p.Snapshot()
					case 300:
						p.Check(nil)
					case 400:
						p.ReleaseFree()
					}
				}
				for _, b := range live {
					p.FreeBytes(b)
				}
			})
		}
		wg.Wait()
		close(pass)
		for b := range pass {
			p.FreeBytes(b)
		}
		if n, _ := p.Check(func(f heap.Finding) { t.Error(f.Summary()) }); n != 0 || p.Stats().UsedNodes != 0 {
			t.Errorf("%d findings, %d nodes left", n, p.Stats().UsedNodes)
		}
	}
}

// A callback may use the pool whose finding it receives.
func TestFindingCallbackMayUseThePool(t *testing.T) {
	var p *heapwright.Pool
	called := 0
	p = newPool(t, heapwright.Config{OnFinding: func(heap.Finding) {
		called++
		p.Stats()
		if _, err := p.Alloc(10); err != nil {
			t.Error(err)
		}
	}})
	p.Free(nil)
	if called != 1 {
		t.Errorf("called %d times", called)
	}
}

// A process that dies without closing its pool leaves a file that tells what
// it had allocated, and where.
func TestOpenAfterCrash(t *testing.T) {
	skipDamage(t)
	if path := os.Getenv("HEAPWRIGHT_TEST_CRASH"); path != "" {
		cfg := both
		cfg.Name, cfg.File, cfg.MaxSize = "crashed", path, 1<<20
		p, err := heapwright.New(cfg)
		if err != nil {
			os.Exit(3)
		}
		for range 5 {
			allocHere(p)
		}
		p.Free(allocHere(p))
		x, _ := p.AllocBytes(96)
		copy(x, "precious")
		head, _ := p.HeadBytes()
		p.AllocBytes(96)
		over := unsafe.Slice(unsafe.SliceData(x), 96+int(head))
		copy(over[96:], strings.Repeat("!", int(head)))
		os.Exit(7)
	}
	path := filepath.Join(t.TempDir(), "pool")
	cmd := exec.Command(os.Args[0], "-test.run=^TestOpenAfterCrash$")
	cmd.Env = append(os.Environ(), "HEAPWRIGHT_TEST_CRASH="+path)
	if out, err := cmd.CombinedOutput(); cmd.ProcessState.ExitCode() != 7 {
		t.Fatalf("%v: %s", err, out)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []heap.Finding
	p, err := heapwright.Open(path, heapwright.Config{OnFinding: func(f heap.Finding) { found = append(found, f) }})
	if err != nil {
		t.Fatal(err)
	}
	if p.Name() != "crashed" || !p.Config().LeakCheck || !p.Config().HeadBackup {
		t.Errorf("config %+v", p.Config())
	}
	s, err := p.Snapshot()
	if err != nil || len(s.Nodes) != 7 {
		t.Fatalf("%d nodes, %v", len(s.Nodes), err)
	}
	if got := functions(s.Nodes[0].Stack); !strings.HasPrefix(got, "_test.allocHere _test.TestOpenAfterCrash") {
		t.Errorf("stack %s", got)
	}
	if len(found) != 1 || found[0].Kind != heap.HeaderDamaged || found[0].Culprit == nil || found[0].Culprit.Size != 96 || !strings.Contains(found[0].Reach, "'!'") {
		t.Errorf("findings %+v", found)
	}
	if _, err := p.Alloc(1); !errors.Is(err, heapwright.ErrReadOnly) {
		t.Errorf("alloc: %v", err)
	}
	if err := p.Free(unsafe.Pointer(&before[0])); !errors.Is(err, heapwright.ErrReadOnly) {
		t.Errorf("free: %v", err)
	}
	if n, err := p.Check(func(f heap.Finding) { t.Error(f.Summary()) }); n != 0 || err != nil {
		t.Errorf("check: %d, %v", n, err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("reading the file changed it")
	}
}

func TestOpenRefusesWhatIsNoPool(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	p := newPool(t, heapwright.Config{File: good, MaxSize: 64 << 10})
	p.Close()
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(b []byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"short":     func(b []byte) []byte { return b[:100] },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
		"zeroes":    func(b []byte) []byte { return make([]byte, len(b)) },
		"bad head":  func(b []byte) []byte { b[30] ^= 1; return b },
		"bad end":   func(b []byte) []byte { b[75] ^= 0x7f; return b },
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, f([]byte(string(b))), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := heapwright.Open(path, heapwright.Config{}); err == nil {
			t.Errorf("%s: no error", name)
			p.Close()
		}
	}
}
