package leak

import "fmt"

// births says why a site is no leak if its births alone tell.
func (m *matrix) births() string {
	if len(m.rows) == 0 {
		return "no nodes"
	}
	var first, later, last float64
	for i := range m.rows {
		r := &m.rows[i]
		if r.born == 0 {
			first += r.at(0)
			last += r.end()
		} else {
			later += r.at(r.born)
		}
	}
	switch {
	case later == 0 && last == first:
		return "allocated before the first listing: start-up"
	case later == 0:
		return fmt.Sprintf("no new node since the first listing, and %s of %s freed", number(first-last), nodes(first))
	}
	return ""
}

// course says why the births of the nodes that stay are not those of a leak, or
// else how likely births that fade would look like that.
func (v *view) course() (why string, fading float64) {
	why, fading = v.pattern(v.n)
	if why != "" && !v.timed && v.n-v.start > 3 && v.stay[v.n-1] > 0 {
		// The last listing may have been taken soon after the one before: then
		// few new nodes are no sign that the births stop.
		if other, p := v.pattern(v.n - 1); other == "" {
			return "", p
		}
	}
	return why, fading
}

// pattern does what course does, for the columns before limit.
func (v *view) pattern(limit int) (why string, fading float64) {
	m, start, stay := v.matrix, v.start, v.stay[v.start:limit]
	from, third := m.x[start-1], [3]float64{}
	whole := m.x[limit-1] - from
	var total, top, mean float64
	var lately, before float64 // in the last quarter, in the half before
	var occupied int
	for i, x := range stay {
		// Births are spread over the interval before the column.
		a, b := (m.x[start+i-1]-from)/whole*3, (m.x[start+i]-from)/whole*3
		for k := range third {
			third[k] += x * max(0, min(b, float64(k+1))-max(a, float64(k))) / (b - a)
		}
		total += x
		mean += x * (a + b) / 6
		lately += x * max(0, b-max(a, 2.25)) / (b - a)
		before += x * max(0, min(b, 2.25)-max(a, .75)) / (b - a)
		top = max(top, x)
		if x > .5 {
			occupied++
		}
	}
	spread := dispersion(stay)
	early, late := third[0]+third[1]/2, third[2]+third[1]/2
	switch {
	case third[2] < 1e-9:
		return m.stopped(), 1
	case len(stay) >= 9 && third[1] < 1e-9:
		return m.paused(), 1
	case top > .6*total && occupied < len(stay)/2+1 || occupied < 3:
		return m.step(), 1
	case late < .35*(early+late) && fewer(late/spread, early/spread, .5) < .1,
		third[2] < .1*total,
		lately < .4*before/2 && fewer(lately/spread, before/spread, 1./3) < stall:
		return m.fades(limit), 1
	}
	return "", fadingTail(mean/total, total/spread, fade)
}

// stall is how unlikely it must be by chance that so few nodes came in the last
// quarter of the soak, for the site to have stopped.
const stall = .01

// fade is how often the rate of births that fade falls by a factor of e while
// the listings are taken, at least.
const fade = 5

// dispersion is how much more the counts vary around their neighbours than
// independent arrivals do, at least 1: nodes that come in clumps are fewer
// events.
func dispersion(v []float64) float64 {
	var above, below float64
	for i := 1; i+1 < len(v); i++ {
		d := v[i] - (v[i-1]+v[i+1])/2
		above += d * d / 1.5
		below += (v[i-1] + v[i] + v[i+1]) / 3
	}
	if len(v) < 4 || below == 0 {
		return 1
	}
	return max(1, above/below)
}
