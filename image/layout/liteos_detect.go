package layout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// Which configuration a pool has is found out by trying them all: of each, the
// invariants are counted that hold at places where it puts something. Most
// configurations put the end node elsewhere and fail at once.

// enough is the score from which a place is taken for a pool: more than a head
// and lists without nodes give.
const enough = 12

// least is the score that will do where somebody says that there is a pool.
const least = 5

// sample is how many nodes are looked at to judge a configuration.
const sample = 256

// candidate is one configuration tried at one place.
type candidate struct {
	layout   LiteOS
	addr     heap.Addr
	size     uint64
	next     heap.Addr
	score    int
	evidence []string
	selfBad  bool
	// of the first seen nodes, sound ones are, at most row of them in a row
	sound, seen, row int
	cut              bool // the end node is not in the image
}

// lostTask is the owner of a used node whose task ID was overwritten. IDs have 16
// bits.
const lostTask heap.Owner = 1 << 16

// liteOwners says that 0 is the ID of a task as any other. Nodes from before there
// were tasks have the first ID behind the last task's. It is not changed.
var liteOwners = map[heap.Owner]string{0: "0", lostTask: "unknown"}

// pool opens the pool.
func (c *candidate) pool(m *ram) *LiteOSPool {
	p := &LiteOSPool{Layout: c.layout, Addr: c.addr, Size: c.size, Next: c.next, mem: m.mem}
	p.about = About{
		System: "liteos", Layout: c.layout.String(), PointerSize: c.layout.Offsets().Word,
		Span:  heap.Span{Start: c.addr, End: c.addr + heap.Addr(c.size)},
		Sound: c.sound, Seen: c.seen, Evidence: c.evidence, Owners: liteOwners,
	}
	if end := c.addr + heap.Addr(c.size); m.bytes(end-1, 1) == nil {
		p.about.Doubts = append(p.about.Doubts, fmt.Sprintf("the pool ends at %s, which is not in the image", end))
	}
	return p
}

func (c *candidate) say(points int, format string, args ...any) {
	c.score += points
	c.evidence = append(c.evidence, fmt.Sprintf(format, args...))
}

// beyond returns the evidence for c that there is not for other.
func (c *candidate) beyond(other *candidate) string {
	var more []string
	for _, text := range c.evidence {
		if !slices.Contains(other.evidence, text) {
			more = append(more, text)
		}
	}
	return strings.Join(more, ", ")
}

