package leak

import (
	"fmt"
	"math"
	"sort"
)

// keep is the share of its mature nodes that a leak keeps at least, net of
// older ones that are freed meanwhile.
const keep = .6

// balanced says that old nodes go as new ones come, if so.
func (v *view) balanced(freed float64) string {
	mature, gone := v.total+freed, freed+v.old-v.oldLeft
	if mature-gone >= keep*mature {
		return ""
	}
	// All that came and went, so that it adds up to how the site grew.
	came, left := v.fresh()
	went := came - left
	for i := range v.rows {
		if r := &v.rows[i]; r.born == 0 {
			went += r.at(0) - r.end()
		}
	}
	return fmt.Sprintf("old nodes are freed as new ones come: %s came since the first listing, %s went", number(came), number(went))
}

// replaced says the same about the last third of the soak.
func (v *view) replaced() string {
	n := v.n
	since := sort.Search(n-1, func(c int) bool { return v.x[c] >= float64(n-1)*2/3 })
	var came, went float64
	for _, stay := range v.stay[since+1:] {
		came += stay
	}
	for i := range v.rows {
		if r := &v.rows[i]; r.born <= v.end {
			went += r.at(max(since, max(r.born, v.start)+v.age)) - r.end()
		}
	}
	if went < 2 || went <= .5*came {
		return ""
	}
	stay := 0.0
	for i := range v.rows {
		if r := &v.rows[i]; r.born > since && r.born <= v.end {
			stay += r.end()
		}
	}
	return fmt.Sprintf("old nodes are freed lately: %s went since listing %d, and %s that came since got as old", number(went), v.number[since], number(stay))
}

// flat says that the site holds hardly more than before although nodes seem to
// stay, if so: memory that is allocated again at the same address passes for a
// node that lives on.
func (v *view) flat() string {
	for _, from := range []int{v.n / 2, v.n * 2 / 3} {
		var then, now, came, left float64
		for i := range v.rows {
			r := &v.rows[i]
			now += r.end()
			if r.born <= from {
				then += r.at(from)
			} else {
				came += v.stay[r.born]
				left += r.end()
			}
		}
		if grown := now - then; grown < .3*came && came-grown > 3*math.Sqrt(then+1) {
			return fmt.Sprintf("since listing %d it went from %s to %s, although %s new ones seem to stay", v.number[from], nodes(then), number(now), number(left))
		}
	}
	return ""
}

// mortal says that the oldest nodes die, if so: the others are only younger.
// Of a leak no more than a tenth does.
func (v *view) mortal() string {
	all, gone := v.old, v.old-v.oldLeft
	for c := v.start; ; c++ {
		if gone >= 2 && binomialTail(gone, all, .1) < .01 {
			return fmt.Sprintf("old nodes are freed: %s of the oldest %s", number(gone), number(all))
		}
		if c > v.start+(v.end-v.start+1)*2/3 || c > v.end {
			return ""
		}
		all += v.mature[c]
		gone += v.mature[c] - v.left[c]
	}
}

// uneven says that fewer of the old cohorts than of the young ones got to
// maturity, if so: they died together, as nodes do that are flushed.
func (v *view) uneven() string {
	var old, young, oldBorn, youngBorn float64
	for c := v.start; c <= v.end; c++ {
		if c <= (v.start+v.end)/2 {
			old, oldBorn = old+v.mature[c], oldBorn+v.births[c]
		} else {
			young, youngBorn = young+v.mature[c], youngBorn+v.births[c]
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
