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
