package leak

import (
	"cmp"
	"slices"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// A climb is how fast a leak grows: so many nodes from one listing of a run to
// another.
type climb struct {
	from, to int     // listings
	hours    float64 // between them; 0: as the listings tell
	nodes    float64
	bytes    uint64
}

// steeper is how unlikely it must be by chance that so many of a leak's nodes
// came in its second half, for only that half to tell how fast it grows.
const steeper = .01

// pace returns how fast a leak grows whose nodes were born up to a column: from
// the one before its first node on or, if most came late, in the second half
// of that.
func (m *matrix) pace(cohorts []*cohort, end int) climb {
	births := make([]float64, end+1)
	bytes := make([]uint64, end+1)
	start, all := end, climb{}
	for _, c := range cohorts {
		if c.born > 0 && c.born <= end && c.alive > 0 {
			births[c.born], bytes[c.born] = float64(c.alive), c.bytes
			start = min(start, c.born-1)
		}
	}
	from := func(column int) (g climb) {
		g.from, g.to = m.listing(column), m.listing(end)
		for i := column + 1; i <= end; i++ {
			g.nodes += births[i]
			g.bytes += bytes[i]
		}
		return g
	}
	all = from(start)
	half := start
	for half+1 < end && m.x[half]-m.x[start] < (m.x[end]-m.x[start])/2 {
		half++
	}
	if half == start {
		return all
	}
	second := from(half)
	spread := dispersion(births[start+1:])
	share := (m.x[half] - m.x[start]) / (m.x[end] - m.x[start])
	if fewer((all.nodes-second.nodes)/spread, second.nodes/spread, share) < steeper {
		return second
	}
	return all
}

// rates fills in how fast the leaks grow, and how long the pools last. It
// returns what is to be said about the clock.
func (s *Series) rates(g *Growth, found []judgement) (notes []string) {
	times := s.paces()
	for i := range g.Sites {
		site, j := &g.Sites[i], &found[i].climb
		if site.LeakedNodes == 0 {
			continue
		}
		site.rate = j.nodes / float64(max(1, j.to-j.from))
		if site.Sized && j.nodes > 0 {
			site.size = float64(j.bytes) / j.nodes
		}
		hours := j.hours
		if hours == 0 {
			hours = times.hours(site.Pool, j.from, j.to)
		}
		if hours > 0 {
			site.NodesPerHour = j.nodes / hours
			site.BytesPerHour = site.NodesPerHour * site.size
		}
	}
	leaks := map[string]*leakage{}
	for i := range g.Sites {
		if site := &g.Sites[i]; site.Verdict == Confirmed {
			l := leaks[site.Pool]
			if l == nil {
				l = &leakage{sized: true}
				leaks[site.Pool] = l
			}
			l.sized = l.sized && site.Sized
			l.bytesPerHour += site.BytesPerHour
		}
	}
	for i := range g.Pools {
		w := &g.Pools[i]
		l := leaks[w.Pool]
		if l == nil {
			continue
		}
		if !l.sized {
			l.bytesPerHour = s.shrinkage(times, w)
		}
		if w.Free > 0 && l.bytesPerHour > 0 {
			w.Exhaustion = lasting(float64(w.Free) / l.bytesPerHour)
		}
	}
	return times.notes()
}

// leakage is what the confirmed leaks of a pool add up to. Where the sizes of
// nodes are unknown, how fast the free memory shrinks stands in for it.
type leakage struct {
	sized        bool
	bytesPerHour float64
}

// shrinkage returns how many bytes of free memory a pool lost in an hour over
// its window: the median of the slopes between any two listings (Theil and
// Sen), so that a single large allocation does not count.
func (s *Series) shrinkage(times *paces, w *Window) float64 {
	type point struct {
		listing int
		free    float64
	}
	var points []point
	for _, at := range s.histories[w.Pool].shown {
		if in := at.info(s); w.First <= at.listing && at.listing <= w.Last && in.Stats != (heap.Stats{}) {
			points = append(points, point{at.listing, float64(in.Stats.Free)})
		}
	}
	points = thinned(points, 2*maxColumns)
	var slopes []float64
	for i := range points {
		for j := i + 1; j < len(points); j++ {
			if h := times.hours(w.Pool, points[i].listing, points[j].listing); h > 0 {
				slopes = append(slopes, (points[i].free-points[j].free)/h)
			}
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	return max(0, slopes[len(slopes)/2])
}

// longest is how long memory may last for that to be worth a figure.
const longest = 100 * 365 * 24 // hours

// lasting converts hours to a Duration; 0 for ages.
func lasting(hours float64) time.Duration {
	if hours > longest {
		return 0
	}
	return time.Duration(hours * float64(time.Hour))
}

// sort puts the sites into the order that Growth documents.
func (g *Growth) sort() {
	sized, timed := true, true
	for i := range g.Sites {
		if site := &g.Sites[i]; site.LeakedNodes > 0 && site.rate > 0 {
			sized = sized && site.Sized
			timed = timed && site.NodesPerHour > 0
		}
	}
	speed := func(s *Site) float64 {
		v := s.rate
		if timed {
			v = s.NodesPerHour
		}
		if sized {
			v *= s.size
		}
		return v
	}
	slices.SortStableFunc(g.Sites, func(a, b Site) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Verdicts, a.Verdict), slices.Index(Verdicts, b.Verdict)),
			-cmp.Compare(speed(&a), speed(&b)),
			-cmp.Compare(a.lostBytes(), b.lostBytes()),
			-cmp.Compare(a.Growth, b.Growth),
			-cmp.Compare(a.last, b.last),
			cmp.Compare(a.key, b.key),
			cmp.Compare(a.Pool, b.Pool),
		)
	})
}
