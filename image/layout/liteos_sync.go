package layout

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// How to go on where a header is not sound, best witness first:
//
//  1. the backup of it in the node in front;
//  2. the header's own size, or the backup's, if the node that begins where it
//     says names this one as its previous node;
//  3. the backup of the next header that the node itself holds: its magic says
//     where that header lies;
//  4. the next place in memory that looks like the start of a node and is
//     confirmed by the one behind it.
//
// Memory that was freed or merged is full of former headers, with right magics
// and checksums. The node behind a former header names another previous node,
// or is none: that is why nothing is believed before the next node confirms it.

// weigh decides what the node s is whose own header is not sound.
func (w *walker) weigh(s *seen) {
	if w.o.Own != 0 && s.copy == 0 {
		s.h, s.size = w.b, w.b.length()
		return
	}
	own, backup := &s.h, w.b
	s.lost, s.exact = true, true
	haveOwn, haveCopy := s.own&missing == 0, w.o.Own != 0 && s.copy&missing == 0
	ownSize := haveOwn && s.own&badSize == 0
	copySize := haveCopy && s.copy&badSize == 0
	s.syncPrev = 0
	switch {
	case s.at == w.end:
		s.size = heap.Addr(w.o.Head)
	case ownSize && w.confirms(s.at, own.length()):
		s.size = own.length()
	case copySize && w.confirms(s.at, backup.length()):
		s.size = backup.length()
	default:
		if n, ok := w.nextByBackup(s.at); ok {
			s.size = n - s.at
			break
		}
		w.extend(s, s.at+heap.Addr(w.o.Word))
		s.exact = s.exact || ownSize && own.length() == s.size || copySize && backup.length() == s.size
	}
	w.infer(s, haveOwn, haveCopy, &backup)
}

// extend makes s reach up to the next start of a node from `from` on.
func (w *walker) extend(s *seen, from heap.Addr) {
	if w.near {
		s.size, s.syncPrev, s.exact = w.end-s.at, 0, false
		return
	}
	q, prev := w.sync(from, w.end, s.at, s.prev, false)
	s.size, s.syncPrev, s.exact = q-s.at, prev, prev == s.at
	if prev >= from && prev < q {
		s.size = prev - s.at // what lies there is looked at next
	}
}

// infer puts together what is known of a header from what it must be, from
// what is left of it and of its backup, and from the free lists.
func (w *walker) infer(s *seen, haveOwn, haveCopy bool, backup *header) {
	o := &w.o
	own := s.h
	ownAddr := s.at + heap.Addr(o.Own)
	magic := func(h *header) bool { return uint32(h.first) == ^uint32(ownAddr) }
	h := header{size: uint32(s.size)}
	s.known = 0
	link := w.listed(ownAddr)
	switch {
	case haveOwn && magic(&own) || haveCopy && magic(backup) || s.at == w.end:
		h.size |= usedBit
	case link != nil && link.before != 0 && link.behind != 0:
	case haveOwn && own.length() == s.size && own.size>>30 != 1:
		h.size |= own.size & usedBit
	case link != nil:
	default:
		h.size |= usedBit // all free nodes are in the lists
	}
	if s.prev != 0 {
		h.prev = uint64(s.prev)
		s.known |= hasPrev
	}
	switch {
	case h.used():
		h.first = uint64(^uint32(ownAddr))
		h.second = own.second
		if o.Word == 8 {
			h.first |= own.first &^ 0xffffffff
		} else {
			s.known |= hasFirst
		}
		s.known |= hasSize
		switch {
		case s.at == w.end:
		case haveOwn && own.length() == s.size && own.used():
			h.size |= own.size & alignBit
		case w.gapWord(s.at, s.size) != 0:
			h.size |= alignBit
		}
	case link != nil && link.before != 0 && link.behind != 0:
		h.first, h.second = uint64(link.before), uint64(link.behind)
		s.known |= hasFirst | hasSecond | hasSize
	default:
		s.known |= hasSize
	}
	if !s.exact {
		s.known &^= hasSize
	}
	if h.prev == 0 && haveOwn {
		h.prev = own.prev
	}
	if haveOwn {
		h.gap, h.sum = own.gap, own.sum
	}
	s.h = h
	if o.Sum >= 0 && s.exact {
		w.solve(s, haveOwn, haveCopy, &own, backup)
	}
}

