package layout

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// The free lists are chained in both directions but have no tail: what a
// damaged link was is known from the node that it led to, which names its own
// predecessor. Finding that takes a look at all free nodes, and is done only
// where something is wrong.

// A tlsfEntry is a free node with its links as they stand in it.
type tlsfEntry struct {
	at, prev, next heap.Addr
	list           int
}

// tlsfFree is all free nodes of a pool and where its lists begin.
type tlsfFree struct {
	nodes  []tlsfEntry // by address
	byPrev []int32     // by what they name as the previous one
	byNext []int32
	heads  [tlsfLists]heap.Addr
	some   bool   // there are more
	holes  bool   // nodes are damaged that may be free as well
	gaps   uint64 // bytes that sound gap nodes bridge
}

// tlsfMaxFree bounds the free nodes that are looked at where something is wrong
// with the lists.
const tlsfMaxFree = 1 << 18

// lists collects all free nodes, once.
func (w *tlsfWalk) lists() *tlsfFree {
	if w.free != nil {
		return w.free
	}
	f := &tlsfFree{}
	w.free = f
	for i := range f.heads {
		v, _ := w.far.word(w.p.head()+heap.Addr(w.o.Lists+i*w.o.Word), w.o.Word)
		f.heads[i] = heap.Addr(v)
	}
	if w.quick {
		return f
	}
	sub := w.p.walker()
	sub.quick = true
	sub.visit = func(n *heap.Node) bool {
		if n.State == heap.Free {
			if e, ok := w.entry(n.Addr, n.Total); ok {
				f.nodes = append(f.nodes, e)
			}
		}
		f.some = len(f.nodes) == tlsfMaxFree
		return !f.some
	}
	sub.run()
	f.holes = len(sub.survey.Gaps) > 0 || len(sub.lost) > 0
	f.gaps = sub.hidden.bytes - sub.hidden.nodes*uint64(w.o.Head)
	f.sort()
	// Where a header is lost, others may say that the node is free.
	for i := range sub.lost {
		if s := &sub.lost[i]; f.listed(s.at) {
			if e, ok := w.entry(s.at, uint64(s.size)); ok {
				f.nodes = append(f.nodes, e)
			}
		}
	}
	f.sort()
	return f
}

// sort makes nodes fit to be searched.
func (f *tlsfFree) sort() {
	slices.SortFunc(f.nodes, func(a, b tlsfEntry) int { return cmp.Compare(a.at, b.at) })
	f.byPrev, f.byNext = make([]int32, len(f.nodes)), make([]int32, len(f.nodes))
	for i := range f.nodes {
		f.byPrev[i], f.byNext[i] = int32(i), int32(i)
	}
	slices.SortFunc(f.byPrev, func(a, b int32) int { return cmp.Compare(f.nodes[a].prev, f.nodes[b].prev) })
	slices.SortFunc(f.byNext, func(a, b int32) int { return cmp.Compare(f.nodes[a].next, f.nodes[b].next) })
}

// entry reads the links of the free node at `at`.
func (w *tlsfWalk) entry(at heap.Addr, size uint64) (tlsfEntry, bool) {
	b := w.far.bytes(at+heap.Addr(w.o.Links), 2*w.o.Word)
	if b == nil {
		return tlsfEntry{}, false
	}
	return tlsfEntry{at, heap.Addr(word(b, w.o.Word)), heap.Addr(word(b[w.o.Word:], w.o.Word)), tlsfList(size)}, true
}

// at returns the free node at addr, nil if there is none.
func (f *tlsfFree) at(addr heap.Addr) *tlsfEntry {
	i, ok := slices.BinarySearchFunc(f.nodes, addr, func(e tlsfEntry, a heap.Addr) int { return cmp.Compare(e.at, a) })
	if !ok {
		return nil
	}
	return &f.nodes[i]
}

// before returns the node that names addr as the next one, nil if there is none
// or more than one.
func (f *tlsfFree) before(addr heap.Addr) *tlsfEntry {
	return f.only(f.byNext, addr, func(e *tlsfEntry) heap.Addr { return e.next })
}

// behind returns the node that names addr as the previous one, nil if there is
// none or more than one.
func (f *tlsfFree) behind(addr heap.Addr) *tlsfEntry {
	return f.only(f.byPrev, addr, func(e *tlsfEntry) heap.Addr { return e.prev })
}

func (f *tlsfFree) only(sorted []int32, addr heap.Addr, key func(*tlsfEntry) heap.Addr) *tlsfEntry {
	i, ok := slices.BinarySearchFunc(sorted, addr, func(e int32, a heap.Addr) int { return cmp.Compare(key(&f.nodes[e]), a) })
	if !ok || i+1 < len(sorted) && key(&f.nodes[sorted[i+1]]) == addr {
		return nil
	}
	return &f.nodes[sorted[i]]
}

