package leak

import (
	"math"
	"testing"
	"time"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/symbol"
)

// Six nodes of 100 bytes leak in each of eleven intervals of ten minutes.
func leakingPool(dress func(i int, s *heap.Snapshot)) []Listing {
	s := story{n: 12}
	s.leaker(1, 6)
	s.add(2, 3, 1, 12)
	listings := s.listings()
	for i, l := range listings {
		for k := range l[0].Nodes {
			l[0].Nodes[k].Total = 100
		}
		dress(i, l[0])
	}
	return listings
}

func TestRates(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		name         string
		dress        func(i int, s *heap.Snapshot)
		interval     time.Duration
		nodes, bytes float64
		exhaustion   time.Duration
	}{
		{"time", func(i int, s *heap.Snapshot) {
			s.Time = start.Add(time.Duration(i) * 10 * time.Minute)
			s.Stats.Free = 36000
		}, time.Hour, 36, 3600, 10 * time.Hour},
		{"ticks", func(i int, s *heap.Snapshot) { s.Tick, s.TickHz = uint64(100+i*600*50), 50 }, 0, 36, 3600, 0},
		{"interval", func(i int, s *heap.Snapshot) {}, 10 * time.Minute, 36, 3600, 0},
		{"unknown", func(i int, s *heap.Snapshot) { s.Stats.Free = 36000 }, 0, 0, 0, 0},
		{"sizes unknown", func(i int, s *heap.Snapshot) {
			s.Time = start.Add(time.Duration(i) * 10 * time.Minute)
			s.Stats.Free = uint64(47000 - 1000*i)
			if i == 5 {
				s.Stats.Free = 1 // for a moment
			}
			for k := range s.Nodes {
				s.Nodes[k].Total = 0
			}
		}, 0, 36, 0, 6 * time.Hour},
		{"free memory told once", func(i int, s *heap.Snapshot) {
			s.Time = start.Add(time.Duration(i) * 10 * time.Minute)
			if i == 7 {
				s.Stats.Free = 36000
			}
		}, 0, 36, 3600, 10 * time.Hour},
	} {
		series := NewSeries(symbol.None, Options{Interval: c.interval})
		for _, l := range leakingPool(c.dress) {
			series.Add(l)
		}
		g := series.Growth()
		site := g.Sites[0]
		if site.Verdict != Confirmed || site.LeakedNodes != 66 {
			t.Fatalf("%s: %+v", c.name, site)
		}
		if math.Abs(site.NodesPerHour-c.nodes) > 1e-6 || math.Abs(site.BytesPerHour-c.bytes) > 1e-6 {
			t.Errorf("%s: %v nodes and %v bytes an hour", c.name, site.NodesPerHour, site.BytesPerHour)
		}
		if d := g.Pools[0].Exhaustion; (d - c.exhaustion).Abs() > time.Second {
			t.Errorf("%s: exhausted in %v", c.name, d)
		}
		if s := g.Sites[1]; s.NodesPerHour != 0 || s.LeakedNodes != 0 {
			t.Errorf("%s: a stable site leaks: %+v", c.name, s)
		}
	}
}

// A listing of a device whose nodes tell when they were born.
func TestDump(t *testing.T) {
	snap := &heap.Snapshot{Tick: 1000, TickHz: 1}
	add := func(site int, births ...uint64) {
		for _, b := range births {
			snap.Nodes = append(snap.Nodes, heap.Node{Addr: heap.Addr(16 * (1 + len(snap.Nodes))), Birth: b, Stack: heap.Stack{heap.Addr(site)}})
		}
	}
	every := func(from, to, step uint64) (births []uint64) {
		for b := from; b < to; b += step {
			births = append(births, b)
		}
		return births
	}
	add(1, every(1, 1000, 20)...)
	add(2, every(1, 60, 5)...)
	add(3, every(900, 1000, 5)...)
	add(4, every(1, 1000, 20)...)
	add(4, 0)
	add(5, every(600, 700, 5)...)
	want := map[string]string{
		"0x1": "SUSPECT holds nodes of all ages: 15 nodes born from 10 to 40 % of the run, 15 from 50 to 80 %",
		"0x2": "STABLE all its nodes were allocated in the first tenth of the run: start-up",
		"0x3": "INCONCLUSIVE its nodes are young: churn, or a leak that began late",
		"0x4": "INCONCLUSIVE a single listing shows no growth",
		"0x5": "INCONCLUSIVE its nodes are young: churn, or a leak that began late",
	}
	for _, s := range ranked([]Listing{{snap}}, symbol.None).Sites {
		if got := string(s.Verdict) + " " + s.Reason; got != want[chain(s.Frames)] {
			t.Errorf("%s: %s", chain(s.Frames), got)
		}
		if s.Verdict == Suspect && (s.LeakedNodes != 35 || math.Abs(s.NodesPerHour-35*3600/699.3) > .01) {
			t.Errorf("%+v", s)
		}
	}
}

// Counts without addresses never confirm anything.
func TestCountsOnly(t *testing.T) {
	var listings []Listing
	for i := range 12 {
		s := &heap.Snapshot{}
		for site, n := range []int{10 * i, 50, min(6, i) * 5, 30 + i%3} {
			for range n {
				s.Nodes = append(s.Nodes, heap.Node{Stack: heap.Stack{heap.Addr(site + 1)}})
			}
		}
		listings = append(listings, Listing{s})
	}
	want := map[string]string{
		"0x1": "SUSPECT grows steadily, by 110 nodes; without addresses that may be a cache",
		"0x2": "STABLE it does not grow",
		"0x3": "STABLE grew to 30 nodes and stopped",
		"0x4": "STABLE it grows and shrinks",
	}
	for _, s := range ranked(listings, symbol.None).Sites {
		if got := string(s.Verdict) + " " + s.Reason; got != want[chain(s.Frames)] {
			t.Errorf("%s: %s", chain(s.Frames), got)
		}
	}
}
