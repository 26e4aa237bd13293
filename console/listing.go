package console

import (
	"bytes"
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
	// hostile log can claim (about 350 MB, half of it in the snapshot).
	maxNodes = 2 << 20
	// maxRemarks bounds what a dialect can say about a listing.
	maxRemarks = 8
	// maxOwners bounds the owners that a listing names.
	maxOwners = 4096
)

// A listing is one that is being read. Dialects read and write what stands
// above the blank line, and use the methods.
type listing struct {
	levels    int                  // stack levels that each row should have; 0: any number
	layout    any                  // what the dialect wants to remember from the header
	announced int                  // rows that the device says there are; 0: not said
	stats     heap.Stats           // totals that the listing states
	lrs       [maxLevels]heap.Addr // of the row read last, zeros included
	width     int                  // of the addresses in the first row, in characters
	missing   int                  // levels the row read last lacks
	title     []byte               // the lines shortly in front of the header that have one of the dialect's keys, each with its end
	pool      string
	tickHz    uint64                // of Birth in the rows; 0: they have none
	owners    map[heap.Owner]string // see name
	found     []*heap.Finding       // what the line shows to be wrong, without Source
	ended     bool                  // by a blank line; more rows can still follow
	// unfinished says that the line read now had no line end: it may be cut.
	unfinished bool
	// doubtful says that a line behind the row read last could still change it.
	doubtful bool

	d      *dialect
	number int
	line   int // of its header
	marks  []string
	boot   int
	stamp  stamp  // of its header
	shell  []byte // the prompt in front of the command, if the dialect's own is another

	rows    []heap.Node // what was read; the array is used again by the next listing
	had     []uint8     // stack levels printed in each row, if levels > 0
	overrun heap.Node   // the row read last, if it is beyond maxNodes
	stacks  *stackTable
	remarks []string

	since   int // lines of other output since the last row
	between int // lines of other output between rows

	short      int // rows that lack levels
	unreadable int // what is left of rows
	disorder   int // rows not above the one before
	overflow   int // rows beyond maxNodes
	dropped    int // rows that the dialect took back
}

// padded reports whether addresses of so many characters are padded to that
// width: 32-bit, 32-bit as newer kernels print it, 64-bit in both forms.
func padded(width int) bool { return width == 10 || width == 12 || width == 18 || width == 20 }

// add appends a node with the stack lrs[:levels], whose address was printed in
// width characters. It returns the node, for the dialect to complete; the
// pointer is valid until the next call.
func (l *listing) add(addr heap.Addr, levels, width int) *heap.Node {
	l.settle()
	switch {
	case l.width == 0:
		l.width = width
	case len(l.rows) == 1 && len(l.had) == 1 && !padded(l.width) && padded(width) && levels == l.levels:
		// Addresses that are padded all have one width: the first row had
		// lost digits of its own.
		l.width = width
		l.pop()
		l.unreadable++
	}
	l.missing = max(0, l.levels-levels)
	l.doubtful = false
	l.continued()
	k := len(l.rows)
	if k >= maxNodes {
		l.overflow++
		l.overrun = heap.Node{Addr: addr}
		return &l.overrun
	}
	if k > 0 && addr <= l.rows[k-1].Addr {
		l.disorder++
	}
	if k == cap(l.rows) {
		l.rows = slices.Grow(l.rows, max(64, k/2))
	}
	l.rows = l.rows[:k+1]
	if l.levels > 0 {
		l.had = append(l.had, uint8(levels))
	}
	n := &l.rows[k]
	*n = heap.Node{Addr: addr, Stack: l.stacks.get(trimZeros(l.lrs[:levels]))}
	return n
}

// prompted reports whether the line shows that the command has returned.
func (l *listing) prompted(line []byte) bool {
	return l.d.prompt != nil && l.d.prompt(line) || len(l.shell) > 0 && bytes.Contains(line, l.shell)
}

// continued notes that a line of the listing was read.
func (l *listing) continued() {
	l.between += l.since
	l.since = 0
	l.ended = false
}

// count returns how many rows with nodes were read.
func (l *listing) count() int { return len(l.rows) + l.overflow + l.dropped }

// last returns the node added last, to be completed; nil: there is none.
func (l *listing) last() *heap.Node {
	switch {
	case l.overflow > 0:
		return &l.overrun
	case len(l.rows) > 0:
		return &l.rows[len(l.rows)-1]
	}
	return nil
}

// drop takes back the node added last, because the device says that it is not
// in use any more.
func (l *listing) drop() {
	l.missing, l.doubtful = 0, false
	l.dropped++
	if l.overflow > 0 {
		l.overflow--
	} else if len(l.rows) > 0 {
		l.pop()
	}
}

// pop removes the row read last.
func (l *listing) pop() {
	l.rows = l.rows[:len(l.rows)-1]
	l.had = l.had[:min(len(l.had), len(l.rows))]
}

