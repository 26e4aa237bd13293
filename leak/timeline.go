package leak

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"
)

// A timeline says when the listings of a run were taken, by a clock that may
// have been set meanwhile or have wrapped around.
type timeline struct {
	// at is how many seconds after the first each listing was taken, ascending;
	// nil if no clock tells.
	at []float64
	// set holds the listings, by index, between which and the one before the
	// clock was set: that step is taken to be as long as others.
	set []int
	// exact says that a clock tells of each listing when it was taken, but for
	// those in set.
	exact bool
}

const (
	// implausible is how many times as long as usual a step between listings
	// takes if the clock was set, at least.
	implausible = 100
	// often is the share of steps that may be so long before that is usual.
	often = 8
	// burst is how many times as many nodes as usual have to appear in so long
	// a step for it to have been that long: a pause in taking listings, in which
	// what leaks went on leaking.
	burst = 10
)

// timelineOf makes a timeline of listings of one run.
func timelineOf(columns []column) timeline {
	clock := bestClock(columns)
	var told []int // columns that the clock tells
	for i := range columns {
		if clock.tells(&columns[i]) {
			told = append(told, i)
		}
	}
	if len(told) < 2 {
		return timeline{}
	}
	steps := make([]float64, len(told)-1)
	apart := make([]float64, len(steps)) // listings
	var paces, growths []float64
	negative := 0
	for k := range steps {
		a, b := &columns[told[k]], &columns[told[k+1]]
		steps[k], apart[k] = clock.step(a, b), float64(max(1, b.number-a.number))
		growths = append(growths, float64(max(a.nodes-b.nodes, b.nodes-a.nodes)))
		if steps[k] < 0 {
			negative++
		} else if steps[k] > 0 {
			paces = append(paces, steps[k]/apart[k])
		}
	}
	if len(paces) == 0 || negative*2 > len(steps) {
		return timeline{}
	}
	slices.Sort(paces)
	slices.Sort(growths)
	usual, growth := paces[len(paces)/2], growths[len(growths)/2]
	long := len(paces) - sort.SearchFloat64s(paces, implausible*usual)
	customary := long > max(1, len(steps)/often)

	t := timeline{exact: len(told) == len(columns)}
	for k, d := range steps {
		if d >= 0 && (d <= implausible*usual*apart[k] || customary) {
			continue
		}
		a, b := &columns[told[k]], &columns[told[k+1]]
		if other := (ticks{}).step(a, b); clock != (ticks{}) && (ticks{}).tells(a) && (ticks{}).tells(b) && other > 0 && other <= implausible*usual*apart[k] {
			steps[k] = other
			continue
		}
		if d > 0 && float64(b.nodes-a.nodes) >= burst*max(1, growth) {
			continue
		}
		steps[k] = usual * apart[k]
		t.set = append(t.set, told[k+1])
	}
	t.spread(columns, told, steps, usual)
	return t
}

// spread sets at: what no clock tells lies evenly between what one does.
func (t *timeline) spread(columns []column, told []int, steps []float64, usual float64) {
	t.at = make([]float64, len(columns))
	for i := told[0] - 1; i >= 0; i-- {
		t.at[i] = t.at[i+1] - usual*float64(columns[i+1].number-columns[i].number)
	}
	for k, d := range steps {
		a, b := told[k], told[k+1]
		whole := float64(max(1, columns[b].number-columns[a].number))
		for i := a + 1; i <= b; i++ {
			t.at[i] = t.at[a] + d*float64(columns[i].number-columns[a].number)/whole
		}
		t.at[b] = t.at[a] + d
	}
	for i := told[len(told)-1] + 1; i < len(columns); i++ {
		t.at[i] = t.at[i-1] + usual*float64(columns[i].number-columns[i-1].number)
	}
	for i := len(t.at) - 1; i >= 0; i-- {
		t.at[i] -= t.at[0]
	}
}

// A stamp is a clock by which listings are dated.
type stamp interface {
	tells(c *column) bool
	// step returns the seconds from one listing to another, both of which it
	// tells.
	step(a, b *column) float64
}

