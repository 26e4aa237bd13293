package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// tlsfWalk is one walk over a pool: what the chain engine asks about it.
type tlsfWalk struct {
	chainWalk
	p     *TLSFPool
	o     TLSFOffsets
	far   *ram // elsewhere than where the walk is
	mask  uint32
	shift uint
	free  *tlsfFree   // all free nodes; nil: not looked for yet
	quick bool        // it is itself the search for free nodes
	lost  []chainSeen // quick: nodes that may be free
	stack heap.Stack
}

func (p *TLSFPool) walker() *tlsfWalk {
	o := p.Layout.Offsets()
	w := &tlsfWalk{
		p: p, o: o, far: newRAM(p.mem),
		mask: p.Layout.sizeMask(), shift: p.Layout.shift(),
		stack: make(heap.Stack, o.LRs),
	}
	w.layout = w
	w.m = newRAM(p.mem)
	w.start, w.end = p.first, p.end
	w.align, w.minimum = heap.Addr(o.Word), heap.Addr(o.Head)
	w.magic = o.Magic >= 0
	w.about = &p.about
	w.again = func(visit func(*heap.Node) bool) *chainWalk {
		all := p.walker()
		all.visit = visit
		return &all.chainWalk
	}
	return w
}

// What raw holds.
const (
	tlsfRawSize = iota // the size word
	tlsfRawPrev        // the previous node, as it stands there
)

// read implements chainLayout.
func (w *tlsfWalk) read(n *chainNode) {
	o := &w.o
	b := w.m.bytes(n.at, o.Head)
	n.length, n.prev, n.bad, n.free, n.hidden = 0, 0, 0, false, false
	if b == nil {
		n.bad = chainMissing
		return
	}
	size := binary.LittleEndian.Uint32(b[o.Size:])
	prev := word(b[o.Prev:], o.Word)
	n.raw[tlsfRawSize], n.raw[tlsfRawPrev] = uint64(size), prev
	if o.Magic >= 0 && binary.LittleEndian.Uint32(b[o.Magic:]) != tlsfMagic {
		n.bad |= chainNoMark
	}
	if n.at == w.end {
		w.readEnd(n, size, heap.Addr(prev))
		return
	}
	length := heap.Addr(size & w.mask >> w.shift)
	flags := size >> 24
	least := heap.Addr(o.Head)
	if n.free = flags&tlsfUsed == 0; n.free {
		least = heap.Addr(o.FreeHead)
		if flags&tlsfAligned != 0 || w.mask>>29 == 0 && flags&tlsfSeen != 0 {
			n.bad |= chainNoMark
		}
	} else if w.p.Layout.A && flags&tlsfSeen != 0 {
		n.bad |= chainNoMark // only the end node is the last
	}
	if length >= least && length&(w.align-1) == 0 && length <= w.end-n.at && n.at < w.end {
		n.length = length
	} else {
		n.bad |= chainNoSize
	}
	switch p := heap.Addr(prev); {
	case n.at == w.start:
	case p == tlsfGap && w.p.Layout.Regions:
		if n.hidden = true; n.free {
			n.free = false
			n.bad |= chainNoMark
		}
	case p < w.start || p >= n.at || p&(w.align-1) != 0:
		n.bad |= chainNoPrev
	default:
		n.prev = p
	}
	if n.free && n.length != 0 {
		w.readLinks(n)
	}
}

// readEnd reads the end node. In LiteOS-A, where pools grow, it names the next
// region and how long that is.
func (w *tlsfWalk) readEnd(n *chainNode, size uint32, prev heap.Addr) {
	flags, length := size>>24, size&w.mask>>w.shift
	switch {
	case w.p.Layout.Expand:
		if flags&(tlsfUsed|tlsfSeen|tlsfAligned) != tlsfUsed|tlsfSeen || (length == 0) != (prev == 0) {
			n.bad |= chainNoSize
		}
	default:
		if length != 0 || flags&tlsfAligned != 0 || flags&tlsfUsed == 0 {
			n.bad |= chainNoSize
		}
		if n.prev = prev; prev < w.start || prev >= w.end || prev&(w.align-1) != 0 {
			n.prev = 0
			n.bad |= chainNoPrev
		}
	}
}

// readLinks judges the links of a free node by themselves.
func (w *tlsfWalk) readLinks(n *chainNode) {
	b := w.m.bytes(n.at+heap.Addr(w.o.Links), 2*w.o.Word)
	if b == nil {
		return
	}
	for _, v := range [2]uint64{word(b, w.o.Word), word(b[w.o.Word:], w.o.Word)} {
		if v != 0 && !w.p.holds(heap.Addr(v)) {
			n.bad |= chainNoLinks
		}
	}
}

