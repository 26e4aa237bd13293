package layout

import "github.com/heapwright/heapwright/heap"

// around returns what knows the heap's nodes, for damage.Overwrite.
func (w *chainWalk) around() *places {
	if w.places != nil {
		return w.places
	}
	quiet := w.again(nil)
	field := 1
	if !w.tells {
		field = max(field, w.about.PointerSize)
	}
	w.places = &places{
		about: w.about, first: w.start, end: w.end, field: field,
		nodes: func(visit func(*heap.Node) bool) { w.again(visit).run() },
		head:  func(h placedHead) []byte { return quiet.m.bytes(h.at, quiet.layout.headLen(h.free)) },
		sound: quiet.fits,
	}
	return w.places
}

// fits reports whether nothing is wrong with a header, neither by itself nor for
// the nodes in front of it and behind, unless that is the one at bad.
func (w *chainWalk) fits(h placedHead, front, bad heap.Addr) bool {
	n := &w.room[0]
	*n = chainNode{at: h.at}
	if w.layout.read(n); n.bad != 0 || n.hidden {
		return false
	}
	beside := &w.room[1]
	if front != 0 && front != bad {
		*beside = chainNode{at: front}
		if w.layout.read(beside); beside.bad == 0 && w.layout.link(beside, n) == chainDenies {
			return false
		}
	}
	*beside = chainNode{at: n.at + n.length}
	w.layout.read(beside)
	return beside.at == bad || beside.bad&chainMissing != 0 || w.layout.link(n, beside) != chainDenies
}
