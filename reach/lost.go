package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
)

// classify tells heads of what is lost from what is lost through them.
func (f *flood) classify() {
	var lost uint64
	for k, s := range f.x.state {
		if s == unseen {
			lost += f.x.length(uint32(k))
		}
	}
	if lost == 0 || f.err != nil {
		return
	}
	f.total += 2 * lost
	f.markPointed()
	f.fromHeads()
	f.fromCircles()
}

// markPointed finds out which lost nodes other lost nodes point to.
func (f *flood) markPointed() {
	f.want, f.mark, f.count = unseen, pointed, true
	for k, s := range f.x.state {
		if (s == unseen || s == pointed) && f.err == nil {
			f.node(uint32(k))
		}
	}
	f.flush()
	f.count = false
}

// fromHeads takes the lost nodes to which no other points for heads and follows
// all of them at once, so that a node is counted with the nearest.
func (f *flood) fromHeads() {
	f.restart(pointed, Indirect)
	for k, s := range f.x.state {
		if s == unseen && f.err == nil {
			f.head(uint32(k))
		}
	}
	f.drain()
}

// restart forgets the queue.
func (f *flood) restart(want, mark State) {
	f.queue, f.next = f.queue[:0], 0
	f.want, f.mark, f.inherit = want, mark, true
}

// head begins a flood with the entry k as its head.
func (f *flood) head(k uint32) {
	f.x.state[k] = Unreferenced
	f.link[k] = k
	f.node(k)
}

// fromCircles goes over the lost nodes that no head leads to: all of them are
// in circles or are led to by some.
//
// The first pass begins at each that has not been reached yet, ascending. What
// leads to the last of these beginnings it leads to itself, for otherwise it
// would have been reached from an earlier one; so it is in a circle that
// nothing else leads to, and the head of it. The same is true of the one before
// it unless the last one leads to it, and so on: the second pass goes over the
// beginnings in the opposite order. This is Kosaraju's idea, without his graph
// turned round.
func (f *flood) fromCircles() {
	var begins []uint32
	f.restart(pointed, circled)
	for k, s := range f.x.state {
		if s != pointed || f.x.state[k] != pointed || f.err != nil {
			continue
		}
		begins = append(begins, uint32(k))
		f.x.state[k] = circled
		f.node(uint32(k))
		f.drain()
	}
	f.restart(circled, Indirect)
	for _, k := range slices.Backward(begins) {
		if f.x.state[k] == circled {
			f.head(k)
			f.drain()
		}
	}
}

// count adds up, and lists the heads. The link of a head becomes its place in
// the list.
func (r *Result) count() {
	for i, s := range r.x.state {
		k := uint32(i)
		switch s {
		case Reachable:
			r.Reachable.add(r.x.length(k))
		case Quarantined:
			r.Quarantined.add(r.x.length(k))
		case Unreferenced:
			r.Unreferenced.add(r.x.length(k))
			r.link[k] = uint32(len(r.heads))
			r.heads = append(r.heads, k)
		}
	}
	r.lost = make([]Count, len(r.heads))
	for i, s := range r.x.state {
		if s == Indirect {
			n := r.x.length(uint32(i))
			r.Indirect.add(n)
			r.lost[r.link[r.link[i]]].add(n)
		}
	}
}

// noPointers says that the roots cannot be those of the program.
func (f *flood) noPointers() error {
	return refusal(fmt.Sprintf("none of %d bytes outside the pool points to any of the %s: they are not the program's data, "+
		"or its addresses, byte order or pointer size (%d bytes) are wrong; unreferenced nodes cannot be told; dump the whole RAM",
		f.RootBytes, plain.Plural(int(f.Used.Nodes), "used node"), f.words.size))
}

// say tells what to know about the result.
func (r *Result) say() {
	x := &r.x
	if r.Quarantined.Nodes > 0 {
		r.note("%d bytes of the pool, in %s, could not be interpreted: they were scanned as roots, so what they point to counts as reachable",
			r.Quarantined.Bytes, plain.Plural(int(r.Quarantined.Nodes), "range"))
	}
	if lost := r.Lost(); lost.Nodes > r.Reachable.Nodes {
		r.note("more nodes are unreferenced (%d) than reachable (%d): a large leak, or roots are missing", lost.Nodes, r.Reachable.Nodes)
	}
	if x.overlaps > 0 {
		r.note("nodes that reach into the next one or beyond the pool, and were cut: %d", x.overlaps)
	}
	if x.unknown > 0 {
		r.note("nodes of unknown length, taken to reach up to the next one: %d", x.unknown)
	}
	if len(x.empty) > 0 {
		r.note("no nodes in pool %s", strings.Join(x.empty, ", "))
	}
	var partial []string
	if left := x.outside + x.disorder; left > 0 {
		partial = append(partial, fmt.Sprintf("nodes that were left out: %d; %d outside of their pool, %d not in ascending order", left, x.outside, x.disorder))
	}
	if len(x.missing) > 0 {
		partial = append(partial, strings.Join(x.missing, ", ")+" are not in the memory: what is referenced only from there counts as lost")
	}
	r.Partial = strings.Join(partial, "; ")
}

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}
