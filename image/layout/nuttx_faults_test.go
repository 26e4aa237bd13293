package layout

import (
	"bytes"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// chainFaults are the heaps on which the table of faults is tried: used, free,
// used, used, free, used.
func chainFaults(t *testing.T) map[string]*chainModel {
	all := make(map[string]*chainModel)
	for name, l := range map[string]NuttX{"nuttx": {PID: true, Seqno: true, Backtrace: 2}, "nuttx-64": {Bits64: true}} {
		h := &NuttXHeap{Layout: l, Addr: 0x20000}
		for i := range 6 {
			h.Nodes = append(h.Nodes, NuttXNode{Size: 64, Free: i == 1 || i == 4, PID: int32(i), Seqno: uint64(i + 1)})
		}
		all[name] = h.model(t)
	}
	for name, l := range map[string]RTThread{
		"small": {MemTrace: true}, "magic": {Kind: RTThreadMagic}, "memheap": {Kind: RTThreadMemheap, Bits64: true},
	} {
		h := &RTThreadHeap{Layout: l, Addr: 0x20000, Name: "heap"}
		for i := range 6 {
			h.Nodes = append(h.Nodes, RTThreadNode{Size: 64, Free: i == 1 || i == 4, Thread: "main"})
		}
		all[name] = h.model(t)
	}
	return all
}

// TestChainFaults: what each fault is reported as.
func TestChainFaults(t *testing.T) {
	for name, m := range chainFaults(t) {
		weak := m.weak
		for _, c := range []struct {
			what    string
			node    int // that is hit
			off, n  int // in its header
			with    byte
			kind    heap.Kind
			culprit int // -1: none is asserted
		}{
			{"overflow of a header", 2, 0, int(m.own[2].Len()), 'A', heap.HeaderDamaged, -1},
			{"the end node", 6, 0, int(m.own[6].Len()), 0xff, heap.HeaderDamaged, 5},
			{"overflow behind a used node", 3, 0, int(m.own[3].Len()), 'A', heap.HeaderDamaged, 2},
		} {
			bad := bytes.Clone(m.image)
			for i := range c.n {
				bad[int(m.own[c.node].Start-m.addr)+c.off+i] = c.with
			}
			p, err := m.open(Bytes{m.addr, bad})
			if err != nil {
				t.Fatalf("%s: %s: %v", name, c.what, err)
			}
			nodes, findings, _ := walkedChain(p)
			var hit *heap.Finding
			for i := range findings {
				if findings[i].Node == m.starts[c.node] {
					hit = &findings[i]
					break
				}
			}
			switch {
			case hit == nil:
				t.Errorf("%s: %s: no finding about %s: %v", name, c.what, m.starts[c.node], findings)
				continue
			case hit.Kind != c.kind || hit.Span.Len() == 0 && !weak:
				t.Errorf("%s: %s: %v", name, c.what, hit)
			case c.culprit >= 0 && !(weak && c.node == 3) && (hit.Culprit == nil || hit.Culprit.Addr != m.starts[c.culprit]):
				t.Errorf("%s: %s: the culprit is not %s: %v", name, c.what, m.starts[c.culprit], hit)
			}
			for i, n := range m.nodes { // all others are listed
				found := false
				for _, got := range nodes {
					found = found || got.Addr == n.Addr
				}
				if i != c.node && !found {
					t.Errorf("%s: %s: node %d is missing", name, c.what, i)
				}
			}
		}
	}
}

// chainProgram is debug information with variables.
type chainProgram map[string]heap.Span

func (chainProgram) Struct(string) (heap.Struct, bool)             { return heap.Struct{}, false }
func (p chainProgram) Variable(name string) (s heap.Span, ok bool) { s, ok = p[name]; return s, ok }
func (chainProgram) Data() []heap.Section                          { return nil }

// TestChainVariables: a variable leads to the heap and names it.
func TestChainVariables(t *testing.T) {
	for name, c := range map[string]struct {
		variable string
		find     func(heap.RAM, *Hints) ([]Pool, []string)
	}{
		"nuttx": {"g_mmheap", findNuttX}, "magic": {"heap_ptr", findRTThread}, "memheap": {"_heap", findRTThreadMemheap},
	} {
		m := chainFaults(t)[name]
		image := append(bytes.Clone(m.image), make([]byte, 16)...)
		at := m.addr + heap.Addr(len(m.image))
		putWord(image[len(m.image):], 8, uint64(m.addr))
		h := &Hints{Program: chainProgram{c.variable: {Start: at, End: at + 4}}}
		pools, _ := c.find(Bytes{m.addr, image}, h)
		if len(pools) != 1 || !strings.Contains(strings.Join(pools[0].About().Evidence, "\n"), c.variable) {
			t.Errorf("%s: %d pools, not by %s", name, len(pools), c.variable)
			continue
		}
		if nodes, findings, _ := walkedChain(pools[0]); len(nodes) != 6 || len(findings) > 0 {
			t.Errorf("%s: %d nodes, %v", name, len(nodes), findings)
		}
		again, _ := c.find(Bytes{m.addr, image}, &Hints{At: pools[0].About().Span.Start})
		if len(again) != 1 || again[0].About().Span != pools[0].About().Span {
			t.Errorf("%s: where it begins no pool is opened", name)
		}
	}
}
