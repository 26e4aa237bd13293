package reach

import (
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// pieces is memory in pieces, of which View sees across no border.
type pieces []heap.Memory

func (p pieces) Spans() []heap.Memory { return p }

func (p pieces) View(addr heap.Addr, n uint64) []byte {
	for _, s := range p {
		if off := uint64(addr - s.Addr); addr >= s.Addr && off <= uint64(len(s.Bytes)) && n <= uint64(len(s.Bytes))-off {
			return s.Bytes[off : off+n]
		}
	}
	return nil
}

// A small heap: the pool's head of 16 bytes, then nodes of 32 bytes, of which 8
// are the head; roots in front.
//
//	0x800     0x1000      0x1010   0x1030   0x1050         0x1210
//	  globals   pool head   node 0 | node 1 | ... | node 15  | end, 16 bytes
const (
	globals   = heap.Addr(0x800)
	smallPool = heap.Addr(0x1000)
	firstNode = heap.Addr(0x1010)
	nodeSize  = 32
	nodeHead  = 8
	nodes     = 16
	poolEnd   = firstNode + nodes*nodeSize + 16
)

func node(i int) heap.Addr    { return firstNode + heap.Addr(i)*nodeSize }
func payload(i int) heap.Addr { return node(i) + nodeHead }

// small is a small heap to be filled.
type small struct {
	globals, pool []byte
	states        [nodes]heap.State
	roots         []Root
	o             Options
}

// newSmall makes a small heap whose node 15 is kept alive by the first global,
// because a search from which nothing is reached is refused.
func newSmall(used ...int) *small {
	s := &small{globals: make([]byte, 64), pool: make([]byte, poolEnd-smallPool), o: Options{PointerSize: 4}}
	for i := range s.states {
		s.states[i] = heap.Free
	}
	for _, i := range append(used, 15) {
		s.states[i] = heap.Used
	}
	s.roots = []Root{{Name: ".bss", Span: heap.Span{Start: globals, End: globals + 64}}}
	s.put(globals, uint64(payload(15)))
	return s
}

// put writes a word.
func (s *small) put(at heap.Addr, value uint64) {
	b := s.globals
	if at >= smallPool {
		b, at = s.pool, at-smallPool
	} else {
		at -= globals
	}
	switch {
	case s.o.PointerSize == 8 && s.o.Order == binary.BigEndian:
		binary.BigEndian.PutUint64(b[at:], value)
	case s.o.PointerSize == 8:
		binary.LittleEndian.PutUint64(b[at:], value)
	case s.o.Order == binary.BigEndian:
		binary.BigEndian.PutUint32(b[at:], uint32(value))
	default:
		binary.LittleEndian.PutUint32(b[at:], uint32(value))
	}
}

// point writes to the n-th word of a node's payload where another one begins.
func (s *small) point(from, n, to int) { s.put(payload(from)+heap.Addr(4*n), uint64(payload(to))) }

func (s *small) memory() heap.RAM {
	return pieces{{Addr: globals, Bytes: s.globals}, {Addr: smallPool, Bytes: s.pool}}
}

func (s *small) walk(visit func(*heap.Node) bool) {
	var n heap.Node
	for i, state := range s.states {
		n = heap.Node{Addr: node(i), Payload: payload(i), Total: nodeSize, State: state}
		if !visit(&n) {
			return
		}
	}
}

func (s *small) pools() []Pool {
	return []Pool{{Span: heap.Span{Start: smallPool, End: poolEnd}, Walk: s.walk}}
}

func (s *small) analyse(t testing.TB) *Result {
	t.Helper()
	r, err := Analyse(t.Context(), s.memory(), s.pools(), s.roots, s.o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// states of the used nodes but the last: r reachable, u unreferenced, i lost
// indirectly, q quarantined.
func states(r *Result) string {
	var b strings.Builder
	for i := range nodes - 1 {
		switch s := r.State(payload(i)); s {
		case Free:
		case Quarantined, Reachable, Unreferenced, Indirect:
			b.WriteByte("qrui"[s-Quarantined])
		default:
			b.WriteString("?")
		}
	}
	return b.String()
}

func TestSmallHeaps(t *testing.T) {
	for _, c := range []struct {
		name string
		used []int
		fill func(s *small)
		want string
	}{
		// .bss → 0 → 1 → 2
		{"chain", []int{0, 1, 2}, func(s *small) {
			s.put(globals+4, uint64(payload(0)))
			s.point(0, 0, 1)
			s.point(1, 5, 2)
		}, "rrr"},
		// 0 → 1 → 2
		{"lost chain", []int{0, 1, 2}, func(s *small) {
			s.point(0, 0, 1)
			s.point(1, 5, 2)
		}, "uii"},
		// 2 → 1 → 0
		{"lost chain downwards", []int{0, 1, 2}, func(s *small) {
			s.point(2, 0, 1)
			s.point(1, 5, 0)
		}, "iiu"},
		// .bss → 0 ⇄ 1
		{"circle", []int{0, 1}, func(s *small) {
			s.put(globals+4, uint64(payload(0)))
			s.point(0, 0, 1)
			s.point(1, 0, 0)
		}, "rr"},
		// 0 ⇄ 1
		{"lost circle", []int{0, 1}, func(s *small) {
			s.point(0, 0, 1)
			s.point(1, 0, 0)
		}, "ui"},
		// 2 → 0 ⇄ 1
		{"lost circle with a head", []int{0, 1, 2}, func(s *small) {
			s.point(0, 0, 1)
			s.point(1, 0, 0)
			s.point(2, 0, 0)
		}, "iiu"},
		// 2 ⇄ 3 → 0 ⇄ 1
		{"two lost circles", []int{0, 1, 2, 3}, func(s *small) {
			s.point(0, 0, 1)
			s.point(1, 0, 0)
			s.point(2, 0, 3)
			s.point(3, 0, 2)
			s.point(3, 1, 0)
		}, "iiui"},
		// 0 ⇄ 1 → 4 ← 2 ⇄ 3
		{"two lost circles with one tail", []int{0, 1, 2, 3, 4}, func(s *small) {
			s.point(0, 0, 1)
			s.point(1, 0, 0)
			s.point(1, 1, 4)
			s.point(2, 0, 3)
			s.point(3, 0, 2)
			s.point(3, 1, 4)
		}, "uiuii"},
		// 0 → 0
		{"a node does not keep itself", []int{0}, func(s *small) { s.point(0, 0, 0) }, "u"},
		// 0 → 1, 1 → 1
		{"nor does it make itself a head", []int{0, 1}, func(s *small) {
			s.point(0, 0, 1)
			s.point(1, 0, 1)
		}, "ui"},
		{"interior", []int{0}, func(s *small) { s.put(globals+4, uint64(payload(0))+23) }, "r"},
		// the next node is where it points
		{"one past the end", []int{0, 1}, func(s *small) { s.put(globals+4, uint64(payload(0))+24) }, "ur"},
		{"one past the last node", []int{14}, func(s *small) {
			s.put(globals, uint64(payload(14)))
			s.put(globals+4, uint64(payload(15))+24)
		}, "r"},
		{"header", []int{0}, func(s *small) { s.put(globals+4, uint64(node(0))) }, "r"},
		{"pointer in a free node", []int{0}, func(s *small) { s.point(3, 0, 0) }, "u"},
		{"pointer in a header", []int{0, 1}, func(s *small) {
			s.put(globals+4, uint64(payload(1)))
			s.put(node(1), uint64(payload(0)))
		}, "ur"},
		{"pointer in the pool's head", []int{0}, func(s *small) { s.put(smallPool+4, uint64(node(0))) }, "u"},
		{"pointer in the end node", []int{0}, func(s *small) { s.put(poolEnd-8, uint64(node(0))) }, "u"},
		{"pool in .bss", []int{0, 1}, func(s *small) {
			s.roots[0].Span.End = poolEnd
			s.put(smallPool, uint64(payload(0)))
			s.point(3, 0, 0)
			s.put(node(3), uint64(payload(1)))
		}, "uu"},
		{"register", []int{0, 1}, func(s *small) {
			s.roots = append(s.roots, Root{Name: "r4", Value: payload(0) + 3})
			s.point(0, 0, 1)
		}, "rr"},
		{"stack", []int{0, 1}, func(s *small) {
			s.roots = append(s.roots, Root{Name: "stack", Span: heap.Span{Start: globals + 32, End: globals + 64}})
			s.roots[0].Span.End = globals + 16
			s.put(globals+60, uint64(payload(0))) // the last word
			s.put(globals+20, uint64(payload(1))) // below
		}, "ru"},
		{"unaligned, not asked for", []int{0}, func(s *small) { s.put(globals+5, uint64(payload(0))) }, "u"},
		{"unaligned", []int{0, 1}, func(s *small) {
			s.o.Unaligned = true
			s.put(globals+5, uint64(payload(0)))
			s.put(payload(0)+19, uint64(payload(1)))
		}, "rr"},
		{"big endian", []int{0}, func(s *small) {
			s.o.Order = binary.BigEndian
			s.put(globals, uint64(payload(15)))
			s.put(globals+4, uint64(payload(0)))
		}, "r"},
		{"64-bit", []int{0, 1, 2}, func(s *small) {
			s.o.PointerSize = 8
			s.put(globals, uint64(payload(15)))
			s.put(globals+8, uint64(payload(0)))
			s.put(globals+20, uint64(payload(1))) // at no multiple of 8
			s.put(globals+32, 1<<32|uint64(payload(2)))
		}, "ruu"},
		{"64-bit, big endian", []int{0}, func(s *small) {
			s.o.PointerSize, s.o.Order = 8, binary.BigEndian
			s.put(globals, uint64(payload(15)))
			s.put(globals+8, uint64(payload(0)))
		}, "r"},
		{"quarantined", []int{0}, func(s *small) {
			s.states[4] = heap.Quarantined
			s.put(node(4), uint64(payload(0))) // its own head may be payload of another
		}, "rq"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSmall(c.used...)
			c.fill(s)
			if got := states(s.analyse(t)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestHeads(t *testing.T) {
	// 0 → 1 → 2, 3 → 2 further off, 4 ⇄ 5 → 6, 7
	s := newSmall(0, 1, 2, 3, 4, 5, 6, 7)
	s.point(0, 0, 1)
	s.point(1, 0, 2)
	s.point(3, 0, 1)
	s.point(4, 0, 5)
	s.point(5, 0, 4)
	s.point(5, 1, 6)
	r := s.analyse(t)
	want := []Head{
		{node(0), payload(0), 32, Count{2, 64}},
		{node(3), payload(3), 32, Count{}},
		{node(4), payload(4), 32, Count{2, 64}},
		{node(7), payload(7), 32, Count{}},
	}
	if diff := cmp.Diff(want, slices.Collect(r.Heads)); diff != "" {
		t.Error(diff)
	}
	if r.Used != (Count{9, 9 * 32}) || r.Reachable != (Count{1, 32}) || r.Unreferenced != (Count{4, 128}) || r.Indirect != (Count{4, 128}) || r.Lost() != (Count{8, 256}) {
		t.Errorf("totals: %+v", r)
	}
	for i, want := range map[int]heap.Addr{0: node(0), 2: node(0), 6: node(4), 7: node(7)} {
		if h, ok := r.Head(payload(i)); !ok || h.Addr != want {
			t.Errorf("node %d is lost through %s, want %s", i, h.Addr, want)
		}
	}
	for _, a := range []heap.Addr{0, smallPool, payload(9), payload(15), poolEnd} {
		if h, ok := r.Head(a); ok {
			t.Errorf("%s is lost through %+v", a, h)
		}
	}
	for range r.Heads {
		break
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "more nodes are unreferenced (8) than reachable (1)") {
		t.Errorf("notes: %q", r.Notes)
	}
}

func TestState(t *testing.T) {
	r := newSmall(0).analyse(t)
	for addr, want := range map[heap.Addr]State{
		0: Outside, globals: Outside, smallPool - 1: Outside, smallPool: Allocator, firstNode - 1: Allocator,
		node(0): Unreferenced, payload(0) + 23: Unreferenced, node(1): Free, payload(15) + 23: Reachable,
		poolEnd - 1: Allocator, poolEnd: Outside, ^heap.Addr(0): Outside,
	} {
		if got := r.State(addr); got != want {
			t.Errorf("%s is %s, want %s", addr, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := newSmall(0)
	only := pieces{{Addr: smallPool, Bytes: s.pool}}
	whole := []Root{{Name: "memory", Span: heap.Span{Start: 0, End: 1 << 32}}}
	if _, err := Analyse(t.Context(), only, s.pools(), whole, s.o); !errors.Is(err, ErrNoRoots) || !strings.Contains(err.Error(), "dump the whole RAM") {
		t.Errorf("nothing but the pool: %v", err)
	}
	s.put(globals, 0)
	if _, err := Analyse(t.Context(), s.memory(), s.pools(), s.roots, s.o); !errors.Is(err, ErrNoRoots) || !strings.Contains(err.Error(), "none of 64 bytes") {
		t.Errorf("nothing points to the pool: %v", err)
	}
	for _, size := range []int{0, 1, 2, 3, 5, 16, -4} {
		if _, err := Analyse(t.Context(), s.memory(), s.pools(), s.roots, Options{PointerSize: size}); err == nil || errors.Is(err, ErrNoRoots) {
			t.Errorf("pointers of %d bytes: %v", size, err)
		}
	}
	for name, pools := range map[string][]Pool{
		"none":     nil,
		"empty":    {{Span: heap.Span{Start: 8, End: 8}, Walk: s.walk}},
		"wrong":    {{Span: heap.Span{Start: 9, End: 8}, Walk: s.walk}},
		"overlaps": append(s.pools(), Pool{Span: heap.Span{Start: poolEnd - 1, End: poolEnd}, Walk: s.walk}),
	} {
		if _, err := Analyse(t.Context(), s.memory(), pools, s.roots, s.o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	tired := errors.New("tired")
	cancel(tired)
	if _, err := Analyse(ctx, s.memory(), s.pools(), s.roots, s.o); !errors.Is(err, tired) {
		t.Errorf("cancelled: %v", err)
	}
}