// solve looks for the one combination of what the header, its backup and the
// surroundings say that a stored checksum confirms.
func (w *walker) solve(s *seen, haveOwn, haveCopy bool, own, backup *header) {
	var from []*header
	if haveOwn {
		from = append(from, own)
	}
	if haveCopy {
		from = append(from, backup)
	}
	sizes := []uint32{s.h.size, s.h.size | alignBit}
	if !s.h.used() {
		sizes = sizes[:1]
	}
	for _, sum := range from {
		for _, second := range append(from, &s.h) {
			for _, gap := range append(from, &header{}) {
				for _, high := range append(from, &s.h) {
					for _, size := range sizes {
						h := s.h
						h.second, h.gap, h.size = second.second, gap.gap, size
						if w.o.Word == 8 && h.used() {
							h.first = h.first&0xffffffff | high.first&^0xffffffff
						} else if !h.used() && s.known&hasFirst == 0 {
							h.first = high.first
						}
						if h.sum = sum.sum; h.sum == w.o.checksum(&h) {
							s.h, s.known, s.lost = h, hasAll, false
							return
						}
					}
				}
			}
		}
	}
}

// confirms reports whether a node begins length behind the start of the node
// at, and names that as its previous node.
func (w *walker) confirms(at, length heap.Addr) bool {
	var h header
	next := at + length
	if next > w.end || next <= at {
		return false
	}
	if w.header(next, &h) && w.check(&h, next, at) == 0 {
		return true
	}
	if w.o.Own == 0 || !w.backup(at, &h) || w.check(&h, next, at) != 0 {
		return false
	}
	// The header of a free node would be right anywhere: the lists say where.
	return h.used() || w.listed(next+heap.Addr(w.o.Own)) != nil
}

// nextByBackup returns where the node behind the one at begins according to the
// backup of its header.
func (w *walker) nextByBackup(at heap.Addr) (heap.Addr, bool) {
	var b header
	if w.o.Own == 0 || !w.backup(at, &b) || b.prev != uint64(at) || b.sum != w.o.checksum(&b) || !b.used() {
		return 0, false
	}
	own := at&^0xffffffff | heap.Addr(^uint32(b.first))
	if own < at {
		own += 1 << 32
	}
	next := own - heap.Addr(w.o.Own)
	if own < heap.Addr(w.o.Own) || next < at+heap.Addr(w.o.Head) || next > w.end || next&heap.Addr(w.o.Word-1) != 0 || w.check(&b, next, at) != 0 {
		return 0, false
	}
	var h header
	if w.header(next, &h) && w.check(&h, next, 0) == 0 && h.prev != uint64(at) {
		return 0, false // from another time
	}
	return next, true
}

// chain is how many nodes in a row must confirm each other before a place is
// believed to be the start of a node that nothing else leads to.
const chain = 8

// starts reports whether a node begins at q, and which one it names as the
// previous one; 0: its own header is gone. It is certain if others confirm it,
// and else no more than a header that fits the place: its end is returned.
func (w *walker) starts(q, near1, near2 heap.Addr) (prev, end heap.Addr, certain bool) {
	var h header
	if w.header(q, &h) && w.check(&h, q, 0) == 0 {
		prev = heap.Addr(h.prev)
		if prev >= w.start && prev < q && prev&heap.Addr(w.o.Word-1) == 0 {
			end = q + h.length()
			near := prev == near1 || prev == near2
			links, ends, at := w.follow(q)
			switch {
			case near && w.names(at, prev):
				return 0, 0, false // a former node inside the one that ends there
			case ends || links == chain:
				return prev, end, true
			}
			if !h.used() && links == 0 && w.listed(q+heap.Addr(w.o.Own)) == nil {
				end = 0
			}
		}
	}
	if _, found := w.nextByBackup(q); found && end == 0 {
		return 0, 0, true
	}
	return prev, end, false
}

// follow counts how many nodes from the one at q on are confirmed by the next
// one, up to chain of them, and returns where that ends.
func (w *walker) follow(q heap.Addr) (links int, ends bool, at heap.Addr) {
	var h header
	for at = q; links < chain && w.header(at, &h); links++ {
		n := h.length()
		if !w.confirms(at, n) {
			return links, false, at + n
		}
		if at += n; at == w.end {
			return links + 1, true, at
		}
	}
	return links, false, at
}

// names reports whether the node at `at` is sound and names prev as the
// previous one.
func (w *walker) names(at, prev heap.Addr) bool {
	var h header
	return w.header(at, &h) && w.check(&h, at, prev) == 0
}

