package leak

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// The cohorts of a series of any length are those that one would count by
// hand from the listings that are told apart.
func TestCohortsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{1, 5, 127, 128, 129, 130, 131, 255, 256, 257, 258, 400}).Draw(t, "listings")
		s := story{n: n}
		for range rapid.IntRange(1, 40).Draw(t, "nodes") {
			first := rapid.IntRange(1, n).Draw(t, "first")
			s.add(rapid.IntRange(1, 2).Draw(t, "site"), 1, first, rapid.IntRange(first, n).Draw(t, "last"))
		}
		series := NewSeries(symbol.None, Options{})
		for _, l := range s.listings() {
			series.Add(l)
		}
		p := series.pools[""]
		k := len(p.columns)
		if k > maxColumns+1 || n > 1 && k < min(n, maxColumns/2) {
			t.Fatalf("%d columns of %d listings", k, n)
		}
		if p.columns[0].number != 1 || p.columns[k-1].number != n {
			t.Fatalf("columns from listing %d to %d", p.columns[0].number, p.columns[k-1].number)
		}
		for i := 2; i < k-1; i++ {
			if p.columns[i].number-p.columns[i-1].number != p.stride {
				t.Fatalf("uneven columns: %v", p.columns)
			}
		}
		want := map[int]map[string]int{1: {}, 2: {}}
		for _, node := range s.nodes {
			born := -1
			for c, column := range p.columns {
				if node.first <= column.number && column.number <= node.last {
					if born < 0 {
						born = c
					}
					want[node.site][fmt.Sprintf("born %d in %d", born, c)]++
				}
			}
		}
		got := map[int]map[string]int{1: {}, 2: {}}
		for _, track := range p.tracks {
			site := int(track.Stack[0])
			before := -1
			for _, r := range p.matrix(track, 0).rows {
				if r.born <= before {
					t.Fatalf("cohorts out of order: %d after %d", r.born, before)
				}
				before = r.born
				for i, alive := range r.alive {
					if alive != 0 {
						got[site][fmt.Sprintf("born %d in %d", r.born, r.born+i)] += alive
					}
				}
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

// However many listings there are, a site takes no more than so much memory.
func TestLongSeriesStaySmall(t *testing.T) {
	s := story{n: 1000}
	for i := 1; i <= s.n; i++ {
		s.add(1, 1, i, s.n)
		s.add(2, 1, i, i+i%50)
	}
	series := NewSeries(symbol.None, Options{})
	for _, l := range s.listings() {
		series.Add(l)
	}
	for _, track := range series.sites.all {
		steps := 0
		for _, c := range track.cohorts {
			steps += len(c.steps)
		}
		if len(track.cohorts) > maxColumns+1 || steps > maxColumns*maxColumns/2 {
			t.Errorf("%d cohorts, %d steps", len(track.cohorts), steps)
		}
	}
	g := series.Growth()
	if g.Sites[0].Verdict != Confirmed || g.Sites[1].Verdict != Stable {
		t.Error(verdicts(g, 2))
	}
}

// What tells two nodes at one address apart.
func TestIdentity(t *testing.T) {
	node := heap.Node{Addr: 16, Stack: heap.Stack{1, 2}, Birth: 5, Serial: 7}
	for _, c := range []struct {
		name   string
		change func(n *heap.Node, s *heap.Snapshot)
		same   bool
	}{
		{"nothing", func(*heap.Node, *heap.Snapshot) {}, true},
		{"an unknown birth", func(n *heap.Node, _ *heap.Snapshot) { n.Birth = 0 }, true},
		{"an unknown serial number", func(n *heap.Node, _ *heap.Snapshot) { n.Serial = 0 }, true},
		{"another size", func(n *heap.Node, _ *heap.Snapshot) { n.Size = 9 }, true},
		{"the birth", func(n *heap.Node, _ *heap.Snapshot) { n.Birth = 6 }, false},
		{"the serial number", func(n *heap.Node, _ *heap.Snapshot) { n.Serial = 6 }, false},
		{"the address", func(n *heap.Node, _ *heap.Snapshot) { n.Addr = 32 }, false},
		{"the stack", func(n *heap.Node, _ *heap.Snapshot) { n.Stack = heap.Stack{1, 3} }, false},
		{"the depth", func(n *heap.Node, _ *heap.Snapshot) { n.Stack = heap.Stack{1} }, false},
		{"the state", func(n *heap.Node, _ *heap.Snapshot) { n.State = heap.Free }, false},
		{"the boot", func(_ *heap.Node, s *heap.Snapshot) { s.Boot = 1 }, false},
	} {
		other := node
		a, b := &heap.Snapshot{Nodes: []heap.Node{node}}, &heap.Snapshot{}
		c.change(&other, b)
		b.Nodes = []heap.Node{other}
		series := NewSeries(symbol.None, Options{})
		series.Add(Listing{a})
		series.Add(Listing{b})
		kept := 0
		if p := series.pools[""]; p.boot == 0 && len(p.nodes) > 0 && p.nodes[0].cohort.born == 0 {
			kept = 1
		}
		if d := Compare(Listing{a}, Listing{b}, symbol.None); d.Kept != kept || (kept == 1) != c.same {
			t.Errorf("%s changes: the diff keeps %d nodes, the series %d", c.name, d.Kept, kept)
		}
	}
}

// Snapshots that are not what they promise to be do no harm.
func TestHostileSnapshots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		series := NewSeries(symbol.None, Options{Interval: time.Duration(rapid.Int64().Draw(t, "interval"))})
		for range rapid.IntRange(0, 9).Draw(t, "listings") {
			var l Listing
			for range rapid.IntRange(0, 3).Draw(t, "snapshots") {
				s := &heap.Snapshot{
					Pool:    rapid.SampledFrom([]string{"", "a"}).Draw(t, "pool"),
					Partial: rapid.SampledFrom([]string{"", "", "cut"}).Draw(t, "partial"),
					Boot:    rapid.SampledFrom([]int{0, 0, 0, 1, -1}).Draw(t, "boot"),
					Tick:    rapid.Uint64().Draw(t, "tick"), TickHz: rapid.Uint64Range(0, 2).Draw(t, "hz"),
					Time:  time.Unix(rapid.Int64().Draw(t, "time"), 0),
					Stats: heap.Stats{Free: rapid.Uint64().Draw(t, "free")},
				}
				for range rapid.IntRange(0, 9).Draw(t, "nodes") { // in any order
					s.Nodes = append(s.Nodes, heap.Node{
						Addr: heap.Addr(rapid.Uint64Range(0, 9).Draw(t, "address")), Birth: rapid.Uint64Range(0, 3).Draw(t, "birth"),
						Total: rapid.Uint64().Draw(t, "total"), Stack: heap.Stack{heap.Addr(rapid.IntRange(1, 2).Draw(t, "stack"))},
					})
				}
				l = append(l, s)
			}
			series.Add(l)
		}
		for _, w := range series.Growth().Pools {
			if w.Exhaustion < 0 {
				t.Fatalf("%+v", w)
			}
		}
	})
}

// BenchmarkSeries follows 10,000 nodes over 100 listings, a tenth of which
// are new each time.
func BenchmarkSeries(b *testing.B) {
	const nodes, sites, count = 10000, 200, 100
	listings := make([]Listing, count)
	for i := range listings {
		s := &heap.Snapshot{Nodes: make([]heap.Node, nodes)}
		for k := range s.Nodes {
			site := k % sites
			if k%10 == i%10 {
				site = i % sites
			}
			s.Nodes[k] = heap.Node{Addr: heap.Addr(0x20000000 + 64*k), Stack: heap.Stack{heap.Addr(0x1000 + site), 0x2000, 0x3000}}
		}
		listings[i] = Listing{s}
	}
	b.ReportAllocs()
	for b.Loop() {
		series := NewSeries(symbol.None, Options{})
		for _, l := range listings {
			series.Add(l)
		}
		series.Growth()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/nodes/count, "ns/node")
}
