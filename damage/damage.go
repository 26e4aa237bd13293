// Package damage explains what a device reports about its damaged heap: what
// was overwritten and how far, by whom most likely and why that is believed,
// and what the device could not see.
//
// A report says little more than which header is wrong. What it means follows
// from three witnesses: the bytes it shows, where they lie between the nodes,
// and the listings of the same log, which know who allocated what. A dump shows
// all bytes of a damaged head: an Overwrite explains those. The package reads
// nothing and prints nothing; it fills in findings that a source made.
//
// Every sentence keeps apart what was observed from what is concluded. Lengths
// are lower bounds and say "at least"; a node's room for its payload is an
// upper bound of what was asked for, because allocators round up.
package damage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

const (
	// maxPools bounds the pools whose listings are kept.
	maxPools = 16
	// maxVictims bounds the damaged nodes of one boot that are remembered.
	maxVictims = 1024
)

// An Explainer explains the findings of one log. It wants to see the log's
// snapshots and findings in their order, and keeps of them only what later
// findings can need: two listings of each pool, and which nodes were found
// damaged. It must not be used from several goroutines at a time.
type Explainer struct {
	sym      heap.Symbolizer
	boot     int
	listings map[string]*listings
	latest   *heap.Snapshot // added last, until a finding follows
	victims  map[heap.Addr]victim
	added    int // snapshots
	left     int // that are of more pools than are kept
}

// listings are those of one pool: the last one, and the last that is complete.
type listings struct {
	last, complete *heap.Snapshot
	added          int       // when the last one was
	far            *furthest // of all those of this boot
}

// furthest is the listing that shows the highest node.
type furthest struct {
	node  heap.Addr
	label string // with its source
}

// A victim is a finding about a damaged node, and what overwrote it.
type victim struct {
	f   *heap.Finding
	run run
}

// NewExplainer returns an Explainer that has seen nothing. sym gives functions
// in sentences their names; nil leaves them addresses.
func NewExplainer(sym heap.Symbolizer) *Explainer {
	e := &Explainer{sym: sym}
	e.forget()
	return e
}

func (e *Explainer) forget() {
	e.listings = make(map[string]*listings)
	e.victims = make(map[heap.Addr]victim)
	e.latest = nil
}

// restart drops what was known before the device restarted: its heap is a new
// one.
func (e *Explainer) restart(boot int) {
	if boot != e.boot {
		e.forget()
		e.boot = boot
	}
}

// Add takes in a snapshot. It keeps s, which must not change afterwards.
func (e *Explainer) Add(s *heap.Snapshot) {
	e.restart(s.Boot)
	e.latest = s
	key := s.Pool
	if !walked(s) {
		key += "\x00"
	}
	l := e.listings[key]
	if l == nil {
		if len(e.listings) == maxPools {
			e.drop()
		}
		l = new(listings)
		e.listings[key] = l
	}
	e.added++
	l.last, l.added = s, e.added
	if s.Partial == "" {
		l.complete = s
	}
	if len(s.Nodes) == 0 || !walked(s) {
		return
	}
	last := s.Nodes[len(s.Nodes)-1].Addr
	if l.far == nil || last > l.far.node {
		l.far = &furthest{last, named(s)}
	}
	// A listing that goes on behind a node found its header whole.
	for addr := range e.victims {
		if s.Nodes[0].Addr <= addr && addr < last {
			delete(e.victims, addr)
		}
	}
}

// drop forgets the pool whose last listing is the oldest.
func (e *Explainer) drop() {
	oldest := ""
	for name, l := range e.listings {
		if oldest == "" || l.added < e.listings[oldest].added {
			oldest = name
		}
	}
	delete(e.listings, oldest)
	e.left++
}

// named is what sentences call a snapshot.
func named(s *heap.Snapshot) string { return fmt.Sprintf("%s (%s)", s.Label, s.Source) }

// walked reports whether a snapshot is what a device printed on a walk from node
// to node. One put together from a record of allocations knows payloads, and
// nothing of headers.
func walked(s *heap.Snapshot) bool { return len(s.Nodes) == 0 || s.Nodes[0].Payload == 0 }

// Explain fills in what follows from the facts in f and from what was added
// before: Span and Reach, Culprit and CulpritReason, Cause, Unseen, the stacks
// of nodes and the names of owners. The kind becomes DoubleFree where a listing
// proves it. It changes nothing that the source observed; and of a finding whose
// source gives the Cause itself, it completes only nodes and owners.
func (e *Explainer) Explain(f *heap.Finding) {
	e.restart(f.Boot)
	e.latest = nil
	for _, n := range []*heap.Node{f.Subject, f.Previous} {
		e.lookUp(f, n)
	}
	c := newDocket(e, f)
	if f.Cause != "" {
		return
	}
	switch f.Kind {
	case heap.HeaderDamaged, heap.BothDamaged:
		c.header()
	case heap.BackupDamaged:
		c.backup()
	case heap.PoolHeadDamaged, heap.FreeIndexWrong:
		c.pool()
	default:
		if f.Kind.WildPointer() {
			c.wild()
		}
	}
	c.unseen()
	if f.Node != 0 && !f.Kind.WildPointer() && len(e.victims) < maxVictims {
		e.victims[f.Node] = victim{f, c.run}
	}
}

