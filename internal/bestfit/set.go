// Package bestfit holds the free nodes of a pool, ordered so that the best fit
// (the smallest node that is large enough) is found in a bounded number of
// steps, however many free nodes there are.
//
// The structure lives beside the pool, not inside the free nodes: memory that
// a buggy program may write to is not trusted with links. Nodes are named by
// their refs and measured in units, see package node.
//
//	sizes 1..127       a list for each size, under a bitmap
//	sizes 128..2^32-1  for each power of two a bitwise trie on the bits below
//	                   the leading one, after dlmalloc's tree bins (Doug Lea,
//	                   public domain); nodes of one size hang in a ring
//	                   on the one that is in the trie
//
// A search of a trie follows at most one path per bit of the size, so it ends
// within 2*32 steps. A Set is not safe for concurrent use.
package bestfit

import "math/bits"

// Small is the first size, in units, without a list of its own.
const Small = 128

// Slot names an entry of a Set until it is removed. 0 is none.
type Slot = uint32

type entry struct {
	ref, size  uint32
	next, prev Slot // small: list, 0-terminated; large: ring of equal sizes
	child      [2]Slot
	parent     Slot // of a trie member that is not a root; 0 otherwise
	dirty      uint32
	inTrie     bool
}

// Set is an ordered set of free nodes. The zero value is empty and ready.
type Set struct {
	smallMap [Small / 64]uint64
	trieMap  uint64 // bit i: roots[i] != 0
	small    [Small]Slot
	roots    [33]Slot // by bits.Len32(size)
	entries  []entry  // entries[0] is unused
	vacant   Slot     // list of vacant entries through next
	n        int
}

// Len returns the number of nodes in the set.
func (s *Set) Len() int { return s.n }

// Reset empties the set and keeps its memory.
func (s *Set) Reset() {
	e := s.entries[:0]
	*s = Set{entries: e}
}

// Holds reports whether slot is the entry of the node at ref with that size.
// Any value of slot may be asked about.
func (s *Set) Holds(slot Slot, ref, size uint32) bool {
	if slot == 0 || uint64(slot) >= uint64(len(s.entries)) {
		return false
	}
	e := &s.entries[slot]
	return e.ref == ref && e.size == size && size != 0
}

// At returns the node of an entry.
func (s *Set) At(slot Slot) (ref, size uint32) {
	e := &s.entries[slot]
	return e.ref, e.size
}

// Dirty returns the place where the owner of the set keeps how many units of
// the node's memory the operating system might get back; it is 0 after Insert.
// The pointer is good until the next Insert.
func (s *Set) Dirty(slot Slot) *uint32 { return &s.entries[slot].dirty }

// Find looks for the node at ref among all entries, in time linear in their
// number, and returns 0 if it is not there.
func (s *Set) Find(ref uint32) Slot {
	for i := range s.entries {
		if i != 0 && s.entries[i].ref == ref && s.entries[i].size != 0 {
			return Slot(i)
		}
	}
	return 0
}

// Insert adds the node at ref and returns its entry. The size must not be 0.
func (s *Set) Insert(ref, size uint32) Slot {
	i := s.vacant
	if i != 0 {
		s.vacant = s.entries[i].next
	} else {
		if len(s.entries) == 0 {
			s.entries = append(s.entries, entry{})
		}
		s.entries = append(s.entries, entry{})
		i = Slot(len(s.entries) - 1)
	}
	s.entries[i] = entry{ref: ref, size: size}
	s.n++
	if size < Small {
		head := s.small[size]
		s.entries[i].next = head
		if head != 0 {
			s.entries[head].prev = i
		}
		s.small[size] = i
		s.smallMap[size/64] |= 1 << (size % 64)
	} else {
		s.insertTrie(i, size)
	}
	return i
}

// path returns the bits of size below its leading one, first bit highest.
func path(size uint32) uint32 { return size << (33 - bits.Len32(size)) }

func (s *Set) insertTrie(i Slot, size uint32) {
	e := s.entries
	e[i].next, e[i].prev = i, i
	b := bits.Len32(size)
	t := s.roots[b]
	if t == 0 {
		s.roots[b] = i
		s.trieMap |= 1 << b
		e[i].inTrie = true
		return
	}
	for k := path(size); ; k <<= 1 {
		if e[t].size == size {
			n := e[t].next
			e[i].next, e[i].prev = n, t
			e[t].next, e[n].prev = i, i
			return
		}
		c := &e[t].child[k>>31]
		if *c == 0 {
			*c = i
			e[i].parent = t
			e[i].inTrie = true
			return
		}
		t = *c
	}
}

// Remove takes an entry out of the set.
func (s *Set) Remove(i Slot) {
	e := &s.entries[i]
	size := e.size
	if size < Small {
		if e.next != 0 {
			s.entries[e.next].prev = e.prev
		}
		if e.prev != 0 {
			s.entries[e.prev].next = e.next
		} else {
			s.small[size] = e.next
			if e.next == 0 {
				s.smallMap[size/64] &^= 1 << (size % 64)
			}
		}
	} else {
		s.removeTrie(i)
	}
	*e = entry{next: s.vacant}
	s.vacant = i
	s.n--
}

