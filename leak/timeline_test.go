package leak

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// soaked returns hourly listings of a leak of three nodes each, and churn.
func soaked(n int, date func(i int, s *heap.Snapshot)) []Listing {
	s := story{n: n}
	for i := 1; i <= n; i++ {
		s.add(1, 3, i, n)
		s.add(2, 1, i, min(n, i+1))
	}
	listings := s.listings()
	for i, l := range listings {
		date(i, l[0])
	}
	return listings
}

// A clock that is set, goes back, or wraps around during a soak changes neither
// verdict nor rate.
func TestClockSet(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	setAt := func(k int) func(i int, s *heap.Snapshot) {
		return func(i int, s *heap.Snapshot) {
			s.Time = start.Add(time.Duration(i) * time.Hour)
			if i < k {
				s.Time = time.Unix(int64(i)*3600, 0)
			}
		}
	}
	for _, c := range []struct {
		name  string
		date  func(i int, s *heap.Snapshot)
		notes string
	}{
		{"never set", setAt(0), ""},
		{"set early", setAt(3), "the clock was set between listing 3 and listing 4: rates take that step to be as long as the others"},
		{"set in the middle", setAt(15), "the clock was set between listing 15 and listing 16: rates take that step to be as long as the others"},
		{"set for the last listing", setAt(29), "the clock was set between listing 29 and listing 30: rates take that step to be as long as the others"},
		{"back by a day", func(i int, s *heap.Snapshot) {
			s.Time = start.Add(time.Duration(i) * time.Hour)
			if i >= 20 {
				s.Time = s.Time.Add(-24 * time.Hour)
			}
		}, "the clock was set between listing 20 and listing 21: rates take that step to be as long as the others"},
		{"set, but there are ticks", func(i int, s *heap.Snapshot) {
			setAt(15)(i, s)
			s.Tick, s.TickHz = uint64(1+i)*3600*100, 100
		}, ""},
		{"ticks of 32 bits", func(i int, s *heap.Snapshot) {
			s.Tick, s.TickHz = uint64(4_250_000_000+uint32(i)*3600*1000), 1000
		}, ""},
		{"ticks of 64 bits, reset", func(i int, s *heap.Snapshot) {
			s.Tick, s.TickHz = uint64(i+1)*3600*1e9, 1e9
			if i >= 12 {
				s.Tick = uint64(i-11) * 3600 * 1e9
			}
		}, "the clock was set between listing 12 and listing 13: rates take that step to be as long as the others"},
		{"a third of the listings tell no time", func(i int, s *heap.Snapshot) {
			if i%3 != 0 {
				setAt(0)(i, s)
			}
		}, ""},
	} {
		g := ranked(soaked(30, c.date), symbol.None)
		if s := g.Sites[0]; s.Verdict != Confirmed || math.Abs(s.NodesPerHour-3) > 1e-6 {
			t.Errorf("%s: %s, %v nodes an hour: %s", c.name, s.Verdict, s.NodesPerHour, s.Reason)
		}
		if notes := strings.Join(g.Notes, "\n"); notes != c.notes {
			t.Errorf("%s: %s", c.name, notes)
		}
	}
}

// A pause that is long, but in which the leak went on, is no clock that was set;
// nor are pauses that are usual.
func TestLongPauses(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	minutes := func(at []int) *Growth {
		series := NewSeries(symbol.None, Options{})
		for _, m := range at {
			s := &heap.Snapshot{Time: start.Add(time.Duration(m) * time.Minute)}
			for k := range 1 + m {
				s.Nodes = append(s.Nodes, heap.Node{Addr: heap.Addr(16 * (k + 1)), Stack: heap.Stack{1}})
			}
			series.Add(Listing{s})
		}
		return series.Growth()
	}
	var night []int
	for i := range 40 {
		night = append(night, 5*i, 5*i+795)
	}
	slices.Sort(night)
	for name, at := range map[string][]int{
		"a night":             night,
		"three listings each": {0, 1, 2, 1440, 1441, 1442, 2880, 2881, 2882, 4320, 4321, 4322},
	} {
		g := minutes(at)
		if s := g.Sites[0]; len(g.Notes) > 0 || math.Abs(s.NodesPerHour-60) > 1e-6 {
			t.Errorf("%s: %s, %v nodes an hour, %q", name, s.Verdict, s.NodesPerHour, g.Notes)
		}
	}
}

// Whatever clocks say, listings come one after the other.
func TestTimelineModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var columns []column
		number := 0
		for range rapid.IntRange(0, 20).Draw(t, "columns") {
			number += rapid.IntRange(0, 3).Draw(t, "step")
			c := column{number: number, nodes: rapid.IntRange(0, 1000).Draw(t, "nodes")}
			if rapid.Bool().Draw(t, "timed") {
				c.time = time.Unix(rapid.Int64().Draw(t, "time"), 5)
			}
			c.tick, c.hz = rapid.Uint64().Draw(t, "tick"), rapid.Uint64Range(0, 2).Draw(t, "hz")
			columns = append(columns, c)
		}
		line := timelineOf(columns)
		if line.at != nil && len(line.at) != len(columns) {
			t.Fatal("lengths")
		}
		if !slices.IsSorted(line.at) {
			t.Fatalf("%v", line.at)
		}
		for _, at := range line.at {
			if at < 0 || math.IsNaN(at) || math.IsInf(at, 0) {
				t.Fatalf("%v", line.at)
			}
		}
	})
}

