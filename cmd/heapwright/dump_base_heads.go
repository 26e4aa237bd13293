package main

import (
	"encoding/binary"
	"iter"
	"math/bits"

	"github.com/heapwright/heapwright/heap"
)

// A pool's head is looked for at every fourth byte of a dump, and noise must not
// pass for one. What comes first takes the words of one place only; what is
// elsewhere is read where those fit:
//
//	LiteOS 5.0   pool, size, [used, peak, tasks], [next pool], 26 list heads
//	             the lists lie directly behind, or used <= peak <= size;
//	             and an end node with the magic of its place is where the size
//	             puts it, or a row of list heads is
//	OpenHarmony  pool, size, attributes, totals, bitmap[7], list[223]
//	             there are two attributes; and an end node is where the size puts
//	             it, or the bitmap says which of the lists are empty
//
// So a dump that was cut within the pool has enough to show.

const (
	// maxHeads bounds the heads that are tried.
	maxHeads = 64
	// leastPool and mostPool bound the size of a pool.
	leastPool, mostPool = 64, 1 << 30
	// listRow is how many list heads in a row are evidence: less than half of
	// those of LiteOS, so that some may be damaged.
	listRow = 12
	// listReach is how far behind the head the lists of LiteOS can begin: behind
	// the totals of as many tasks as it may have.
	listReach = 8*(1<<12+1) + 32
	// endCost is what a look at the end of a pool counts for, in words: it is far
	// from the head.
	endCost = 16
	// tlsfWords and tlsfLists are the length of OpenHarmony's bitmap, and the
	// number of its lists.
	tlsfWords, tlsfLists = 7, 223
)

// A headAt is a possible head of a pool, in memory that begins at base.
type headAt struct {
	base, pool heap.Addr
	tlsf       bool // of OpenHarmony, else of LiteOS
}

// systems are the allocators whose head it may be.
func (h headAt) systems() []string {
	if h.tlsf {
		return []string{"liteos-m", "liteos-a"}
	}
	return []string{"liteos"}
}

// headsOf yields the possible heads of pools in b, those at the address at if
// that is not 0, up to maxHeads of them.
func headsOf(b []byte, at heap.Addr) iter.Seq[headAt] {
	return func(yield func(headAt) bool) {
		s := headSearch{b: b, budget: len(b)/4 + 1<<16}
		n := 0
		try := func(word int, self uint64, size uint32, o int) bool {
			if size < leastPool || size >= mostPool || size%4 != 0 || self < uint64(o) || at != 0 && self != uint64(at) {
				return true
			}
			s.o, s.word, s.self, s.size = o, word, self, uint64(size)
			tlsf := s.tlsf()
			if !tlsf && !s.liteos() {
				return true
			}
			n++
			return yield(headAt{heap.Addr(self) - heap.Addr(o), heap.Addr(self), tlsf}) && n < maxHeads
		}
		// One comparison each rules nearly everything out: noise costs no branch
		// that is hard to predict.
		const narrow = 3 | 3<<32 | mostPool<<32 | mostPool<<33 // of address and size
		for o := 0; o+16 <= len(b); o += 4 {
			x := binary.LittleEndian.Uint64(b[o:])
			if x&narrow == 0 && x>>32 != 0 && !try(4, x&0xffffffff, uint32(x>>32), o) {
				return
			}
			if (x+1<<48)>>49|x&7 == 0 && x != 0 { // its upper 16 bits are all 0 or all 1
				if !try(8, x, binary.LittleEndian.Uint32(b[o+8:]), o) {
					return
				}
			}
		}
	}
}

// A headSearch looks at what may be the head of a pool.
type headSearch struct {
	b      []byte
	budget int // words that may still be read in search of lists and ends

	o    int    // where the head is in b
	word int    // size of an address
	self uint64 // address of the pool
	size uint64 // of the pool
}

// at returns the n bytes at an offset in the pool as a number, 0 if they are not
// there; n is 4 or 8.
func (s *headSearch) at(off uint64, n int) uint64 {
	if off > uint64(len(s.b)-s.o) || uint64(len(s.b)-s.o)-off < uint64(n) {
		return 0
	}
	if n == 8 {
		return binary.LittleEndian.Uint64(s.b[s.o+int(off):])
	}
	return uint64(binary.LittleEndian.Uint32(s.b[s.o+int(off):]))
}

