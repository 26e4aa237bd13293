package layout

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

// A placedHeap is a heap of six nodes, the second and fifth of which may be free.
type placedHeap struct {
	m      Bytes
	starts []heap.Addr
	head   int // bytes
	word   int
	open   func(Bytes) (Pool, error)
}

// placedHeaps has a heap of each engine that tells enough to know a copy by.
func placedHeaps(t *testing.T) map[string]*placedHeap {
	t.Helper()
	all := make(map[string]*placedHeap)
	chain := func(name string, m *chainModel, head, word int) {
		all[name] = &placedHeap{Bytes{m.addr, m.image}, m.starts, head, word, m.open}
	}
	for name, l := range map[string]NuttX{"nuttx": {PID: true, Seqno: true, Backtrace: 2}, "nuttx-64": {Bits64: true, PID: true, Seqno: true}} {
		h := &NuttXHeap{Layout: l, Addr: 0x20000}
		for i := range 6 {
			h.Nodes = append(h.Nodes, NuttXNode{Size: 64 + 16*uint64(i), Free: i == 1, PID: int32(i), Seqno: uint64(i + 1)})
		}
		chain(name, h.model(t), l.offsets().head, l.offsets().word)
	}
	for name, l := range map[string]RTThread{
		"small": {MemTrace: true}, "small-64": {Bits64: true}, "magic": {Kind: RTThreadMagic}, "memheap": {Kind: RTThreadMemheap}, "memheap-64": {Kind: RTThreadMemheap, Bits64: true},
	} {
		h := &RTThreadHeap{Layout: l, Addr: 0x20000, Name: "heap"}
		for i := range 6 {
			h.Nodes = append(h.Nodes, RTThreadNode{Size: 64 + 16*uint64(i), Free: i == 1, Thread: "main"})
		}
		chain(name, h.model(t), l.offsets().head, l.offsets().word)
	}
	for name, l := range map[string]TLSF{
		"liteos-m": {Integrity: true, LeakCheck: true, LRs: 3, MulPool: true}, "liteos-m, plain": {}, "liteos-a": {A: true, Integrity: true},
	} {
		h := &TLSFHeap{Layout: l, Addr: 0x20000}
		for i := range 6 {
			h.Nodes = append(h.Nodes, TLSFNode{Size: 64 + 16*uint64(i), Free: i == 1})
		}
		pool, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		o := l.Offsets()
		all[name] = &placedHeap{Bytes{h.Addr, pool}, starts, o.Head, o.Word, func(b Bytes) (Pool, error) { return openTLSF(b, h.Addr, &l, l.A) }}
	}
	return all
}

// reach writes b over the head of the node with number i and returns what is said
// of it.
func (h *placedHeap) reach(t *testing.T, i int, b []byte) string {
	t.Helper()
	bad := Bytes{h.m.Addr, bytes.Clone(h.m.Data)}
	copy(bad.Data[h.starts[i]-bad.Addr:], b)
	p, err := h.open(bad)
	if err != nil {
		t.Fatal(err)
	}
	_, findings, _ := collect(p)
	for _, f := range findings {
		if f.Node == h.starts[i] && f.Reach != "" {
			return f.Reach
		}
	}
	t.Fatalf("nothing is found at %s with % x: %v", h.starts[i], b, findings)
	return ""
}

// pointers repeats an address.
func pointers(a heap.Addr, word, n int) []byte {
	b := make([]byte, n)
	for i := 0; i+word <= n; i += word {
		putWord(b[i:], word, uint64(a))
	}
	return b
}

// TestPlaces: in every engine what overwrote a head is named by where it points
// and what it is a copy of.
func TestPlaces(t *testing.T) {
	for name, h := range placedHeaps(t) {
		t.Run(name, func(t *testing.T) {
			s := h.starts
			for into, want := range map[heap.Addr]string{
				s[5] + heap.Addr(h.head) + 8: fmt.Sprintf("the payload of node %s", s[5]),
				s[4] + 4:                     fmt.Sprintf("the head of node %s", s[4]),
				s[1] + 8:                     fmt.Sprintf("the free node %s", s[1]),
				s[5] + heap.Addr(len(h.m.Data)-int(s[5]-h.m.Addr)-4): "the pool's end node",
			} {
				if got := h.reach(t, 2, pointers(into, h.word, h.head)); !strings.Contains(got, "into "+want) {
					t.Errorf("%q instead of %q", got, want)
				}
			}
			for _, i := range []int{4, 5} {
				b := h.m.Data[s[i]-h.m.Addr:][:h.head]
				if got, want := h.reach(t, 2, b), fmt.Sprintf("a copy of the head of node %s", s[i]); got != want {
					t.Errorf("%q instead of %q", got, want)
				}
			}
			// What is neither is not taken for it.
			if got := h.reach(t, 2, bytes.Repeat([]byte{0x35, 0xc4, 0x9a, 0x17}, h.head/4)[:h.head]); strings.Contains(got, "copy") || strings.Contains(got, " into ") {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestOwnPlaces is the same for the pools of package heapwright, in a file and at
// the address that the process had them at.
func TestOwnPlaces(t *testing.T) {
	for _, cfg := range []heapwright.Config{{}, {HeadBackup: true}, {LeakCheck: true}, ownBoth} {
		o := newOwn(t, cfg, 16<<10)
		var at []int // the starts of nodes
		for range 6 {
			at = append(at, o.off(o.alloc(t, 96, 3)))
		}
		head := at[1] - at[0] - 96
		for i := range at {
			at[i] -= head
		}
		for _, addr := range []heap.Addr{o.Addr(), 0x10000} {
			reach := func(b []byte) string {
				m := Bytes{addr, bytes.Clone(o.region)}
				copy(m.Data[at[2]:], b)
				_, findings, _ := collect(findOwn(t, m, Hints{Program: aProgram{}}))
				for _, f := range findings {
					if f.Node == addr+heap.Addr(at[2]) {
						return f.Reach
					}
				}
				t.Fatalf("nothing is found: %v", findings)
				return ""
			}
			word := findOwn(t, Bytes{addr, bytes.Clone(o.region)}, Hints{}).about.PointerSize
			node := func(i int) heap.Addr { return addr + heap.Addr(at[i]) }
			for into, want := range map[heap.Addr]string{
				o.Addr() + heap.Addr(at[4]+head) + 8: fmt.Sprintf("the payload of node %s", node(4)),
				o.Addr() + heap.Addr(at[1]) + 4:      fmt.Sprintf("the head of node %s", node(1)),
				o.Addr() + 8:                         "the pool's head",
				0x8020:                               "code: function net_poll",
				0x9008:                               "the variable g_list",
			} {
				if got := reach(pointers(into, word, head)); !strings.Contains(got, "into "+want) {
					t.Errorf("%+v: %q instead of %q", cfg, got, want)
				}
			}
			if got, want := reach(o.region[at[4]:][:head]), fmt.Sprintf("a copy of the head of node %s", node(4)); got != want {
				t.Errorf("%+v: %q instead of %q", cfg, got, want)
			}
		}
	}
}
