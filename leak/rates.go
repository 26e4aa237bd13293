package leak

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// rates fills in how fast the leaks grow, and how long the pools last.
func (s *Series) rates(g *Growth, found []judgement) {
	for i := range g.Sites {
		site, j := &g.Sites[i], &found[i]
		if site.LeakedNodes == 0 {
			continue
		}
		if d := s.elapsed(j.span[0], j.span[1]); d > 0 {
			site.NodesPerHour = float64(site.LeakedNodes) / d.Hours()
			site.BytesPerHour = float64(site.LeakedBytes) / d.Hours()
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
			l.bytesPerHour = s.shrinkage(g, w)
		}
		if w.Free > 0 && l.bytesPerHour > 0 {
			w.Exhaustion = hours(float64(w.Free) / l.bytesPerHour)
		}
	}
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
func (s *Series) shrinkage(g *Growth, w *Window) float64 {
	type point struct {
		at   column
		free float64
	}
	var points []point
	for i := w.First; i >= 1 && i <= w.Last; i++ {
		for _, in := range g.Listings[i-1] {
			if in.Pool == w.Pool && in.Stats != (heap.Stats{}) {
				points = append(points, point{column{i, in.Time, in.Tick, in.TickHz}, float64(in.Stats.Free)})
			}
		}
	}
	for len(points) > 2*maxColumns {
		for i := range len(points) / 2 {
			points[i] = points[2*i]
		}
		points = points[:len(points)/2]
	}
	var slopes []float64
	for i := range points {
		for j := i + 1; j < len(points); j++ {
			if d := s.elapsed(points[i].at, points[j].at); d > 0 {
				slopes = append(slopes, (points[i].free-points[j].free)/d.Hours())
			}
		}
	}
	if len(slopes) == 0 {
		return 0
	}
	slices.Sort(slopes)
	return max(0, slopes[len(slopes)/2])
}

// elapsed returns the time between two listings of a run, 0 if it is unknown.
func (s *Series) elapsed(a, b column) time.Duration {
	if d, ok := between(a, b); ok {
		return d
	}
	return time.Duration(min(float64(b.number-a.number)*float64(s.options.Interval), math.MaxInt64/2))
}

// hours converts to a Duration, at most the longest one.
func hours(h float64) time.Duration {
	if d := h * float64(time.Hour); d < math.MaxInt64 {
		return time.Duration(d)
	}
	return math.MaxInt64
}

// sort puts the sites into the order that Growth documents.
func (g *Growth) sort() {
	sized := true
	for i := range g.Sites {
		if site := &g.Sites[i]; site.LeakedNodes > 0 {
			sized = sized && site.Sized
		}
	}
	speed := func(s *Site) float64 {
		if sized && s.LeakedNodes > 0 {
			return s.rate * float64(s.LeakedBytes) / float64(s.LeakedNodes)
		}
		return s.rate
	}
	slices.SortFunc(g.Sites, func(a, b Site) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Verdicts, a.Verdict), slices.Index(Verdicts, b.Verdict)),
			-cmp.Compare(speed(&a), speed(&b)),
			-cmp.Compare(a.Growth, b.Growth),
			-cmp.Compare(a.last, b.last),
			cmp.Compare(a.key, b.key),
			cmp.Compare(a.Pool, b.Pool),
		)
	})
}
