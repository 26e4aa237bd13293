package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

const (
	// maxLevels bounds the stack levels of a row.
	maxLevels = 64
	// maxNodes bounds the nodes of a listing, and with it the memory a
	// hostile log can claim (about 350 MB).
	maxNodes = 4 << 20
)

// A row is what there is to know about a node.
type row struct {
	addr  heap.Addr
	stack heap.Stack
}

// A listing is one that is being read.
type listing struct {
	d      *dialect
	number int
	pool   string
	line   int // of its header
	levels int // stack levels that each row should have
	width  int // of the addresses in the first row, in characters

	rows    []row // what was read; the array is used again by the next listing
	stacks  *stackTable
	lrs     [maxLevels]heap.Addr // of the row read last, zeros included
	missing int                  // levels the row read last lacks

	ended   bool // by a blank line; more rows can still follow
	since   int  // lines of other output since the last row
	between int  // lines of other output between rows

	short      int // rows that lack levels
	unreadable int // what is left of rows
	disorder   int // rows not above the one before
	overflow   int // rows beyond maxNodes
}

// padded reports whether addresses of so many characters are padded to that
// width: 32-bit, 32-bit as newer kernels print it, 64-bit.
func padded(width int) bool { return width == 10 || width == 12 || width == 18 }

// add appends a node with the stack lrs[:n], whose address was printed in width
// characters.
func (l *listing) add(addr heap.Addr, n, width int) {
	if l.width == 0 {
		l.width = width
	}
	if l.missing > 0 {
		l.short++
	}
	l.missing = max(0, l.levels-n)
	l.between += l.since
	l.since = 0
	l.ended = false
	if len(l.rows) >= maxNodes {
		l.overflow++
		return
	}
	if k := len(l.rows); k > 0 && addr <= l.rows[k-1].addr {
		l.disorder++
	}
	l.rows = append(l.rows, row{addr, l.stacks.get(trimZeros(l.lrs[:n]))})
}

// extend gives the node added last the stack lrs[:n].
func (l *listing) extend(n int) {
	l.missing = max(0, l.levels-n)
	l.between += l.since
	l.since = 0
	l.ended = false
	if l.overflow == 0 {
		l.rows[len(l.rows)-1].stack = l.stacks.get(trimZeros(l.lrs[:n]))
	}
}

// trimZeros cuts off the levels that were not there to be recorded.
func trimZeros(lrs []heap.Addr) []heap.Addr {
	for len(lrs) > 0 && lrs[len(lrs)-1] == 0 {
		lrs = lrs[:len(lrs)-1]
	}
	return lrs
}

// finish returns the listing as a snapshot. cut says why it did not end as a
// listing should, and is empty if it did.
func (l *listing) finish(source, cut string) *heap.Snapshot {
	var partial []string
	if l.missing > 0 {
		if cut != "" && l.overflow == 0 {
			// What arrived of the last row is part of the cut: half a stack
			// would pass for another call site.
			l.rows = l.rows[:len(l.rows)-1]
		} else {
			l.short++
		}
	}
	if cut != "" {
		partial = append(partial, fmt.Sprintf("cut after %s: %s", plain.Plural(len(l.rows), "node"), cut))
	}
	if l.unreadable > 0 {
		partial = append(partial, plain.Plural(l.unreadable, "row")+" unreadable")
	}
	if l.overflow > 0 {
		partial = append(partial, fmt.Sprintf("%s beyond the limit of %d nodes ignored", plain.Plural(l.overflow, "row"), maxNodes))
	}
	if l.disorder > 0 {
		twice := l.sort()
		s := plain.Plural(l.disorder, "row") + " out of order"
		if twice > 0 {
			s += fmt.Sprintf(" (%s listed twice)", plain.Plural(twice, "node"))
		}
		partial = append(partial, s+": text was lost or two listings ran into each other")
	}
	nodes := make([]heap.Node, len(l.rows))
	for i := range nodes {
		nodes[i].Addr, nodes[i].Stack = l.rows[i].addr, l.rows[i].stack
	}
	return &heap.Snapshot{
		Label:   fmt.Sprintf("listing %d", l.number),
		Source:  source,
		Pool:    l.pool,
		Nodes:   nodes,
		Partial: strings.Join(partial, "; "),
	}
}

// sort restores the order of address, keeps the first of several rows for one
// address, and returns how many it dropped.
func (l *listing) sort() int {
	slices.SortStableFunc(l.rows, func(a, b row) int { return cmp.Compare(a.addr, b.addr) })
	before := len(l.rows)
	l.rows = slices.CompactFunc(l.rows, func(a, b row) bool { return a.addr == b.addr })
	return before - len(l.rows)
}

// A stackTable hands out stacks. Most nodes of a heap share few call stacks,
// so it remembers some of those it made and returns them again.
type stackTable struct {
	recent [1024]heap.Stack // by hash; a collision replaces
	slab   []heap.Addr
}

// get returns a stack equal to lrs that shares no memory with it.
func (t *stackTable) get(lrs []heap.Addr) heap.Stack {
	if len(lrs) == 0 {
		return heap.Stack{}
	}
	h := uint64(len(lrs))
	for _, a := range lrs {
		h = (h ^ uint64(a)) * 0x9e3779b97f4a7c15
	}
	slot := &t.recent[h>>54]
	if slot.Equal(lrs) {
		return *slot
	}
	if cap(t.slab)-len(t.slab) < len(lrs) {
		t.slab = make([]heap.Addr, 0, 1024)
	}
	n := len(t.slab)
	t.slab = append(t.slab, lrs...)
	*slot = heap.Stack(t.slab[n:len(t.slab):len(t.slab)])
	return *slot
}