// bestClock returns the one that dates more of the listings; time, if both do.
func bestClock(columns []column) stamp {
	byTime, byTick := 0, 0
	for i := range columns {
		if (calendarTime{}).tells(&columns[i]) {
			byTime++
		}
		if (ticks{}).tells(&columns[i]) {
			byTick++
		}
	}
	if byTime < 2 || byTick > 2*byTime {
		return ticks{}
	}
	return calendarTime{}
}

type calendarTime struct{}

func (calendarTime) tells(c *column) bool { return !c.time.IsZero() }

// step avoids time.Time.Sub, which clamps at 292 years.
func (calendarTime) step(a, b *column) float64 {
	return float64(b.time.Unix()) - float64(a.time.Unix()) + float64(b.time.Nanosecond()-a.time.Nanosecond())/float64(time.Second)
}

type ticks struct{}

func (ticks) tells(c *column) bool { return c.hz != 0 && c.tick != 0 }

// step takes a counter of 32 bits that goes back for one that wrapped around.
func (ticks) step(a, b *column) float64 {
	const wrap = 1 << 32
	switch {
	case a.hz != b.hz:
		return -1
	case b.tick >= a.tick:
		return float64(b.tick-a.tick) / float64(b.hz)
	case a.tick < wrap:
		return float64(b.tick+wrap-a.tick) / float64(b.hz)
	}
	return -1
}

// A pace tells when the listings of a pool were taken, in all its runs.
type pace struct {
	columns []column
	at      []float64 // within each run
	known   []bool
}

// pace makes the pace of a pool, and notes where its clock was set.
func (s *Series) pace(h *history, set func(before, after int)) *pace {
	p := &pace{columns: make([]column, len(h.shown)), at: make([]float64, len(h.shown)), known: make([]bool, len(h.shown))}
	boots := make([]int, len(h.shown))
	for i := range h.shown {
		in := h.shown[i].info(s)
		p.columns[i] = column{h.shown[i].listing, in.Time, in.Tick, in.TickHz, in.Nodes}
		boots[i] = in.Boot
	}
	for from, to := 0, 0; from < len(boots); from = to {
		for to = from + 1; to < len(boots) && boots[to] == boots[from]; to++ {
		}
		t := timelineOf(p.columns[from:to])
		for i, at := range t.at {
			p.at[from+i], p.known[from+i] = at, true
		}
		for _, i := range t.set {
			set(p.columns[from+i-1].number, p.columns[from+i].number)
		}
	}
	return p
}

// hours returns the time from one listing to another of the same run, 0 if it
// is unknown.
func (p *pace) hours(from, to int, interval time.Duration) float64 {
	i, ok := p.index(from)
	j, ok2 := p.index(to)
	if ok && ok2 && p.known[i] && p.known[j] {
		return max(0, p.at[j]-p.at[i]) / 3600
	}
	return max(0, float64(to-from)*interval.Hours())
}

func (p *pace) index(listing int) (int, bool) {
	return slices.BinarySearchFunc(p.columns, listing, func(c column, n int) int { return cmp.Compare(c.number, n) })
}

// paces are those of pools, each made once.
type paces struct {
	series *Series
	pools  map[string]*pace
	set    map[[2]int]bool // listings between which a clock was set
}

func (s *Series) paces() *paces {
	return &paces{s, map[string]*pace{}, map[[2]int]bool{}}
}

func (all *paces) hours(pool string, from, to int) float64 {
	p := all.pools[pool]
	if p == nil {
		h := all.series.histories[pool]
		if h == nil {
			return 0
		}
		p = all.series.pace(h, func(before, after int) { all.set[[2]int{before, after}] = true })
		all.pools[pool] = p
	}
	return p.hours(from, to, all.series.options.Interval)
}

// notes says between which listings a clock was set.
func (all *paces) notes() []string {
	var where [][2]int
	for w := range all.set {
		where = append(where, w)
	}
	slices.SortFunc(where, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	const most = 5
	var notes []string
	skipped := all.series.skipped
	for i, w := range where {
		if i == most {
			notes = append(notes, fmt.Sprintf("the clock was set %d times more", len(where)-most))
			break
		}
		notes = append(notes, fmt.Sprintf("the clock was set between listing %d and listing %d: rates take that step to be as long as the others", w[0]+skipped, w[1]+skipped))
	}
	return notes
}
