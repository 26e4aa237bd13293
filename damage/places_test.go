package damage

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// program has a function of 16 bytes at 0x8000 and a variable at 0x9000.
type program struct{}

func (program) Frames(lr heap.Addr) []heap.Frame {
	if lr > 0x8000 && lr <= 0x8010 {
		return []heap.Frame{{Addr: lr, Function: "inlined", Inlined: true}, {Addr: lr, Function: "main"}}
	}
	return []heap.Frame{{Addr: lr}}
}

func (program) VariableAt(a heap.Addr) (string, heap.Span, bool) {
	at := heap.Span{Start: 0x9000, End: 0x9010}
	return "g_list", at, a >= at.Start && a < at.End
}

func TestPlaces(t *testing.T) {
	p := Places{Symbols: program{}, Variables: program{}, Owners: map[heap.Owner]string{3: "net"}}
	p.Add(heap.Span{Start: 0x1000, End: 0x2000}, "the pool")
	p.Add(heap.Span{Start: 0x1000, End: 0x1040}, "the pool's head")
	p.Add(heap.Span{Start: 0x0, End: 0x10000000}, "RAM")
	p.spans = p.spans[:2]
	for _, n := range []heap.Node{
		{Addr: 0x1040, Payload: 0x1050, Total: 0x40, Owner: 3},
		{Addr: 0x1080, Payload: 0x1090, Total: 0x40, State: heap.Free},
		{Addr: 0x10c0, Total: 0x40, State: heap.Quarantined},
		{Addr: 0x1040, Payload: 0x1050, Total: 0x40}, // again
		{Addr: 0x1100},                  // of no length
		{Addr: ^heap.Addr(0), Total: 2}, // beyond all memory
	} {
		p.AddNode(&n)
	}
	for a, want := range map[heap.Addr]string{
		0x1000: "the pool's head",
		0x103f: "the pool's head",
		0x1040: "the head of node 0x1040 of task net",
		0x1050: "the payload of node 0x1040 of task net",
		0x107f: "the payload of node 0x1040 of task net",
		0x1080: "the free node 0x1080",
		0x10ff: "node 0x10c0",
		0x1100: "the pool",
		0x2000: "",
		0x8000: "code: function main",
		0x8001: "code: function main",
		0x8020: "",
		0x9004: "the variable g_list",
		0:      "",
	} {
		if got := p.Where(a); got != want {
			t.Errorf("%s: %q instead of %q", a, got, want)
		}
	}
	if got := new(Places).Where(0x1000); got != "" {
		t.Errorf("nothing is known, but %q", got)
	}
}

// Every address of every node is found in it.
func TestPlacesOfNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p Places
		at := heap.Addr(rapid.Uint64Range(0, 1<<40).Draw(t, "start"))
		var nodes []heap.Node
		for range rapid.IntRange(1, 50).Draw(t, "nodes") {
			at += heap.Addr(rapid.Uint64Range(0, 64).Draw(t, "gap"))
			n := heap.Node{Addr: at, Payload: at + 16, Total: rapid.Uint64Range(16, 256).Draw(t, "length")}
			nodes = append(nodes, n)
			p.AddNode(&n)
			at += heap.Addr(n.Total)
		}
		for _, n := range nodes {
			off := heap.Addr(rapid.Uint64Range(0, n.Total-1).Draw(t, "offset"))
			want := fmt.Sprintf("the payload of node %s", n.Addr)
			if off < 16 {
				want = fmt.Sprintf("the head of node %s", n.Addr)
			}
			if got := p.Where(n.Addr + off); got != want {
				t.Errorf("%q instead of %q", got, want)
			}
		}
		if got := p.Where(at); got != "" {
			t.Errorf("behind all: %q", got)
		}
	})
}