// detect tries all configurations at addr, and returns those that have
// something to be said for them, the likeliest first.
func (m *ram) detect(addr heap.Addr, h *liteHints) []*candidate {
	var all []*candidate
	for _, bits64 := range []bool{false, true} {
		for _, head := range m.heads(addr, bits64, h.head) {
			for _, l := range nodeLayouts(head) {
				if c := m.score(addr, l); c != nil {
					all = append(all, c)
				}
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *candidate) int { return cmp.Compare(b.score, a.score) })
	return all
}

// nodeLayouts returns all configurations of nodes with a pool head like that
// of l, simple ones first.
func nodeLayouts(l LiteOS) []LiteOS {
	var all []LiteOS
	for _, l.HeadBackup = range []bool{false, true} {
		for _, l.RecordInfo = range []bool{false, true} {
			for l.LRs = 0; l.LRs <= MaxLRs; l.LRs++ {
				l.LeakCheck = l.LRs > 0
				all = append(all, l)
			}
		}
	}
	return all
}

// heads returns the configurations of the pool's head that put its lists where
// lists are; without lists, the one that is known and the usual ones.
func (m *ram) heads(addr heap.Addr, bits64 bool, known *LiteOS) []LiteOS {
	o := LiteOS{Bits64: bits64}.Offsets()
	at, ok := m.findLists(addr, o.Word)
	// With the first or the last of the lists damaged, a row that begins with the
	// next pair or the one in front looks as good: the nodes tell which is right.
	pair := 2 * o.Word
	var all []LiteOS
	add := func(l LiteOS) {
		l.Bits64 = bits64
		if l.Validate() != nil || slices.Contains(all, l) {
			return
		}
		if lists := l.Offsets().Lists; !ok || lists == at || lists == at-pair || lists == at+pair {
			all = append(all, l)
		}
	}
	if known != nil {
		add(*known)
	}
	if !ok {
		for _, mul := range []bool{true, false} {
			add(LiteOS{TaskStat: true, Tasks: 64, MulPool: mul})
			add(LiteOS{MulPool: mul})
		}
		return all
	}
	for _, mul := range []bool{true, false} {
		add(LiteOS{MulPool: mul})
		most := (at + pair - o.Lists) / 8
		for d := range 4 + 2*pair/8 { // up to 24 bytes are no counts of tasks: totals, padding, chain
			add(LiteOS{TaskStat: true, Tasks: most - d, MulPool: mul})
		}
	}
	return all
}

// listsAt is where lists were found, or not, behind addr.
type listsAt struct {
	addr heap.Addr
	off  int
	ok   bool
}

// findLists returns where behind addr lie 26 list heads in a row: pairs of
// links that lead to something that links back, nearly all of them. What it
// found at the last address it remembers: many layouts are tried at one.
func (m *ram) findLists(addr heap.Addr, w int) (off int, ok bool) {
	last := &m.lists[w/8]
	if last.addr != addr || addr == 0 {
		*last = listsAt{addr: addr}
		last.off, last.ok = m.searchLists(addr, w)
	}
	return last.off, last.ok
}

func (m *ram) searchLists(addr heap.Addr, w int) (off int, ok bool) {
	const most = 8*(MaxTasks+1) + 32
	const few = 4 // that may be damaged
	b := m.some(addr, most+2*w*freeLists)
	end := m.cutEnd(addr, w)
	from := LiteOS{Bits64: w == 8}.Offsets().Lists / w
	best := 0
	// A row begins at every second word of the pool's head or at the others: how
	// many of the last 26 pairs of each kind are sound is counted on the way.
	var sound [2]int
	valid := make([]bool, 0, most/w)
	for i := from; (i+2)*w <= len(b); i++ {
		k := len(valid)
		v := m.listHead(uint64(addr)+uint64(i*w), word(b[i*w:], w), word(b[(i+1)*w:], w), end, w)
		valid = append(valid, v)
		count := &sound[k%2]
		if v {
			*count++
		}
		if k >= 2*freeLists && valid[k-2*freeLists] {
			*count--
		}
		if *count > best && k >= 2*(freeLists-1) {
			best, off = *count, (i-2*(freeLists-1))*w
		}
		// The first such row is the pool's; nearby it can only look better.
		if best == freeLists || best >= freeLists-few && (i-2*(freeLists-1))*w > off+2*w*few {
			break
		}
	}
	return off, best >= freeLists-few
}

// listHead reports whether there can be the head of a list at `at`, with these
// links. A link to where the image has nothing is believed up to end.
func (m *ram) listHead(at, prev, next, end uint64, w int) bool {
	switch {
	case prev == at && next == at:
		return true
	case prev == 0 || next == 0 || prev == at || next == at || prev%4 != 0 || next%4 != 0:
		return false
	}
	back, ok := m.word(heap.Addr(next), w)
	if ok && back != at || !ok && (next < at || next >= end) {
		return false
	}
	forth, ok := m.word(heap.Addr(prev)+heap.Addr(w), w)
	return ok && forth == at || !ok && prev > at && prev < end
}

// score judges one configuration at addr; nil: its nodes cannot lie there.
func (m *ram) score(addr heap.Addr, l LiteOS) *candidate {
	o := l.Offsets()
	c := &candidate{layout: l, addr: addr}
	self, ok := m.word(addr, o.Word)
	if !ok {
		return nil
	}
	if self == uint64(addr) {
		c.say(2, "the word at %s points to itself, as a pool's head does", addr)
	} else {
		c.selfBad = true
	}
	size, _ := m.word(addr+heap.Addr(o.PoolSize), 4)
	c.size = size
	w := c.walker(m, o)
	if !plausibleSize(addr, size, &o) || !w.ends() {
		// The first node names the end node as its previous one.
		var h header
		w.end = 0
		if w.header(w.start, &h) && h.prev > uint64(w.start) {
			c.size = h.prev - uint64(addr) + uint64(o.Head)
		}
		if other := c.walker(m, o); c.size != size && plausibleSize(addr, c.size, &o) && other.ends() {
			w = other
			c.say(0, "the first node names %s as the end node, and there it is; the size in the pool's head, %#x, is wrong", w.end, size)
		} else if c.size = size; !plausibleSize(addr, size, &o) {
			return nil
		} else {
			w = c.walker(m, o)
		}
	}
	points := c.score
	c.nodes(w)
	if c.score == points && c.selfBad {
		return nil
	}
	if l.MulPool {
		c.chain(m, &o)
	}
	return c
}

// chain looks at the address of the next pool. With words of 8 bytes that is as
// long as the counts of one task, and lies 4 bytes further on: a configuration
// without chain and with one task more has bytes in use in front of it, and in its
// place the most there were of them, and padding.
func (c *candidate) chain(m *ram, o *Offsets) {
	next, _ := m.word(c.addr+heap.Addr(o.NextPool), o.Word)
	self, ok := m.word(heap.Addr(next), o.Word)
	used, _ := m.word(c.addr+heap.Addr(o.NextPool-4), 4)
	switch {
	case c.layout.TaskStat && o.Word == 8 && (used != 0 || next != 0 && next <= c.size):
		c.score--
	case next == 0:
		c.score++
	case ok && self == next && next != uint64(c.addr):
		c.next = heap.Addr(next)
		c.say(1, "another pool is chained to it, at %s", c.next)
	}
}

// walker returns a walker over the pool as it would be.
func (c *candidate) walker(m *ram, o Offsets) *walker {
	p := &LiteOSPool{Layout: c.layout, Addr: c.addr, Size: c.size, mem: m.mem}
	w := p.walker()
	w.near = true
	return w
}

// ends reports whether the end node is where it should be.
func (w *walker) ends() bool {
	var h header
	return w.header(w.end, &h) && h.size == uint32(w.o.Head)|usedBit && w.check(&h, w.end, 0)&^badSum == 0
}

// nodes judges the end node, the lists and the first nodes.
func (c *candidate) nodes(w *walker) {
	o := &w.o
	var first, end, backup header
	haveFirst := w.header(w.start, &first)
	haveEnd := w.header(w.end, &end)
	c.cut = !haveEnd
	switch {
	case c.cut:
	case w.check(&end, w.end, 0) == 0:
		c.say(6, "the end node lies at %s, where the size %#x puts it: its magic is the complement of its own address, its size %d that of a head", w.end, c.size, o.Head)
	case end.size == uint32(o.Head)|usedBit:
		c.say(2, "the size of the node at %s, the pool's end, is that of a head, %d", w.end, o.Head)
	}
	if haveFirst && w.check(&first, w.start, w.end) == 0 {
		c.say(5, "the first node lies at %s, with a right magic, and names the end node as its previous one", w.start)
	}
	if o.Own != 0 && w.backup(w.end, &backup) && backup.sameCopy(&first) && w.check(&backup, w.start, w.end) == 0 {
		c.say(3, "the end node holds a backup of the first node's header, with a right checksum")
	}
	if c.score < 5 {
		return
	}
	if at, ok := w.m.findLists(c.addr, o.Word); ok && at == o.Lists {
		c.say(3, "%d list heads lie at %s", freeLists, w.lists)
	}
	c.walk(w)
}

// walk judges the first nodes, up to a sample of them.
func (c *candidate) walk(w *walker) {
	var s seen
	var good, all, used, asSize, module, row int
	at, prev := w.start, w.end
	for all < sample && at < w.end {
		w.look(&s, at, prev)
		all++
		if row++; s.own != 0 {
			row = 0
		}
		c.row = max(c.row, row)
		if s.lost {
			if !s.exact || !w.confirms(at, s.size) {
				break
			}
		} else if s.own == 0 {
			good++
			if s.h.used() {
				used++
				if w.wordAsSize(&s) {
					asSize++
				}
				if w.o.module(&s.h) != 0 {
					module++
				}
			}
		}
		at, prev = at+s.size, at
	}
	c.sound, c.seen = good, all
	if all == 0 {
		return
	}
	more := "magics or list links, and links to the previous node"
	if w.o.Sum >= 0 {
		more += ", checksums, backups"
	}
	c.say(10*good/all, "of %d nodes from the first on, %d are sound: %s", all, good, more)
	if module > 0 {
		c.layout.MulModule = true
		c.say(0, "%d of %d used nodes name a module beside the task", module, used)
	}
	// With and without RECORDINFO, one LR more makes headers of the same
	// length. What tells them apart is what the word looks like.
	switch {
	case used == 0 || w.o.Orig < 0 && w.o.LR < 0:
	case w.o.Orig >= 0 && 2*asSize > used:
		c.say(2, "the word behind the links is, in %d of %d used nodes, a size that fits the node", asSize, used)
	case w.o.Orig < 0 && 2*asSize <= used:
		c.say(2, "the word behind the links is no size in %d of %d used nodes", used-asSize, used)
	}
}

// module returns the module ID beside the task ID.
func (o *Offsets) module(h *header) uint64 {
	if o.Word == 8 {
		return h.first >> 48
	}
	return h.second >> 16
}

// wordAsSize reports whether the word where a size asked for or else the first
// LR lies is a size that a node as long as s is allocated for.
func (w *walker) wordAsSize(s *seen) bool {
	o := &w.o
	at := max(o.Orig, 0)
	if at == 0 {
		at = max(o.LR, 0)
	}
	v, ok := w.m.word(s.at+heap.Addr(o.Own+at), 4)
	room := uint64(s.size) - uint64(o.Head)
	return ok && v != 0 && v <= room && room-v < uint64(o.Head)+64
}
