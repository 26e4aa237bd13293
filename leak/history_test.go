package leak

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// However many listings there are, the counts that are kept are bounded and
// right, and those that are compared are among them.
func TestCountsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{3, 1024, 1025, 1500, 2600}).Draw(t, "listings")
		restart := rapid.IntRange(1, 2*n).Draw(t, "restart")
		cut := rapid.IntRange(2, n).Draw(t, "cut")
		every := rapid.IntRange(1, 3).Draw(t, "every") // of which listings show pool b
		series := NewSeries(symbol.None, Options{})
		held := func(i int) int { return i * 7 % 5 }
		most := map[string]int{}
		for i := 1; i <= n; i++ {
			var l Listing
			for _, pool := range []string{"a", "b"} {
				if pool == "b" && i%every != 0 {
					continue
				}
				s := &heap.Snapshot{Pool: pool}
				if i >= restart {
					s.Boot = 1
				}
				if i == cut {
					s.Partial = "cut"
				}
				for k := range held(i) {
					s.Nodes = append(s.Nodes, heap.Node{Addr: heap.Addr(16 * (k + 1)), Stack: heap.Stack{1}})
				}
				most[pool] = max(most[pool], held(i))
				l = append(l, s)
			}
			series.Add(l)
		}
		g := series.Growth()
		for i := range g.Sites {
			s := &g.Sites[i]
			if s.most() != most[s.Pool] {
				t.Fatalf("%s holds %d at most, want %d", s.Pool, s.most(), most[s.Pool])
			}
			if s.Growth != held(s.To)-held(s.From) {
				t.Fatalf("%s grew by %d from %d to %d", s.Pool, s.Growth, s.From, s.To)
			}
			if len(s.Counts) > maxExact {
				t.Fatalf("%d counts", len(s.Counts))
			}
		}
		uncounted := 0
		for i, l := range g.Listings {
			for _, in := range l {
				if in.Uncounted {
					uncounted++
				}
				for k := range g.Sites {
					want := held(i + 1)
					if in.Uncounted {
						want = 0
					}
					if s := &g.Sites[k]; s.Pool == in.Pool && s.At(i+1).Nodes != want {
						t.Fatalf("%s holds %d in listing %d, want %d", s.Pool, s.At(i+1).Nodes, i+1, want)
					}
				}
			}
		}
		if (uncounted > 0) != (n > maxExact) || (uncounted > 0) != strings.Contains(strings.Join(g.Notes, "\n"), "the counts of") {
			t.Fatalf("%d listings, %d without counts: %q", n, uncounted, g.Notes)
		}
	})
}

// With very many sites, fewer listings have counts, but as many as are
// followed.
func TestCountsOfManySites(t *testing.T) {
	series := NewSeries(symbol.None, Options{})
	s := &heap.Snapshot{}
	const sites = 20000
	for k := range sites {
		s.Nodes = append(s.Nodes, heap.Node{Addr: heap.Addr(16 * (k + 1)), Stack: heap.Stack{heap.Addr(k)}})
	}
	for range 300 {
		series.Add(Listing{s})
	}
	counts, kept := 0, 0
	g := series.Growth()
	for i := range g.Sites {
		counts += len(g.Sites[i].Counts)
	}
	for _, l := range g.Listings {
		if !l[0].Uncounted {
			kept++
		}
	}
	if counts > maxCounts || counts != kept*sites || kept < maxColumns/2 || kept == len(g.Listings) {
		t.Errorf("%d counts of %d listings", counts, kept)
	}
}

// Pools are found without a search.
func TestManyPools(t *testing.T) {
	const pools = 100_000
	source := func(yield func(*heap.Snapshot, error) bool) {
		for i := range 2 * pools {
			name := string(rune(0x10000+i%pools)) + "heap"
			if !yield(&heap.Snapshot{Pool: name, Nodes: []heap.Node{{Addr: heap.Addr(i + 1), Stack: heap.Stack{1}}}}, nil) {
				return
			}
		}
	}
	series, n := NewSeries(symbol.None, Options{}), 0
	for l, err := range Listings(source) {
		if err != nil || len(l) != pools {
			t.Fatal(len(l), err)
		}
		series.Add(l)
		n++
	}
	if g := series.Growth(); n != 2 || len(g.Pools) != pools || len(g.Sites) != pools {
		t.Error(n, len(g.Pools), len(g.Sites))
	}
}
