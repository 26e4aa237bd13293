package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// nuttxChain is what the chain engine has to know about NuttX's mm_heap. A used
// node is confirmed by little: only behind a free one does a header say how long
// the node in front is.
type nuttxChain struct {
	o         nuttxOffsets
	m         *ram
	base, end heap.Addr // the first node behind the guard, and the guard at the end
	links     *mmLinks  // those of free nodes; nil: not looked at
	stack     heap.Stack
	walk      *chainWalk
	unsure    heap.Addr // the last node of which nothing tells whether it is free
}

// read implements chainLayout.
func (c *nuttxChain) read(n *chainNode) {
	o := &c.o
	b := c.m.bytes(n.at, o.head)
	if b == nil {
		n.bad = chainMissing
		return
	}
	var preceding, size uint64
	if o.word == 8 {
		preceding, size = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	} else {
		x := binary.LittleEndian.Uint64(b)
		preceding, size = x&(1<<32-1), x>>32
	}
	n.raw[0], n.raw[1] = size, preceding
	length := heap.Addr(size &^ nuttxBits)
	n.free = size&nuttxUsed == 0
	switch mask := heap.Addr(o.align - 1); {
	case n.at == c.end:
		n.length = heap.Addr(o.head)
		if length != n.length || n.free {
			n.bad |= chainNoSize
		}
	case length&mask != 0 || (n.at+heap.Addr(o.head))&mask != 0 || length < heap.Addr(o.least()) || n.at >= c.end || length > c.end-n.at:
		n.bad |= chainNoSize
	default:
		n.length = length
	}
	if size&nuttxPrevFree != 0 {
		if front := heap.Addr(preceding); front >= heap.Addr(o.least()) && front <= n.at-c.base && n.at > c.base && front&heap.Addr(o.align-1) == 0 {
			n.prev = n.at - front
		} else {
			n.bad |= chainNoPrev
		}
	}
	if c.links != nil && n.free && n.bad&chainLost == 0 {
		next, ok1 := c.m.word(n.at+heap.Addr(o.next), o.word)
		prev, ok2 := c.m.word(n.at+heap.Addr(o.prev), o.word)
		if ok1 && ok2 && (c.links.wrong(n.at, heap.Addr(next), true) || c.links.wrong(n.at, heap.Addr(prev), false)) {
			n.bad |= chainNoLinks
		}
	}
}

// link implements chainLayout.
func (c *nuttxChain) link(front, n *chainNode) chainLink {
	free := n.raw[0]&nuttxPrevFree != 0
	switch {
	case front == nil || !front.free:
		if free {
			return chainDenies
		}
		return chainSilent
	case free && heap.Addr(n.raw[1]) == n.at-front.at:
		return chainNames
	}
	return chainDenies
}

// state says whether the node at `at` is free, and whether that is certain.
// behind is where it ends; 0: not known.
func (c *nuttxChain) state(at, behind heap.Addr) (free, certain bool) {
	n := chainNode{at: at}
	c.read(&n)
	if at == c.end {
		return false, true
	}
	named := false
	if c.links != nil {
		next, prev := c.links.restore(at)
		named = next != 0 || prev != 0
	}
	next := chainNode{at: behind}
	if behind != 0 {
		c.read(&next)
	}
	told := behind != 0 && next.bad&(chainLost|chainNoPrev) == 0
	freed := told && next.raw[0]&nuttxPrevFree != 0 && next.prev == at
	switch sound := n.bad&chainLost == 0; {
	case named:
		return true, true
	case sound && told:
		return n.free && freed, n.free == freed || c.links != nil && c.links.heads != 0
	case sound:
		return n.free, !n.free || c.links == nil
	case told:
		return freed, true
	}
	return false, false
}

// foreign implements chainForeign: behind a used node its payload goes on in the
// first word.
func (c *nuttxChain) foreign(s *chainSeen) int {
	if s.front == 0 {
		if s.at == c.base {
			return c.o.word
		}
		return 0
	}
	if free, sure := c.state(s.front, s.at); free || !sure {
		return 0
	}
	return c.o.word
}

