package reach

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// given walks nodes that a test gives.
func given(nodes ...heap.Node) func(func(*heap.Node) bool) {
	return func(visit func(*heap.Node) bool) {
		for i := range nodes {
			if !visit(&nodes[i]) {
				return
			}
		}
	}
}

func TestWalksThatLie(t *testing.T) {
	end := heap.Addr(0x2000)
	for _, c := range []struct {
		name      string
		nodes     []heap.Node
		want      map[heap.Addr]State // 0x1100 is reachable always
		says      string              // in the notes
		partial   string
		usedBytes uint64
	}{
		{
			"out of order",
			[]heap.Node{{Addr: 0x1100, Total: 32}, {Addr: 0x1080, Total: 32}, {Addr: 0x1100, Total: 32}, {Addr: 0x1120, Total: 32}},
			map[heap.Addr]State{0x1080: Allocator, 0x111f: Reachable, 0x1120: Unreferenced},
			"", "nodes that were left out: 2; 0 outside of their pool, 2 not in ascending order", 64,
		},
		{
			"outside",
			[]heap.Node{{Addr: 0xff0, Total: 64}, {Addr: 0x1100, Total: 32}, {Addr: end, Total: 32}, {Addr: math.MaxUint64, Total: 32}},
			map[heap.Addr]State{0xff0: Outside, 0x1000: Allocator, end: Outside, math.MaxUint64: Outside},
			"", "nodes that were left out: 3; 3 outside of their pool, 0 not", 32,
		},
		{
			"overlapping",
			[]heap.Node{{Addr: 0x1100, Total: 32}, {Addr: 0x1110, Total: 32}},
			map[heap.Addr]State{0x110f: Reachable, 0x1110: Unreferenced, 0x112f: Unreferenced, 0x1130: Quarantined},
			"and were cut: 1", "", 48,
		},
		{
			"sizes that wrap",
			[]heap.Node{{Addr: 0x1100, Total: math.MaxUint64}, {Addr: 0x1110, Total: math.MaxUint64 - 0x1000}},
			map[heap.Addr]State{0x110f: Reachable, 0x1110: Unreferenced, end - 1: Unreferenced},
			"and were cut: 3", "", 0xf00,
		},
		{
			"unknown sizes",
			[]heap.Node{{Addr: 0x1100}, {Addr: 0x1200}},
			map[heap.Addr]State{0x11ff: Reachable, 0x1200: Unreferenced, end - 1: Unreferenced},
			"up to the next one: 2", "", 0xf00,
		},
		{
			"payloads elsewhere",
			[]heap.Node{{Addr: 0x1100, Total: 32, Payload: 0x1000}, {Addr: 0x1120, Total: 32, Payload: 0x2000}, {Addr: 0x1140, Total: 32, Payload: 0x1160}},
			map[heap.Addr]State{0x1100: Reachable, 0x1120: Unreferenced, 0x1140: Indirect},
			"in 1 range, could", "", 96,
		},
		{
			"a gap",
			[]heap.Node{{Addr: 0x1100, Total: 32}, {Addr: 0x1140, Total: 32}, {Addr: 0x1200, Total: 0xe00}},
			map[heap.Addr]State{0x1120: Quarantined, 0x113f: Quarantined, 0x1140: Reachable, 0x1160: Quarantined, 0x1200: Unreferenced},
			"could not be interpreted: they were scanned as roots", "", 64 + 0xe00,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			mem := make([]byte, 0x1800)
			mem[0x800], mem[0x801] = 0x00, 0x11   // 0x1100 from the root at 0x800
			mem[0x1120], mem[0x1121] = 0x40, 0x11 // 0x1140 from 0x1120
			r, err := Analyse(t.Context(), pieces{{Addr: 0x800, Bytes: mem[0x800:0x1000]}, {Addr: 0x1000, Bytes: mem[0x1000:]}},
				[]Pool{{Span: heap.Span{Start: 0x1000, End: end}, Walk: given(c.nodes...)}},
				[]Root{{Name: ".bss", Span: heap.Span{Start: 0x800, End: 0x1000}}}, Options{PointerSize: 4})
			if err != nil {
				t.Fatal(err)
			}
			c.want[0x1100] = Reachable
			for a, want := range c.want {
				if got := r.State(a); got != want {
					t.Errorf("%s is %s, want %s", a, got, want)
				}
			}
			if all := strings.Join(r.Notes, "; "); !strings.Contains(all, c.says) {
				t.Errorf("notes %q lack %q", all, c.says)
			}
			if !strings.Contains(r.Partial, c.partial) || !strings.Contains(r.Partial, "2048 of 4096 bytes of pool 0x1000 are not in the memory") {
				t.Errorf("partial: %q", r.Partial)
			}
			if r.Used.Bytes != c.usedBytes {
				t.Errorf("%d bytes used, want %d", r.Used.Bytes, c.usedBytes)
			}
		})
	}
}