// listed reports whether a list or another free node names the node at addr.
func (f *tlsfFree) listed(addr heap.Addr) bool {
	return slices.Contains(f.heads[:], addr) || f.before(addr) != nil || f.behind(addr) != nil
}

// around returns the links that a free node must hold; ok: its place in the
// list is known.
func (f *tlsfFree) around(addr heap.Addr, size uint64) (before, behind heap.Addr, ok bool) {
	if e := f.behind(addr); e != nil {
		behind = e.at
	}
	if f.heads[tlsfList(size)] == addr {
		return 0, behind, true
	}
	if e := f.before(addr); e != nil {
		return e.at, behind, true
	}
	return 0, 0, false
}

// wrong reports whether a link of e contradicts what other nodes say.
func (f *tlsfFree) wrong(e *tlsfEntry) bool {
	first := f.heads[e.list] == e.at
	s, t := f.before(e.at), f.behind(e.at)
	switch p := f.at(e.prev); {
	case e.prev == 0:
		if !first && s != nil {
			return true
		}
	case p == nil, first, p.next != e.at && s != nil && s.list == e.list:
		return true
	}
	if e.next == 0 {
		return t != nil && t.list == e.list
	}
	n := f.at(e.next)
	if n == nil || n.list != e.list {
		return true
	}
	if n.prev == e.at {
		return false
	}
	// Which of the two links is right, another node has to say.
	o := f.at(n.prev)
	return t != nil && t.list == e.list || o != nil && o.next == n.at || n.prev == 0 && f.heads[n.list] == n.at
}

// astray reports whether the node at addr, which the free node at from names,
// cannot be told to be in use or absent although it is not among the free ones:
// it is damaged, its place could not be read, or it names from itself. back is
// where that link lies.
func (w *tlsfWalk) astray(f *tlsfFree, addr, from heap.Addr, back int, told map[heap.Addr]bool) bool {
	if addr == 0 || f.at(addr) != nil {
		return false
	}
	if told[addr] || w.unread(addr) {
		return true
	}
	v, ok := w.far.word(addr+heap.Addr(w.o.Links+back), w.o.Word)
	return ok && heap.Addr(v) == from && w.p.holds(addr)
}

// checkLists judges the bitmap and the lists. What has been reported about a
// node is not reported again.
func (w *tlsfWalk) checkLists() {
	ok, n := w.followLists()
	if ok && (n == w.survey.Stats.FreeNodes || len(w.survey.Gaps) > 0) {
		return
	}
	f := w.lists()
	told := make(map[heap.Addr]bool, len(w.judge.told))
	for _, at := range w.judge.told {
		told[at] = true
	}
	for i := range f.nodes {
		e := &f.nodes[i]
		switch {
		case told[e.at]:
		case w.astray(f, e.prev, e.at, w.o.Word, told), w.astray(f, e.next, e.at, 0, told): // what it names may be right
		case f.wrong(e):
			var s chainSeen
			w.look(&s, e.at, nil)
			s.size, s.exact = s.length, true
			s.front = s.prev
			s.bad |= chainNoLinks
			w.judge.trail = nil
			if found := w.examine(nil, &s, nil); found != nil {
				w.say(found)
			}
		case e.prev == 0 && f.heads[e.list] != e.at && f.before(e.at) == nil && w.intactList(f, e.list, told):
			w.say(&heap.Finding{
				Kind: heap.FreeIndexWrong, Op: "check", Node: e.at,
				Detail: "its header says that it is free, but it is in no list of free nodes",
				Cause:  "its used flag was cleared by a stray write, or the image was taken in the middle of an operation",
			})
		}
	}
	if f.some {
		w.survey.Partial = fmt.Sprintf("the lists are wrong, and only the first %d free nodes were compared with them", tlsfMaxFree)
	} else if w.p.main == nil {
		firsts := f.firsts(told)
		var want, unsure [4 * tlsfBitmap]byte
		for i := range f.heads {
			holds, sure := w.checkList(f, i, firsts[i], told)
			if holds {
				want[i/8] |= 1 << (i % 8)
			}
			if !sure {
				unsure[i/8] = 1
			}
		}
		w.checkBitmap(want[:], unsure[:])
	}
}