// inPool reports whether an address can be that of a node or list.
func (s *headSearch) inPool(a uint64) bool { return a%4 == 0 && a-s.self < s.size }

// liteos reports whether it looks like a head of LiteOS.
func (s *headSearch) liteos() bool {
	w := uint64(s.word)
	if s.lists(2*w, 2) || s.lists(3*w, 2) { // without totals; chained
		return s.liteosEnd() || s.lists(2*w, listRow) || s.lists(3*w, listRow)
	}
	used, peak := s.at(w+4, 4), s.at(w+8, 4)
	return used != 0 && used <= peak && peak <= s.size && (used|peak)%4 == 0 && (s.liteosEnd() || s.anyLists())
}

// liteosEnd reports whether the node in front of the pool's end is used, no
// longer than a head, and holds the magic of its place: the complement of the
// address of its control header, in front of which there may be a backup.
func (s *headSearch) liteosEnd() bool {
	const used, most = 1 << 31, 512 // the longest head
	if s.budget -= endCost; s.budget < 0 {
		return false
	}
	last := s.at(s.size-4, 4)
	head := last &^ used
	if last&used == 0 || head < 16 || head > min(most, s.size) || head%4 != 0 {
		return false
	}
	for _, own := range [2]uint64{head, head / 2} {
		if uint32(s.at(s.size-own, 4)) == ^uint32(s.self+s.size-own) {
			return true
		}
	}
	return false
}

// lists reports whether n list heads in a row lie at an offset in the pool.
func (s *headSearch) lists(off uint64, n int) bool {
	for range n {
		if !s.list(off) {
			return false
		}
		off += 2 * uint64(s.word)
	}
	return true
}

// list reports whether a list head lies at an offset: it points to itself twice,
// or to two nodes.
func (s *headSearch) list(off uint64) bool {
	prev, next, own := s.at(off, s.word), s.at(off+uint64(s.word), s.word), s.self+off
	return s.inPool(prev) && s.inPool(next) && (prev == own) == (next == own)
}

// anyLists reports whether list heads in a row lie anywhere behind the head.
func (s *headSearch) anyLists() bool {
	w := uint64(s.word)
	// Of listRow pairs, those that begin at every second word are looked at: of
	// the right ones one is among them, and all around it are right.
	for off := 2 * w; off < listReach && s.budget > 0; off += w {
		s.budget--
		if s.list(off) && s.lists(off, listRow) {
			return true
		}
	}
	return false
}

// tlsf reports whether it looks like a head of OpenHarmony.
func (s *headSearch) tlsf() bool {
	const attributes = 3
	w := uint64(s.word)
	if s.at(w+4, 4) > attributes || s.size <= tlsfLists*w {
		return false
	}
	if s.tlsfEnd() {
		return true
	}
	for off := w + 8; off <= w+24 && s.budget > 0; off += 4 { // behind up to 3 totals, and padding
		if s.bitmap(off) {
			return true
		}
	}
	return false
}

// tlsfEnd reports whether the node in front of the pool's end is used, has no
// length, and names a node in front or none.
func (s *headSearch) tlsfEnd() bool {
	const used, flags = 1 << 31, 0xf << 28
	if s.budget -= endCost; s.budget < 0 {
		return false
	}
	w := uint64(s.word)
	for off := uint64(4); off <= w; off += 4 { // the size is the last word, or in front of padding
		last := s.at(s.size-off, 4)
		if last&used == 0 || last&^(flags|0x3f) != 0 { // the lowest 6 bits may be a task
			continue
		}
		for _, prev := range [2]uint64{w, w + 4} { // there may be a task in between
			if p := s.at(s.size-off-prev, s.word); p == 0 || s.inPool(p) {
				return true
			}
		}
	}
	return false
}

// bitmap reports whether a bitmap at an offset says of each list behind it
// whether that is empty, and not all are.
func (s *headSearch) bitmap(off uint64) bool {
	w := uint64(s.word)
	lists := (off + 4*tlsfWords + w - 1) / w * w
	if uint64(len(s.b)-s.o) < lists+tlsfLists*w {
		return false
	}
	free := 0
	for i := range uint64(tlsfLists) {
		s.budget--
		bit := s.at(off+i/32*4, 4) >> (i % 32) & 1
		first := s.at(lists+i*w, s.word)
		if (first != 0) != (bit != 0) || first != 0 && !s.inPool(first) {
			return false
		}
		free += bits.OnesCount64(bit)
	}
	return free > 0
}