// Nodes of very different lengths share a table with few buckets.
func TestSparsePool(t *testing.T) {
	var nodes []heap.Node
	for i := range 500 {
		nodes = append(nodes, heap.Node{Addr: 0x1000 + heap.Addr(i)*4, Total: 4})
	}
	nodes = append(nodes, heap.Node{Addr: 1 << 40, Total: 1 << 40}, heap.Node{Addr: 1<<41 + 4096, Total: 16})
	b := make([]byte, 16)
	for i, v := range []uint64{0x1000 + 499*4, 1<<41 - 1} {
		for j := range 8 {
			b[8*i+j] = byte(v >> (8 * j))
		}
	}
	r, err := Analyse(t.Context(), pieces{{Addr: 0, Bytes: b}}, []Pool{{Span: heap.Span{Start: 0x1000, End: 1 << 50}, Walk: given(nodes...)}},
		[]Root{{Name: "b", Span: heap.Span{Start: 0, End: 16}}}, Options{PointerSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	if r.Reachable != (Count{2, 4 + 1<<40}) || r.State(0x1000+499*4) != Reachable || r.State(1<<40) != Reachable || r.State(1<<41+4096) != Unreferenced {
		t.Errorf("%+v", r.Reachable)
	}
	if n := len(r.x.regions[0].first); n > 4*len(nodes) {
		t.Errorf("a table of %d for %d nodes", n, len(nodes))
	}
}

// Two pools point to each other's nodes; what lies between them is a root.
func TestTwoPools(t *testing.T) {
	mem := make([]byte, 0x300)
	put := func(at, v heap.Addr) { mem[at-0x1000], mem[at-0x1000+1] = byte(v), byte(v>>8) }
	put(0x1100, 0x1208) // between → 0x1200 of the second
	put(0x1208, 0x1008) // → 0x1000 of the first
	put(0x1028, 0x1228) // 0x1020 of the first → 0x1220 of the second, lost
	pool := func(start heap.Addr) Pool {
		return Pool{Span: heap.Span{Start: start, End: start + 64}, Walk: given(
			heap.Node{Addr: start, Payload: start + 8, Total: 32}, heap.Node{Addr: start + 32, Payload: start + 40, Total: 32})}
	}
	r, err := Analyse(t.Context(), pieces{{Addr: 0x1000, Bytes: mem}}, []Pool{pool(0x1200), pool(0x1000)},
		[]Root{{Name: "all", Span: heap.Span{Start: 0, End: 0x2000}}}, Options{PointerSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	for a, want := range map[heap.Addr]State{
		0x1000: Reachable, 0x1020: Unreferenced, 0x1040: Outside, 0x11ff: Outside, 0x1200: Reachable, 0x1220: Indirect, 0x1240: Outside,
	} {
		if got := r.State(a); got != want {
			t.Errorf("%s is %s, want %s", a, got, want)
		}
	}
	if r.RootBytes != 0x300-128 {
		t.Errorf("%d bytes of roots", r.RootBytes)
	}
}

func TestEmptyPool(t *testing.T) {
	r, err := Analyse(t.Context(), pieces{{Addr: 0, Bytes: make([]byte, 64)}}, []Pool{{Name: "nothing", Span: heap.Span{Start: 32, End: 64}, Walk: given()}},
		[]Root{{Name: "all", Span: heap.Span{Start: 0, End: 64}}}, Options{PointerSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notes) != 1 || r.Notes[0] != "no nodes in pool nothing" || r.Used != (Count{}) {
		t.Errorf("%q, %+v", r.Notes, r.Used)
	}
}

// A walk that never ends is ended with the context.
func TestEndlessWalk(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := heap.Node{Addr: 0x1000, Total: 1}
	walk := func(visit func(*heap.Node) bool) {
		for i := 0; visit(&n); i++ {
			if n.Addr++; i == 10_000 {
				cancel()
			}
		}
	}
	_, err := Analyse(ctx, pieces{{Addr: 0, Bytes: make([]byte, 64)}}, []Pool{{Span: heap.Span{Start: 0x1000, End: 1 << 40}, Walk: walk}}, nil, Options{PointerSize: 4})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestProgress(t *testing.T) {
	h := newBenchHeap(20<<20, 0.08)
	calls, last := 0, uint64(0)
	r, err := Analyse(t.Context(), h.memory(), []Pool{h.pool()}, []Root{h.root()}, Options{PointerSize: 4, Progress: func(done, total uint64) {
		if done < last || done > total {
			t.Errorf("%d of %d after %d", done, total, last)
		}
		calls, last = calls+1, done
	}})
	if err != nil || calls < 2 {
		t.Fatalf("%d calls, %v", calls, err)
	}
	if got := uint64(h.naive()); got != r.Reachable.Nodes {
		t.Errorf("%d nodes are reachable, want %d", r.Reachable.Nodes, got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = Analyse(ctx, h.memory(), []Pool{h.pool()}, []Root{h.root()}, Options{PointerSize: 4, Progress: func(_, _ uint64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled half way: %v", err)
	}
}
