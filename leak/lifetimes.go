package leak

import (
	"math/bits"
	"slices"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// A population follows the nodes of one pool from listing to listing, within
// one run of the device. Which nodes survive is what tells a leak from a cache
// and from churn; see the package comment.
//
// It keeps the nodes of the listing before and, per call site, how many of the
// nodes born in one interval were left in each later listing. Partial listings
// are left out: a node that a cut listing does not show has not been freed. Of
// one that lacks but a few nodes only the next one decides whether those that
// it does not show were freed.
type population struct {
	pool    string
	run     int // runs of the pool before this one
	boot    int
	columns []column
	stride  int // listings per column
	seen    int // complete listings
	nodes   []liveNode
	spare   []liveNode
	latest  int            // column of the listing that nodes holds
	lost    float64        // share of the nodes that it lacks; 0: none
	told    heap.Stats     // totals when it was taken
	stamped bool           // nodes have serial numbers: they need not come from a walk through the heap
	halt    halt           // the listings since then
	unseen  map[*track]int // see hidden; nil: to be made
	tracks  []*track       // the sites with nodes in this run

	calendar *calendar // nil: to be made
	cells    []int     // scratch
}

// A column is a complete listing that took part.
type column struct {
	number int // of the listing, from 1
	time   time.Time
	tick   uint64
	hz     uint64
	nodes  int // used ones
}

// maxColumns bounds the listings that are told apart. Beyond it every second
// one is left out, as if it had not been taken.
const maxColumns = 128

type liveNode struct {
	addr          heap.Addr
	stack         uint64 // its origin
	birth, serial uint64
	bytes         uint64
	cohort        *cohort
	absent        bool // from the last listing, which lacked nodes
	bare          bool // no listing showed its stack
}

// is reports whether the node is one of another listing, with the given origin.
func (n *liveNode) is(o *heap.Node, origin uint64) bool {
	if bare := len(o.Stack) == 0; n.bare != bare {
		if n.bytes == 0 || n.bytes != Bytes(o) {
			return false
		}
	} else if n.stack != origin {
		return false
	}
	return n.addr == o.Addr && sameBirth(n.birth, o.Birth) && sameBirth(n.serial, o.Serial)
}

// A cohort is the nodes of a site that appeared in the same column.
type cohort struct {
	track *track
	born  int    // column
	alive int    // now
	limbo int    // of those, absent from the last listing, which lacked nodes
	bytes uint64 // of those
	steps []step // in ascending order of columns
	heir  *cohort
}

// A step says how many nodes of a cohort are left from a column on. There are
// very many.
type step struct{ column, alive int32 }

// change adds to the nodes that are left from a column on, which is the
// present one or the one before.
func (c *cohort) change(at, by int) {
	c.alive += by
	column, by32 := int32(at), int32(by)
	k := len(c.steps)
	for k > 0 && c.steps[k-1].column > column {
		k--
		c.steps[k].alive += by32
	}
	switch {
	case k > 0 && c.steps[k-1].column == column:
		c.steps[k-1].alive += by32
	case k > 0:
		c.steps = slices.Insert(c.steps, k, step{column, c.steps[k-1].alive + by32})
	default:
		c.steps = slices.Insert(c.steps, k, step{column, by32})
	}
}

// at returns how many nodes of the cohort are in a column.
func (c *cohort) at(column int) int {
	n := 0
	for _, s := range c.steps {
		if int(s.column) > column {
			break
		}
		n = int(s.alive)
	}
	return n
}

// begin starts a complete listing.
func (p *population) begin(number int, in *Info) {
	c := column{number, in.Time, in.Tick, in.TickHz, in.Nodes}
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
	p.latest = to(p.latest)
	for _, t := range p.tracks {
		old := t.cohorts
		t.cohorts = nil
		for i := 0; i < len(old); {
			born := to(old[i].born)
			merged := &cohort{track: t, born: born}
			j := i
			for ; j < len(old) && to(old[j].born) == born; j++ {
				merged.bytes += old[j].bytes
				merged.limbo += old[j].limbo
				old[j].heir = merged
			}
			for _, o := range old[i:j] {
				for k := range o.steps {
					o.steps[k].column = int32(to(int(o.steps[k].column)))
				}
			}
			merged.steps = sum(old[i:j])
			if k := len(merged.steps); k > 0 {
				merged.alive = int(merged.steps[k-1].alive)
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
	var next [2]int
	var alive [2]int32
	for {
		column := int32(-1)
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
	i     int
	lossy bool // the listing lacks nodes
}

// survivor returns what the listing before shows of a node, nil if it was not
// there.
func (m *merger) survivor(n *heap.Node, stack uint64) *liveNode {
	m.bury(n.Addr)
	if m.i == len(m.nodes) || m.nodes[m.i].addr != n.Addr {
		return nil
	}
	old := &m.nodes[m.i]
	if m.i++; !old.is(n, stack) {
		m.dies(old)
		return nil
	}
	if old.absent {
		old.cohort.limbo--
	}
	return old
}

// bury counts the nodes below an address that have not been seen again.
func (m *merger) bury(below heap.Addr) {
	for ; m.i < len(m.nodes) && m.nodes[m.i].addr < below; m.i++ {
		m.misses(&m.nodes[m.i])
	}
}

// misses counts a node that the listing does not show.
func (m *merger) misses(n *liveNode) {
	if !m.lossy || n.absent {
		m.dies(n)
		return
	}
	n.cohort.limbo++
	m.spare = append(m.spare, *n)
	m.spare[len(m.spare)-1].absent = true
}

func (m *merger) dies(n *liveNode) {
	column := len(m.columns) - 1
	if n.absent {
		n.cohort.limbo--
		column = min(m.latest, column)
	}
	n.cohort.change(column, -1)
	n.cohort.bytes -= n.bytes
}

// keep notes a node of the listing and its cohort. old is what survivor
// returned: a stack that is lost now still tells the node in the next listing.
func (m *merger) keep(n *heap.Node, stack uint64, old *liveNode, c *cohort) {
	m.stamped = m.stamped || n.Serial != 0
	bare := len(n.Stack) == 0
	if bare && old != nil {
		stack, bare = old.stack, old.bare
	}
	m.spare = append(m.spare, liveNode{n.Addr, stack, n.Birth, n.Serial, Bytes(n), c, false, bare})
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
		m.misses(&m.nodes[m.i])
	}
	m.nodes, m.spare = m.spare, m.nodes
	m.latest = len(m.columns) - 1
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
