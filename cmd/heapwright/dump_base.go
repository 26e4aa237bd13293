package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
)

// A raw dump whose address nobody has given is moved to where what it holds
// makes sense. Two things in memory name their own address:
//
//	offset       a pool's head                 offset       an empty list
//	o            base+o                        o            base+o      previous
//	o + word     its size                      o + word     base+o      next
//	o + size-4   flags and size of a used
//	             node as long as a node head
//
// Each of them names a base. Those of heads are tried first: the end node where
// the size puts it is hardly an accident. Those of lists, of which a system has
// many, are tried in the order of how many lists name them. A base is good if a
// pool opens there.

const (
	// maxBases bounds the bases that are tried for heads and for lists each.
	maxBases = 16
	// fewLists is how many empty lists must name a base for it to be tried: the
	// head of a pool alone has more.
	fewLists = 12
	// maxVotes bounds the bases whose lists are counted.
	maxVotes = 1 << 16
)

// findUnbased finds the pools of a raw dump, and its base.
func (d *dump) findUnbased(h layout.Hints) error {
	b := d.image.Spans()[0].Bytes
	var refused []heap.Addr
	try := func(base, pool heap.Addr, why string) bool {
		if slices.Contains(refused, base) || d.image.Rebase(base) != nil {
			return false
		}
		at := h
		if pool != 0 {
			at.At = pool // which takes no search
		}
		if _, _, err := layout.Find(d.image, at); err != nil || d.search(h) != nil {
			if pool == 0 {
				refused = append(refused, base)
			}
			return false
		}
		d.notes = append(d.notes, fmt.Sprintf("the first byte of %s is taken to be at %s, %s; if that is wrong, give --base", d.name, base, why))
		return true
	}
	for _, c := range headsOf(b, h.At) {
		if try(c.base, c.pool, fmt.Sprintf("because the head of a pool at offset %#x says that it lies at %s", uint64(c.pool-c.base), c.pool)) {
			return nil
		}
	}
	for _, v := range basesOfLists(b) {
		if try(v.base, 0, fmt.Sprintf("because %d empty lists in it point to themselves then", v.count)) {
			return nil
		}
	}
	if err := d.image.Rebase(0); err != nil {
		return err
	}
	if err := d.search(h); err != nil {
		return err
	}
	d.notes = append(d.notes, fmt.Sprintf("nothing in %s tells its address, so that addresses are offsets in it; give --base if they are not", d.name))
	return nil
}

// A headAt is a possible head of a pool, in memory that begins at base.
type headAt struct{ base, pool heap.Addr }

// headsOf returns the possible heads of pools in b, those at the address at if
// that is not 0.
func headsOf(b []byte, at heap.Addr) (heads []headAt) {
	for o := 0; o+12 <= len(b) && len(heads) < maxBases; o += 4 {
		w := binary.LittleEndian.Uint64(b[o:])
		narrow, size := heap.Addr(uint32(w)), uint32(w>>32)
		if mayBe(narrow, at, o) && endsAt(b, o, size) {
			heads = append(heads, headAt{narrow - heap.Addr(o), narrow})
		} else if size := binary.LittleEndian.Uint32(b[o+8:]); mayBe(heap.Addr(w), at, o) && endsAt(b, o, size) {
			heads = append(heads, headAt{heap.Addr(w) - heap.Addr(o), heap.Addr(w)})
		}
	}
	return heads
}

// mayBe reports whether the word at offset o can be the address of itself, and
// whether it is that wanted.
func mayBe(self, wanted heap.Addr, o int) bool {
	return self >= heap.Addr(o) && self%4 == 0 && (wanted == 0 || self == wanted)
}

// endsAt reports whether the node in front of o+size looks like an end node.
func endsAt(b []byte, o int, size uint32) bool {
	const used, most = 1 << 31, 512 // flag and the longest node head
	if size%4 != 0 || size < 64 || uint64(size) > uint64(len(b)-o) {
		return false
	}
	last := binary.LittleEndian.Uint32(b[o+int(size)-4:])
	head := last &^ used
	return last&used != 0 && head >= 16 && head <= most && head%4 == 0
}

// A vote is a base and how many empty lists name it.
type vote struct {
	base  heap.Addr
	count int
}

// basesOfLists returns the bases that most empty lists in b name, 32 bits wide
// or 64.
func basesOfLists(b []byte) []vote {
	counts := map[heap.Addr]int{}
	add := func(self uint64, o int) {
		if self < uint64(o) || self%4 != 0 {
			return
		}
		base := heap.Addr(self - uint64(o))
		if _, ok := counts[base]; ok || len(counts) < maxVotes {
			counts[base]++
		}
	}
	for o := 0; o+16 <= len(b); o += 4 {
		w, next := binary.LittleEndian.Uint64(b[o:]), binary.LittleEndian.Uint64(b[o+8:])
		if lo := uint32(w); lo != 0 && lo == uint32(w>>32) && lo != uint32(next) { // three are a pattern
			add(uint64(lo), o)
		}
		if w>>32 != 0 && uint32(w) != uint32(w>>32) && w == next {
			add(w, o)
		}
	}
	var votes []vote
	for base, n := range counts {
		if n >= fewLists {
			votes = append(votes, vote{base, n})
		}
	}
	slices.SortFunc(votes, func(a, b vote) int { return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.base, b.base)) })
	return votes[:min(len(votes), maxBases)]
}
