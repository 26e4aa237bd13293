package leak

import (
	"math/bits"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// A population follows the nodes of one pool from listing to listing, within
// one run of the device. Which nodes survive is what tells a leak from a cache
// and from churn; see the package comment.
//
// It keeps the nodes of the listing before and, per call site, how many of the
// nodes born in one interval were left in each later listing. Partial listings
// are left out: a node that a cut listing does not show has not been freed.
type population struct {
	pool    string
	run     int // runs of the pool before this one
	boot    int
	columns []column
	stride  int // listings per column
	seen    int // complete listings
	nodes   []liveNode
	spare   []liveNode
	tracks  []*track // the sites with nodes in this run

	calendar *calendar // nil: to be made
	cells    []int     // scratch
}

// A column is a complete listing that took part.
type column struct {
	number int // of the listing, from 1
	time   time.Time
	tick   uint64
	hz     uint64
}

// maxColumns bounds the listings that are told apart. Beyond it every second
// one is left out, as if it had not been taken.
const maxColumns = 128

type liveNode struct {
	addr          heap.Addr
	stack         uint64 // hash of the raw stack
	birth, serial uint64
	bytes         uint64
	cohort        *cohort
}

// A cohort is the nodes of a site that appeared in the same column.
type cohort struct {
	track *track
	born  int    // column
	alive int    // now
	bytes uint64 // of those
	steps []step // in ascending order of columns
	heir  *cohort
}

// A step says how many nodes of a cohort are left from a column on.
type step struct{ column, alive int }

func (c *cohort) change(column, by int) {
	c.alive += by
	if k := len(c.steps) - 1; k >= 0 && c.steps[k].column == column {
		c.steps[k].alive = c.alive
	} else {
		c.steps = append(c.steps, step{column, c.alive})
	}
}

// at returns how many nodes of the cohort are in a column.
func (c *cohort) at(column int) int {
	n := 0
	for _, s := range c.steps {
		if s.column > column {
			break
		}
		n = s.alive
	}
	return n
}

// begin starts a complete listing.
func (p *population) begin(number int, s *heap.Snapshot) {
	c := column{number, s.Time, s.Tick, s.TickHz}
	last := len(p.columns) - 1
	switch {
	case last >= 0 && (p.seen-1)%p.stride != 0:
		p.columns[last] = c // the column before was there for being the last
	case last+1 == maxColumns:
		p.thin()
		p.columns[len(p.columns)-1] = c
	default:
		p.columns = append(p.columns, c)
	}
	p.seen++
	p.calendar = nil
	p.spare = p.spare[:0]
}

// thin leaves out every second column but the last.
func (p *population) thin() {
	p.stride *= 2
	to := func(column int) int { return (column + 1) / 2 }
	for i, c := range p.columns {
		p.columns[to(i)] = c
	}
	p.columns = p.columns[:to(len(p.columns)-1)+1]
	for _, t := range p.tracks {
		old := t.cohorts
		t.cohorts = nil
		for i := 0; i < len(old); {
			born := to(old[i].born)
			merged := &cohort{track: t, born: born}
			j := i
			for ; j < len(old) && to(old[j].born) == born; j++ {
				merged.bytes += old[j].bytes
				old[j].heir = merged
			}
			for _, o := range old[i:j] {
				for k := range o.steps {
					o.steps[k].column = to(o.steps[k].column)
				}
			}
			merged.steps = sum(old[i:j])
			if k := len(merged.steps); k > 0 {
				merged.alive = merged.steps[k-1].alive
				t.cohorts = append(t.cohorts, merged)
			}
			i = j
		}
	}
	for i := range p.nodes {
		p.nodes[i].cohort = p.nodes[i].cohort.heir
	}
}

// sum adds up the steps of one or two cohorts.
func sum(cohorts []*cohort) []step {
	var out []step
	var next, alive [2]int
	for {
		column := -1
		for i, c := range cohorts {
			if next[i] < len(c.steps) && (column < 0 || c.steps[next[i]].column < column) {
				column = c.steps[next[i]].column
			}
		}
		if column < 0 {
			return out
		}
		for i, c := range cohorts {
			for next[i] < len(c.steps) && c.steps[next[i]].column == column {
				alive[i] = c.steps[next[i]].alive
				next[i]++
			}
		}
		if total := alive[0] + alive[1]; total > 0 || len(out) > 0 {
			out = append(out, step{column, total})
		}
	}
}

// A merger compares the nodes of a listing, which come in ascending order of
// address, with those of the one before.
type merger struct {
	*population
	i int
}

// survivor returns the cohort of a node that was there in the listing before,
// nil if it was not.
func (m *merger) survivor(n *heap.Node, stack uint64) *cohort {
	m.bury(n.Addr)
	if m.i == len(m.nodes) || m.nodes[m.i].addr != n.Addr {
		return nil
	}
	old := &m.nodes[m.i]
	if old.stack != stack || !sameBirth(old.birth, n.Birth) || !sameBirth(old.serial, n.Serial) {
		return nil // the old one is buried by the next address
	}
	m.i++
	return old.cohort
}

// bury counts the nodes below an address that have not been seen again.
func (m *merger) bury(below heap.Addr) {
	for ; m.i < len(m.nodes) && m.nodes[m.i].addr < below; m.i++ {
		m.dies(&m.nodes[m.i])
	}
}

func (m *merger) dies(n *liveNode) {
	n.cohort.change(len(m.columns)-1, -1)
	n.cohort.bytes -= n.bytes
}

// keep notes a node of the listing; survivor and born tell its cohort.
func (m *merger) keep(n *heap.Node, stack uint64, c *cohort) {
	m.spare = append(m.spare, liveNode{n.Addr, stack, n.Birth, n.Serial, Bytes(n), c})
}

// born returns the cohort of a new node of a site.
func (m *merger) born(t *track, bytes uint64) *cohort {
	column := len(m.columns) - 1
	if t.population != m.population {
		t.population, t.cohorts = m.population, nil
		m.tracks = append(m.tracks, t)
	}
	k := len(t.cohorts) - 1
	if k < 0 || t.cohorts[k].born != column {
		t.cohorts = append(t.cohorts, &cohort{track: t, born: column})
		k++
	}
	c := t.cohorts[k]
	c.change(column, 1)
	c.bytes += bytes
	return c
}

// end ends a complete listing.
func (m *merger) end() {
	for ; m.i < len(m.nodes); m.i++ {
		m.dies(&m.nodes[m.i])
	}
	m.nodes, m.spare = m.spare, m.nodes
}

// sameBirth compares ticks of birth or serial numbers, 0 being unknown.
func sameBirth(a, b uint64) bool { return a == b || a == 0 || b == 0 }

// origin is equal for nodes that one allocation after the other can have made:
// a hash of the raw stack or, where there is none, of the owner and the size.
func origin(n *heap.Node) uint64 {
	if len(n.Stack) == 0 {
		return hash(heap.Stack{heap.Addr(n.Owner), heap.Addr(Bytes(n))})
	}
	return hash(n.Stack)
}

// hash tells stacks apart, but for chance.
func hash(s heap.Stack) uint64 {
	h := uint64(len(s)) + 0x9e3779b97f4a7c15
	for _, a := range s {
		hi, lo := bits.Mul64(h^uint64(a), 0xd6e8feb86659fd93)
		h = hi ^ lo + 0x9e3779b97f4a7c15
	}
	return h
}
