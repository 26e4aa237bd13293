package layout

import (
	"cmp"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// mmLinks judges and restores the links between free nodes, which NuttX's
// mm_heap and RT-Thread's memheap keep in the nodes: every node names the next
// and the previous one, and heads outside the heap are members like any other.
type mmLinks struct {
	m          *ram // where the walk is not
	word       int
	next, prev int       // offsets in a node
	low, high  heap.Addr // of the heap: where free nodes lie
	// Heads of lists are those that lie from heads on, stride bytes apart, the
	// last one in front of headsEnd; 0: not known.
	heads, headsEnd, stride heap.Addr
	open                    bool // the links at the ends are 0
	// all lists the free nodes of the heap; it is asked once.
	all func(add func(heap.Addr))
	// free reports whether the header at a place in the heap says that it is
	// free; those that lists name and that say otherwise are suspects.
	free     func(heap.Addr) bool
	suspects []heap.Addr
	listed   bool
	byNext   []mmLink // sorted by what is named
	byPrev   []mmLink
}

type mmLink struct{ to, from heap.Addr }

// place reports whether a member can lie at a, and whether that is certain.
func (l *mmLinks) place(a heap.Addr) bool {
	if a&heap.Addr(l.word-1) != 0 {
		return false
	}
	switch {
	case a >= l.low && a < l.high:
		return true
	case l.heads != 0:
		return a >= l.heads && a < l.headsEnd && (a-l.heads)%l.stride == 0
	}
	// Heads that are not in the image cannot be checked.
	return a != 0 && l.m.span(a) == nil
}

func (l *mmLinks) at(a heap.Addr, off int) (heap.Addr, bool) {
	v, ok := l.m.word(a+heap.Addr(off), l.word)
	return heap.Addr(v), ok
}

// wrong reports whether to cannot be what the link of the member at `at` names:
// forward, its own next, or else its previous one. A link that is not answered
// is not wrong if the answer itself is, as far as the other members show.
func (l *mmLinks) wrong(at, to heap.Addr, forward bool) bool {
	ahead, back := l.next, l.prev
	if !forward {
		ahead, back = back, ahead
	}
	if to == 0 {
		return !l.open || !forward
	}
	answer, ok := l.at(to, back)
	if ok && answer == at {
		l.suspect(to)
		return l.outside(to) && l.heads != 0 && !l.place(to)
	}
	if !l.place(to) {
		return true
	}
	l.gather()
	claims := l.byPrev
	if !forward {
		claims = l.byNext
	}
	if from := l.of(claims, at); from != 0 {
		return from != to
	}
	if !ok || !l.place(answer) {
		return false
	}
	named, ok := l.at(answer, ahead)
	return ok && named == to
}

// suspect notes the member at a if it says that it is in use.
func (l *mmLinks) suspect(a heap.Addr) {
	if l.free != nil && !l.outside(a) && !l.free(a) && len(l.suspects) < maxFindings {
		l.suspects = append(l.suspects, a)
	}
}

// headsToo looks at what the heads of the lists name.
func (l *mmLinks) headsToo() {
	for h := l.heads; h != 0 && h < l.headsEnd; h += l.stride {
		for _, off := range []int{l.next, l.prev} {
			if a, ok := l.at(h, off); ok && a != 0 && !l.outside(a) {
				l.suspect(a)
			}
		}
	}
}

func (l *mmLinks) outside(a heap.Addr) bool { return a < l.low || a >= l.high }

// gather notes what all members name.
func (l *mmLinks) gather() {
	if l.listed {
		return
	}
	l.listed = true
	add := func(a heap.Addr) {
		if v, ok := l.at(a, l.next); ok {
			l.byNext = append(l.byNext, mmLink{v, a})
		}
		if v, ok := l.at(a, l.prev); ok {
			l.byPrev = append(l.byPrev, mmLink{v, a})
		}
	}
	for h := l.heads; h != 0 && h < l.headsEnd; h += l.stride {
		add(h)
	}
	l.all(add)
	order := func(a, b mmLink) int { return cmp.Compare(a.to, b.to) }
	slices.SortStableFunc(l.byNext, order)
	slices.SortStableFunc(l.byPrev, order)
}

// of returns the one member other than `at` that names it, 0 if there is none
// or several do.
func (l *mmLinks) of(links []mmLink, at heap.Addr) (from heap.Addr) {
	i, _ := slices.BinarySearchFunc(links, at, func(a mmLink, b heap.Addr) int { return cmp.Compare(a.to, b) })
	for ; i < len(links) && links[i].to == at; i++ {
		switch {
		case links[i].from == at:
		case from != 0:
			return 0
		default:
			from = links[i].from
		}
	}
	return from
}

// restore returns what the links of the member at `at` should be, as the other
// members show it; 0: they do not.
func (l *mmLinks) restore(at heap.Addr) (next, prev heap.Addr) {
	l.gather()
	return l.of(l.byPrev, at), l.of(l.byNext, at)
}
