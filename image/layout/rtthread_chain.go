package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// rtChain is what the chain engine has to know about RT-Thread's heaps.
type rtChain struct {
	o         rtOffsets
	m         *ram
	base, end heap.Addr // the first node and the end node
	origin    heap.Addr // what links are counted from
	mark      uint64    // the constant of a free node
	usedBit   uint64
	pool      heap.Addr // the pool's own structure; 0: it is not known, or has none
	core      int       // the part of a header that is always read
	memheap   bool
	links     *mmLinks // memheap: those of free nodes; nil: not looked at
	walk      *chainWalk
	asked     *[2]heap.Addr // what inside was asked last
	answer    bool
	budget    int64     // places that inside may still look at, and 1
	unsure    heap.Addr // the last node of which nothing tells whether it is free
}

func (p *RTThreadPool) chain(m *ram) *rtChain {
	r := &rtChain{
		o: p.Layout.offsets(), m: m, base: p.First, end: p.End, origin: p.First,
		mark: p.mark, usedBit: 1, pool: p.Head,
	}
	r.core = r.o.prev + r.o.word
	switch p.Layout.Kind {
	case RTThreadMagic:
		r.usedBit = 1 << 16
	case RTThreadMemheap:
		r.origin, r.memheap = 0, true
		r.core = r.o.prevFree + r.o.word
	}
	return r
}

// read implements chainLayout.
func (r *rtChain) read(n *chainNode) {
	o := &r.o
	b := r.m.bytes(n.at, r.core)
	if b == nil {
		n.bad = chainMissing
		return
	}
	var v, next, prev uint64
	if o.word == 8 {
		if v = binary.LittleEndian.Uint64(b); o.markLen < 8 {
			v &= 1<<32 - 1
		}
		next, prev = binary.LittleEndian.Uint64(b[o.next:]), binary.LittleEndian.Uint64(b[o.prev:])
	} else {
		v = uint64(binary.LittleEndian.Uint32(b))
		next, prev = uint64(binary.LittleEndian.Uint32(b[o.next:])), uint64(binary.LittleEndian.Uint32(b[o.prev:]))
	}
	n.free = v&r.usedBit == 0
	switch {
	case v&^r.usedBit != r.mark:
		n.bad |= chainNoMark
	case r.memheap && heap.Addr(word(b[o.pool:], o.word)) != r.pool:
		n.bad |= chainNoMark
		n.raw[1] = 1
	default:
		n.raw[1] = 1 // what it says about its state can be believed
	}
	to, from := r.origin+heap.Addr(next), r.origin+heap.Addr(prev)
	n.raw[0] = uint64(from)
	if n.at == r.end {
		r.readEnd(n, to, from)
		if r.links != nil && word(b[o.nextFree:], o.word)|word(b[o.prevFree:], o.word) != 0 {
			n.bad |= chainNoMark
		}
		return
	}
	unit := heap.Addr(max(o.align, o.word) - 1)
	if length := to - n.at; to <= n.at || to > r.end || length <= heap.Addr(o.head) || length&unit != 0 {
		n.bad |= chainNoSize
	} else {
		n.length = length
	}
	switch {
	case n.at == r.base:
	case from >= r.base && from < n.at && (n.at-from)&unit == 0:
		n.prev = from
	default:
		n.bad |= chainNoPrev
	}
	if r.links != nil && n.bad&chainNoMark == 0 {
		r.readLinks(n, b)
	}
}

// readEnd judges the end node. What that of small memory says about the node in
// front may be of another time.
func (r *rtChain) readEnd(n *chainNode, to, from heap.Addr) {
	n.length = heap.Addr(r.o.head)
	want := r.end
	if r.memheap {
		want, n.prev = r.base, from
		if from < r.base || from >= r.end {
			n.bad |= chainNoPrev
			n.prev = 0
		}
	}
	if to != want {
		n.bad |= chainNoSize
	}
	if n.free {
		n.bad |= chainNoMark
	}
}

// readLinks judges the links of memheap's free list, which in used nodes are 0.
func (r *rtChain) readLinks(n *chainNode, b []byte) {
	next, prev := heap.Addr(word(b[r.o.nextFree:], r.o.word)), heap.Addr(word(b[r.o.prevFree:], r.o.word))
	switch {
	case !n.free && next|prev == 0:
	case !n.free, r.links.wrong(n.at, next, true), r.links.wrong(n.at, prev, false):
		n.bad |= chainNoLinks
	}
}

// link implements chainLayout.
func (r *rtChain) link(front, n *chainNode) chainLink {
	from := heap.Addr(n.raw[0])
	var names bool
	switch {
	case front != nil:
		names = from == front.at
	case r.memheap:
		names = from == r.end
	default:
		names = from == r.base
	}
	switch {
	case names && from == r.base && !r.memheap && n.bad&chainNoMark != 0:
		return chainSilent // it is a zero, of which memory is full
	case names:
		return chainNames
	case n.at == r.end && !r.memheap && front != nil && r.inside(front):
		return chainDenies // it is not the last one, whatever its header says
	case n.at == r.end && !r.memheap:
		return chainSilent
	}
	return chainDenies
}

// inside reports whether in the last node of small memory another one begins: a
// header that names it. Nothing else would show that its length is wrong, as
// the end node does not say which node lies in front of it. Former headers are
// all of free nodes, since nodes are freed before they are merged.
func (r *rtChain) inside(front *chainNode) bool {
	if front.bad&chainLost != 0 {
		return false
	}
	if r.asked != nil && r.asked[0] == front.at && r.asked[1] == front.at+front.length {
		return r.answer
	}
	unit := heap.Addr(max(r.o.align, r.o.word))
	r.asked, r.answer = &[2]heap.Addr{front.at, front.at + front.length}, false
	if r.budget == 0 {
		r.budget = 1024 + 4*int64((r.end-r.base)/unit)
	}
	for at := front.at + heap.Addr(r.o.head) + unit; at < front.at+front.length && r.budget > 1 && !r.answer; at += unit {
		r.budget--
		n := chainNode{at: at}
		if r.read(&n); n.bad&chainLost == 0 && n.prev == front.at {
			r.answer = r.alive(n)
		}
	}
	return r.answer
}

