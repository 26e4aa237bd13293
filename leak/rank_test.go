package leak

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

func ranked(listings []Listing, sym heap.Symbolizer) *Growth {
	s := NewSeries(sym, Options{})
	for _, l := range listings {
		s.Add(l)
	}
	return s.Growth()
}

func verdicts(g *Growth, number int) []string {
	var all []string
	for _, s := range g.Sites[:min(number, len(g.Sites))] {
		all = append(all, fmt.Sprintf("%s %s: %s", s.Verdict, chain(s.Frames), s.Reason))
	}
	return all
}

// What the log of a real device proves.
func TestLeakSeries(t *testing.T) {
	listings, sym := leakSeries(t)
	g := ranked(listings, sym)
	const startUp = "allocated before the first listing: start-up"
	want := []string{
		"CONFIRMED app_malloc <- pkt_alloc <- net_rx: new nodes keep coming, and none of the 83 nodes born since the first listing was ever freed",
		"CONFIRMED sensor_read_sample <- sensor_process <- sensor_task: new nodes keep coming, and none of the 83 nodes born since the first listing was ever freed",
		"CONFIRMED malloc <- log_dup <- log_line: new nodes keep coming, and none of the 41 nodes born since the first listing was ever freed",
		"STABLE cache_fill <- cache_task <- OsTaskEntry: fills to 30 nodes and stops: no new node stays after listing 4",
		"STABLE churn_step <- churn_task <- OsTaskEntry: old nodes are freed lately: 3 went since listing 5, and 3 that came since got as old",
		"STABLE OsTaskStackAlloc <- OsTaskCreateOnly <- LOS_TaskCreateOnly: " + startUp,
		"STABLE OsShellCmdPush <- ShellCmdLineParse <- ShellStdinLoop: old nodes are freed as new ones come: 20 came since the first listing, 20 went",
	}
	if d := cmp.Diff(want, verdicts(g, len(want))); d != "" {
		t.Error(d)
	}
	for _, s := range g.Sites[len(want):] {
		if s.Verdict != Stable || s.Reason != startUp && s.Reason != "every node is freed within 1 listing: churn" {
			t.Errorf("%s %s: %s", s.Verdict, chain(s.Frames), s.Reason)
		}
		if s.LeakedNodes != 0 || s.P != 1 {
			t.Errorf("%+v", s)
		}
	}
	if n := g.Sites[2].LeakedNodes; n != 41 {
		t.Errorf("%d nodes leaked", n)
	}
}

// Listings taken one right after the other show nothing new. That does not
// mean that the leaks have stopped, nor that churn has.
func TestListingsInARow(t *testing.T) {
	listings, sym := leakSeries(t)
	for again := range 4 {
		g := ranked(listings, sym)
		for i, s := range g.Sites {
			if (s.Verdict == Confirmed) != (i < 3) {
				t.Errorf("last listing %d times more: %s %s: %s", again, s.Verdict, chain(s.Frames), s.Reason)
			}
		}
		listings = append(listings, listings[len(listings)-1])
	}
}

// Four of the seven listings are enough.
func TestFewListings(t *testing.T) {
	listings, sym := leakSeries(t)
	for n := 1; n <= 7; n++ {
		confirmed, inconclusive := 0, 0
		cache := Stable
		for _, s := range ranked(listings[:n], sym).Sites {
			if s.Frames[0].Function == "cache_fill" {
				cache = s.Verdict
				continue
			}
			switch s.Verdict {
			case Confirmed:
				confirmed++
			case Inconclusive:
				inconclusive++
				if n > 1 && s.Growth <= 0 {
					t.Errorf("%d listings: %s is inconclusive without growth", n, chain(s.Frames))
				}
			}
		}
		switch {
		case n < 4 && (confirmed > 0 || inconclusive == 0):
			t.Errorf("%d listings: %d confirmed, %d inconclusive", n, confirmed, inconclusive)
		case n >= 4 && confirmed != 3:
			t.Errorf("%d listings: %d confirmed", n, confirmed)
		}
		// It fills until the fourth.
		if n > 4 && cache != Stable {
			t.Errorf("%d listings: the cache is %s", n, cache)
		}
	}
}

// A story is nodes with the listings in which they are first and last seen,
// counted from 1.
type story struct {
	n     int
	nodes []tale
}

type tale struct{ site, first, last int }

// add adds count nodes of a site.
func (s *story) add(site, count, first, last int) {
	for range count {
		s.nodes = append(s.nodes, tale{site, first, last})
	}
}

