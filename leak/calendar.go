package leak

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// A calendar says when the columns of a run were taken.
type calendar struct {
	n int // columns
	// x is when each column was taken, in mean intervals from the first: from
	// 0 to n-1.
	x     []float64
	timed bool // by a clock
	// number is the listing of a column, as reports count.
	number  []int
	skipped int // listings in front of the series
	stride  int // complete listings per column
	// doom is the probability that a node that appeared in one column and is
	// there in another dies before the next one, if it is no leak: doom[j][k]
	// for j <= k < n-1.
	doom [][]float64
}

// perSoak is how many lives a soak should take at least: it takes three times
// as long as anything that is no leak usually lives.
const perSoak = 3

// date makes the calendar of a run.
func (p *population) date(skipped int) *calendar {
	if p.calendar != nil {
		return p.calendar
	}
	c := &calendar{n: len(p.columns), skipped: skipped, stride: p.stride}
	c.x, c.timed = p.positions()
	p.calendar = c
	for _, column := range p.columns {
		c.number = append(c.number, column.number+skipped)
	}
	// A node that lives a third of the soak on average dies at that rate.
	// Lifetimes with tails so heavy that they hardly have a mean end at a rate
	// of one by their age; past a third of the soak that is even less.
	c.doom = make([][]float64, c.n)
	for j := range c.doom {
		c.doom[j] = make([]float64, c.n)
		for k := j; k+1 < c.n; k++ {
			within := c.x[k+1] - c.x[k]
			rate := min(perSoak/float64(c.n-1), 1/(c.x[k]-c.x[j]+within/2))
			c.doom[j][k] = -math.Expm1(-rate * within)
		}
	}
	return c
}

// listing returns the listing of a column, from 1.
func (c *calendar) listing(column int) int { return c.number[column] - c.skipped }

// within names an age in columns in listings, none of which is left out: it is
// at most so many.
func (c *calendar) within(columns int) string {
	most := 0
	for i := 0; i+columns < c.n; i++ {
		most = max(most, c.number[i+columns]-c.number[i])
	}
	return listings(most) + c.seen()
}

// beyond names an age in columns as within does, but is at least so many
// listings.
func (c *calendar) beyond(columns int) string {
	least := c.number[c.n-1] - c.number[0]
	for i := 0; i+columns < c.n-1; i++ { // the last step may be shorter than the others
		least = min(least, c.number[i+columns]-c.number[i])
	}
	return listings(least) + c.seen()
}

// latest names the listings after the last but so many columns.
func (c *calendar) latest(columns int) string {
	return listings(c.number[c.n-1] - c.number[max(0, c.n-1-columns)])
}

// seen says that ages are in steps of several listings, if so.
func (c *calendar) seen() string {
	if c.stride == 1 {
		return ""
	}
	return fmt.Sprintf(" (seen in every %s listing)", ordinal(c.stride))
}

// ordinal writes the number of a power of two: 2nd, 4th.
func ordinal(n int) string {
	if n%10 == 2 && n%100 != 12 {
		return strconv.Itoa(n) + "nd"
	}
	return strconv.Itoa(n) + "th"
}

// matrix lays out what the site's nodes did. It is good until the next one.
func (p *population) matrix(t *track, skipped int) *matrix {
	m := &matrix{calendar: p.date(skipped), rows: make([]row, len(t.cohorts))}
	cells := 0
	for _, c := range t.cohorts {
		cells += m.n - c.born
	}
	p.cells = slices.Grow(p.cells[:0], cells)[:cells]
	rest := p.cells
	for i, c := range t.cohorts {
		alive := rest[:m.n-c.born]
		rest = rest[len(alive):]
		k, now := 0, int32(0)
		for j := range alive {
			for k < len(c.steps) && int(c.steps[k].column) <= c.born+j {
				now = c.steps[k].alive
				k++
			}
			alive[j] = int(now)
		}
		m.rows[i] = row{c.born, alive}
	}
	if p.buried(t) {
		for i, c := range t.cohorts {
			m.rows[i].alive[m.n-1-c.born] -= c.limbo
		}
	}
	return m
}

// buried reports whether more nodes of the site are absent from a last listing
// that lacked nodes than that explains: then they were freed.
func (p *population) buried(t *track) bool {
	absent, all := 0, 0
	for _, c := range t.cohorts {
		absent += c.limbo
		all += c.alive
	}
	// At least so many nodes are missing; there may be twice as many.
	expected := 2 * p.lost * float64(all)
	return absent > 0 && 1-poissonTail(float64(absent-1), expected) < .01
}

// positions returns when the columns were taken: by time, by ticks or else by
// the numbers of the listings. A step in which much less happened than in the
// others is made that much shorter, so that two listings in a row, or a device
// that idles, do not make a leak look as if it had stopped.
func (p *population) positions() (x []float64, timed bool) {
	n := len(p.columns)
	if n < 2 {
		return make([]float64, n), false
	}
	steps, timed := p.steps()
	came := p.turnover()
	rates := make([]float64, n-1)
	for i := range rates {
		rates[i] = came[i+1] / steps[i]
	}
	sorted := slices.Sorted(slices.Values(rates))
	usual := sorted[len(sorted)/2]
	sum := 0.0
	for i := range steps {
		if expected := usual * steps[i]; rates[i] < usual/2 && poissonTail(came[i+1], expected) < .01 {
			steps[i] *= max(.02, rates[i]/usual)
		}
		sum += steps[i]
	}
	x = make([]float64, n)
	for i, s := range steps {
		x[i+1] = x[i] + s*float64(n-1)/sum
	}
	return x, timed
}

// steps returns the time from each column to the next, in any unit, and
// whether a clock tells it.
func (p *population) steps() (steps []float64, timed bool) {
	n := len(p.columns)
	steps = make([]float64, n-1)
	t := timelineOf(p.columns)
	for i := range steps {
		if t.exact {
			// Listings may follow each other in the same second.
			steps[i] = max(t.at[i+1]-t.at[i], .02*t.at[n-1]/float64(n-1))
		} else {
			steps[i] = float64(max(1, p.columns[i+1].number-p.columns[i].number))
		}
	}
	return steps, t.exact && (len(t.set) == 0 || t.set[len(t.set)-1] < n-1)
}

// turnover returns how many nodes appeared in each column at the sites that
// free what they allocate. How busy the device was shows best there: leaks,
// caches and start-up have a course of their own.
func (p *population) turnover() []float64 {
	came := make([]float64, len(p.columns))
	for _, t := range p.tracks {
		born, left := 0, 0
		for _, c := range t.cohorts {
			if c.born > 0 {
				born += c.at(c.born)
				left += c.alive
			}
		}
		if born < 4 || left*2 > born {
			continue
		}
		// A burst at one site does not make a busy time.
		for _, c := range t.cohorts {
			if c.born > 0 {
				came[c.born] += min(float64(c.at(c.born)), 3*float64(born)/float64(len(came)-1))
			}
		}
	}
	return came
}
