package leak

import (
	"fmt"
	"math"
	"strconv"
)

// What reasons state is counted, never extrapolated; new nodes are those that
// appeared after the first listing.

// fresh returns how many new nodes came, and how many of them are left.
func (m *matrix) fresh() (came, left float64) {
	for i := range m.rows {
		if r := &m.rows[i]; r.born > 0 {
			came += r.at(r.born)
			left += r.end()
		}
	}
	return came, left
}

// stays returns the columns in which new nodes came that are left, and how many.
func (m *matrix) stays() (columns []int, left []float64) {
	for i := range m.rows {
		if r := &m.rows[i]; r.born > 0 && r.end() > 0 {
			columns, left = append(columns, r.born), append(left, r.end())
		}
	}
	return columns, left
}

// transient says why less than two are left of the births that vote.
func (m *matrix) transient(age int, left float64) string {
	came, stay := m.fresh()
	switch {
	case left >= 1 && stay == 1:
		return "only one new node stays: too few to tell anything"
	case left >= 1:
		return fmt.Sprintf("of the %s new nodes that stay only one is neither start-up nor too young to tell anything", number(stay))
	}
	young := 0.0
	for i := range m.rows {
		if r := &m.rows[i]; r.born > 0 && r.born >= m.n-1-age {
			young += r.end()
		}
	}
	life := m.longest()
	switch {
	case stay > young:
		return m.stopped()
	case life == 0:
		return fmt.Sprintf("its only new %s came in the last %s: too young to be called a leak", noun(stay, "node"), m.latest(age+1))
	case stay == 0 || m.outlives(1, life) == 0:
		return m.freedWithin(life)
	}
	return fmt.Sprintf("of %s new nodes %s %s left, all of the last %s: churn", number(came), number(stay), are(stay), m.latest(age+1))
}

// freedWithin says that every new node is freed within some columns; if those
// of the first listing are too, it says so.
func (m *matrix) freedWithin(life int) string {
	if m.outlives(0, life) > 0 {
		return fmt.Sprintf("every new node is freed within %s: churn", m.within(life))
	}
	return fmt.Sprintf("every node is freed within %s: churn", m.within(life))
}

// outlives counts the nodes, from a column of birth on, that were there life
// columns after they came.
func (m *matrix) outlives(born, life int) float64 {
	n := 0.0
	for i := range m.rows {
		if r := &m.rows[i]; r.born >= born && r.born+life < m.n {
			n += r.at(r.born + life)
		}
	}
	return n
}

// churn returns by which age every new node is dead, where that is much less
// than the listings show; 0 otherwise.
func (m *matrix) churn() int {
	life := m.longest()
	if life == 0 || life > max(1, m.n/3) || m.outlives(1, life) > 0 {
		return 0
	}
	for i := range m.rows {
		if r := &m.rows[i]; r.born > 0 && r.born+life < m.n && r.at(r.born) > 0 {
			return life
		}
	}
	return 0
}

// longest returns the age, in columns, by which every new node whose death was
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
	for i := range m.rows {
		held += m.rows[i].end()
	}
	columns, left := m.stays()
	k := len(columns)
	if k == 0 {
		return fmt.Sprintf("holds %s, none of which is new", nodes(held))
	}
	if last := columns[k-1]; last < m.n-1 {
		return fmt.Sprintf("fills to %s and stops: no new node stays after listing %d", nodes(held), m.number[last])
	}
	_, stay := m.fresh()
	return fmt.Sprintf("of %s new nodes that stay %s came in the last listing and the others early: start-up, and too young to tell anything", number(stay), number(left[k-1]))
}

// paused says that no new nodes came that stay for the middle of the soak.
func (m *matrix) paused() string {
	columns, _ := m.stays()
	from, to := 0, 0
	for i := 1; i < len(columns); i++ {
		if columns[i]-columns[i-1] > to-from {
			from, to = columns[i-1], columns[i]
		}
	}
	if to-from < 2 {
		return "new nodes that stay come in steps, not steadily"
	}
	return fmt.Sprintf("no new node stays of those between listing %d and listing %d: they come in steps, not steadily", m.number[from], m.number[to])
}

// step says that most of the new nodes that stay came at once, or in so few
// listings that they may be steps.
func (m *matrix) step() string {
	columns, left := m.stays()
	_, stay := m.fresh()
	top := 0
	for i := range left {
		if left[i] > left[top] {
			top = i
		}
	}
	switch {
	case len(left) > 0 && left[top] > stay/2:
		return fmt.Sprintf("%s of %s new nodes that stay came in listing %d: a one-off step", number(left[top]), number(stay), m.number[columns[top]])
	case len(left) < 4:
		return fmt.Sprintf("the %s new nodes that stay came in %s only: too few to tell a leak from steps", number(stay), listings(len(left)))
	}
	return "too few new nodes stay outside of start-up to tell a leak from one-off steps"
}

// fades says that ever fewer new nodes stay.
func (m *matrix) fades(limit int) string {
	middle := (m.x[m.start()-1] + m.x[limit-1]) / 2
	early, late := 0.0, 0.0
	columns, left := m.stays()
	for i, c := range columns {
		if m.x[c] <= middle {
			early += left[i]
		} else {
			late += left[i]
		}
	}
	if late >= early {
		return "ever fewer new nodes stay, as the latest are still to be freed: a warm-up that fades"
	}
	return fmt.Sprintf("ever fewer new nodes stay, %s in the first half, then %s: a warm-up that fades", number(early), number(late))
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

func are(x float64) string {
	if math.Round(x) == 1 {
		return "is"
	}
	return "are"
}
