package layout

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// tlsfLayouts returns all configurations of both kernels.
func tlsfLayouts() (all []TLSF) {
	for _, a := range []bool{false, true} {
		for _, bits64 := range []bool{false, true} {
			for i := range 16 {
				l := TLSF{A: a, Bits64: bits64, Waterline: i&1 != 0, MulPool: i&2 != 0, Regions: i&4 != 0 && !a, SMP: i&4 != 0 && a}
				if i&8 != 0 {
					continue
				}
				all = append(all, l.nodes()...)
			}
		}
	}
	return all
}

// tlsfSmallHeap is a heap with one of everything that the layout has.
func tlsfSmallHeap(l TLSF) *TLSFHeap {
	h := &TLSFHeap{Layout: l, Addr: 0x20000000}
	for i := range 12 {
		n := TLSFNode{Size: uint64(16 + 8*i), Task: uint32(i + 1), Seen: i%5 == 0}
		for k := range l.LRs - i%2 {
			n.Stack = append(n.Stack, heap.Addr(0x8001000+64*k+4*i))
		}
		switch {
		case i%4 == 3:
			n.Free = true
		case i == 5:
			n.Gap = 24
		case i == 8 && l.Regions:
			n = TLSFNode{Bridge: true, Size: 256}
		}
		if !n.Free {
			n.Payload = []byte(strings.Repeat("\x11", int(n.Size)))
		}
		h.Nodes = append(h.Nodes, n)
	}
	return h
}

// expected returns the nodes that a walk over the heap should give.
func (h *TLSFHeap) expected(starts []heap.Addr) (nodes []heap.Node) {
	e := tlsfEncoder{TLSFHeap: h, o: h.Layout.Offsets()}
	for i := range h.Nodes {
		d := &h.Nodes[i]
		n := heap.Node{
			Addr: starts[i], Payload: starts[i] + heap.Addr(e.o.Head) + heap.Addr(d.Gap), Total: e.length(d), Stack: d.Stack,
		}
		switch {
		case d.Bridge:
			continue
		case d.Free:
			n.State = heap.Free
		case h.Layout.Task != TLSFNoTask:
			n.Owner = heap.Owner(d.Task)
		}
		nodes = append(nodes, n)
	}
	return nodes
}

// poolWalked walks a pool and returns copies of all that it gives out.
func poolWalked(p Pool) (nodes []heap.Node, findings []heap.Finding, s Survey) {
	s = p.Walk(func(n *heap.Node) bool {
		c := *n
		c.Stack = slices.Clone(n.Stack)
		nodes = append(nodes, c)
		return true
	}, func(f *heap.Finding) { findings = append(findings, *f) })
	return nodes, findings, s
}

// TestTLSFRoundTrip: what is encoded in any configuration is read back as it
// was, without findings, both when the layout is given and when it is found out.
func TestTLSFRoundTrip(t *testing.T) {
	for _, l := range tlsfLayouts() {
		h := tlsfSmallHeap(l)
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(l, err)
		}
		ram := Bytes{Addr: h.Addr - 64, Data: append(make([]byte, 64), pool...)}
		given, err := openTLSF(ram, h.Addr, &l, l.A)
		if err != nil {
			t.Fatal(l, err)
		}
		hints := Hints{System: l.System()}
		find := findLiteOSM
		if l.A {
			find = findLiteOSA
		}
		found, _ := find(ram, &hints)
		if len(found) != 1 {
			t.Fatalf("%s: %d pools found", l, len(found))
		}
		if a := found[0].About(); a.Layout != l.String() {
			if !slices.ContainsFunc(a.Doubts, func(s string) bool { return strings.HasPrefix(s, l.String()) }) {
				t.Errorf("%s\n  is taken for %s: %q\n%q", l, a.Layout, a.Doubts, a.Evidence)
			}
		}
		for _, p := range []Pool{given, found[0]} {
			nodes, findings, s := poolWalked(p)
			if len(findings) > 0 || s.Partial != "" || len(s.Gaps) > 0 {
				t.Fatalf("%s, taken for %s: %v, %+v", l, p.About().Layout, findings, s)
			}
			if p.About().Layout == l.String() {
				if d := cmp.Diff(h.expected(starts), nodes, cmp.Comparer(sameStack)); d != "" {
					t.Fatalf("%s: %s", l, d)
				}
			}
		}
	}
}

// TestTLSFOffsets: the sizes that compilers give these structures.
func TestTLSFOffsets(t *testing.T) {
	m := TLSF{Waterline: true, MulPool: true}
	with := func(change func(l *TLSF)) TLSF {
		l := m
		change(&l)
		return l
	}
	lr := func(l *TLSF) { l.LeakCheck, l.LRs = true, 3 }
	for _, c := range []struct {
		l            TLSF
		head, head64 int
		pool, pool64 int
	}{
		{m, 8, 16, 944, 1848},
		{with(func(l *TLSF) { l.Integrity = true }), 12, 24, 944, 1848},
		{with(lr), 20, 40, 944, 1848},
		{with(func(l *TLSF) { lr(l); l.Integrity = true }), 24, 48, 944, 1848},
		{with(func(l *TLSF) { lr(l); l.Integrity = true; l.Task = TLSFTaskWord }), 28, 48, 944, 1848},
		{with(func(l *TLSF) { lr(l); l.Integrity = true; l.Task = TLSFTaskPacked }), 24, 48, 944, 1848},
		{with(func(l *TLSF) { l.A, l.Integrity = true, true }), 12, 24, 948, 1856},
		{with(func(l *TLSF) { lr(l); l.A, l.Integrity, l.SMP = true, true, true }), 24, 48, 960, 1880},
	} {
		o := c.l.Offsets()
		c.l.Bits64 = true
		o64 := c.l.Offsets()
		if o.Head != c.head || o64.Head != c.head64 || o.FirstNode != c.pool || o64.FirstNode != c.pool64 {
			t.Errorf("%s: heads %d, %d, pools %d, %d, want %+v", c.l, o.Head, o64.Head, o.FirstNode, o64.FirstNode, c)
		}
	}
}

// TestTLSFLists: the lists are those that the device's own listing of free
// nodes names.
func TestTLSFLists(t *testing.T) {
	for size, want := range map[uint64]int{4: 0, 8: 1, 124: 30, 128: 31, 143: 31, 144: 32, 255: 38, 256: 39, 1 << 20: 31 + 13*8, 1<<30 + 1<<29: 31 + 23*8 + 4} {
		if got := tlsfList(size); got != want {
			t.Errorf("a free node of %d bytes is in list %d, want %d", size, got, want)
		}
	}
}