// listings tells the story, with an address of its own for each node.
func (s *story) listings() []Listing {
	var all []Listing
	for number := 1; number <= s.n; number++ {
		snap := &heap.Snapshot{}
		for i, t := range s.nodes {
			if t.first <= number && number <= t.last {
				snap.Nodes = append(snap.Nodes, heap.Node{Addr: heap.Addr(16 + 16*i), Stack: heap.Stack{heap.Addr(t.site)}})
			}
		}
		all = append(all, Listing{snap})
	}
	return all
}

// leaker is a site that leaks some nodes before each listing but the first.
func (s *story) leaker(site, each int) {
	for i := 2; i <= s.n; i++ {
		s.add(site, each, i, s.n)
	}
}

func TestReasons(t *testing.T) {
	for _, c := range []struct {
		n    int
		tell func(s *story)
		want string
	}{
		{7, func(s *story) { s.add(1, 3, 1, 7) }, "STABLE allocated before the first listing: start-up"},
		{7, func(s *story) { s.add(1, 3, 1, 7); s.add(1, 2, 1, 4) }, "STABLE no new node since the first listing, and 2 of 5 nodes freed"},
		{7, func(s *story) {
			for i := 1; i <= 7; i++ {
				s.add(1, 4, i, i)
			}
		}, "STABLE every node is freed within 1 listing: churn"},
		{12, func(s *story) {
			for i := 1; i <= 12; i++ {
				s.add(1, 4, i, i+1)
			}
		}, "STABLE every node is freed within 2 listings: churn"},
		{7, func(s *story) { s.add(1, 20, 1, 7); s.add(1, 5, 2, 7); s.add(1, 5, 3, 7) }, "STABLE fills to 30 nodes and stops: no new node stays after listing 3"},
		{10, func(s *story) { s.add(1, 9, 8, 10); s.add(1, 1, 4, 10) }, "STABLE 9 of 10 new nodes that stay came in listing 8: a one-off step"},
		{10, func(s *story) {
			for i, k := range []int{20, 14, 9, 6, 4, 3, 2, 1, 1} {
				s.add(1, k, i+2, 10)
			}
		}, "STABLE ever fewer new nodes stay, 53 in the first half, then 7: a warm-up that fades"},
		{12, func(s *story) {
			for i := -5; i <= 12; i++ {
				s.add(1, 3, i, i+4)
			}
		}, "STABLE old nodes are freed as new ones come: 33 came since the first listing, 33 went"},
		{12, func(s *story) {
			for i := -20; i <= 12; i++ {
				s.add(1, 3, i, i+7)
			}
		}, "STABLE old nodes are freed as new ones come: 33 came since the first listing, 33 went"},
		{7, func(s *story) { s.leaker(1, 4) }, "CONFIRMED new nodes keep coming, and none of the 24 nodes born since the first listing was ever freed"},
		{20, func(s *story) {
			s.leaker(1, 4)
			for i := range 20 {
				s.add(1, 10, i, i)
			}
		}, "CONFIRMED new nodes keep coming, and none of the 64 nodes born since listing 3 that got older than 1 listing was ever freed"},
		{20, func(s *story) { s.leaker(1, 4); s.add(1, 1, 8, 12) }, "CONFIRMED new nodes keep coming, and of the 69 nodes born since listing 3 only 1 was ever freed"},
		{8, func(s *story) { s.add(1, 1, 3, 8); s.add(1, 1, 5, 8); s.add(1, 1, 7, 8) }, "STABLE none of the 3 nodes born since listing 2 was freed, but so few may be chance"},
		{8, func(s *story) { s.add(1, 1, 8, 8) }, "STABLE its only new node came in the last 3 listings: too young to be called a leak"},
		{8, func(s *story) { s.add(1, 1, 4, 8) }, "STABLE only one new node stays: too few to tell anything"},
		{3, func(s *story) { s.leaker(1, 4) }, "INCONCLUSIVE grew by 8 nodes, but 3 listings cannot tell a leak from a cache: it takes 4"},
		{3, func(s *story) { s.add(1, 4, 1, 3) }, "STABLE did not grow over 3 listings"},
		{1, func(s *story) { s.add(1, 4, 1, 3) }, "INCONCLUSIVE a single listing shows no growth"},
	} {
		s := story{n: c.n}
		c.tell(&s)
		g := ranked(s.listings(), symbol.None)
		if got := string(g.Sites[0].Verdict) + " " + g.Sites[0].Reason; !strings.HasPrefix(got, c.want) {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// The order is that of the verdicts, then of the leaks' speed.
func TestOrder(t *testing.T) {
	s := story{n: 12}
	s.leaker(1, 2)
	s.leaker(2, 5)
	s.add(3, 90, 1, 12)
	s.add(4, 20, 5, 12)
	g := ranked(s.listings(), symbol.None)
	var order []string
	for _, site := range g.Sites {
		order = append(order, fmt.Sprintf("%s %s", site.Verdict, chain(site.Frames)))
	}
	if d := cmp.Diff([]string{"CONFIRMED 0x2", "CONFIRMED 0x1", "STABLE 0x4", "STABLE 0x3"}, order); d != "" {
		t.Error(d)
	}
}

// Each run of the device is judged by itself: the same address after a restart
// is another node, and memory grows anew.
func TestRestarts(t *testing.T) {
	first, second := story{n: 6}, story{n: 8}
	for site := 1; site <= 2; site++ {
		first.add(site, 5, 1, 6)
	}
	second.add(1, 5, 1, 8)
	second.leaker(2, 4)
	listings := append(first.listings(), second.listings()...)
	for _, l := range listings[6:] {
		l[0].Boot = 1
	}
	g := ranked(listings, symbol.None)
	want := []string{
		"CONFIRMED 0x2: new nodes keep coming, and none of the 24 nodes born since listing 8 was ever freed (in run 2, listings 7 to 14)",
		"STABLE 0x1: allocated before the first listing: start-up (in run 2, listings 7 to 14)",
	}
	if d := cmp.Diff(want, verdicts(g, 2)); d != "" {
		t.Error(d)
	}
	if w := g.Pools[0]; w.First != 7 || w.Last != 14 || w.Runs != 2 || w.Complete != 8 {
		t.Errorf("%+v", w)
	}
	if s := g.Sites[0]; s.Growth != 28 || s.From != 7 || s.To != 14 {
		t.Errorf("growth %d from %d to %d", s.Growth, s.From, s.To)
	}
	// The leak is found in an earlier run too.
	listings = append(listings[6:], listings[:6]...)
	for i, l := range listings {
		l[0].Boot = 0
		if i >= 8 {
			l[0].Boot = 1
		}
	}
	if g = ranked(listings, symbol.None); g.Sites[0].Verdict != Confirmed || !strings.HasSuffix(g.Sites[0].Reason, " (in run 1, listings 1 to 8)") || g.Sites[0].Growth != 28 {
		t.Errorf("%+v", g.Sites[0])
	}
}

// What a cut listing lacks has not been freed.
func TestPartialListingsDoNotVote(t *testing.T) {
	s := story{n: 10}
	s.leaker(1, 4)
	listings := s.listings()
	for _, i := range []int{3, 6} {
		snap := listings[i][0]
		snap.Nodes, snap.Partial = snap.Nodes[:2], "cut"
	}
	if g := ranked(listings, symbol.None); g.Sites[0].Verdict != Confirmed || !strings.Contains(g.Sites[0].Reason, "none of the ") {
		t.Error(verdicts(g, 1))
	}
}

// The verdict on a site depends on nothing but its own nodes, the number of
// other suspects, and on no label.
func TestVerdictsAreTheSitesOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := story{n: rapid.IntRange(1, 14).Draw(t, "listings")}
		for range rapid.IntRange(0, 60).Draw(t, "nodes") {
			first := rapid.IntRange(1, s.n).Draw(t, "first")
			s.add(rapid.IntRange(1, 3).Draw(t, "site"), 1, first, rapid.IntRange(first, s.n).Draw(t, "last"))
		}
		listings := s.listings()
		before := ranked(listings, symbol.None)
		if d := cmp.Diff(verdicts(before, 9), verdicts(ranked(listings, symbol.None), 9)); d != "" {
			t.Fatal("not the same again: " + d)
		}
		for i, l := range listings {
			l[0].Label, l[0].Source = fmt.Sprint("x", -i), "elsewhere"
			l[0].Nodes = append(l[0].Nodes, heap.Node{Addr: 1 << 20, Stack: heap.Stack{99}})
		}
		after := ranked(listings, symbol.None)
		for _, a := range before.Sites {
			for _, b := range after.Sites {
				if a.key == b.key && (a.Verdict != b.Verdict || a.Reason != b.Reason || a.P != b.P) {
					t.Fatalf("%s %s (%v) turned %s %s (%v)", a.Verdict, a.Reason, a.P, b.Verdict, b.Reason, b.P)
				}
			}
		}
		for _, site := range after.Sites {
			if site.LeakedNodes > site.last || site.Reason == "" || (site.Verdict == Confirmed || site.Verdict == Suspect) != (site.LeakedNodes > 0) || site.P < 0 || site.P > 1 {
				t.Fatalf("%+v", site)
			}
		}
	})
}
