package reach

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// r4 → 0, .bss+8 → 1 → 2 (inside) → 3 (header); a longer way leads to 3 as well
func pathHeap() *small {
	s := newSmall(0, 1, 2, 3, 4)
	s.roots = append(s.roots, Root{Name: "r4", Value: payload(0)})
	s.put(globals+8, uint64(payload(1)))
	s.put(payload(1)+4, uint64(payload(2))+5)
	s.put(payload(2)+20, uint64(node(3))+4)
	s.point(2, 0, 4)
	s.point(4, 0, 3)
	return s
}

func TestPath(t *testing.T) {
	r := pathHeap().analyse(t)
	want := []Pointer{
		{Root: ".bss", Word: globals + 8, Offset: 8, Value: payload(1), Node: node(1)},
		{Word: payload(1) + 4, Holder: node(1), HolderState: Reachable, Offset: 4, Value: payload(2) + 5, Node: node(2), Kind: Inside, Into: 5},
		{Word: payload(2) + 20, Holder: node(2), HolderState: Reachable, Offset: 20, Value: node(3) + 4, Node: node(3), Kind: ToHeader, Into: -4},
	}
	if diff := cmp.Diff(want, r.Path(payload(3)+2)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Pointer{{Root: "r4", Value: payload(0), Node: node(0)}}, r.Path(node(0))); diff != "" {
		t.Error(diff)
	}
	for _, a := range []heap.Addr{0, smallPool, payload(9)} {
		if p := r.Path(a); p != nil {
			t.Errorf("a path to %s: %+v", a, p)
		}
	}
}

// Of a very long list, the middle is left out of the path to its end.
func TestLongPath(t *testing.T) {
	const base, n = 0x10000, maxPath + 1000
	mem := make([]byte, 8*n+8)
	for i := range n + 1 {
		binary.LittleEndian.PutUint32(mem[8*i:], uint32(base+8*i)) // each word points to the node behind it
	}
	walk := func(visit func(*heap.Node) bool) {
		for i := range n {
			if !visit(&heap.Node{Addr: heap.Addr(base + 8*i), Payload: heap.Addr(base + 8*i), Total: 8}) {
				return
			}
		}
	}
	r, err := Analyse(t.Context(), pieces{{Addr: base - 8, Bytes: mem}}, []Pool{{Span: span(base, base+8*n), Walk: walk}},
		[]Root{{Name: ".bss", Span: span(base-8, base)}}, Options{PointerSize: 4})
	if err != nil || r.Lost() != (Count{}) {
		t.Fatal(r, err)
	}
	path := r.Path(base + 8*n - 1)
	if len(path) != maxPath || path[0].Root != ".bss" || path[maxPath/2-1].Node != base+8*(maxPath/2-1) || path[maxPath-1].Node != base+8*(n-1) {
		t.Errorf("%d steps, %+v to %+v", len(path), path[0], path[len(path)-1])
	}
}

func TestPointersTo(t *testing.T) {
	s := pathHeap()
	s.put(node(3), uint64(payload(4)))      // a header
	s.put(payload(9), uint64(payload(4)))   // a free node
	s.put(smallPool, uint64(payload(4)))    // the pool's head
	s.put(poolEnd-8, uint64(payload(4)))    // its end
	s.put(globals+40, uint64(payload(4)))   // memory that is no root
	s.put(payload(4)+8, uint64(node(4)))    // itself
	s.put(globals+12, uint64(payload(4))+3) // a root
	s.roots[0].Span.End = globals + 32
	s.roots = append(s.roots, Root{Name: "r5", Value: payload(4) + 23})
	r := s.analyse(t)
	want := []Pointer{
		{Root: "r5", Value: payload(4) + 23, Kind: Inside, Into: 23},
		{Root: ".bss", Word: globals + 12, Offset: 12, Value: payload(4) + 3, Kind: Inside, Into: 3},
		{Word: globals + 40, Value: payload(4)},
		{Word: smallPool, Holder: smallPool, HolderState: Allocator, Value: payload(4)},
		{Word: payload(2), Holder: node(2), HolderState: Reachable, Value: payload(4)},
		{Word: node(3), Holder: node(3), HolderState: Reachable, Head: true, Offset: -8, Value: payload(4)},
		{Word: payload(4) + 8, Holder: node(4), HolderState: Reachable, Offset: 8, Value: node(4), Kind: ToHeader, Into: -8},
		{Word: payload(9), Holder: node(9), HolderState: Free, Value: payload(4)},
		{Word: poolEnd - 8, Holder: poolEnd - 16, HolderState: Allocator, Offset: 8, Value: payload(4)},
	}
	for i := range want {
		want[i].Node = node(4)
	}
	got, more, err := r.PointersTo(t.Context(), payload(4), 100)
	if diff := cmp.Diff(want, got); diff != "" || more || err != nil {
		t.Error(more, err, diff)
	}
	var live []bool
	for i := range got {
		live = append(live, got[i].Live())
	}
	if diff := cmp.Diff([]bool{true, true, false, false, true, false, true, false, false}, live); diff != "" {
		t.Error("live:", diff)
	}
	for limit := range len(want) + 1 {
		got, more, _ := r.PointersTo(t.Context(), payload(4), limit)
		if len(got) != limit || more != (limit < len(want)) {
			t.Errorf("limit %d: %d, more %v", limit, len(got), more)
		}
	}
	if got, more, err := r.PointersTo(t.Context(), globals, 9); got != nil || more || err != nil {
		t.Errorf("outside: %v, %v, %v", got, more, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	tired := errors.New("tired")
	cancel(tired)
	if _, more, err := r.PointersTo(ctx, payload(4), 9); !more || !errors.Is(err, tired) {
		t.Errorf("cancelled: %v, %v", more, err)
	}
}

func TestWords(t *testing.T) {
	for s, want := range map[string]string{
		Outside.String(): "outside", Allocator.String(): "allocator", Free.String(): "free", Quarantined.String(): "quarantined",
		Reachable.String(): "reachable", Unreferenced.String(): "unreferenced", Indirect.String(): "lost indirectly", State(99).String(): "state 99",
		ToPayload.String(): "start of payload", Inside.String(): "inside", ToHeader.String(): "header", Kind(9).String(): "kind 9",
	} {
		if s != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
	a, _ := Reachable.MarshalText()
	b, _ := Inside.MarshalText()
	if string(a) != "reachable" || string(b) != "inside" {
		t.Errorf("%s, %s", a, b)
	}
}
