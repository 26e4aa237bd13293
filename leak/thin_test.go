package leak

import (
	"fmt"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// countsOnly follows a site without addresses over n listings.
func countsOnly(n int, held func(i int) int, dress func(i int, s *heap.Snapshot)) *Growth {
	s := NewSeries(symbol.None, Options{})
	for i := 1; i <= n; i++ {
		snap := &heap.Snapshot{Nodes: make([]heap.Node, held(i))}
		for k := range snap.Nodes {
			snap.Nodes[k] = heap.Node{Total: 64, Stack: heap.Stack{1}}
		}
		if dress != nil {
			dress(i, snap)
		}
		s.Add(Listing{snap})
	}
	return s.Growth()
}

// What is kept of a long series reaches back to its start without a gap.
func TestCountsAreThinned(t *testing.T) {
	for _, n := range []int{maxExact + 1, 3000, 20000} {
		held := func(i int) int { return 1 + i*20/n }
		g := countsOnly(n, held, nil)
		site := g.Sites[0]
		uncounted := 0
		for _, l := range g.Listings {
			if l[0].Uncounted {
				uncounted++
			}
		}
		if len(site.Counts) > maxExact || len(site.Counts) < maxExact/4 || len(site.Counts)+uncounted != n {
			t.Fatalf("%d listings: %d counts, %d listings without", n, len(site.Counts), uncounted)
		}
		last := 0
		for _, c := range site.Counts {
			if c.Nodes != held(c.Listing) || c.Bytes != uint64(64*c.Nodes) || g.Listings[c.Listing-1][0].Uncounted {
				t.Fatalf("%d listings: %+v", n, c)
			}
			if c.Listing-last > max(2, 4*n/maxExact) {
				t.Errorf("%d listings: none between %d and %d", n, last, c.Listing)
			}
			last = c.Listing
		}
		if last != n || site.Counts[0].Listing != 1 || site.Growth != 20 {
			t.Errorf("%d listings: from %d to %d, growth %d", n, site.Counts[0].Listing, last, site.Growth)
		}
		if want := fmt.Sprintf("of the %d listings, the counts of %d are kept", n, len(site.Counts)); !strings.HasPrefix(g.Notes[len(g.Notes)-1], want) {
			t.Errorf("%d listings: %q", n, g.Notes)
		}
	}
}

// Partial listings are dropped first, whichever they are.
func TestPartialCountsAreThinnedFirst(t *testing.T) {
	for odd := range 2 {
		g := countsOnly(2000, func(i int) int { return 1 + i/20 }, func(i int, s *heap.Snapshot) {
			if i%2 == odd {
				s.Partial = "cut"
			}
		})
		if g.Sites[0].Verdict != Suspect {
			t.Errorf("%d: %s %s", odd, g.Sites[0].Verdict, g.Sites[0].Reason)
		}
		for _, l := range g.Listings[1:900] { // the first is where the run begins
			if l[0].Partial != "" && !l[0].Uncounted {
				t.Fatalf("%d: %+v", odd, l[0])
			}
		}
	}
}

// Without addresses, growth is judged over the whole series, not by the recent
// listings, of which more are kept.
func TestTrendOfThinnedCounts(t *testing.T) {
	slow := func(i int) int { return 1 + i/400 }
	if s := countsOnly(5000, slow, nil).Sites[0]; s.Verdict != Suspect || s.LeakedNodes != 12 {
		t.Errorf("%s %s", s.Verdict, s.Reason)
	}
	if s := countsOnly(5000, func(i int) int { return slow(min(i, 2500)) }, nil).Sites[0]; s.Verdict != Stable || s.Reason != "grew to 7 nodes and stopped" {
		t.Errorf("%s %s", s.Verdict, s.Reason)
	}
}

// Of a run that is short and long over, hardly any counts are left: they do not
// prove that the site did not grow.
func TestTrendOfForgottenRun(t *testing.T) {
	g := countsOnly(20000, func(i int) int { return 1 + i%20 }, func(i int, s *heap.Snapshot) {
		if i > 19 {
			s.Boot = 1 + i/10
		}
	})
	want := "the counts of too few listings are kept (in run 1, listings 1 to 19)"
	if s := g.Sites[0]; s.Verdict != Inconclusive || s.Reason != want {
		t.Errorf("%s %s", s.Verdict, s.Reason)
	}
}