// sync returns the first start of a node in [from, limit), and which node that
// names as the previous one, 0 if that is not known. If there is none it
// returns the limit. A node that names near1 or near2 is believed sooner; with
// strict, no other.
func (w *walker) sync(from, limit, near1, near2 heap.Addr, strict bool) (q, prev heap.Addr) {
	ws := heap.Addr(w.o.Word)
	var weak [32]struct{ at, end, prev heap.Addr } // that nothing confirms yet
	n := 0
	q = limit
	horizon := limit
	if strict && w.spent > w.budget() {
		return limit, 0
	}
	for at := (from + ws - 1) &^ (ws - 1); at < horizon; {
		c, ok := w.candidate(at, horizon)
		if !ok {
			w.spent += uint64(horizon - at)
			break
		}
		w.spent += uint64(c-at) + lookCost
		p, end, certain := w.starts(c, near1, near2)
		switch {
		case certain && p != 0 && (p == near1 || p == near2):
			return c, p
		case strict:
		case certain:
			q, prev, at = c, p, limit
			continue
		case end != 0 && n < len(weak):
			weak[n].at, weak[n].end, weak[n].prev = c, end, p
			if n++; w.spent > w.budget() {
				horizon = min(horizon, weak[0].at+16*heap.Addr(w.o.Head))
			}
		}
		at = c + ws
	}
	if strict {
		return limit, 0
	}
	var h header
	if q == w.end && w.header(q, &h) && w.check(&h, q, 0) == 0 {
		prev = heap.Addr(h.prev)
	}
	if prev != 0 && (prev == near1 || prev == near2) {
		return q, prev
	}
	// Between here and there nodes may lie that are sound and have only damaged
	// neighbours.
	bound := q
	if prev >= from && prev < q {
		bound = prev
	}
	for _, c := range weak[:n] {
		if c.end <= bound {
			return c.at, c.prev
		}
	}
	return q, prev
}

// budget is how much a walk may spend, in bytes, on looking further than the
// next place where a node may begin. Pools with so much damage that it is spent
// are judged by what lies nearby, so that the time stays linear.
func (w *walker) budget() uint64 { return 8 * w.p.Size }

// lookCost is what a closer look at one place costs, in bytes passed over.
const lookCost = 256

// candidate returns the first place in [at, limit) that passes a quick test:
// the header there holds its own address as a magic, or could be that of a free
// node, or the backup there names the place as its previous node.
func (w *walker) candidate(at, limit heap.Addr) (heap.Addr, bool) {
	o := &w.o
	ws := heap.Addr(o.Word)
	for at < limit {
		b := w.m.some(at, int(min(limit-at, 1<<20))+o.Head)
		n := len(b) - o.Head
		if n <= 0 {
			s := w.m.index(at + heap.Addr(len(b)) + 1)
			if s >= len(w.m.spans) || w.m.spans[s].Addr >= limit {
				return 0, false
			}
			at = max(at+ws, (w.m.spans[s].Addr+ws-1)&^(ws-1))
			continue
		}
		magic, size, prev := o.Own, o.Own+o.Size, o.Own+o.Prev
		low, high := uint32(w.start), uint32(w.end)
		for i := 0; i < n; i += o.Word {
			q := uint32(at) + uint32(i)
			if binary.LittleEndian.Uint32(b[i+magic:]) == ^(q + uint32(o.Own)) {
				return at + heap.Addr(i), true
			}
			if o.Own != 0 && binary.LittleEndian.Uint32(b[i+o.Prev:]) == q {
				return at + heap.Addr(i), true
			}
			if v := binary.LittleEndian.Uint32(b[i+size:]); v <= sizeMask && v >= uint32(o.Head) {
				if p := binary.LittleEndian.Uint32(b[i+prev:]); p-low < high-low && p-low < q-low {
					return at + heap.Addr(i), true
				}
			}
		}
		at += heap.Addr((n + o.Word - 1) / o.Word * o.Word)
	}
	return 0, false
}

