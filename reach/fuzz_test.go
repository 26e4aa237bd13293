package reach

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// hostile is a memory, pools, nodes and roots made of any bytes.
type hostile struct {
	data []byte
	mem  pieces
}

func (h *hostile) byte() (b byte) {
	if len(h.data) > 0 {
		b, h.data = h.data[0], h.data[1:]
	}
	return b
}

// addr draws an address: near others, at either end of the address space, or
// anywhere.
func (h *hostile) addr() heap.Addr {
	switch b := h.byte(); {
	case b < 200:
		return 0x1000 + heap.Addr(b)*4
	case b < 220:
		return -heap.Addr(h.byte())
	case b < 230:
		return heap.Addr(h.byte())
	}
	b := make([]byte, 8)
	for i := range b {
		b[i] = h.byte()
	}
	return heap.Addr(binary.LittleEndian.Uint64(b))
}

func (h *hostile) span() heap.Span { return heap.Span{Start: h.addr(), End: h.addr()} }

func (h *hostile) pool() Pool {
	var nodes []heap.Node
	p := Pool{Span: h.span()}
	for range h.byte() % 16 {
		n := heap.Node{Addr: h.addr(), Total: uint64(h.byte()), State: heap.State(h.byte() % 5)}
		n.Payload = n.Addr + heap.Addr(h.byte()%64)
		if n.Total == 255 {
			n.Total, n.Payload = uint64(h.addr()), h.addr()
		}
		nodes = append(nodes, n)
	}
	p.Walk = func(visit func(*heap.Node) bool) {
		for i := range nodes {
			if !visit(&nodes[i]) {
				return
			}
		}
	}
	return p
}

// FuzzAnalyse gives any nodes and any memory. Whatever comes out adds up.
func FuzzAnalyse(f *testing.F) {
	f.Add([]byte{})
	f.Add(append([]byte{4, 1, 0, 180, 1, 10, 90, 4, 10, 32, 0, 8, 18, 32, 0, 8, 26, 32, 1, 8, 40, 16, 2, 0}, make([]byte, 600)...))
	f.Add(append([]byte{9, 2, 0, 255, 1, 210, 0, 8}, slices.Repeat([]byte{0x40, 0x10, 0, 0, 0, 0, 0, 0}, 80)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		h := &hostile{data: data}
		kind := h.byte()
		o := Options{PointerSize: 4 + int(kind&1)*4, Unaligned: kind&2 != 0}
		if kind&4 != 0 {
			o.Order = binary.BigEndian
		}
		var pools []Pool
		var e Evidence
		for range h.byte()%3 + 1 {
			p := h.pool()
			pools, e.Pools = append(pools, p), append(e.Pools, p.Span)
		}
		for range h.byte() % 4 {
			e.Sections = append(e.Sections, heap.Section{Span: h.span(), Name: "s"})
			e.Segments = append(e.Segments, heap.Section{Span: h.span(), Name: "g"})
		}
		for range h.byte() % 4 {
			e.Threads = append(e.Threads, Thread{Name: "t", SP: h.addr(), Registers: []uint64{uint64(h.addr())}})
		}
		start := heap.Addr(0x1000)
		if kind&8 != 0 {
			start = -heap.Addr(len(h.data))
		}
		n := int(h.byte())
		n = min(n, len(h.data))
		h.mem = pieces{{Addr: start, Bytes: h.data[:n]}, {Addr: start + heap.Addr(n), Bytes: h.data[n:]}}
		e.Memory = h.mem
		roots, err := FindRoots(e)
		if err != nil {
			if !errors.Is(err, ErrNoRoots) {
				t.Fatal(err)
			}
			return
		}
		for _, r := range roots.List {
			if r.Span.Len() > 0 && r.Span.End < r.Span.Start {
				t.Fatalf("root %+v", r)
			}
		}
		r, err := Analyse(t.Context(), h.mem, pools, roots.List, o)
		if err == nil {
			check(t, r)
		}
	})
}

// check recounts a result.
func check(t *testing.T, r *Result) {
	var all Count
	var counts [pointed + 3]Count
	for k := range len(r.x.at) - 1 {
		s := r.x.state[k]
		counts[s].add(r.x.length(uint32(k)))
		if s > Quarantined {
			all.add(r.x.length(uint32(k)))
		}
		if path := r.Path(r.x.at[k]); (path != nil) != (s == Reachable) {
			t.Fatalf("%s is %s; its path is %+v", r.x.at[k], s, path)
		}
		if _, _, err := r.PointersTo(t.Context(), r.x.at[k], 4); err != nil {
			t.Fatal(err)
		}
		if r.x.at[k] >= r.x.at[k+1] && s != Outside {
			t.Fatalf("entry %d begins at %s, the next one at %s", k, r.x.at[k], r.x.at[k+1])
		}
	}
	if all != r.Used || counts[Reachable] != r.Reachable || counts[Unreferenced] != r.Unreferenced || counts[Indirect] != r.Indirect || counts[Quarantined] != r.Quarantined {
		t.Fatalf("counted %v, %v; told %+v", all, counts, r)
	}
	if uint64(r.Reachable.Nodes+r.Lost().Nodes) != r.Used.Nodes {
		t.Fatalf("%d used nodes, %d reachable, %d lost", r.Used.Nodes, r.Reachable.Nodes, r.Lost().Nodes)
	}
	heads := uint64(0)
	for h := range r.Heads {
		heads += 1 + h.Indirect.Nodes
	}
	if heads != r.Lost().Nodes {
		t.Fatalf("%d nodes are lost, %d through heads", r.Lost().Nodes, heads)
	}
}
