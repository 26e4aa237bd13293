package leak

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

// manyColumns is how many listings it takes for every site whose births alone
// do not settle it to count as a test, also if its births then turn out not to
// last. What births exclude depends on chance as well, and where the births of
// all sites fade, the more listings there are, the more often that passes for a
// leak; with few listings there was hardly a false alarm, and counting those
// sites only hides leaks.
const manyColumns = 20

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
	older         string  // the same in words
	first         int     // the first listing of the run, as reports count
	since         int     // the listing after which births vote, as reports count
	mature, freed float64 // nodes that got older, and how many of those were freed
	events        float64 // the births of those left, clumps counting as fewer
	leaked        int     // nodes born since the first column and mature
	leakedBytes   uint64
	climb         climb // of the leak

	run      int // of the pool, from 0
	from, to int // listings of the run
	past     bool
	ends     [2]Count // in from and to, of a run in the past
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
		j.reason, j.tested = m.freedWithin(life), life > ages[0] && m.n >= manyColumns
		return j
	}
	best := m.judge(ages[0], false)
	if best.freed == 0 {
		return best
	}
	// Perhaps churn that lives longer hides the leak: look at older nodes.
	tried := 1
	for _, age := range ages[1:] {
		k := m.judge(age, true)
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

// A view is the cohorts of a site from a start to an end, whose nodes can be
// seen to get older than age columns. Its slices are by column.
type view struct {
	*matrix
	age, start, end int

	births []float64
	mature []float64 // those that got older
	left   []float64 // those of them that are there still
	// stay is left and, of the cohorts after end, which are too young, as many
	// as there would be left of others.
	stay []float64

	old, oldLeft float64 // mature nodes of the cohorts before start
	total        float64 // sum of left
	expected     float64 // deaths of mature nodes, if they are no leak
}

func (m *matrix) view(age int) *view {
	n := m.n
	v := &view{matrix: m, age: age, start: m.start(), end: n - 1 - age}
	cells := make([]float64, 4*n)
	v.births, v.mature, v.left, v.stay = cells[:n], cells[n:2*n], cells[2*n:3*n], cells[3*n:]
	born := 0.0
	for i := range m.rows {
		r := &m.rows[i]
		c := r.born
		v.births[c] = r.at(c)
		switch {
		case c < v.start:
			v.old += r.at(v.start + age)
			v.oldLeft += r.end()
		case c <= v.end:
			v.mature[c], v.left[c] = r.at(c+age), r.end()
			born += v.births[c]
			v.total += v.left[c]
			for k := c + age; k < n-1; k++ {
				v.expected += r.at(k) * m.doom[c][k]
			}
		}
	}
	copy(v.stay, v.left)
	for c := v.end + 1; c < n && born > 0; c++ {
		v.stay[c] = v.births[c] * v.total / born
	}
	return v
}

// judge applies the test to the nodes that get older than age columns; deeper
// says that it is not the first age tried.
func (m *matrix) judge(age int, deeper bool) judgement {
	v := m.view(age)
	j := judgement{
		p: 1, verdict: Stable, age: age, older: m.beyond(age),
		first: m.number[0], since: m.number[v.start-1], tested: m.n >= manyColumns,
	}
	for _, n := range v.mature {
		j.mature += n
	}
	j.freed = j.mature - v.total
	if v.total < 2 {
		j.reason = m.transient(age, v.total)
		return j
	}
	why, fading := v.course()
	if why != "" {
		j.reason = why
		return j
	}
	j.tested = true
	j.events = v.total / dispersion(v.stay[v.start:])
	j.p = max(poissonTail(j.freed, v.expected), fading)
	why = v.balanced(j.freed)
	if why == "" && deeper {
		why = v.uneven()
	}
	for _, check := range []func() string{v.flat, v.replaced, v.mortal} {
		if why == "" {
			why = check()
		}
	}
	j.reason, j.candidate = why, why == ""
	return j
}