// Notes returns what is to be said about the log as a whole when it is over:
// a listing that ends early and after which nothing comes can mean that the
// device hangs in it.
func (e *Explainer) Notes() []string {
	var notes []string
	if e.left > 0 {
		notes = append(notes, fmt.Sprintf("the listings of the last %d pools are looked at for who allocated what; %d older ones were forgotten", maxPools, e.left))
	}
	s := e.latest
	if s == nil || s.Partial == "" || len(s.Nodes) == 0 || !walked(s) {
		return notes
	}
	return append(notes, fmt.Sprintf("%s is incomplete and the log ends with it: if the device stopped answering there, its listing hangs or stopped at a damaged header, and the node behind %s is the first suspect; a dump of the pool's memory shows it",
		named(s), s.Nodes[len(s.Nodes)-1].Addr))
}

// find returns the node that starts at addr, or else has this payload, as a
// snapshot before showed it, and that snapshot. 0 is no payload.
func (e *Explainer) find(addr, payload heap.Addr) (*heap.Node, *heap.Snapshot) {
	n, s := e.at(addr)
	if n == nil && payload != 0 {
		// In a record of allocations a node is its payload.
		if n, s = e.at(payload); n != nil && n.Payload != payload {
			return nil, nil
		}
	}
	return n, s
}

// pools returns the listings of all pools, always in the same order.
func (e *Explainer) pools() []*listings {
	var all []*listings
	for _, name := range slices.Sorted(maps.Keys(e.listings)) {
		all = append(all, e.listings[name])
	}
	return all
}

// at returns the node at an address.
func (e *Explainer) at(addr heap.Addr) (*heap.Node, *heap.Snapshot) {
	for _, l := range e.pools() {
		for _, s := range []*heap.Snapshot{l.last, l.complete} {
			if s == nil {
				continue
			}
			if i, ok := search(s.Nodes, addr); ok {
				return &s.Nodes[i], s
			}
		}
	}
	return nil, nil
}

// around returns the node that begins at or next below an address between the
// first and the last node of a walk, and the snapshot that shows it.
func (e *Explainer) around(addr heap.Addr) (*heap.Node, *heap.Snapshot) {
	for _, l := range e.pools() {
		for _, s := range []*heap.Snapshot{l.last, l.complete} {
			if s == nil || len(s.Nodes) < 2 || !walked(s) || addr >= s.Nodes[len(s.Nodes)-1].Addr {
				continue
			}
			i, ok := search(s.Nodes, addr)
			if !ok {
				i--
			}
			if i >= 0 {
				return &s.Nodes[i], s
			}
		}
	}
	return nil, nil
}

func search(nodes []heap.Node, addr heap.Addr) (int, bool) {
	return slices.BinarySearchFunc(nodes, addr, func(n heap.Node, a heap.Addr) int { return cmp.Compare(n.Addr, a) })
}

// lookUp completes a node from the last listing that shows it.
func (e *Explainer) lookUp(f *heap.Finding, n *heap.Node) {
	if n == nil || n.State != heap.Used {
		return
	}
	known, in := e.find(n.Addr, n.Payload)
	if known == nil {
		return
	}
	if len(n.Stack) == 0 && !repeats(known.Stack) {
		n.Stack = known.Stack
	}
	if n.Size == 0 {
		n.Size = known.Size
	}
	if n.Owner == 0 {
		n.Owner = known.Owner
	}
	if name, ok := in.Owners[n.Owner]; ok {
		nameOwners(f, map[heap.Owner]string{n.Owner: name})
	}
}

// nameOwners adds names of owners to those that f has. A source may share its
// map among findings: it is not written to.
func nameOwners(f *heap.Finding, names map[heap.Owner]string) {
	merged := maps.Clone(f.Owners)
	for o, name := range names {
		if merged[o] == "" {
			if merged == nil {
				merged = make(map[heap.Owner]string)
			}
			merged[o] = name
		}
	}
	f.Owners = merged
}

// repeats reports whether a stack consists of one address several times: what
// an overwritten header holds in place of LRs.
func repeats(s heap.Stack) bool {
	if len(s) < 2 {
		return false
	}
	for _, a := range s {
		if a != s[0] {
			return false
		}
	}
	return true
}
