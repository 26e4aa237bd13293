package leak

import (
	"fmt"
	"math"
	"strconv"
)

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
