package leak

import (
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// A finder agrees with the series about which nodes are of one site.
func TestFinder(t *testing.T) {
	sym := named{0x10: "f", 0x12: "f", 0x20: "g"}
	snap := &heap.Snapshot{Pool: "p", Owners: map[heap.Owner]string{1: "net"}, Nodes: []heap.Node{
		{Addr: 0x100, Stack: heap.Stack{0x10}},
		{Addr: 0x200, Stack: heap.Stack{0x12}},
		{Addr: 0x300, Stack: heap.Stack{0x20}},
		{Addr: 0x400, Owner: 1, Size: 40},
		{Addr: 0x500, Owner: 1, Size: 50},
		{Addr: 0x600, Owner: 1, Size: 80},
	}}
	g := Group(Listing{snap}, sym)
	known := NewFinder(g, sym)
	fresh := NewFinder(nil, sym)
	counts := map[*Site]int{}
	for i := range snap.Nodes {
		counts[known.Site(snap, &snap.Nodes[i])]++
		a, b := known.Site(snap, &snap.Nodes[i]), fresh.Site(snap, &snap.Nodes[i])
		if siteKey(a.Pool, a.Frames) != siteKey(b.Pool, b.Frames) {
			t.Errorf("node %d: %v with a growth, %v without", i, a.Frames, b.Frames)
		}
	}
	if len(g.Sites) != 4 || len(counts) != 4 {
		t.Errorf("%d sites, %d found", len(g.Sites), len(counts))
	}
	for i := range g.Sites {
		if s := &g.Sites[i]; counts[s] != s.At(1).Nodes {
			t.Errorf("%v: %d nodes found of %d", s.Frames, counts[s], s.At(1).Nodes)
		}
	}
	other := *snap
	other.Pool = "other"
	if s := known.Site(&other, &snap.Nodes[0]); s.Pool != "other" || counts[s] != 0 {
		t.Errorf("a node of another pool is of %+v", s)
	}
}