// followLists goes along all lists and counts the free nodes in them that lie in
// this region; ok: nothing is wrong with any.
func (w *tlsfWalk) followLists() (ok bool, n uint64) {
	ws := heap.Addr(w.o.Word)
	limit := w.survey.Stats.FreeNodes + w.p.others() + 1
	ok = true
	for i := range heap.Addr(tlsfLists) {
		v, have := w.far.word(w.p.head()+heap.Addr(w.o.Lists)+i*ws, w.o.Word)
		bits, have2 := w.far.word(w.p.head()+heap.Addr(w.o.Bitmap)+i/32*4, 4)
		if !have || !have2 {
			return true, w.survey.Stats.FreeNodes // not in the image
		}
		ok = ok && (v != 0) == (bits>>(i%32)&1 != 0)
		before := heap.Addr(0)
		for v != 0 {
			at := heap.Addr(v)
			b := w.far.bytes(at, w.o.FreeHead)
			if b == nil {
				return w.p.holds(at) && ok, w.survey.Stats.FreeNodes
			}
			size := uint32(word(b[w.o.Size:], 4))
			if !w.p.holds(at) || heap.Addr(word(b[w.o.Links:], w.o.Word)) != before || size>>24&tlsfUsed != 0 ||
				tlsfList(uint64(size&w.mask>>w.shift)) != int(i) {
				return false, n
			}
			if at >= w.start && at < w.end {
				n++
			}
			if limit--; limit == 0 {
				return false, n
			}
			before, v = at, word(b[w.o.Links+w.o.Word:], w.o.Word)
		}
	}
	return ok, n
}

// listBit returns what the bitmap says about a list.
func (w *tlsfWalk) listBit(i int) bool {
	v, _ := w.far.word(w.p.head()+heap.Addr(w.o.Bitmap+i/32*4), 4)
	return v>>(i%32)&1 != 0
}

// intactList reports whether a list that a node is missing in begins as it
// should, so that it is the node that is wrong.
func (w *tlsfWalk) intactList(f *tlsfFree, i int, told map[heap.Addr]bool) bool {
	head := f.heads[i]
	if head == 0 {
		return !w.listBit(i)
	}
	return f.at(head) != nil && !told[head]
}

// A tlsfFirst is a node that can be the first one of a list, and how many can.
type tlsfFirst struct {
	at heap.Addr
	n  int
}

// firsts returns the nodes of each list that no node names as the next one.
func (f *tlsfFree) firsts(told map[heap.Addr]bool) (all [tlsfLists]tlsfFirst) {
	for i := range f.nodes {
		if e := &f.nodes[i]; f.before(e.at) == nil && (e.prev == 0 || told[e.at]) {
			all[e.list].at = e.at
			all[e.list].n++
		}
	}
	return all
}

// checkList judges where one list begins, and returns whether it should hold a
// node; sure: that is certain.
func (w *tlsfWalk) checkList(f *tlsfFree, i int, first tlsfFirst, told map[heap.Addr]bool) (holds, sure bool) {
	head := f.heads[i]
	want := head
	sure = true
	if e := f.at(head); head == 0 && w.listBit(i) || head != 0 && (e == nil || e.list != i) && !w.p.elsewhere(head) && !told[head] && !w.unread(head) {
		want, sure = first.at, first.n <= 1
	}
	ws := w.o.Word
	if want != head {
		w.sayHead(w.o.Lists+i*ws, ws, uint64(head), uint64(want), sure, fmt.Sprintf("first node of free list %d", i))
	}
	return want != 0, sure
}

// unread reports whether addr lies where the walk could not tell one node from
// the next, so that a free node may be there.
func (w *tlsfWalk) unread(addr heap.Addr) bool {
	return slices.ContainsFunc(w.survey.Gaps, func(g Gap) bool { return addr >= g.Start && addr < g.End })
}

// checkBitmap judges the bitmap: want is what it should be, byte by byte.
func (w *tlsfWalk) checkBitmap(want, unsure []byte) {
	b := w.far.bytes(w.p.Addr+heap.Addr(w.o.Bitmap), len(want))
	for i := range b {
		if b[i] != want[i] {
			w.sayHead(w.o.Bitmap+i, 1, uint64(b[i]), uint64(want[i]), unsure[i] == 0, fmt.Sprintf("bitmap, free lists %d to %d", 8*i, 8*i+7))
		}
	}
}

// sayHead reports a wrong field of the pool's head; sure: want is what it was.
func (w *tlsfWalk) sayHead(off, n int, have, want uint64, sure bool, name string) {
	at := w.p.Addr + heap.Addr(off)
	f := &heap.Finding{
		Kind: heap.PoolHeadDamaged, Op: "check", Node: w.p.Addr, Recovered: sure,
		Fields: []heap.Field{{Name: name, Header: fmt.Sprintf("%#x", have), Differs: true}},
		Span:   heap.Span{Start: at, End: at + heap.Addr(n)},
		Detail: "the nodes say what it should be",
		Cause:  "a stray write, or one past the end of what lies in front of the pool in memory: no node lies in front of the pool's head",
	}
	if off >= w.o.Bitmap {
		f.Kind = heap.FreeIndexWrong
	}
	if sure {
		f.Fields[0].Backup = fmt.Sprintf("%#x", want)
		if len(w.survey.Patches) < maxFindings {
			b := make([]byte, n)
			for i := range b {
				b[i] = byte(want >> (8 * i))
			}
			w.survey.Patches = append(w.survey.Patches, Patch{Addr: at, New: b, Why: "the pool's head"})
		}
	} else {
		f.Detail = "no free node can be there, and which one it was is not known"
	}
	w.say(f)
}
