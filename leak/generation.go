package leak

import (
	"fmt"
	"math"
	"sort"
	"strconv"
)

// A matrix is what one site's nodes did in one run of the device.
type matrix struct {
	*calendar
	// rows holds the cohorts, ascending.
	rows []row
}

// A row is a cohort: the nodes that appeared in column born, and how many of
// them are in each column from there on.
type row struct {
	born  int
	alive []int // alive[0] in column born
}

func (r *row) at(column int) float64 { return float64(r.alive[column-r.born]) }
func (r *row) end() float64          { return float64(r.alive[len(r.alive)-1]) }

// minColumns is how many complete listings the generation test needs.
const minColumns = 4

// A judgement is what the generation test found.
type judgement struct {
	// candidate says that only chance speaks against a leak, with probability
	// p; otherwise verdict and reason are final.
	candidate bool
	p         float64
	verdict   Verdict
	reason    string
	// tested says that the site's births look like those of a leak, so that
	// its p counts as a test.
	tested bool

	// weak says that the source tells too little to confirm a leak; then
	// reason is that of a suspect as well.
	weak bool

	age           int     // of maturity, in columns
	mature, freed float64 // nodes that got older, and how many of those were freed
	leaked        int     // nodes born since the first column and mature
	leakedBytes   uint64
	perInterval   float64 // leaked nodes
	// span holds the columns between which the leaked nodes were born.
	span [2]column

	run      int // of the pool, from 0
	from, to int // listings of the run
}

// generation judges a site by its generations of nodes: in a leak new nodes
// keep coming, and nodes past the age at which the site's nodes die never do.
func generation(m *matrix) judgement {
	j := judgement{p: 1, verdict: Stable}
	if reason := m.births(); reason != "" {
		j.reason = reason
		return j
	}
	ages := m.ages()
	if life := m.churn(); life > 0 {
		// It counts as a test if nodes got old enough to be tested.
		j.reason, j.tested = fmt.Sprintf("every node is freed within %s: churn", listings(life)), life > ages[0]
		return j
	}
	best := m.judge(ages[0])
	if best.freed == 0 {
		return best
	}
	// Perhaps churn that lives longer hides the leak: look at older nodes.
	tried := 1
	for _, age := range ages[1:] {
		k := m.judge(age)
		tried++
		if k.candidate && !best.candidate || k.candidate && k.p < best.p {
			best = k
		} else {
			best.tested = best.tested || k.tested
		}
	}
	best.p = min(1, best.p*float64(tried))
	return best
}

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

// start is the first column whose births vote.
func (m *matrix) start() int {
	if m.n >= 8 {
		return 1 + m.n/8
	}
	return 1
}

// ages returns the ages in columns to judge by: after the first one hardly any
// node dies, as far as can be seen; the others are greater.
func (m *matrix) ages() []int {
	limit := max(1, m.n/4)
	first := limit
	for age := 0; age < limit; age++ {
		var before, after float64
		for i := range m.rows {
			r := &m.rows[i]
			if r.born == 0 || r.born+age+1 >= m.n {
				continue
			}
			before += r.at(r.born + age)
			after += r.at(r.born + age + 1)
		}
		if before >= 1 && after >= .98*before {
			first = age
			break
		}
	}
	ages := []int{first}
	for _, age := range []int{m.n / 4, m.n / 2} {
		if age > ages[len(ages)-1] && m.n-1-age-m.start() >= 2 {
			ages = append(ages, age)
		}
	}
	return ages
}

