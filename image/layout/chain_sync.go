package layout

import "github.com/heapwright/heapwright/heap"

// weigh decides how far cur reaches where nothing confirms the length in its
// header. said is what the header there says about cur.
func (w *chainWalk) weigh(cur, next *chainSeen, said chainLink) {
	if cur.bad&(chainNoSize|chainMissing) != 0 {
		w.extend(cur)
		return
	}
	if q := w.shorter(cur, next); q != 0 {
		cur.size = q - cur.at
		return
	}
	if next.bad&chainLost == 0 && w.anchored(&next.chainNode) {
		switch p := w.endsAt(&next.chainNode); {
		case said != chainDenies:
		case p > cur.at && p < next.at: // cur is shorter, and so is what lies between
			w.extend(cur)
		}
		return
	}
	// What the length leads to is no header, or one that nothing confirms.
	q, prev := w.sync(next.at+w.align, cur.at)
	switch {
	case prev == cur.at && prev != 0: // it is longer
		cur.size = q - cur.at
	case next.at == w.end:
	case prev == next.at:
	case cur.bad&chainLost != 0:
		w.extend(cur)
	}
}

// extend makes cur reach up to the next start of a node.
func (w *chainWalk) extend(cur *chainSeen) {
	q, prev := w.sync(cur.at+max(w.align, min(w.minimum, w.end-cur.at)), cur.at)
	cur.size, cur.exact = q-cur.at, prev == cur.at
	if prev > cur.at && prev < q && prev&(w.align-1) == 0 {
		// What lies there is looked at next. Its own link may be left.
		n := &w.room[2]
		*n = chainNode{at: prev}
		w.layout.read(n)
		cur.size, cur.exact = prev-cur.at, n.prev == cur.at
	}
}

// anchored reports whether the header n, which is sound by itself, is the end
// node or is named by what lies behind it.
func (w *chainWalk) anchored(n *chainNode) bool {
	if n.at == w.end {
		return true
	}
	links, ends, _ := w.follow(n)
	return ends || links > 0
}

// follow counts how many nodes from a sound one on are confirmed by the next
// one, up to chainLinks of them, and returns the last one reached.
func (w *chainWalk) follow(n *chainNode) (links int, ends bool, last chainNode) {
	at, next := &w.room[0], &w.room[1] // not on the stack: they go through an interface
	*at = *n
	for links < chainLinks && at.bad&(chainNoSize|chainMissing) == 0 && at.length > 0 && w.budget > 0 {
		w.budget--
		*next = chainNode{at: at.at + at.length}
		w.layout.read(next)
		if next.bad&chainMissing != 0 || w.layout.link(at, next) == chainDenies {
			return links, false, *next
		}
		if next.at == w.end {
			return links + 1, next.bad == 0, *next
		}
		if next.bad&chainLost != 0 || next.hidden { // that says nothing about the node in front
			return links, false, *next
		}
		links++
		at, next = next, at
	}
	return links, false, *at
}

// endsAt returns the node that the header n names as the one in front if that
// is sound and ends there; 0: it is not.
func (w *chainWalk) endsAt(n *chainNode) heap.Addr {
	if n.prev < w.start || n.prev >= n.at || n.prev&(w.align-1) != 0 {
		return 0
	}
	p := &w.room[2]
	*p = chainNode{at: n.prev}
	if w.layout.read(p); p.bad&chainLost != 0 || p.at+p.length != n.at {
		return 0
	}
	return p.at
}

// shorter returns where a node begins inside cur, if cur is shorter than its
// header says: from there nodes that confirm each other lead to what next names
// as the node in front, or past it. Former nodes inside cur lead to its end at
// most, and no further.
func (w *chainWalk) shorter(cur, next *chainSeen) heap.Addr {
	// If the end node does not say which node is the last, others can be that
	// only if this one is not.
	last := next.at != w.end || w.layout.link(&cur.chainNode, &next.chainNode) == chainDenies
	n := &w.room[2]
	for at := cur.at + max(w.minimum, w.align); at < next.at; at += w.align {
		if at = w.seek(at, next.at); at >= next.at {
			break
		}
		*n = chainNode{at: at}
		if w.layout.read(n); n.bad&chainLost == 0 && n.prev == cur.at && w.passes(n, next.at, last) {
			return at
		}
	}
	return 0
}

