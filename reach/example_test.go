package reach_test

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/reach"
)

// memory is a RAM of two pieces.
type memory []heap.Memory

func (m memory) Spans() []heap.Memory { return m }

func (m memory) View(addr heap.Addr, n uint64) []byte {
	for _, s := range m {
		if b := (layout.Bytes{Addr: s.Addr, Data: s.Bytes}).View(addr, n); b != nil {
			return b
		}
	}
	return nil
}

// A global points to the first of three nodes; the second points to the third.
func ExampleAnalyse() {
	ram := make([]byte, 0x100)
	mem := layout.Bytes{Addr: 0x20000000, Data: ram}
	put := func(at, value uint32) { binary.LittleEndian.PutUint32(ram[at-0x20000000:], value) }
	put(0x20000010, 0x20000088) // a global → the first node's payload
	put(0x200000a8, 0x200000c8) // the second node → the third
	pool := reach.Pool{
		Span: heap.Span{Start: 0x20000080, End: 0x200000e0},
		Walk: func(visit func(*heap.Node) bool) {
			for at := heap.Addr(0x20000080); at < 0x200000e0; at += 0x20 {
				if !visit(&heap.Node{Addr: at, Payload: at + 8, Total: 0x20}) {
					return
				}
			}
		},
	}
	roots, err := reach.FindRoots(reach.Evidence{
		Memory:   mem,
		Pools:    []heap.Span{pool.Span},
		Sections: []heap.Section{{Span: heap.Span{Start: 0x20000000, End: 0x20000080}, Name: ".bss"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := reach.Analyse(context.Background(), mem, []reach.Pool{pool}, roots.List, reach.Options{PointerSize: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	for h := range r.Heads {
		fmt.Printf("%s: %d bytes, and %d in %d nodes through it\n", h.Addr, h.Bytes, h.Indirect.Bytes, h.Indirect.Nodes)
	}
	fmt.Println("the third node is", r.State(0x200000c0))
	for _, p := range r.Path(0x20000080) {
		fmt.Printf("%s+%#x at %s points to %s, %s\n", p.Root, p.Offset, p.Word, p.Node, p.Kind)
	}
	// Output:
	// 0x200000a0: 32 bytes, and 32 in 1 nodes through it
	// the third node is lost indirectly
	// .bss+0x10 at 0x20000010 points to 0x20000080, start of payload
}

// A dump of nothing but a pool has no roots.
func ExampleFindRoots() {
	dump := layout.Bytes{Addr: 0x568c0, Data: make([]byte, 4096)}
	_, err := reach.FindRoots(reach.Evidence{Memory: dump, Pools: []heap.Span{{Start: 0x568c0, End: 0x578c0}}})
	fmt.Println(errors.Is(err, reach.ErrNoRoots))
	fmt.Println(err)
	// Output:
	// true
	// the memory holds nothing outside the pool: unreferenced nodes cannot be told; dump the whole RAM
}

// open reads the real dump of a device that leaked, which begins at its pool.
func open(t *testing.T) (layout.Bytes, layout.Pool) {
	t.Helper()
	f, err := os.Open("../image/layout/testdata/leak-after.bin.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	mem := layout.Bytes{Addr: 0x568c0, Data: b}
	pools, _, err := layout.Find(mem, layout.Hints{})
	if err != nil || len(pools) != 1 {
		t.Fatalf("%d pools, %v", len(pools), err)
	}
	return mem, pools[0]
}

func TestRealDump(t *testing.T) {
	mem, p := open(t)
	a := p.About()
	pool := reach.Pool{Name: a.Label(), Span: a.Span, Walk: func(visit func(*heap.Node) bool) { p.Walk(visit, nil) }}
	o := reach.Options{PointerSize: a.PointerSize}
	if _, err := reach.FindRoots(reach.Evidence{Memory: mem, Pools: []heap.Span{a.Span}}); !errors.Is(err, reach.ErrNoRoots) {
		t.Errorf("roots of a dump of nothing but the pool: %v", err)
	}
	all := []reach.Root{{Name: "all", Span: heap.Span{Start: 0, End: 1 << 32}}}
	if _, err := reach.Analyse(t.Context(), mem, []reach.Pool{pool}, all, o); !errors.Is(err, reach.ErrNoRoots) {
		t.Errorf("search in a dump of nothing but the pool: %v", err)
	}

	// With globals in front that point to every second node, half of the nodes
	// at least are reachable.
	globals := make([]byte, 0x1000)
	var used uint64
	var pointed []heap.Addr
	pool.Walk(func(n *heap.Node) bool {
		if n.State == heap.Used {
			if used%2 == 0 && 4*len(pointed) < len(globals) {
				binary.LittleEndian.PutUint32(globals[4*len(pointed):], uint32(n.Payload))
				pointed = append(pointed, n.Addr)
			}
			used++
		}
		return true
	})
	whole := memory{{Addr: 0x1000, Bytes: globals}, {Addr: mem.Addr, Bytes: mem.Data}}
	roots, err := reach.FindRoots(reach.Evidence{Memory: whole, Pools: []heap.Span{a.Span}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := reach.Analyse(t.Context(), whole, []reach.Pool{pool}, roots.List, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Used.Nodes != used || r.Reachable.Nodes+r.Lost().Nodes != used || r.Reachable.Nodes < uint64(len(pointed)) || r.Lost().Nodes == 0 {
		t.Errorf("%d used nodes, %d pointed to: %+v", used, len(pointed), r)
	}
	for i, n := range pointed {
		path := r.Path(n)
		if len(path) != 1 || path[0].Word != 0x1000+heap.Addr(4*i) {
			t.Errorf("node %s is reached by %+v", n, path)
		}
	}
	if survey := p.Walk(nil, nil); survey.Stats.UsedNodes != used || r.Partial != "" || r.Quarantined.Nodes != 0 {
		t.Errorf("%+v, %q, %v", survey.Stats, r.Partial, r.Quarantined)
	}
	t.Logf("%d used nodes, %d pointed to, %+v reachable, %+v and %+v lost", used, len(pointed), r.Reachable, r.Unreferenced, r.Indirect)
}