// alive reports whether a node in use is among those that confirm each other
// from n on.
func (r *rtChain) alive(n chainNode) bool {
	for n.free && n.length > 0 && r.budget > 1 {
		r.budget--
		next := chainNode{at: n.at + n.length}
		if r.read(&next); next.at == r.end || next.bad&chainLost != 0 || next.prev != n.at {
			return false
		}
		n = next
	}
	return !n.free
}

// state says whether a node is free, and whether that is certain.
func (r *rtChain) state(s *chainSeen, behind heap.Addr) (free, certain bool) {
	if s.at == r.end {
		return false, true
	}
	if s.raw[1] != 0 {
		return s.free, true
	}
	// Two free nodes are never neighbours.
	for _, at := range []heap.Addr{s.front, behind} {
		if n := (chainNode{at: at}); at != 0 && at != r.end {
			if r.read(&n); n.bad&chainLost == 0 && n.free {
				return false, true
			}
		}
	}
	if r.links != nil {
		if next, prev := r.links.restore(s.at); next != 0 && prev != 0 {
			return true, true
		}
	}
	return false, false
}

// infer implements chainLayout.
func (r *rtChain) infer(s *chainSeen) {
	behind := heap.Addr(0)
	if s.exact {
		behind = s.at + s.size
	}
	s.free, _ = r.state(s, behind)
	if !s.free && s.bad&chainNoLinks != 0 { // they are 0 in a used node
		s.bad = s.bad&^chainNoLinks | chainNoMark
	}
}

// headLen implements chainLayout.
func (r *rtChain) headLen(bool) int { return r.o.head }

// expect implements chainLayout.
func (r *rtChain) expect(s, behind *chainSeen, want []byte, known []bool) {
	o := &r.o
	put := func(off, n int, v uint64) {
		for i := range n {
			want[off+i], known[off+i] = byte(v>>(8*i)), true
		}
	}
	next := heap.Addr(0)
	switch {
	case s.at == r.end && r.memheap:
		next = r.base
	case s.at == r.end:
		next = r.end
	case s.exact:
		next = s.at + s.size
	}
	free, certain := r.state(s, next)
	used := r.usedBit
	if free {
		used = 0
	}
	if !certain {
		r.unsure = s.at
	}
	if o.used >= o.markLen { // a field of its own
		put(0, o.markLen, r.mark)
		if certain {
			put(o.used, 2, used>>16)
		}
	} else {
		put(0, o.markLen, r.mark|used)
		known[o.used] = certain
	}
	if o.pool >= 0 {
		put(o.pool, o.word, uint64(r.pool))
	}
	if next != 0 {
		put(o.next, o.word, uint64(next-r.origin))
	}
	switch {
	case s.at == r.base && r.memheap:
		put(o.prev, o.word, uint64(r.end))
	case s.at == r.base:
		put(o.prev, o.word, 0)
	case s.at == r.end && !r.memheap:
	case s.front != 0:
		put(o.prev, o.word, uint64(s.front-r.origin))
	}
	switch {
	case o.nextFree < 0 || !certain:
	case !free:
		put(o.nextFree, o.word, 0)
		put(o.prevFree, o.word, 0)
	case r.links != nil:
		next, prev := r.links.restore(s.at)
		if next != 0 {
			put(o.nextFree, o.word, uint64(next))
		}
		if prev != 0 {
			put(o.prevFree, o.word, uint64(prev))
		}
	}
}

// parts implements chainLayout.
func (r *rtChain) parts(at heap.Addr, _ bool, b []byte) []Field {
	o := &r.o
	var list []Field
	add := func(off, n int, name, value string) {
		if off >= 0 && off+n <= len(b) {
			list = append(list, Field{Span: heap.Span{Start: at + heap.Addr(off), End: at + heap.Addr(off+n)}, Name: name, Value: value})
		}
	}
	number := func(off, n int) string {
		var v uint64
		for i := range n {
			v |= uint64(b[off+i]) << (8 * i)
		}
		return fmt.Sprintf("%#x", v)
	}
	field := func(off, n int, name string) {
		if off >= 0 && off+n <= len(b) {
			add(off, n, name, number(off, n))
		}
	}
	switch {
	case o.used >= o.markLen:
		field(0, 2, "magic")
		field(o.used, 2, "used")
	case r.memheap:
		field(0, 4, "magic and used")
	default:
		field(0, o.word, "pool and used")
	}
	field(o.pool, o.word, "pool")
	field(o.next, o.word, "next node")
	field(o.prev, o.word, "previous node")
	field(o.nextFree, o.word, "next free")
	field(o.prevFree, o.word, "previous free")
	if o.name >= 0 && o.name+o.nameLen <= len(b) {
		add(o.name, o.nameLen, "thread", fmt.Sprintf("%q", rtTrim(b[o.name:o.name+o.nameLen])))
	}
	return list
}

// fill implements chainLayout.
func (r *rtChain) fill(n *heap.Node, s *chainSeen) {
	o := &r.o
	n.Payload = s.at + heap.Addr(o.head)
	if o.name < 0 || n.State == heap.Free || !s.intact(o.name, o.nameLen) {
		return
	}
	if b := r.m.bytes(s.at+heap.Addr(o.name), o.nameLen); b != nil && rtName(b) {
		n.Owner = rtOwner(b)
	}
}
