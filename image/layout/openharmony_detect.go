package layout

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// Which configuration a pool has is found out as for LiteOS: where bitmap and
// lists lie follows from the head, and for each layout of nodes that is left the
// invariants are counted that hold. Most put the end node, or the first link,
// elsewhere and fail at once.

const (
	// tlsfEnough is the score from which a place is taken for a pool.
	tlsfEnough = 14
	// tlsfSample is how many nodes are looked at to judge a configuration.
	tlsfSample = 256
	// tlsfSearchBudget is how many places are looked at behind damage to judge a
	// configuration.
	tlsfSearchBudget = 2048
	// tlsfWrongLists is how many lists of a pool's head may be damaged.
	tlsfWrongLists = 8
)

// A tlsfCandidate is one configuration tried at one place.
type tlsfCandidate struct {
	layout      TLSF
	addr        heap.Addr
	size        uint64
	next        heap.Addr
	score       int
	evidence    []string
	sound, seen int
	begun       bool // the first node names what it should
	ended       bool // the end node is sound
}

func (c *tlsfCandidate) say(points int, format string, args ...any) {
	c.score += points
	c.evidence = append(c.evidence, fmt.Sprintf(format, args...))
}

// pool makes the pool.
func (c *tlsfCandidate) pool(m *ram) *TLSFPool {
	o := c.layout.Offsets()
	end := c.addr + heap.Addr(c.size)
	p := &TLSFPool{
		Layout: c.layout, Addr: c.addr, Size: c.size, Next: c.next, mem: m.mem,
		first: c.addr + heap.Addr(o.FirstNode), end: end - heap.Addr(o.Head),
	}
	p.about = About{
		System: c.layout.System(), Layout: c.layout.String(), PointerSize: o.Word,
		Span:  heap.Span{Start: c.addr, End: end},
		Sound: c.sound, Seen: c.seen, Evidence: c.evidence,
	}
	if m.bytes(end-1, 1) == nil {
		p.about.Doubts = append(p.about.Doubts, fmt.Sprintf("the pool ends at %s, which is not in the image", end))
	}
	return p
}