func (s *Set) removeTrie(i Slot) {
	e := s.entries
	x := &e[i]
	var heir Slot
	switch {
	case x.next != i: // another node of this size takes the place
		heir = x.next
		e[x.prev].next, e[x.next].prev = x.next, x.prev
		if !x.inTrie {
			return
		}
	case x.child[0]|x.child[1] != 0: // so does any leaf below
		up := i
		heir = i
		for {
			c := e[heir].child[1]
			if c == 0 {
				c = e[heir].child[0]
			}
			if c == 0 {
				break
			}
			up, heir = heir, c
		}
		if e[up].child[1] == heir {
			e[up].child[1] = 0
		} else {
			e[up].child[0] = 0
		}
	}
	if heir != 0 {
		h := &e[heir]
		h.inTrie = true
		h.parent = x.parent
		h.child = x.child
		for _, c := range x.child {
			if c != 0 {
				e[c].parent = heir
			}
		}
	}
	if up := x.parent; up != 0 {
		if e[up].child[0] == i {
			e[up].child[0] = heir
		} else {
			e[up].child[1] = heir
		}
		return
	}
	b := bits.Len32(x.size)
	s.roots[b] = heir
	if heir == 0 {
		s.trieMap &^= 1 << b
	}
}

// Best returns the entry of a smallest node of at least size units, and that
// node's size; 0, 0 if there is none.
func (s *Set) Best(size uint32) (Slot, uint32) {
	if size < Small {
		w := size / 64
		m := s.smallMap[w] >> (size % 64) << (size % 64)
		for {
			if m != 0 {
				n := w*64 + uint32(bits.TrailingZeros64(m))
				return s.small[n], n
			}
			if w++; w == Small/64 {
				break
			}
			m = s.smallMap[w]
		}
		size = Small
	}
	return s.bestTrie(size)
}

func (s *Set) bestTrie(size uint32) (Slot, uint32) {
	e := s.entries
	var best Slot
	room := ^uint32(0) // the best so far is room units too large
	b := bits.Len32(size)
	t := s.roots[b]
	if t != 0 {
		// Follow the bits of size; remember the last branch to larger sizes.
		var larger Slot
		for k := path(size); t != 0; k <<= 1 {
			if d := e[t].size - size; e[t].size >= size && d < room {
				best, room = t, d
				if d == 0 {
					return best, size
				}
			}
			right := e[t].child[1]
			t = e[t].child[k>>31]
			if right != 0 && right != t {
				larger = right
			}
		}
		t = larger
	}
	if t == 0 && best == 0 {
		m := s.trieMap >> (b + 1) << (b + 1)
		if m == 0 {
			return 0, 0
		}
		t = s.roots[bits.TrailingZeros64(m)]
	}
	for t != 0 { // everything here is large enough: the smallest is leftmost
		if d := e[t].size - size; d < room {
			best, room = t, d
		}
		c := e[t].child[0]
		if c == 0 {
			c = e[t].child[1]
		}
		t = c
	}
	return best, e[best].size
}

// Largest returns the size of a largest node, 0 if the set is empty.
func (s *Set) Largest() uint32 {
	if s.trieMap != 0 {
		var most uint32
		for t := s.roots[bits.Len64(s.trieMap)-1]; t != 0; {
			e := &s.entries[t]
			most = max(most, e.size)
			if t = e.child[1]; t == 0 {
				t = e.child[0]
			}
		}
		return most
	}
	for w := len(s.smallMap) - 1; w >= 0; w-- {
		if m := s.smallMap[w]; m != 0 {
			return uint32(w*64 + bits.Len64(m) - 1)
		}
	}
	return 0
}

// Each calls f for every entry whose node has at least size units, until f
// returns false. Sizes from Small on cost no more than what is visited; the
// order is not defined. f must not change the set.
func (s *Set) Each(size uint32, f func(Slot) bool) {
	for n := size; n < Small; n++ {
		for i := s.small[n]; i != 0; i = s.entries[i].next {
			if !f(i) {
				return
			}
		}
	}
	for b := bits.Len32(max(size, Small)); b < len(s.roots); b++ {
		if !s.eachBelow(s.roots[b], size, f) {
			return
		}
	}
}

func (s *Set) eachBelow(t Slot, size uint32, f func(Slot) bool) bool {
	if t == 0 {
		return true
	}
	if s.entries[t].size >= size {
		for i := t; ; {
			if !f(i) {
				return false
			}
			if i = s.entries[i].next; i == t {
				break
			}
		}
	}
	return s.eachBelow(s.entries[t].child[0], size, f) && s.eachBelow(s.entries[t].child[1], size, f)
}