// link implements chainLayout.
func (w *tlsfWalk) link(front, n *chainNode) chainLink {
	prev := heap.Addr(n.raw[tlsfRawPrev])
	switch {
	case front == nil:
		if prev == w.firstPrev() {
			return chainNames
		}
		return chainDenies
	case n.hidden, n.at == w.end && w.p.Layout.Expand:
		return chainSilent
	case prev == front.at:
		return chainNames
	}
	return chainDenies
}

// firstPrev is what the first node names as its previous one.
func (w *tlsfWalk) firstPrev() heap.Addr {
	if w.p.Layout.A && w.p.main == nil {
		return 0
	}
	return w.end
}

// infer implements chainLayout: free nodes are in the lists, and nothing else is.
func (w *tlsfWalk) infer(s *chainSeen) {
	if s.at == w.end || s.hidden && s.bad&chainNoSize == 0 {
		return
	}
	s.hidden = false
	if w.quick {
		s.free = s.free && !s.lost()
		if !s.free && s.exact && s.size >= heap.Addr(w.o.FreeHead) && len(w.lost) < maxFindings {
			w.lost = append(w.lost, *s)
		}
		return
	}
	claims := s.free
	s.free = s.size >= heap.Addr(w.o.FreeHead) && w.lists().listed(s.at)
	if claims && !s.free {
		if !s.lost() && w.lists().holes { // what names it may be lost
			s.free = true
			return
		}
		s.bad = s.bad&^chainNoLinks | chainNoMark // its flag is wrong
	}
	if s.free && w.linksWrong(s.at) {
		s.bad |= chainNoLinks
	}
}

// linksWrong reports whether a link of the free node at `at` cannot be right.
func (w *tlsfWalk) linksWrong(at heap.Addr) bool {
	n := chainNode{at: at}
	w.readLinks(&n)
	return n.bad != 0
}

// headLen implements chainLayout.
func (w *tlsfWalk) headLen(free bool) int {
	if free {
		return w.o.FreeHead
	}
	return w.o.Head
}

// expect implements chainLayout.
func (w *tlsfWalk) expect(s, _ *chainSeen, want []byte, known []bool) {
	o := &w.o
	put := func(off, n int, v uint64) {
		if off < 0 {
			return
		}
		putWord(want[off:], n, v)
		for i := range n {
			known[off+i] = true
		}
	}
	put(o.Magic, 4, tlsfMagic)
	s.hidden = s.hidden || w.lostGap(s)
	switch {
	case (s.at == w.end || s.at == w.start) && w.p.unsure:
	case s.at == w.end && w.p.Layout.Expand:
		if w.p.more == 0 && s.raw[tlsfRawSize]>>24 == tlsfUsed|tlsfSeen {
			put(o.Prev, o.Word, 0)
		}
	case s.at == w.start:
		put(o.Prev, o.Word, uint64(w.firstPrev()))
	case s.hidden:
		put(o.Prev, o.Word, tlsfGap)
	case s.front != 0:
		put(o.Prev, o.Word, uint64(s.front))
	}
	if v, ok := w.sizeWord(s); ok {
		low := 0 // a packed task ID is not known
		if w.shift != 0 && s.at != w.end && s.raw[tlsfRawSize]>>tlsfTaskBits&3 == 0 {
			low = 1
		}
		putWord(want[o.Size:], 4, uint64(v))
		for i := low; i < 4; i++ {
			known[o.Size+i] = true
		}
	}
	if !s.free || s.bad&(chainLost|chainNoLinks) == 0 {
		return
	}
	if before, behind, ok := w.lists().around(s.at, uint64(s.size)); ok {
		put(o.Links, o.Word, uint64(before))
		put(o.Links+o.Word, o.Word, uint64(behind))
	}
}

// lostGap reports whether s is a gap node that does not look like one: the
// pool's head counts as many bytes more in gaps than there are in the others.
func (w *tlsfWalk) lostGap(s *chainSeen) bool {
	if w.o.GapSize < 0 || w.quick || s.free || !s.exact || s.at == w.end || s.bad&(chainNoPrev|chainNoSize) == 0 {
		return false
	}
	all, ok := w.far.word(w.p.Addr+heap.Addr(w.o.GapSize), 4)
	return ok && all == w.lists().gaps+uint64(s.size)-uint64(w.o.Head) && int(s.size) > w.o.Head
}