// tlsfDetect tries all configurations at addr that the hints leave, and returns
// those that have something to be said for them, the likeliest first.
func tlsfDetect(m *ram, addr heap.Addr, a bool, h *tlsfHints) []*tlsfCandidate {
	var all []*tlsfCandidate
	for _, bits64 := range []bool{false, true} {
		if h.word != 0 && bits64 != (h.word == 8) {
			continue
		}
		for _, head := range tlsfHeads(m, addr, a, bits64) {
			for _, l := range head.nodes() {
				if !h.allows(l) {
					continue
				}
				if c := tlsfScore(m, addr, l, false); c != nil {
					all = append(all, c)
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *tlsfCandidate) int { return cmp.Compare(b.score, a.score) })
	return all
}

// nodes returns all configurations of nodes with a pool head like that of l,
// simple ones first.
func (l TLSF) nodes() []TLSF {
	var all []TLSF
	for _, l.Integrity = range []bool{false, true} {
		for _, l.Task = range []TLSFTask{TLSFNoTask, TLSFTaskWord, TLSFTaskPacked} {
			for l.LRs = 0; l.LRs <= MaxLRs; l.LRs++ {
				l.LeakCheck = l.LRs > 0
				for _, l.Expand = range []bool{false, true} {
					if l.Validate() == nil {
						all = append(all, l)
					}
				}
			}
		}
	}
	return all
}

// tlsfHeads returns the configurations of the pool's head whose bitmap says
// which of its lists are empty, nearly without exception.
func tlsfHeads(m *ram, addr heap.Addr, a, bits64 bool) []TLSF {
	var all []TLSF
	fewest := tlsfWrongLists
	for _, water := range []bool{true, false} {
		for _, regions := range []bool{false, true} {
			l := TLSF{A: a, Bits64: bits64, Waterline: water, Regions: regions, Integrity: a}
			if l.Validate() != nil {
				continue
			}
			o := l.Offsets()
			wrong := tlsfWrong(m.bytes(addr, o.Lists+tlsfLists*o.Word), &o, addr)
			if wrong > fewest {
				continue
			}
			if wrong < fewest {
				fewest, all = wrong, all[:0]
			}
			for _, l.MulPool = range []bool{true, false} {
				all = append(all, l)
				if l.SMP = a; a {
					all = append(all, l)
					l.SMP = false
				}
			}
		}
	}
	return all
}

// tlsfWrong counts the lists in a pool's head whose bit is wrong or that begin
// where nothing can be. Without memory all are wrong.
func tlsfWrong(b []byte, o *TLSFOffsets, addr heap.Addr) int {
	if b == nil {
		return tlsfLists
	}
	size := heap.Addr(binary.LittleEndian.Uint32(b[o.PoolSize:]))
	wrong := 0
	if b[o.Bitmap+tlsfLists/8]>>(tlsfLists%8) != 0 {
		wrong++
	}
	for i := 0; i < tlsfLists && wrong <= tlsfWrongLists; i++ {
		bit := b[o.Bitmap+i/8]>>(i%8)&1 != 0
		v := word(b[o.Lists+i*o.Word:], o.Word)
		if bit != (v != 0) || v != 0 && (v&uint64(o.Word-1) != 0 || !tlsfNear(heap.Addr(v), addr, size)) {
			wrong++
		}
	}
	return wrong
}

// tlsfNear reports whether a free node can lie at v: within the pool, or in a
// region by which it has grown, which can be anywhere in the same memory.
func tlsfNear(v, addr, size heap.Addr) bool {
	const anywhere = 1 << 32
	if v-addr < size {
		return true
	}
	return max(v, addr)-min(v, addr) < anywhere && v > 0xfff
}

// tlsfPlausible reports whether a pool with that layout can have that size.
func tlsfPlausible(addr heap.Addr, size uint64, l *TLSF, o *TLSFOffsets) bool {
	return size%uint64(o.Word) == 0 && size >= uint64(o.FirstNode+2*o.Head) && size <= uint64(l.sizeMask())+1 &&
		uint64(addr)+size > uint64(addr) && (o.Word == 8 || uint64(addr)+size <= 1<<32) && uint64(addr)%uint64(o.Word) == 0
}

// tlsfScore judges one configuration at addr; nil: its nodes cannot lie there.
// A given one needs no more than a plausible head.
func tlsfScore(m *ram, addr heap.Addr, l TLSF, given bool) *tlsfCandidate {
	o := l.Offsets()
	c := &tlsfCandidate{layout: l, addr: addr}
	b := m.bytes(addr, o.FirstNode)
	if b == nil {
		return nil
	}
	if word(b, o.Word) == uint64(addr) {
		c.say(2, "the word at %s points to itself, as a pool's head does", addr)
	}
	c.size = word(b[o.PoolSize:], 4)
	if !tlsfPlausible(addr, c.size, &l, &o) || !c.ends(m) {
		size := c.size
		if c.size = c.sizeByFirst(m, &o); c.size != 0 && tlsfPlausible(addr, c.size, &l, &o) && c.ends(m) {
			c.say(0, "the first node names %s as the end node, and there it is; the size in the pool's head, %#x, is wrong", c.addr+heap.Addr(c.size)-heap.Addr(o.Head), size)
		} else if c.size = size; !tlsfPlausible(addr, size, &l, &o) {
			return nil
		}
	}
	lists := 0
	for i := range tlsfLists {
		if word(b[o.Lists+i*o.Word:], o.Word) != 0 {
			lists++
		}
	}
	switch wrong := tlsfWrong(b, &o, addr); {
	case wrong > tlsfWrongLists:
		if !given {
			return nil
		}
	case lists > wrong:
		c.say(6-min(wrong, 4), "bitmap and %d free lists lie at %s: the bits agree with the lists in use, %d of them", tlsfLists, addr+heap.Addr(o.Bitmap), lists)
	default:
		c.say(2, "bitmap and %d free lists lie at %s, all empty", tlsfLists, addr+heap.Addr(o.Bitmap))
	}
	if o.Used >= 0 {
		trust := uint64(tlsfUsed)<<24>>l.shift() - 1
		used := word(b[o.Used:], 4) & trust
		if used < uint64(o.FirstNode+o.Head) || used > c.size {
			c.score -= 2
		} else {
			c.say(1, "the head counts %d bytes in use, which is possible", used)
		}
	}
	if !c.nodes(m) && !given {
		return nil
	}
	if l.MulPool {
		next := heap.Addr(word(b[o.NextPool:], o.Word))
		switch self, ok := m.word(next, o.Word); {
		case next == 0:
			c.score++
		case ok && self == uint64(next) && next != addr:
			c.next = next
			c.say(2, "another pool is chained to it, at %s", next)
		default:
			c.score--
		}
	}
	return c
}

// sizeByFirst returns the size that the first node of a pool of LiteOS-M gives,
// which names the end node; 0: none.
func (c *tlsfCandidate) sizeByFirst(m *ram, o *TLSFOffsets) uint64 {
	at := c.addr + heap.Addr(o.FirstNode)
	prev, ok := m.word(at+heap.Addr(o.Prev), o.Word)
	if !ok || c.layout.A || prev <= uint64(at) {
		return 0
	}
	return prev - uint64(c.addr) + uint64(o.Head)
}

// ends reports whether the end node is where the size puts it.
func (c *tlsfCandidate) ends(m *ram) bool {
	w := c.pool(m).walker()
	n := chainNode{at: w.end}
	w.read(&n)
	return n.bad&^chainNoPrev == 0
}

// nodes judges the end node and the first nodes, up to a sample of them.
func (c *tlsfCandidate) nodes(m *ram) bool {
	w := c.pool(m).walker()
	w.quick = true
	w.seeker, w.budget = w, tlsfSearchBudget
	end := chainNode{at: w.end}
	w.read(&end)
	switch {
	case end.bad == 0 && w.magic:
		c.say(4, "the end node lies at %s, where the size %#x puts it, with a right magic", w.end, c.size)
	case end.bad == 0:
		c.say(3, "the end node lies at %s, where the size %#x puts it", w.end, c.size)
	case end.bad&chainMissing == 0:
		c.score -= 2
	}
	c.ended = end.bad == 0
	first := chainNode{at: w.start}
	w.read(&first)
	c.begun = first.bad&chainMissing == 0 && w.link(nil, &first) == chainNames &&
		(w.firstPrev() != 0 || first.bad&chainLost == 0) // zeroes lie everywhere
	if c.begun {
		if c.layout.A {
			c.say(2, "the first node, at %s, names none in front of it", w.start)
		} else {
			c.say(4, "the first node, at %s, names the end node as its previous one", w.start)
		}
	}
	if !c.begun && !c.ended {
		return false // one of them may be damaged
	}
	var good, all int
	var s, next chainSeen
	for w.look(&s, w.start, nil); all < tlsfSample && s.at < w.end; all++ {
		if s.bad&(chainNoSize|chainMissing) != 0 { // it goes on behind damage
			at, front := w.sync(s.at+w.align, s.at)
			switch {
			case s.at != w.start:
			case front == w.start && at < w.end:
				c.say(0, "the first node, at %s, is damaged, and the one behind it names it", w.start)
			default:
				c.score -= 4
			}
			w.look(&s, at, nil)
			continue
		}
		w.look(&next, s.at+s.length, &s)
		if s.bad == 0 && next.bad&chainMissing == 0 && w.link(&s.chainNode, &next.chainNode) != chainDenies {
			good++
		}
		s, next = next, s
	}
	c.sound, c.seen = good, all
	more := "sizes, and links to the previous node"
	if w.magic {
		more = "magics, sizes, and links to the previous node"
		c.score++
	}
	c.say(10*good/max(all, 1), "of %d nodes from the first on, %d are sound: %s", all, good, more)
	return true
}