// judge applies the test to the nodes that get older than age columns.
func (m *matrix) judge(age int) judgement {
	n, start, end := m.n, m.start(), m.n-1-age
	j := judgement{p: 1, verdict: Stable, age: age}
	count := end - start + 1
	if count < 2 {
		j.reason = "its nodes live too long for so few listings"
		j.verdict = Inconclusive
		return j
	}
	// Of each cohort: how many nodes matured, how many of those are left, and
	// how many births there were. The youngest have not matured; as many of
	// them will stay as of the others.
	left, mature, births := make([]float64, n), make([]float64, n), make([]float64, n)
	var expected, base, old, oldLeft, born float64
	for i := range m.rows {
		r := &m.rows[i]
		births[r.born] = r.at(r.born)
		switch {
		case r.born < start:
			old += r.at(min(start+age, n-1))
			oldLeft += r.end()
			continue
		case r.born > end:
			continue
		}
		left[r.born], mature[r.born] = r.end(), r.at(r.born+age)
		j.mature += mature[r.born]
		j.freed += mature[r.born] - left[r.born]
		born += births[r.born]
		for k := r.born + age; k < n-1; k++ {
			expected += r.at(k) * m.doom[r.born][k]
		}
	}
	base = old - oldLeft
	total := j.mature - j.freed
	if total < 2 {
		j.reason = m.transient(age, total)
		return j
	}
	reject := func(format string, args ...any) judgement {
		j.reason = fmt.Sprintf(format, args...)
		return j
	}
	// Births first: they say nothing about deaths, so the sites they exclude
	// need not be counted as tests.
	stay := left
	for c := end + 1; c < n; c++ {
		stay[c] = births[c] * total / born
	}
	why, fading := m.pattern(stay, start, n)
	if why != "" && !m.timed && n-start > 3 && stay[n-1] > 0 {
		// The last listing may have been taken soon after the one before: then
		// few new nodes are no sign that the births stop.
		if other, p := m.pattern(stay, start, n-1); other == "" {
			why, fading = "", p
		}
	}
	if why != "" {
		return reject("%s", why)
	}
	j.tested = true
	j.p = max(poissonTail(j.freed, expected), fading)
	switch {
	case total-base < keep*j.mature:
		return reject("old nodes are freed as new ones come: %s came, %s went", number(j.mature), number(j.freed+base))
	}
	var arrived, replaced float64
	since := sort.Search(n-1, func(c int) bool { return m.x[c] >= float64(n-1)*2/3 })
	for c := since + 1; c < n; c++ {
		arrived += stay[c]
	}
	for i := range m.rows {
		if r := &m.rows[i]; r.born < start {
			replaced += r.at(max(since, start+age)) - r.end()
		} else if r.born <= end {
			replaced += r.at(max(since, r.born+age)) - r.end()
		}
	}
	if why := m.uneven(mature, births, start, end); why != "" && age > m.ages()[0] {
		return reject("%s", why)
	}
	for _, from := range []int{n / 2, n * 2 / 3} {
		var then, now, came float64
		for i := range m.rows {
			r := &m.rows[i]
			now += r.end()
			if r.born <= from {
				then += r.at(from)
			} else {
				came += stay[r.born]
			}
		}
		if grown := now - then; grown < .3*came && came-grown > 3*math.Sqrt(then+1) {
			return reject("it holds no more than before: %s new nodes stayed since listing %d, but it grew by %s", number(came), m.number[from], number(grown))
		}
	}
	if replaced >= 2 && replaced > .5*arrived {
		return reject("lately as many old nodes are freed as new ones stay: %s and %s", number(replaced), number(arrived))
	}
	// The oldest: if they die, the others are only too young.
	prefix, gone := old, base
	for c := start - 1; c <= end; c++ {
		if c >= start {
			prefix += mature[c]
			gone += mature[c] - left[c]
		}
		if c > start+count*2/3 {
			break
		}
		if gone >= 2 && binomialTail(gone, prefix, .1) < .01 {
			return reject("old nodes are freed: %s of the oldest %s", number(gone), number(prefix))
		}
	}
	j.candidate = true
	return j
}

const keep = .6

// pattern says why the births of the nodes that stay, by column, are not those
// of a leak, or else how likely births that fade would look like that. It looks
// at columns start to end-1.
func (m *matrix) pattern(stay []float64, start, end int) (why string, fading float64) {
	v := stay[start:end]
	from, third := m.x[start-1], [3]float64{}
	whole := m.x[end-1] - from
	var total, top, mean float64
	var lately, before float64 // in the last quarter, in the half before
	var topAt, occupied int
	for i, x := range v {
		// Births are spread over the interval before the column.
		a, b := (m.x[start+i-1]-from)/whole*3, (m.x[start+i]-from)/whole*3
		for k := range third {
			third[k] += x * max(0, min(b, float64(k+1))-max(a, float64(k))) / (b - a)
		}
		total += x
		mean += x * (a + b) / 6
		lately += x * max(0, b-max(a, 2.25)) / (b - a)
		before += x * max(0, min(b, 2.25)-max(a, .75)) / (b - a)
		if x > top {
			top, topAt = x, start+i
		}
		if x > .5 {
			occupied++
		}
	}
	if len(v) < 3 {
		return "", 1
	}
	spread := dispersion(v)
	early, late := third[0]+third[1]/2, third[2]+third[1]/2
	switch {
	case third[2] < 1e-9 || len(v) >= 9 && third[1] < 1e-9:
		return m.stopped(), 1
	case top > .6*total && occupied < len(v)/2+1 || occupied < 3:
		return fmt.Sprintf("%s of %s came in listing %d: a one-off step", number(top), nodes(total), m.number[topAt]), 1
	case late < .35*(early+late) && fewer(late/spread, early/spread, .5) < .1,
		third[2] < .1*total,
		lately < .4*before/2 && fewer(lately/spread, before/spread, 1./3) < stall:
		return fmt.Sprintf("ever fewer new nodes stay, %s in the first half, then %s: a warm-up that fades", number(early), number(late)), 1
	}
	return "", fadingTail(mean/total, total/spread, fade)
}