// A leak that began late, or became faster, is as fast as it is now.
func TestLateRate(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		tell func(s *story)
		rate float64
	}{
		"late":               {func(s *story) { s.leak(60, 10) }, 10},
		"late, after one":    {func(s *story) { s.add(1, 1, 16, 100); s.leak(60, 10) }, 10},
		"became faster":      {func(s *story) { s.leak(1, 1); s.leak(55, 9) }, 10},
		"steady, with gaps":  {func(s *story) { s.leak(1, 2) }, 2},
		"one in ten, steady": {func(s *story) { s.every(10) }, .1},
	} {
		s := story{n: 100}
		c.tell(&s)
		listings := s.listings()
		for i, l := range listings {
			l[0].Time = start.Add(time.Duration(i) * time.Hour)
			l[0].Stats.Free = 64000
			for k := range l[0].Nodes {
				l[0].Nodes[k].Total = 64
			}
		}
		g := ranked(listings, symbol.None)
		if r := g.Sites[0].NodesPerHour; math.Abs(r-c.rate) > .1*c.rate {
			t.Errorf("%s: %v nodes an hour", name, r)
		}
		if d, want := g.Pools[0].Exhaustion.Hours(), 1000/c.rate; math.Abs(d-want) > .1*want {
			t.Errorf("%s: exhausted in %v hours, want %v", name, d, want)
		}
	}
}

func (s *story) leak(from, each int) {
	for i := from + 1; i <= s.n; i++ {
		s.add(1, each, i, s.n)
	}
}

func (s *story) every(step int) {
	for i := step / 2; i <= s.n; i += step {
		s.add(1, 1, i, s.n)
	}
}

// What lasts for ages is not told how long.
func TestNoEndInSight(t *testing.T) {
	if d := lasting(1e12); d != 0 {
		t.Error(d)
	}
	if d := lasting(1.5); d != 90*time.Minute {
		t.Error(d)
	}
}

// Sites are in the order of how fast they leak, whatever the runs and the
// listings per hour of their pools.
func TestRankAcrossRuns(t *testing.T) {
	series := NewSeries(symbol.None, Options{Interval: time.Hour})
	nodes := func(n, site int) (all []heap.Node) {
		for k := range n {
			all = append(all, heap.Node{Addr: heap.Addr(16 * (k + 1)), Stack: heap.Stack{heap.Addr(site)}})
		}
		return all
	}
	for i := range 600 {
		s := &heap.Snapshot{Nodes: nodes(i/2+1, 1)}
		if i >= 500 {
			s = &heap.Snapshot{Boot: 1, Nodes: nodes(2*(i-500)+1, 2)}
		}
		l := Listing{s}
		if i%10 == 0 {
			l = append(l, &heap.Snapshot{Pool: "seldom", Nodes: nodes(i+1, 3)})
		}
		series.Add(l)
	}
	var got []string
	for _, s := range series.Growth().Sites {
		got = append(got, fmt.Sprintf("%s %.1f", chain(s.Frames), s.NodesPerHour))
	}
	if want := "0x2 2.0, 0x3 1.0, 0x1 0.5"; strings.Join(got, ", ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// Ages are listings that the source shows, also if not all of them count.
func TestAgesAreListings(t *testing.T) {
	for _, c := range []struct {
		n, life int
		cut     func(i int) bool
		want    string
	}{
		{60, 3, func(int) bool { return false }, "every node is freed within 3 listings: churn"},
		{60, 9, func(i int) bool { return i%3 != 0 }, "every node is freed within 9 listings: churn"},
		{1000, 30, func(int) bool { return false }, "every node is freed within 32 listings (seen in every 8th listing): churn"},
		{200, 5, func(int) bool { return false }, "every node is freed within 6 listings (seen in every 2nd listing): churn"},
	} {
		s := story{n: c.n}
		for i := 1; i <= c.n; i++ {
			s.add(1, 1, i, min(c.n, i+c.life-1))
		}
		listings := s.listings()
		for i, l := range listings {
			if c.cut(i) {
				l[0].Partial = "cut"
			}
		}
		g := ranked(listings, symbol.None)
		if got := g.Sites[0].Reason; got != c.want {
			t.Errorf("%d listings: %s, want %s", c.n, got, c.want)
		}
		if follows := strings.Contains(strings.Join(g.Notes, "\n"), "are followed in every"); follows != (c.n > maxColumns) {
			t.Errorf("%d listings: %q", c.n, g.Notes)
		}
	}
}
