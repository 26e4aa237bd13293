package leak

import (
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// A device that records no stacks still tells who allocated how much.
func TestWithoutStacks(t *testing.T) {
	const uart, net = 1, 2
	node := func(addr heap.Addr, owner heap.Owner, size uint64) heap.Node {
		return heap.Node{Addr: addr, Owner: owner, Total: size}
	}
	owners := map[heap.Owner]string{uart: "uart", net: "net"}
	var series []Listing
	for i := range 8 {
		s := &heap.Snapshot{Owners: owners}
		s.Nodes = append(s.Nodes, node(0x10, uart, 100), node(0x20, net, 90), node(0x30, net, 16))
		for k := range 3 * i {
			s.Nodes = append(s.Nodes, node(heap.Addr(0x100+0x100*k), net, uint64(70+k)))
		}
		series = append(series, Listing{s})
	}
	var got []string
	all := NewSeries(symbol.None, Options{})
	for _, l := range series {
		all.Add(l)
	}
	for _, s := range all.Growth().Sites {
		got = append(got, string(s.Verdict)+" "+s.Frames[0].Function)
	}
	want := []string{"CONFIRMED [no stack: net, 64 to 127 bytes]", "STABLE [no stack: net, 16 to 31 bytes]", "STABLE [no stack: uart, 64 to 127 bytes]"}
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("%q, want %q", got, want)
	}
	d := Compare(series[0], series[7], symbol.None)
	if d.New != 21 || d.Kept != 3 || d.Gone != 0 || len(d.Changes) != 1 {
		t.Errorf("%+v", d)
	}
	series[7][0].Nodes[2] = node(0x30, uart, 16)
	if d := Compare(series[0], series[7], symbol.None); d.New != 22 || d.Kept != 2 || d.Gone != 1 {
		t.Errorf("another owner's node at the same address passes for kept: %+v", d)
	}
	series[7][0].Boot = 1
	if d := Compare(series[0], series[7], symbol.None); d.Kept != 0 || d.Gone != 3 {
		t.Errorf("nodes survived a restart: %+v", d)
	}
}

// A node whose stack was overwritten is the node that it was: nothing appeared,
// and in a series its site goes on.
func TestLostStack(t *testing.T) {
	stack := heap.Stack{0x1000, 0x2000}
	whole := heap.Node{Addr: 0x100, Total: 3072, Owner: 3, Stack: stack}
	damaged := heap.Node{Addr: 0x100, Total: 3072}
	other := heap.Node{Addr: 0x100, Total: 64}
	list := func(n heap.Node) Listing { return Listing{{Nodes: []heap.Node{n}}} }
	for _, c := range []struct {
		name     string
		from, to heap.Node
		kept     int
	}{
		{"overwritten", whole, damaged, 1},
		{"repaired", damaged, whole, 1},
		{"of another size", whole, other, 0},
	} {
		d := Compare(list(c.from), list(c.to), symbol.None)
		if d.Kept != c.kept || d.New != 1-c.kept || d.Gone != 1-c.kept {
			t.Errorf("%s: %d kept, %d new, %d gone", c.name, d.Kept, d.New, d.Gone)
		}
	}
	series := NewSeries(symbol.None, Options{})
	for _, n := range []heap.Node{whole, whole, damaged, whole, damaged} {
		series.Add(list(n))
	}
	sites := series.Growth().Sites
	if len(sites) != 1 || !sites[0].Stack.Equal(stack) || len(sites[0].Counts) != 5 {
		t.Errorf("%+v", sites)
	}
}