// fade is how often the rate of births that fade falls by a factor of e while
// the listings are taken, at least.
const fade = 4

const stall = .01

// uneven says that fewer of the old cohorts than of the young ones got to
// maturity, if so: they died together, as nodes do that are flushed.
func (m *matrix) uneven(mature, births []float64, start, end int) string {
	var old, young, oldBorn, youngBorn float64
	for c := start; c <= end; c++ {
		if c <= (start+end)/2 {
			old, oldBorn = old+mature[c], oldBorn+births[c]
		} else {
			young, youngBorn = young+mature[c], youngBorn+births[c]
		}
	}
	if youngBorn == 0 || oldBorn == 0 {
		return ""
	}
	if q := young / youngBorn; old < .5*q*oldBorn && binomialTail(oldBorn-old, oldBorn, 1-min(.999, q)) < .01 {
		return fmt.Sprintf("old nodes are freed: %s of the oldest %s", number(oldBorn-old), number(oldBorn))
	}
	return ""
}

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

// transient says why next to nothing is left of a site's births.
func (m *matrix) transient(age int, left float64) string {
	if left >= 1 {
		return "only one new node stays: too few to tell anything"
	}
	old, young := 0.0, 0.0
	for i := range m.rows {
		switch r := &m.rows[i]; {
		case r.born == 0:
		case r.born >= m.n-1-age:
			young += r.end()
		default:
			old += r.end()
		}
	}
	if life := m.longest(); old > 0 {
		return m.stopped()
	} else if life > 0 {
		return fmt.Sprintf("every node is freed within %s: churn", listings(life))
	}
	return fmt.Sprintf("its only new %s came too late to tell anything", noun(young, "node"))
}

// churn returns by which age every node is dead, where that is much less than
// the listings show; 0 otherwise.
func (m *matrix) churn() int {
	life := m.longest()
	if life == 0 || life > max(1, m.n/3) {
		return 0
	}
	born, left := 0.0, 0.0
	for i := range m.rows {
		r := &m.rows[i]
		if r.born == 0 || r.born+life >= m.n {
			continue
		}
		born += r.at(r.born)
		left += r.at(r.born + life)
	}
	if born == 0 || left > 0 {
		return 0
	}
	return life
}

// longest returns the age, in columns, by which every node whose death was
// seen was dead.
func (m *matrix) longest() int {
	life := 0
	for i := range m.rows {
		r := &m.rows[i]
		if r.born == 0 {
			continue
		}
		for k := 1; k < len(r.alive); k++ {
			if r.alive[k] < r.alive[k-1] {
				life = max(life, k)
			}
		}
	}
	return life
}

// stopped says since when a site has not grown, and how many nodes it held.
func (m *matrix) stopped() string {
	var held float64
	last := 0
	for i := range m.rows {
		r := &m.rows[i]
		held += r.end()
		if r.born > 0 && r.end() > 0 {
			last = r.born
		}
	}
	return fmt.Sprintf("fills to %s and stops: no new node stays after listing %d", nodes(held), m.number[last])
}

func number(x float64) string { return strconv.Itoa(int(math.Round(x))) }

func noun(x float64, one string) string {
	if math.Round(x) == 1 {
		return one
	}
	return one + "s"
}

func nodes(x float64) string { return number(x) + " " + noun(x, "node") }

func were(x float64) string {
	if math.Round(x) == 1 {
		return "was"
	}
	return "were"
}

func listings(n int) string { return strconv.Itoa(n) + " " + noun(float64(n), "listing") }