// whole implements chainWhole: besides the bytes that are wrong, what is right
// must be known, and a node that says that it is in use be in no list.
func (w *tlsfWalk) whole(s *chainSeen, known []bool) bool {
	o := &w.o
	has := func(off, n int) bool {
		for i := max(off, 0); i < off+n; i++ {
			if !known[i] {
				return false
			}
		}
		return true
	}
	size, n := o.Size, 4
	if w.shift != 0 {
		size, n = o.Size+1, 3
	}
	if !s.free && s.at != w.end && s.bad&chainLost == 0 && w.lists().listed(s.at) {
		return false
	}
	return has(o.Magic, 4) && has(o.Prev, o.Word) && has(size, n) &&
		(s.bad&chainNoLinks == 0 || !s.free || has(o.Links, 2*o.Word))
}

// sizeWord returns what the size word of s must be.
func (w *tlsfWalk) sizeWord(s *chainSeen) (v uint32, ok bool) {
	have := uint32(s.raw[tlsfRawSize])
	switch {
	case s.at == w.end && w.p.unsure:
		return 0, false
	case s.at == w.end && w.p.Layout.Expand:
		return (tlsfUsed | tlsfSeen) << 24, w.p.more == 0 && s.raw[tlsfRawPrev] == 0
	case s.at == w.end:
		return tlsfUsed << 24, true
	case !s.exact:
		return 0, false
	}
	v = uint32(s.size) << w.shift
	if w.shift != 0 {
		v |= have & (1<<tlsfTaskBits - 1)
	}
	switch {
	case s.free:
	case s.bad&chainNoSize == 0 && have>>24&tlsfUsed != 0: // its other flags are right as well
		v |= have &^ w.mask
		if w.p.Layout.A {
			v &^= tlsfSeen << 24
		}
	default:
		v |= tlsfUsed << 24
		if w.gapWord(s.at, s.size) != 0 {
			v |= tlsfAligned << 24
		}
	}
	return v, true
}

// gapWord looks for the word in front of an aligned payload in the node at and
// returns how far behind the head that begins; 0: there is none.
func (w *tlsfWalk) gapWord(at, size heap.Addr) heap.Addr {
	from, room := at+heap.Addr(w.o.Head), size-min(size, heap.Addr(w.o.Head))
	for g := w.align; g < room && g <= maxGap; g += w.align {
		v, ok := w.m.word(from+g-4, 4)
		if !ok {
			break
		}
		if v == uint64(g)|gapMark {
			return g
		}
	}
	return 0
}

// parts implements chainLayout.
func (w *tlsfWalk) parts(at heap.Addr, free bool, b []byte) []Field {
	o := &w.o
	var list []Field
	add := func(off, n int, name, value string) {
		if off >= 0 && off+n <= len(b) {
			list = append(list, Field{Span: heap.Span{Start: at + heap.Addr(off), End: at + heap.Addr(off+n)}, Name: name, Value: value})
		}
	}
	number := func(off, n int, name string) {
		if off >= 0 && off+n <= len(b) {
			add(off, n, name, fmt.Sprintf("%#x", word(b[off:], n)))
		}
	}
	lrs := func() {
		for i := range o.LRs {
			number(o.LR+i*o.Word, o.Word, fmt.Sprintf("LR[%d]", i))
		}
	}
	number(o.Magic, 4, "magic")
	if o.LR < o.Prev {
		lrs()
	}
	number(o.Prev, o.Word, "previous node")
	if o.LR > o.Prev {
		lrs()
	}
	number(o.Task, 4, "task")
	if w.shift != 0 {
		number(o.Size, 4, "task, size and flags")
	} else {
		number(o.Size, 4, "size and flags")
	}
	if free {
		number(o.Links, o.Word, "previous free")
		number(o.Links+o.Word, o.Word, "next free")
	}
	return list
}

// fill implements chainLayout.
func (w *tlsfWalk) fill(n *heap.Node, s *chainSeen) {
	o := &w.o
	n.Payload = s.at + heap.Addr(o.Head)
	if s.bad&chainMissing != 0 {
		return
	}
	if n.State != heap.Free {
		if s.raw[tlsfRawSize]>>24&tlsfAligned != 0 && s.bad&chainNoSize == 0 || s.bad&chainNoSize != 0 && s.exact {
			n.Payload += w.gapWord(s.at, s.size)
		}
		switch {
		case o.Task >= 0 && s.intact(o.Task, 4):
			if v, ok := w.m.word(s.at+heap.Addr(o.Task), 4); ok {
				n.Owner = heap.Owner(v)
			}
		case w.shift != 0 && s.intact(o.Size, 4):
			n.Owner = heap.Owner(s.raw[tlsfRawSize] & (1<<tlsfTaskBits - 1))
		}
	}
	if o.LRs > 0 && s.intact(o.LR, o.LRs*o.Word) {
		if b := w.m.bytes(s.at+heap.Addr(o.LR), o.LRs*o.Word); b != nil {
			n.Stack = chainStack(w.stack, b, o.Word)
		}
	}
}
