package layout

import (
	"slices"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// tlsfPieces is memory in pieces.
type tlsfPieces []heap.Memory

func (p tlsfPieces) Spans() []heap.Memory { return p }

func (p tlsfPieces) View(addr heap.Addr, n uint64) []byte {
	for _, m := range p {
		if b := (Bytes{m.Addr, m.Bytes}).View(addr, n); b != nil {
			return b
		}
	}
	return nil
}

// TestTLSFChain: a pool whose head does not point to itself is found through
// the pool that is chained to it.
func TestTLSFChain(t *testing.T) {
	l := TLSF{Waterline: true, MulPool: true, Integrity: true}
	first, second := tlsfSmallHeap(l), tlsfSmallHeap(l)
	second.Addr = 0x10000000
	first.Next = second.Addr
	a, _, err := first.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := second.Encode()
	if err != nil {
		t.Fatal(err)
	}
	pools, _, err := Find(tlsfPieces{{Addr: second.Addr, Bytes: b}, {Addr: first.Addr, Bytes: a}}, Hints{})
	if err != nil || len(pools) != 2 || pools[0].About().Span.Start != second.Addr || pools[1].About().System != "liteos-m" {
		t.Fatalf("%v, %v", pools, err)
	}
}

// TestTLSFRegions: a pool of LiteOS-A that has grown is one pool and one for
// each region, with the free lists of all.
func TestTLSFRegions(t *testing.T) {
	l := TLSF{A: true, Integrity: true, LeakCheck: true, LRs: 3, Waterline: true, Expand: true}
	o := l.Offsets()
	main, grown := tlsfSmallHeap(l), tlsfSmallHeap(l)
	grown.Addr = 0x40000000
	a, _, err := main.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b, starts, err := grown.Encode()
	if err != nil {
		t.Fatal(err)
	}
	// The region is the nodes of the other pool without its head and, as here
	// only one list is long enough to be joined, with one free node.
	region := b[o.FirstNode:]
	at := starts[0]
	put := func(m []byte, off int, n int, v uint64) { putWord(m[off:], n, v) }
	put(region, o.Prev, 4, uint64(at)+uint64(len(region)-o.Head))
	for i, n := range grown.Nodes {
		if n.Free {
			off := int(starts[i] - at)
			k := tlsfList(uint64(word(region[off+o.Size:], 4)))
			mine := word(a[o.Lists+4*k:], 4)
			put(a, int(mine-uint64(main.Addr))+o.Links+4, 4, uint64(starts[i]))
			put(region, off+o.Links, 4, mine)
		}
	}
	end := len(a) - o.Head
	put(a, end+o.Prev, 4, uint64(at))
	put(a, end+o.Size, 4, uint64(len(region))|(tlsfUsed|tlsfSeen)<<24)

	mem := tlsfPieces{{Addr: main.Addr, Bytes: a}, {Addr: at, Bytes: region}}
	pools, _, err := Find(mem, Hints{})
	if err != nil || len(pools) != 2 {
		t.Fatalf("%d pools, %v", len(pools), err)
	}
	for i, p := range pools {
		nodes, findings, s := poolWalked(p)
		if len(nodes) != len(main.Nodes) || len(findings) > 0 || s.Partial != "" {
			t.Errorf("pool %d, %s: %d nodes, %v, %s", i, p.About().Layout, len(nodes), findings, s.Partial)
		}
		checkWalk(t, p)
	}
	if name := pools[1].About().Name; name != "0x20000000, region 2" {
		t.Errorf("the region is called %q", name)
	}
}

// tlsfProgram is what debug information says.
type tlsfProgram struct {
	structs   map[string]heap.Struct
	variables map[string]heap.Span
}

func (p tlsfProgram) Struct(name string) (heap.Struct, bool) { s, ok := p.structs[name]; return s, ok }

func (p tlsfProgram) Variable(name string) (heap.Span, bool) {
	v, ok := p.variables[name]
	return v, ok
}
func (p tlsfProgram) Data() []heap.Section { return nil }

// TestTLSFHints: configuration and debug information decide between layouts
// that fit as well, and name the pool; if they fit nothing, that is said.
func TestTLSFHints(t *testing.T) {
	l := TLSF{Waterline: true, MulPool: true}
	h := &TLSFHeap{Layout: l, Addr: 0x20000000, Nodes: []TLSFNode{{Size: 100}, {Size: 50}, {Size: 1000, Free: true}}}
	b, _, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b[0] = 0x44 // the head no longer points to itself
	mem := Bytes{h.Addr, b}
	config := map[string]string{"LOSCFG_MEM_WATERLINE": "y", "LOSCFG_MEM_MUL_POOL": "y"}
	prog := tlsfProgram{variables: map[string]heap.Span{"g_memStart": {Start: h.Addr, End: h.Addr + 0x10000}}, structs: map[string]heap.Struct{
		"OsMemNodeHead": {Size: 8, Fields: []heap.StructField{{Name: "ptr", Size: 4}, {Name: "sizeAndFlag", Offset: 4, Size: 4}}},
	}}
	for name, hints := range map[string]Hints{
		"at": {At: h.Addr}, "config": {At: h.Addr, Config: config, PointerSize: 4}, "program": {Program: prog, Config: config},
	} {
		pools, notes, err := Find(mem, hints)
		if err != nil || len(pools) != 1 || pools[0].About().Layout != l.String() || len(notes) > 0 {
			t.Fatalf("%s: %d pools, %q, %v", name, len(pools), notes, err)
		}
		_, findings, _ := poolWalked(pools[0])
		if len(findings) != 1 || findings[0].Kind != heap.PoolHeadDamaged || !findings[0].Recovered {
			t.Errorf("%s: %v", name, findings)
		}
		if name == "program" && pools[0].About().Name != "g_memStart" {
			t.Errorf("the pool is called %q", pools[0].About().Name)
		}
	}
	config["LOSCFG_MEM_LEAKCHECK"] = "y"
	pools, notes, err := Find(mem, Hints{At: h.Addr, Config: config})
	if err != nil || len(pools) != 1 || !slices.ContainsFunc(notes, func(s string) bool { return strings.Contains(s, "fits no pool") }) {
		t.Errorf("%d pools, %q, %v", len(pools), notes, err)
	}
}

// TestTLSFFields: every byte of a head that means something has a name, in
// order, and what is wrong is marked.
func TestTLSFFields(t *testing.T) {
	l := TLSF{Integrity: true, LeakCheck: true, LRs: 2, Task: TLSFTaskWord}
	h := tlsfSmallHeap(l)
	b, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	b[starts[3]-h.Addr] = 0
	p, err := openTLSF(Bytes{h.Addr, b}, h.Addr, &l, false)
	if err != nil {
		t.Fatal(err)
	}
	nodes, _, _ := poolWalked(p)
	var names []string
	for _, f := range p.Fields(&nodes[3]) {
		name := f.Name
		if f.Wrong != "" {
			name += "!"
		}
		names = append(names, name)
	}
	want := []string{"magic!", "LR[0]", "LR[1]", "previous node", "task", "size and flags", "previous free", "next free"}
	if !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}