// name gives an owner a name, unless it has one. It keeps a copy.
func (l *listing) name(o heap.Owner, name []byte) {
	if _, ok := l.owners[o]; ok || len(l.owners) >= maxOwners {
		return
	}
	if l.owners == nil {
		l.owners = make(map[heap.Owner]string)
	}
	l.owners[o] = nameOf(name)
}

// nameOf returns what a device calls a task or a pool, within bounds and safe
// to print.
func nameOf(name []byte) string {
	return plain.Clean(strings.ToValidUTF8(string(bytes.TrimSpace(name[:min(len(name), maxTaskName)])), "?"))
}

// remark adds what the snapshot's Partial should say.
func (l *listing) remark(text string) {
	if len(l.remarks) < maxRemarks && !slices.Contains(l.remarks, text) {
		l.remarks = append(l.remarks, text)
	}
}

// extend gives the node added last the stack lrs[:n].
func (l *listing) extend(n int) {
	l.missing = max(0, l.levels-n)
	l.continued()
	l.last().Stack = l.stacks.get(trimZeros(l.lrs[:n]))
	if l.overflow == 0 && len(l.had) > 0 {
		l.had[len(l.had)-1] = uint8(n)
	}
}

// settle removes the row read last if its dialect says that it lacks levels:
// nothing will complete it any more.
func (l *listing) settle() {
	if l.missing > 0 && l.levels == 0 && l.overflow == 0 && len(l.rows) > 0 {
		l.pop()
		l.short++
		l.unreadable++
	}
	l.missing = 0
}

// discard removes the rows that lost a part of their call stack: what is left
// of it would pass for another call site. A device prints as many levels in
// each row as the header names, unless the header itself was damaged.
func (l *listing) discard() {
	if len(l.had) != len(l.rows) || len(l.rows) == 0 {
		return
	}
	var rows [maxLevels + 1]int
	for _, n := range l.had {
		rows[n]++
	}
	whole := l.levels
	for n := l.levels + 1; n <= maxLevels; n++ {
		if 2*rows[n] > len(l.rows) {
			whole = n
		}
	}
	if rows[whole] == len(l.rows) {
		return
	}
	kept := l.rows[:0]
	for i, n := range l.had {
		if int(n) == whole {
			kept = append(kept, l.rows[i])
		}
	}
	lost := len(l.rows) - len(kept)
	l.short += lost
	l.unreadable += lost
	l.rows, l.had = kept, l.had[:len(kept)]
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
	if cut != "" && (l.missing > 0 || l.doubtful) && l.overflow == 0 && len(l.rows) > 0 {
		// What arrived of the last row is part of the cut: half a stack would
		// pass for another call site.
		l.pop()
		l.missing = 0
	}
	l.settle()
	l.discard()
	missing := l.unreadable
	if cut != "" {
		partial = append(partial, fmt.Sprintf("cut after %s: %s", plain.Plural(len(l.rows), "node"), cut))
	}
	if l.unreadable > 0 {
		partial = append(partial, plain.Plural(l.unreadable, "row")+" unreadable")
	}
	if l.overflow > 0 {
		partial = append(partial, fmt.Sprintf("%s beyond the limit of %d nodes ignored", plain.Plural(l.overflow, "row"), maxNodes))
	}
	if got := l.count(); l.announced > got && cut == "" {
		missing = max(missing, l.announced-got)
		if l.unreadable == 0 {
			partial = append(partial, fmt.Sprintf("%d of %s missing", l.announced-got, plain.Plural(l.announced, "row")))
		}
	}
	if len(partial) > 1 || cut != "" || l.overflow > 0 || len(l.remarks) > 0 || l.disorder > 0 && !l.d.unordered {
		missing = 0
	}
	partial = append(partial, l.remarks...)
	if l.disorder > 0 && l.d.unordered {
		if twice := l.sort(); twice > 0 {
			missing = 0
			partial = append(partial, plain.Plural(twice, "node")+" listed twice")
		}
	} else if l.disorder > 0 {
		twice := l.sort()
		s := plain.Plural(l.disorder, "row") + " out of order"
		if twice > 0 {
			s += fmt.Sprintf(" (%s listed twice)", plain.Plural(twice, "node"))
		}
		partial = append(partial, s+": text was lost or two listings ran into each other")
	}
	nodes := make([]heap.Node, len(l.rows))
	copy(nodes, l.rows)
	return &heap.Snapshot{
		Label:   fmt.Sprintf("listing %d", l.number),
		Source:  source,
		Pool:    l.pool,
		Boot:    l.boot,
		Marks:   l.marks,
		TickHz:  l.tickHz,
		Nodes:   nodes,
		Owners:  l.owners,
		Stats:   l.stats,
		Partial: strings.Join(partial, "; "),
		Missing: missing,
	}
}

// sort restores the order of address, keeps the first of several rows for one
// address, and returns how many it dropped.
func (l *listing) sort() int {
	slices.SortStableFunc(l.rows, func(a, b heap.Node) int { return cmp.Compare(a.Addr, b.Addr) })
	before := len(l.rows)
	l.rows = slices.CompactFunc(l.rows, func(a, b heap.Node) bool { return a.Addr == b.Addr })
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
