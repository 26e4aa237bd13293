package layout

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

// What overwriting bytes are is told by where they point and by what they are a
// copy of. Both are asked only of damaged heads, and both need to know all nodes:
// a second walk over the pool, once there is such a question.

// places knows where the nodes of a pool lie and what their heads hold. The
// fields of the first group are the pool's to set. It serves one walk.
type places struct {
	about *About
	// nodes goes over all nodes, without judging them.
	nodes func(visit func(*heap.Node) bool)
	// first and end are where the first node and the end node begin.
	first, end heap.Addr
	// head returns the head of a node; nil if that is not in the image.
	head func(h placedHead) []byte
	// sound reports whether a node is as it should be. front begins in front of
	// it; 0: not known. What the header at bad says counts for nothing.
	sound func(h placedHead, front, bad heap.Addr) bool
	// field is how many bytes a field of a head has of which two must be wrong to
	// be taken for a copy of another head: a single pointer is rather one. 1: it
	// does not matter, since the head holds what no other one does.
	field int

	walked bool
	all    damage.Places
	heads  []placedHead
	left   int // heads that may still be compared
}

// placedHead is the head of a node.
type placedHead struct {
	at   heap.Addr
	free bool
}

const (
	// maxHeads bounds the nodes whose heads are compared, which take 16 bytes
	// each, and maxCompared the comparisons of one walk.
	maxHeads, maxCompared = 1 << 21, 1 << 23
	// leastCopy is how many overwritten bytes must be the same as in another head
	// to be taken for a copy of a part of it. Of a whole head it does not matter
	// how many bytes differ from what should be there.
	leastCopy = 8
)

// walk goes over all nodes, once.
func (p *places) walk() {
	if p.walked {
		return
	}
	p.walked, p.left = true, maxCompared
	all := &p.all
	all.Owners = maps.Clone(p.about.Owners)
	all.Symbols, _ = p.about.program.(heap.Symbolizer)
	all.Variables, _ = p.about.program.(interface {
		VariableAt(heap.Addr) (string, heap.Span, bool)
	})
	span := p.about.Span
	for _, s := range []struct {
		heap.Span
		name string
	}{{span, "the pool"}, {heap.Span{Start: span.Start, End: p.first}, "the pool's head"}, {heap.Span{Start: p.end, End: span.End}, "the pool's end node"}} {
		if s.Start < s.End {
			all.Add(s.Span, s.name)
		}
	}
	p.nodes(func(n *heap.Node) bool {
		all.AddNode(n)
		if all.Owners != nil && n.State == heap.Used && n.Owner != 0 && all.Owners[n.Owner] == "" {
			all.Owners[n.Owner] = strconv.FormatUint(uint64(n.Owner), 10)
		}
		if len(p.heads) <= maxHeads && p.head != nil {
			p.heads = append(p.heads, placedHead{n.Addr, n.State == heap.Free})
		}
		return true
	})
}

// where names what lies at an address, for damage.Overwrite. Pointers are of the
// process, which may have had the pool elsewhere.
func (p *places) where(a heap.Addr) string {
	p.walk()
	if s := p.about.Span; p.about.Base != 0 && uint64(a-p.about.Base) < s.Len() {
		a = a - p.about.Base + s.Start
	}
	return p.all.Where(a)
}

// copyOf names the node of whose head the bytes at [first, end) of the head at
// `at` are a copy, as damage.Overwrite asks for it. What lies in several heads
// is a copy of none, unless it lies in one of them in the same place: headers
// have the same fields with the same values. It gives up where too much is
// damaged, or there are too many nodes.
func (p *places) copyOf(at heap.Addr, have []byte, first, end int) string {
	if first/p.field == (end-1)/p.field && p.field > 1 || bytes.Count(have[first:end], have[first:first+1]) == end-first {
		return ""
	}
	p.walk()
	if p.left -= len(p.heads); p.left < 0 || len(p.heads) > maxHeads {
		return ""
	}
	var found [2]heap.Addr // in the same place, and elsewhere
	var count [2]int
	front := heap.Addr(0)
	for _, h := range p.heads {
		if i := p.same(h, at, have, first, end); i >= 0 && p.sound(h, front, at) {
			found[i] = h.at
			count[i]++
		}
		front = h.at
	}
	for i, n := range count {
		switch {
		case n == 1:
			return fmt.Sprintf("the head of node %s", found[i])
		case n > 1:
			return ""
		}
	}
	return ""
}

// same compares have[first:end] with the head h: 0 if it is there in the same
// place, 1 if elsewhere, -1 if not.
func (p *places) same(h placedHead, at heap.Addr, have []byte, first, end int) int {
	b := p.head(h)
	if h.at == at || b == nil {
		return -1
	}
	if end-first < leastCopy {
		if end <= len(b) && bytes.HasPrefix(b, have[:min(len(b), len(have))]) {
			return 0
		}
		return -1
	}
	switch i := bytes.Index(b, have[first:end]); {
	case i < 0:
		return -1
	case end <= len(b) && bytes.Equal(b[first:end], have[first:end]):
		return 0
	}
	return 1
}
