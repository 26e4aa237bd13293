package layout

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// hwFinder looks for pools of package heapwright.
type hwFinder struct {
	m     *ram
	hints *Hints
	pools []*heapwrightPool
	notes []string
	// left is how many bytes of pools may still be walked over, so that heads
	// that lie within each other cannot take all time there is.
	left  uint64
	tries int // heads that are not whole
}

// hwPage is what pools that the system gave memory to are aligned to.
const hwPage = 4096

// findHeapwright finds pools by the magic in their heads; where that is gone, at
// the start of a page or piece of memory by the address or the nodes there.
func findHeapwright(mem heap.RAM, h *Hints) (pools []Pool, notes []string) {
	f := hwFinder{m: newRAM(mem), hints: h}
	f.left = 4*f.m.size(0, ^heap.Addr(0)) + 1<<20
	if h.At != 0 {
		f.try(h.At, true)
	} else {
		for i := range f.m.spans {
			f.span(&f.m.spans[i])
		}
	}
	for _, p := range f.pools {
		pools = append(pools, p)
	}
	return pools, f.notes
}

// maxNotes bounds what is said about heads without pools.
const maxNotes = 8

func (f *hwFinder) note(format string, args ...any) {
	switch n := len(f.notes); {
	case n < maxNotes:
		f.notes = append(f.notes, fmt.Sprintf(format, args...))
	case n == maxNotes:
		f.notes = append(f.notes, "more places look like heads of heapwright pools")
	}
}

// span looks for the heads in one piece of memory.
func (f *hwFinder) span(s *heap.Memory) {
	magic := []byte(node.Magic)
	next := -1 // offset of the next magic; -1: not looked for yet
	for off := 0; len(f.pools) < maxPools; {
		if next < off {
			if next = bytes.Index(s.Bytes[off:], magic); next < 0 {
				next = len(s.Bytes)
			} else {
				next += off
			}
		}
		at := f.page(s, off, next)
		if at >= len(s.Bytes) {
			return
		}
		off = at + 1
		if p := f.try(s.Addr+heap.Addr(at), at == 0); p != nil && !p.region.Blind && 2*p.about.Sound > p.about.Seen {
			off = max(off, at+int(min(p.about.Span.Len(), uint64(len(s.Bytes)-at))))
		}
	}
}

// page returns the offset of the first place from off up to that of the next
// magic where a head is to be looked for: one that says that it lies at its own
// address at the start of a page, or the start of the span.
func (f *hwFinder) page(s *heap.Memory, off, next int) int {
	if off == 0 && next != 0 {
		return 0
	}
	const base = 32 // in the head
	first := off + int(-uint64(s.Addr+heap.Addr(off))%hwPage)
	for at := first; at < next && at+node.HeadSize <= len(s.Bytes); at += hwPage {
		if v := word(s.Bytes[at+base:], 8); v == uint64(s.Addr)+uint64(at) && v != 0 {
			return at
		}
	}
	return next
}

// try opens the pool at addr, if there is one, and keeps it. certain says that
// there is a reason to look there even if the head has no magic.
func (f *hwFinder) try(addr heap.Addr, certain bool) *heapwrightPool {
	b := f.m.bytes(addr, node.HeadSize)
	if b == nil {
		return nil
	}
	h := node.HeadOf(b)
	var p *heapwrightPool
	switch {
	case h.OtherOrder():
		f.note("the heapwright pool at %s was written by a machine of the other byte order: read it on such a machine", addr)
		return nil
	case h.Intact():
		info, err := h.Read()
		if err != nil {
			f.note("at %s lies a heapwright pool that cannot be read: %v", addr, err)
			return nil
		}
		p = f.intact(addr, info)
	case h.Named() || certain || h.Believe().Base == uint64(addr):
		if !certain {
			f.tries++
		}
		if f.tries > maxTries {
			f.note("at %s, too, lies what may be the damaged head of a heapwright pool; it was not looked at", addr)
			return nil
		}
		p = f.damaged(addr, h)
	}
	if p == nil {
		return nil
	}
	p.describe(f.hints)
	if p.about.Sound == 0 && f.hints.System == "" && f.hints.At == 0 {
		f.note("at %s lies the head of a heapwright pool, but none of its nodes", addr)
		return nil
	}
	f.pools = append(f.pools, p)
	return p
}

// intact opens a pool whose head is sound.
func (f *hwFinder) intact(addr heap.Addr, info node.HeadInfo) *heapwrightPool {
	lay := node.NewLayout(info.Stacks, info.LRs, info.Backup, info.Secret)
	if !endPossible(lay, info.End) {
		f.note("the head at %s is that of a heapwright pool with its end at unit %d: no pool ends there", addr, info.End)
		return nil
	}
	whole := (uint64(info.End) + uint64(lay.HeadU)) * node.Unit
	if uint64(addr)+whole < uint64(addr) {
		return nil
	}
	memory := f.from(addr, whole)
	if memory == nil {
		return nil
	}
	p := newHeapwright(addr, memory, info, lay, info.End)
	p.endAt = true
	return p
}

// afford reports whether n more bytes of the pool at addr may be looked at.
func (f *hwFinder) afford(addr heap.Addr, n uint64) bool {
	if n > f.left {
		f.note("the heapwright pool at %s was left out: the pools found so far claim more memory than there is", addr)
		return false
	}
	f.left -= n
	return true
}

// endPossible reports whether a pool can end there.
func endPossible(l node.Layout, end uint32) bool {
	return uint64(end) >= uint64(node.HeadUnits)+uint64(l.HeadU)+uint64(l.MinU) && uint64(end)+uint64(l.HeadU) < 1<<32
}

// from returns the n bytes from addr on, or as many as there are without a hole;
// nil if the search may not look at so many. They are copied only if they lie in
// several pieces.
func (f *hwFinder) from(addr heap.Addr, n uint64) []byte {
	total := uint64(0)
	first := f.m.index(addr)
	for i := first; i < len(f.m.spans) && total < n; i++ {
		s := &f.m.spans[i]
		if i > first && s.Addr != addr+heap.Addr(total) {
			break
		}
		total = uint64(s.Addr-addr) + uint64(len(s.Bytes))
	}
	total = min(total, n)
	if !f.afford(addr, total) {
		return nil
	}
	if s := &f.m.spans[first]; total <= uint64(len(s.Bytes))-uint64(addr-s.Addr) {
		return aligned(s.Bytes[addr-s.Addr:][:total:total])
	}
	b := room(int(total))[:0]
	for i := first; uint64(len(b)) < total; i++ {
		s := &f.m.spans[i]
		from := uint64(addr - s.Addr + heap.Addr(len(b)))
		b = append(b, s.Bytes[from:][:min(uint64(len(s.Bytes))-from, total-uint64(len(b)))]...)
	}
	return b
}
