package leak

import (
	"slices"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// cutAt returns the listings, of some of which only a share is there, without
// anything that says so.
func cutAt(listings []Listing, share float64, numbers ...int) []Listing {
	all := slices.Clone(listings)
	for _, i := range numbers {
		s := *all[i-1][0]
		s.Nodes = s.Nodes[:int(share*float64(len(s.Nodes)))]
		all[i-1] = Listing{&s}
	}
	return all
}

// stopping returns the numbers of the listings that are said to stop early.
func stopping(g *Growth) []int {
	var all []int
	for i, l := range g.Listings {
		if strings.Contains(l[0].Partial, "stops at ") {
			all = append(all, i+1)
		}
	}
	return all
}

// The rest of a listing that is not there has not been freed, even if nothing
// says that something is missing.
func TestListingsThatStop(t *testing.T) {
	listings, sym := leakSeries(t)
	if g := ranked(listings, sym); stopping(g) != nil {
		t.Errorf("complete listings are said to stop: %v", stopping(g))
	}
	for _, c := range []struct {
		share   float64
		numbers []int
		found   []int // nil: all of them
	}{
		{0, []int{7}, nil},
		{.3, []int{7}, nil},
		{.6, []int{7}, nil},
		{.8, []int{7}, nil},
		{.9, []int{7}, nil},
		{.3, []int{4}, nil},
		{.6, []int{4}, nil},
		{.8, []int{4}, nil},
		{.3, []int{2}, nil},
		{.6, []int{2}, nil},
		{.8, []int{2}, nil},
		{.3, []int{3, 5}, nil},
		{.6, []int{3, 5}, nil},
		{.8, []int{3, 5}, []int{5}}, // that few nodes were there before
		{.3, []int{6, 7}, nil},
		{.6, []int{6, 7}, nil},
		{.8, []int{6, 7}, nil},
	} {
		want := c.found
		if want == nil {
			want = c.numbers
		}
		g := ranked(cutAt(listings, c.share, c.numbers...), sym)
		if got := stopping(g); !slices.Equal(got, want) {
			t.Errorf("%v of listings %v: %v are said to stop", c.share, c.numbers, got)
		}
		var leaks []string
		for _, s := range g.Sites {
			if s.Verdict == Confirmed {
				leaks = append(leaks, chain(s.Frames))
			}
		}
		slices.Sort(leaks)
		if d := strings.Join(leaks, "; "); d != "app_malloc <- pkt_alloc <- net_rx; malloc <- log_dup <- log_line; sensor_read_sample <- sensor_process <- sensor_task" {
			t.Errorf("%v of listings %v: %s leak", c.share, c.numbers, d)
		}
		d := Compare(cutAt(listings, c.share, 7)[5], listings[6], sym)
		if d.Partial() {
			t.Errorf("%s is partial", d.To[0].Label)
		}
	}
}

// A device whose walk stops at a damaged header from some listing on tells
// nothing about what lies behind it any more.
func TestListingsThatStopForGood(t *testing.T) {
	s := story{n: 9}
	s.add(1, 20, 1, 9)
	s.add(2, 20, 1, 9)
	for i := 2; i <= 9; i++ { // fills slowly, or leaks slowly
		for site := 1; site <= 3; site++ {
			s.add(site, 2*(i%2), i, 9)
		}
	}
	s.add(3, 4, 2, 3)
	listings := s.listings()
	for _, l := range listings[5:] {
		l[0].Nodes = l[0].Nodes[:15]
	}
	g := ranked(listings, symbol.None)
	if got := stopping(g); !slices.Equal(got, []int{6, 7, 8, 9}) {
		t.Errorf("%v are said to stop: %q", got, g.Listings[8][0].Partial)
	}
	for _, site := range g.Sites {
		if site.Verdict != Inconclusive || !strings.HasPrefix(site.Reason, "up to listing 5 ") ||
			!strings.Contains(site.Reason, "; the 4 listings after it all stop at 0xf0, below ") {
			t.Errorf("%s %s: %s", site.Verdict, chain(site.Frames), site.Reason)
		}
	}
}

// What dies by call site or by age has not been cut off.
func TestFreedAtTheTop(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(s *story)
	}{
		{"one site frees what it allocated last", func(s *story) {
			for site := 1; site <= 5; site++ {
				s.add(site, 20, 1, 9)
			}
			for i := 2; i <= 5; i++ {
				s.add(3, 10, i, 6)
			}
		}},
		{"a subsystem frees all that it holds", func(s *story) {
			s.add(1, 50, 1, 9)
			s.add(2, 50, 1, 9)
			for site := 3; site <= 9; site++ {
				s.add(site, 10, 3, 6)
			}
		}},
		{"young nodes come and go at the top", func(s *story) {
			for site := 1; site <= 9; site++ {
				s.add(site, 10, 1, 9)
			}
			for i := 1; i <= 6; i++ {
				for site := 1; site <= 9; site++ {
					s.add(site, 3, i, i)
				}
			}
		}},
	} {
		s := story{n: 9}
		c.tell(&s)
		if g := ranked(s.listings(), symbol.None); stopping(g) != nil {
			t.Errorf("%s: %v are said to stop: %s", c.name, stopping(g), g.Listings[6][0].Partial)
		}
	}
}

// Totals that the device tells decide.
func TestTotalsTellACut(t *testing.T) {
	listings, sym := leakSeries(t)
	for _, c := range []struct {
		told  uint64
		found bool
	}{{0, true}, {364, true}, {181, false}, {185, false}} {
		cut := cutAt(listings, .5, 7)
		cut[6][0].Stats = heap.Stats{UsedNodes: c.told}
		if got := stopping(ranked(cut, sym)) != nil; got != c.found {
			t.Errorf("%d nodes told: stops %v", c.told, got)
		}
	}
	// Few nodes of one site are not enough, but if they are in use still.
	for _, told := range []uint64{0, 70} {
		s := story{n: 6}
		s.add(1, 20, 1, 6)
		s.add(2, 30, 1, 6)
		s.add(1, 20, 1, 5)
		l := s.listings()
		l[5][0].Stats.UsedNodes = told
		if got := stopping(ranked(l, symbol.None)) != nil; got != (told > 0) {
			t.Errorf("%d nodes told: stops %v", told, got)
		}
	}
}

// Of two listings, too, what lies above the end of the second is unknown.
func TestDiffWithAListingThatStops(t *testing.T) {
	listings, sym := leakSeries(t)
	whole := Compare(listings[5], listings[6], sym)
	if whole.Partial() || whole.Gone > 30 {
		t.Fatalf("%d gone", whole.Gone)
	}
	d := Compare(listings[5], cutAt(listings, .5, 7)[6], sym)
	if !d.Partial() || d.Gone > whole.Gone || d.Unknown < 100 || !strings.Contains(d.To[0].Partial, "that the listing before shows above it are missing") {
		t.Errorf("%d gone, %d unknown, %q", d.Gone, d.Unknown, d.To[0].Partial)
	}
}