// passes reports whether nodes that confirm each other lead from n to limit or
// past it. last: the end node need not say which one is in front of it.
func (w *chainWalk) passes(n *chainNode, limit heap.Addr, last bool) bool {
	at, to := &w.room[0], &w.room[1]
	*at = *n
	for at.bad&(chainNoSize|chainMissing) == 0 && at.length > 0 && w.budget > 0 {
		w.budget--
		*to = chainNode{at: at.at + at.length}
		w.layout.read(to)
		said := w.layout.link(at, to)
		if to.bad&chainMissing != 0 || said == chainDenies || said == chainSilent && !(to.hidden && to.at != limit) && !(last && to.at == w.end) || to.bad&chainLost != 0 && to.at != w.end {
			return false
		}
		if to.at >= limit {
			return true
		}
		at, to = to, at
	}
	return false
}

// seek returns the first place in [at, limit) that is worth being read, limit if
// there is none or the budget is spent.
func (w *chainWalk) seek(at, limit heap.Addr) heap.Addr {
	const quick = 16 // places that cost as much as reading one header
	if at = w.there(at); at < limit && w.budget > 0 {
		from := at
		w.budget--
		if w.seeker != nil {
			at = w.seeker.seek(at, min(limit, at+heap.Addr(w.budget*quick)*w.align))
			w.budget -= int64((at - from) / w.align / quick)
		}
	}
	if w.budget <= 0 && at < limit {
		w.spent = true
		return limit
	}
	return min(at, limit)
}

// there returns the first place from at on that is in the image.
func (w *chainWalk) there(at heap.Addr) heap.Addr {
	if off := uint64(at - w.m.at); off < uint64(len(w.m.win)) || w.m.span(at) != nil {
		return at
	}
	i := w.m.index(at)
	if i >= len(w.m.spans) {
		return ^heap.Addr(0) &^ (w.align - 1)
	}
	return (max(at, w.m.spans[i].Addr) + w.align - 1) &^ (w.align - 1)
}

// sync returns the first start of a node from `from` on, and which one that
// names as the node in front, 0 if it names none. If there is none it returns
// the end. A node that names near is believed sooner.
func (w *chainWalk) sync(from, near heap.Addr) (q, prev heap.Addr) {
	weak, count := &w.weak, 0
	n, found, named := &w.room[2], &w.room[3], &w.room[4]
	*found, *named = chainNode{at: w.end}, chainNode{}
	for at := (from + w.align - 1) &^ (w.align - 1); at < w.end; at += w.align {
		if at = w.seek(at, w.end); at >= w.end {
			break
		}
		*n = chainNode{at: at}
		if w.layout.read(n); n.bad != 0 {
			continue
		}
		links, ends, last := w.follow(n)
		if last.at != n.at && n.prev != 0 && last.prev == n.prev && last.bad == 0 && !ends && links < chainLinks {
			continue // a former node inside the one that ends there
		}
		if n.prev == near && last.hidden {
			return n.at, 0 // which does not give former nodes in front of it away
		}
		if ends || links >= chainLinks || last.hidden {
			*found = *n
			break
		}
		switch {
		case n.prev == near && links > 0 && named.at == 0:
			*named = *n
		case count < len(weak) && (w.magic || n.prev == near):
			weak[count] = *n
			count++
		}
	}
	if found.at == w.end {
		w.layout.read(found)
		if found.bad&(chainNoPrev|chainMissing) != 0 {
			found.prev = 0
		}
	}
	// Between here and there nodes may lie that are sound and have only damaged
	// neighbours.
	bound := found.at
	if found.prev >= from && found.prev < bound {
		bound = found.prev
	}
	if found.prev != near || near == 0 {
		if named.at != 0 {
			return named.at, named.prev
		}
		for i := range weak[:count] {
			if n := &weak[i]; n.at+n.length <= bound {
				return n.at, n.prev
			}
		}
	}
	return found.at, found.prev
}
