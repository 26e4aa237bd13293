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
//
// Each of them names a base. Those of heads are tried first, if there is an end
// node where the size puts it or the head holds lists: dump_base_heads.go. Else a pool may know where it was. Else
// the RAM begins where the program's data does, or where most empty lists say, of
// which a system has many; or at address 0. Of these, that base is taken at which
// most nodes are sound.

const (
	// maxBases bounds the bases of lists that are tried, each of which takes a
	// search.
	maxBases = 4
	// fewLists is how many empty lists must name a base for it to be tried: the
	// head of a pool alone has more.
	fewLists = 12
	// maxVotes bounds the bases whose lists are counted.
	maxVotes = 1 << 16
)

// findUnbased finds the pools of a raw dump, and its base.
func (d *dump) findUnbased(h layout.Hints) error {
	b := d.image.Spans()[0].Bytes
	for c := range headsOf(b, h.At) {
		if d.searchHead(c, h) && d.searchAt(c.base, h) == nil {
			d.based(reason{c.base, fmt.Sprintf("because the head of a pool at offset %#x says that it lies at %s", uint64(c.pool-c.base), c.pool), "as a pool's head in it says"})
			return nil
		}
	}
	err := d.searchAt(0, h)
	for _, p := range d.pools {
		if a := p.About(); a.Base != 0 && d.searchAt(a.Base-a.Span.Start, h) == nil {
			d.based(reason{a.Base - a.Span.Start, fmt.Sprintf("because the pool at offset %s was at %s in its process", a.Span.Start, a.Base), "as in its process"})
			return nil
		}
	}
	found, best := err == nil, reason{}
	most := d.sound()
	for _, c := range d.otherBases(b, h.Program) {
		if e := d.searchAt(c.base, h); e == nil && (!found || d.sound() > most) {
			found, most, best = true, d.sound(), c
		}
	}
	if !found {
		d.unbased = true
		d.pools = nil
		return err
	}
	if err := d.searchAt(best.base, h); err != nil {
		return err
	}
	if best.why != "" {
		d.based(best)
	} else {
		d.notes = append(d.notes, fmt.Sprintf("nothing in %s tells its address, so that addresses are offsets in it; give --base if they are not", d.name))
	}
	return nil
}

// based says where the dump was moved to, and why.
func (d *dump) based(r reason) {
	d.baseBrief = fmt.Sprintf("the dump begins at %s, %s (if not: --base)", r.base, r.brief)
	d.baseNote = fmt.Sprintf("the first byte of %s is taken to be at %s, %s; if that is wrong, give --base", d.name, r.base, r.why)
}

// searchAt moves the dump and searches it.
func (d *dump) searchAt(base heap.Addr, h layout.Hints) error {
	if err := cmp.Or(d.ctx.Err(), d.image.Rebase(base)); err != nil {
		return err
	}
	return d.search(h)
}

// searchHead reports whether there is a pool with the head c, which takes no
// search of the memory.
func (d *dump) searchHead(c headAt, h layout.Hints) bool {
	wanted := h.System
	h.At = c.pool
	for _, h.System = range c.systems() {
		if (wanted == "" || wanted == h.System) && d.searchAt(c.base, h) == nil {
			return true
		}
	}
	return false
}

// sound returns how many of the nodes that were looked at are sound.
func (d *dump) sound() (n int) {
	for _, p := range d.pools {
		n += p.About().Sound
	}
	return n
}

// A reason is why a dump may begin at a base.
type reason struct {
	base       heap.Addr
	why, brief string
}

// otherBases returns where the program's data and empty lists put the dump.
func (d *dump) otherBases(b []byte, p heap.Program) (all []reason) {
	if p != nil {
		if data := p.Data(); len(data) > 0 {
			s := data[0]
			all = append(all,
				reason{s.Start, fmt.Sprintf("because the program's data begins there, with %s", s.Name), "as the program's data"},
				reason{s.Start &^ 0xffff, fmt.Sprintf("because the program's data begins just behind, with %s at %s", s.Name, s.Start), "as the program's data"})
		}
	}
	for _, v := range basesOfLists(b) {
		all = append(all, reason{v.base, fmt.Sprintf("because %d empty lists in it point to themselves then", v.count), fmt.Sprintf("as %d empty lists in it say", v.count)})
	}
	return all
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