// recut looks again for the end of cur, whose size nothing but cur itself
// vouches for, because what begins there is not sound.
func (w *walker) recut(cur, next *seen) {
	inside := func(prev heap.Addr) bool { return prev > cur.at && prev < next.at }
	q := w.shorter(cur, next)
	switch {
	case q != 0:
		cur.size, cur.exact = q-cur.at, true
	case next.lost && next.syncPrev == cur.at && next.syncPrev != 0: // it is longer
		cur.size, cur.exact = next.at+next.size-cur.at, true
	case next.lost && inside(next.syncPrev), next.own == badPrev && inside(w.endsAt(next.at)):
		w.extend(cur, cur.at+heap.Addr(w.o.Ctl))
	default:
		return
	}
	cur.own |= badSize
	cur.h.size = cur.h.size&^sizeMask | uint32(cur.size)
	if !cur.lost {
		cur.lost, cur.known = true, hasAll&^hasSum
		if !cur.h.used() && w.listed(cur.at+heap.Addr(w.o.Own)) == nil { // it only looks free
			cur.own |= badMagic
			w.infer(cur, true, false, nil)
		}
	}
	if cur.known |= hasSize; !cur.exact {
		cur.known &^= hasSize
	}
	if cur.h.used() && w.gapWord(cur.at, cur.size) != 0 { // the flags lie in the same word
		cur.h.size |= alignBit
	}
	w.look(next, cur.at+cur.size, cur.at)
}

// endsAt returns the node that the header at next names as its previous one if
// that is sound and ends there; 0: it is not.
func (w *walker) endsAt(next heap.Addr) heap.Addr {
	var h header
	at := heap.Addr(w.rawPrev(next))
	if at < w.start || at >= next || !w.header(at, &h) || w.check(&h, at, 0) != 0 || at+h.length() != next {
		return 0
	}
	return at
}

// shorter returns where a node begins inside cur, if cur is shorter than it
// says: from there, nodes that confirm each other lead to where next names its
// previous node, or past it. Former nodes inside cur lead up to its end at most.
func (w *walker) shorter(cur, next *seen) heap.Addr {
	for from := cur.at + heap.Addr(w.o.Ctl); ; {
		q, prev := w.sync(from, next.at, cur.at, 0, true)
		if q >= next.at || prev != cur.at {
			return 0
		}
		from = q + heap.Addr(w.o.Word)
		var h header
		for at := q; w.header(at, &h) && w.confirms(at, h.length()); {
			last := at
			at += h.length()
			if at == next.at && next.own == badPrev && w.rawPrev(next.at) == uint64(last) || at > next.at {
				return q
			}
			if at >= next.at {
				break
			}
		}
	}
}

// A freeLink is what the free lists say about the free node whose header lies
// at addr.
type freeLink struct{ addr, before, behind heap.Addr }

// listed returns what the free lists say about the header at own; nil: it is in
// none.
func (w *walker) listed(own heap.Addr) *freeLink {
	if w.free == nil {
		w.free = w.readLists()
	}
	i, ok := slices.BinarySearchFunc(w.free, own, func(l freeLink, a heap.Addr) int { return cmp.Compare(l.addr, a) })
	if !ok {
		return nil
	}
	return &w.free[i]
}

// readLists follows all free lists in both directions, as far as they go, and
// returns every header that they name, in ascending order.
func (w *walker) readLists() []freeLink {
	ws := heap.Addr(w.o.Word)
	links := make([]freeLink, 0, 64)
	// More nodes than there is memory for are a circle.
	limit := int(min(w.p.Size, w.m.size(w.p.Addr, w.end))/uint64(w.o.Head)) + 2*freeLists
	for i := range heap.Addr(freeLists) {
		head := w.lists + 2*ws*i
		for _, forth := range []bool{true, false} {
			at := head
			mark, steps := at, 1 // Brent's algorithm: a circle must not use up the limit
			for n := 0; len(links) < limit; n++ {
				if n == steps {
					mark, steps = at, 2*steps
				}
				from := at
				if forth {
					from += ws
				}
				v, ok := w.far.word(from, w.o.Word)
				if !ok || heap.Addr(v) == head || !w.linkable(v) || heap.Addr(v) < w.start {
					break
				}
				l := freeLink{addr: heap.Addr(v), before: at}
				if !forth {
					l.before, l.behind = 0, at
				}
				links = append(links, l)
				if at = heap.Addr(v); at == mark {
					break
				}
			}
		}
	}
	slices.SortFunc(links, func(a, b freeLink) int { return cmp.Compare(a.addr, b.addr) })
	out := links[:0]
	for _, l := range links {
		if n := len(out); n > 0 && out[n-1].addr == l.addr {
			out[n-1].before = max(out[n-1].before, l.before)
			out[n-1].behind = max(out[n-1].behind, l.behind)
			continue
		}
		out = append(out, l)
	}
	return out
}
