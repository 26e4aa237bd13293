package layout

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// tlsfKinds are pools of which the ends are told by little: in the first two the
// two kernels differ in what the first node names, and in nothing else.
var tlsfKinds = []TLSF{
	{Integrity: true, MulPool: true},
	{A: true, Integrity: true},
	{},
	{Bits64: true, Integrity: true, LeakCheck: true, LRs: 3, Waterline: true},
	{A: true, Bits64: true, Integrity: true, LeakCheck: true, LRs: 3, Waterline: true},
	{A: true, Integrity: true, Expand: true},
}

// TestTLSFEitherKernel: a pool is that of the kernel whose first node it has.
func TestTLSFEitherKernel(t *testing.T) {
	for _, l := range tlsfKinds {
		pool, _, err := tlsfSmallHeap(l).Encode()
		if err != nil {
			t.Fatal(err)
		}
		pools, _, err := Find(Bytes{0x20000000, pool}, Hints{})
		if err != nil || len(pools) != 1 || pools[0].About().System != l.System() {
			t.Errorf("%s: %d pools, %v", l, len(pools), err)
			continue
		}
		if _, findings, _ := poolWalked(pools[0]); len(findings) > 0 {
			t.Errorf("%s taken for %s: %v", l, pools[0].About().Layout, findings)
		}
	}
}

// TestTLSFEnds: a pool is found although its first node or its end node is gone,
// nothing but that is reported, and a repair writes nothing that was not there.
func TestTLSFEnds(t *testing.T) {
	for _, l := range tlsfKinds {
		h := tlsfSmallHeap(l)
		for i := range h.Nodes {
			h.Nodes[i].Seen = false // only the leak check needs it, for a moment
		}
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		head := l.Offsets().Head
		end := h.Addr + heap.Addr(len(pool)-head)
		for _, at := range []heap.Addr{starts[0], end} {
			for _, with := range []byte{0, 'A', 0xff} {
				bad := slices.Clone(pool)
				copy(bad[at-h.Addr:], bytes.Repeat([]byte{with}, head))
				name := fmt.Sprintf("%s: %s full of %#x", l, at, with)
				pools, _, err := Find(Bytes{h.Addr, bad}, Hints{})
				if err != nil || len(pools) != 1 {
					t.Errorf("%s: %d pools, %v", name, len(pools), err)
					continue
				}
				p := pools[0].(*TLSFPool)
				nodes, findings, s := poolWalked(p)
				listed := make([]heap.Addr, len(nodes))
				for i := range nodes {
					listed[i] = nodes[i].Addr
				}
				if !slices.Equal(listed, starts) || len(findings) == 0 || findings[0].Node != at {
					t.Errorf("%s: taken for %s: nodes %v, findings %v", name, p.Layout, listed, findings)
				}
				for _, patch := range s.Patches {
					if was := pool[patch.Addr-h.Addr:][:len(patch.New)]; !bytes.Equal(was, patch.New) {
						t.Errorf("%s: taken for %s: a repair writes % x at %s, where % x was", name, p.Layout, patch.New, patch.Addr, was)
					}
				}
			}
		}
	}
}

// TestTLSFListBehindDamage: a list that leads to a node that is lost, and a free
// node that names one, are not blamed.
func TestTLSFListBehindDamage(t *testing.T) {
	l := TLSF{Integrity: true}
	h := &TLSFHeap{Layout: l, Addr: 0x20000000}
	for i := range 12 {
		h.Nodes = append(h.Nodes, TLSFNode{Free: i%2 == 1, Size: 48})
	}
	pool, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, from := range []int{1, 3, 5} { // the first of its list, and others
		bad := slices.Clone(pool)
		at := starts[from] - h.Addr - 4
		clear(bad[at : starts[from+1]-h.Addr+12])
		p, err := openTLSF(Bytes{h.Addr, bad}, h.Addr, &l, false)
		if err != nil {
			t.Fatal(err)
		}
		_, findings, s := poolWalked(p)
		for _, f := range findings {
			if f.Kind == heap.FreeIndexWrong || f.Kind == heap.FreeDamaged {
				t.Errorf("from node %d on: %v", from, f)
			}
		}
		for _, patch := range s.Patches {
			if was := pool[patch.Addr-h.Addr:][:len(patch.New)]; !bytes.Equal(was, patch.New) {
				t.Errorf("from node %d on: a repair writes % x at %s, where % x was: %s", from, patch.New, patch.Addr, was, patch.Why)
			}
		}
	}
}

// TestTLSFRecovered: what may have been overwritten and nobody else knows is not
// called restored.
func TestTLSFRecovered(t *testing.T) {
	l := TLSF{Integrity: true, LeakCheck: true, LRs: 3}
	h := tlsfSmallHeap(l)
	pool, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	copy(pool[starts[2]-h.Addr:], "AAAAA") // the magic, and a byte of the first LR
	p, err := openTLSF(Bytes{h.Addr, pool}, h.Addr, &l, false)
	if err != nil {
		t.Fatal(err)
	}
	_, findings, _ := poolWalked(p)
	if len(findings) != 1 || findings[0].Recovered {
		t.Fatal(findings)
	}
	if f := findings[0]; !strings.Contains(f.Detail+strings.Join(f.Unseen, " "), "call stack") {
		t.Errorf("nothing is said of the call stack: %v", f)
	}
}