// infer implements chainLayout.
func (c *nuttxChain) infer(s *chainSeen) {
	s.free, _ = c.state(s.at, c.behind(s))
	if !s.free && s.bad&chainNoLinks != 0 { // it is not free, so it has none
		s.bad = s.bad&^chainNoLinks | chainNoMark
	}
}

func (c *nuttxChain) behind(s *chainSeen) heap.Addr {
	if !s.exact || s.at == c.end {
		return 0
	}
	return s.at + s.size
}

// headLen implements chainLayout.
func (c *nuttxChain) headLen(free bool) int {
	if free {
		return c.o.head + 2*c.o.word
	}
	return c.o.head
}

// expect implements chainLayout.
func (c *nuttxChain) expect(s, _ *chainSeen, want []byte, known []bool) {
	o := &c.o
	put := func(off, n int, v uint64) {
		for i := range min(n, len(want)-off) {
			want[off+i], known[off+i] = byte(v>>(8*i)), true
		}
	}
	free, certain := c.state(s.at, c.behind(s))
	ahead, sure := false, s.at == c.base // the guard is in front of the first
	if s.front != 0 {
		ahead, sure = c.state(s.front, s.at)
	}
	if ahead && sure {
		put(o.preceding, o.word, uint64(s.at-s.front))
	}
	if s.exact || s.at == c.end {
		size := uint64(s.size)
		if s.at == c.end {
			size = uint64(o.head)
		}
		if !free {
			size |= nuttxUsed
		}
		if ahead {
			size |= nuttxPrevFree
		}
		put(o.size, o.word, size)
		if !certain || !sure {
			known[o.size] = false // the byte with the flags
			c.unsure = s.at
		}
	}
	if free && certain && c.links != nil {
		next, prev := c.links.restore(s.at)
		if next != 0 {
			put(o.next, o.word, uint64(next))
		}
		if prev != 0 {
			put(o.prev, o.word, uint64(prev))
		}
	}
}

// parts implements chainLayout.
func (c *nuttxChain) parts(at heap.Addr, _ bool, b []byte) []Field {
	o := &c.o
	var list []Field
	field := func(off, n int, name, format string) {
		if off < 0 || off+n > len(b) {
			return
		}
		v := any(word(b[off:], n))
		if off == o.pid {
			v = int32(word(b[off:], n))
		}
		list = append(list, Field{Span: heap.Span{Start: at + heap.Addr(off), End: at + heap.Addr(off+n)}, Name: name, Value: fmt.Sprintf(format, v)})
	}
	field(o.preceding, o.word, "preceding size", "%#x")
	field(o.size, o.word, "size and flags", "%#x")
	field(o.pid, 4, "task", "%d")
	field(o.seqno, o.word, "sequence", "%d")
	switch {
	case o.stack >= 0 && o.levels == 0:
		field(o.stack, o.word, "backtrace", "%#x")
	case o.stack >= 0:
		for i := range o.levels {
			field(o.stack+i*o.word, o.word, fmt.Sprintf("backtrace[%d]", i), "%#x")
		}
	}
	field(o.next, o.word, "next free", "%#x")
	field(o.prev, o.word, "previous free", "%#x")
	return list
}

// fill implements chainLayout. What a free node says about its owner is of the
// time before.
func (c *nuttxChain) fill(n *heap.Node, s *chainSeen) {
	o := &c.o
	n.Payload = s.at + heap.Addr(o.head)
	if n.State == heap.Free || o.head == 2*o.word {
		return
	}
	b := c.m.bytes(s.at, o.head)
	if b == nil {
		return
	}
	if o.pid >= 0 && s.intact(o.pid, 4) {
		n.Owner = heap.Owner(binary.LittleEndian.Uint32(b[o.pid:]))
	}
	if o.seqno >= 0 && s.intact(o.seqno, o.word) {
		n.Serial = word(b[o.seqno:], o.word)
	}
	if o.levels == 0 || !s.intact(o.stack, o.levels*o.word) {
		return
	}
	n.Stack = c.levels(b)
}
