package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// rtPlace is where a heap of RT-Thread may lie.
type rtPlace struct {
	kind       RTThreadKind
	bits64     bool
	reserved   bool
	head       heap.Addr // the pool's structure; 0: not known
	first, end heap.Addr // end 0: not known
	name       string    // of the variable that led here
}

// rtScan looks for heaps of some kinds anywhere in memory.
type rtScan struct {
	m      *ram
	h      *Hints
	kinds  [RTThreadMemheap + 1]bool
	pools  []*RTThreadPool
	tries  int
	force  bool    // a person says that there is a heap
	budget int64   // nodes and places that may still be looked at
	most   uint64  // bytes that a heap may be long
	before rtPlace // the last mark of a node of small memory up to 4.0, as first
}

func findRTThread(mem heap.RAM, h *Hints) ([]Pool, []string) {
	return rtFind(mem, h, RTThreadSmall, RTThreadMagic)
}

func findRTThreadMemheap(mem heap.RAM, h *Hints) ([]Pool, []string) {
	return rtFind(mem, h, RTThreadMemheap)
}

// rtBudget bounds what is looked at behind marks that turn out to be none, so
// that a search is linear in the memory.
func rtBudget(mem heap.RAM) int64 { return 1<<16 + int64(size(mem)/4) }

// rtMost bounds the length of a heap in bytes: much more than the image holds
// of it would say nothing.
func rtMost(mem heap.RAM) uint64 { return 1<<20 + 4*size(mem) }

func rtFind(mem heap.RAM, h *Hints, kinds ...RTThreadKind) (pools []Pool, notes []string) {
	s := &rtScan{m: newRAM(mem), h: h, budget: rtBudget(mem), most: rtMost(mem)}
	for _, k := range kinds {
		s.kinds[k] = true
	}
	if h.At != 0 {
		s.force = true
		s.openAt(h.At, "")
	} else {
		s.variables()
		for i := range s.m.spans {
			s.span(&s.m.spans[i])
		}
	}
	for _, p := range s.pools {
		pools = append(pools, p)
	}
	return pools, notes
}

// openRTThread opens the heap whose structure, or first node, lies at addr.
// layout says how it is laid out; nil: that is found out from what lies there.
func openRTThread(mem heap.RAM, addr heap.Addr, layout *RTThread) (*RTThreadPool, error) {
	if layout != nil {
		if err := layout.Validate(); err != nil {
			return nil, err
		}
	}
	s := &rtScan{m: newRAM(mem), h: &Hints{}, kinds: [...]bool{true, true, true}, budget: rtBudget(mem), most: rtMost(mem)}
	places := s.placesAt(addr)
	if s.force = true; layout != nil && layout.Kind == RTThreadMagic {
		places = []rtPlace{{kind: RTThreadMagic, bits64: layout.Bits64, first: addr}}
	}
	for _, place := range places {
		if layout != nil && (place.kind != layout.Kind || place.bits64 != layout.Bits64 || place.reserved != layout.Reserved) {
			continue
		}
		if p := s.open(place, layout); p != nil {
			return p, nil
		}
	}
	return nil, fmt.Errorf("layout: no heap of RT-Thread at %s", addr)
}

// variables opens the heaps that symbols lead to.
func (s *rtScan) variables() {
	if s.h.Program == nil {
		return
	}
	for _, name := range []string{"system_heap", "_heap", "heap_ptr", "_system_heap"} {
		v, ok := s.h.Program.Variable(name)
		if !ok {
			continue
		}
		s.openAt(v.Start, name)
		for _, w := range s.words() {
			if to, ok := s.m.word(v.Start, w); ok && to != 0 {
				s.openAt(heap.Addr(to), name)
			}
		}
	}
}

// words are the sizes of an address that are possible.
func (s *rtScan) words() []int {
	if s.h.PointerSize == 4 || s.h.PointerSize == 8 {
		return []int{s.h.PointerSize}
	}
	return []int{4, 8}
}

func (s *rtScan) openAt(at heap.Addr, name string) {
	for _, place := range s.placesAt(at) {
		if place.name = name; s.kinds[place.kind] && s.add(place) {
			return
		}
	}
}

// placesAt returns what can begin at `at`: a structure or a first node.
func (s *rtScan) placesAt(at heap.Addr) (places []rtPlace) {
	for _, w := range s.words() {
		wide := w == 8
		if first, ok := s.smallIn(at, w); ok {
			places = append(places, s.small(at, first, wide)...)
		}
		if p, ok := s.memheapIn(at, w); ok {
			places = append(places, p)
		}
		b := s.m.bytes(at, 4*w)
		if b == nil {
			continue
		}
		switch v := binary.LittleEndian.Uint32(b); {
		case v>>1 == rtMagic32>>1:
			places = append(places, rtPlace{kind: RTThreadMemheap, bits64: wide, head: heap.Addr(word(b[w:], w)), first: at, end: heap.Addr(word(b[3*w:], w))})
		case v&^(1<<16) == rtMagic16:
			places = append(places, rtPlace{kind: RTThreadMagic, bits64: wide, first: at})
		}
		if head := heap.Addr(word(b, w)) &^ 1; head < at && at-head < rtNear {
			places = append(places, s.small(head, at, wide)...)
		}
	}
	return places
}

// rtNear bounds the length of a pool's structure in bytes.
const rtNear = 512

// small returns the forms that small memory with a pool can have.
func (s *rtScan) small(head, first heap.Addr, wide bool) []rtPlace {
	p := rtPlace{kind: RTThreadSmall, bits64: wide, head: head, first: first}
	if !wide {
		return []rtPlace{p}
	}
	q := p
	q.reserved = true
	return []rtPlace{p, q}
}

// smallIn finds the first node that a struct rt_small_mem at `at` names: twice,
// each time in front of the same length.
func (s *rtScan) smallIn(at heap.Addr, w int) (first heap.Addr, ok bool) {
	b := s.m.some(at, rtNear)
	for i := 0; i+8*w <= len(b); i += w {
		a := word(b[i:], w)
		if a > uint64(at) && a-uint64(at) < rtNear && word(b[i+4*w:], w) == a && word(b[i+w:], w) == word(b[i+7*w:], w) {
			return heap.Addr(a), true
		}
	}
	return 0, false
}

// memheapIn finds the heap that a struct rt_memheap at `at` names: in it lies
// the head of its list of free nodes, which looks like a free node of the heap.
func (s *rtScan) memheapIn(at heap.Addr, w int) (p rtPlace, ok bool) {
	ring, sizes, width, ok := s.memheapAt(at, w)
	if !ok {
		return p, false
	}
	p = rtPlace{kind: RTThreadMemheap, bits64: w == 8, head: at}
	first, _ := s.m.word(at+heap.Addr(sizes-w), w)
	size, _ := s.m.word(at+heap.Addr(sizes), width)
	p.first = heap.Addr(first)
	for head := 6 * w; head <= 6*w+64; head += 4 {
		end := p.first + heap.Addr(size) - heap.Addr(head)
		if b := s.m.bytes(end, 4*w); b != nil && binary.LittleEndian.Uint32(b) == rtMagic32|1 && word(b[2*w:], w) == first {
			p.end = end
			return p, true
		}
	}
	end, ok := s.m.word(p.first+heap.Addr(3*w), w) // as the first node says
	p.end = heap.Addr(end)
	return p, ok && ring > 0
}

// memheapAt returns where in a struct rt_memheap the head of the list of free
// nodes lies and where its lengths, behind the address of the first node: of
// the width of an address, or of 32 bits in some versions.
func (s *rtScan) memheapAt(at heap.Addr, w int) (ring, sizes, width int, ok bool) {
	b := s.m.some(at, rtNear)
	for i := 0; i+6*w <= len(b); i += w {
		if binary.LittleEndian.Uint32(b[i:]) != rtMagic32 || word(b[i+w:], w) != uint64(at) || word(b[i+2*w:], w)|word(b[i+3*w:], w) != 0 {
			continue
		}
		for _, width = range []int{w, 4} {
			sizes = i - 2*w - (3*width+w-1)&^(w-1)
			if sizes >= w && word(b[sizes-w:], w) == word(b[i-2*w:], w) { // twice the first node
				return i, sizes, width, true
			}
		}
	}
	return 0, 0, 0, false
}

// span looks for marks of nodes and for structures in one piece of memory. All
// that is looked for is a word that has one of few values or leads to a place
// near itself.
func (s *rtScan) span(piece *heap.Memory) {
	skip := uint64(-piece.Addr & 3)
	if uint64(len(piece.Bytes)) < skip {
		return
	}
	b := piece.Bytes[skip:]
	at := piece.Addr + heap.Addr(skip)
	low := heap.Addr(0) // up to here lies a pool
	memheap := s.kinds[RTThreadMemheap]
	for i := 0; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		if x == 0 {
			continue
		}
		for k := range 2 {
			v := uint32(x >> (32 * k))
			a := at + heap.Addr(i+4*k)
			hit := v>>1 == rtMagic32>>1
			if !memheap {
				hit = v&^(1<<16) == rtMagic16 || v-uint32(a)+rtNear < 2*rtNear
			}
			if hit && a >= low {
				low = max(low, s.near(a, v))
			}
		}
	}
}

// near looks closer at a word that was found, and returns the end of the heap
// that lies there.
func (s *rtScan) near(at heap.Addr, v uint32) heap.Addr {
	if len(s.pools) >= maxPools || s.tries >= maxTries<<4 {
		return 0
	}
	known := len(s.pools)
	for _, w := range s.words() {
		if at&heap.Addr(w-1) != 0 {
			continue
		}
		switch wide := w == 8; {
		case s.kinds[RTThreadMemheap]:
			s.memheapItem(at, w)
		case v&^(1<<16) == rtMagic16:
			s.magicNode(at, w)
		case v < uint32(at): // the mark of a first node
			b := s.m.bytes(at, 4*w)
			if b == nil {
				break
			}
			head := heap.Addr(word(b, w)) &^ 1
			if wide && at>>32 != 0 && head>>32 == 0 {
				head |= at >> 32 << 32 // some versions cut it off
			}
			if head >= at || at-head >= rtNear || head&3 != 0 {
				break
			}
			for _, p := range s.small(head, at, wide) {
				next := word(b[w:], w)
				prev := word(b[2*w:], w)
				if p.reserved {
					next, prev = prev, word(b[3*w:], w)
				}
				if prev == 0 && next >= uint64(3*w) && next < 1<<32 && next&3 == 0 {
					s.add(p)
				}
			}
		default: // the address of the first node in a structure
			b := s.m.bytes(at, 8*w)
			if b == nil || word(b[4*w:], w) != word(b, w) || word(b[w:], w) != word(b[7*w:], w) || word(b, w)-uint64(at) >= rtNear {
				break
			}
			for back := heap.Addr(0); back < 128 && back < at; back += heap.Addr(w) {
				first := heap.Addr(word(b, w))
				if mark, ok := s.m.word(first, w); ok && heap.Addr(mark)&^1&(1<<32-1) == (at-back)&(1<<32-1) {
					s.addAll(s.small(at-back, first, wide))
				}
			}
			p := rtPlace{bits64: wide, first: heap.Addr(word(b, w)), end: heap.Addr(word(b[5*w:], w))}
			if mark, ok := s.m.word(p.end, w); ok { // the first node's may be overwritten
				p.head = heap.Addr(mark) &^ 1
				s.add(p)
				if p.reserved = true; wide {
					s.add(p)
				}
			}
		}
	}
	end := heap.Addr(0)
	for _, p := range s.pools[known:] {
		end = max(end, p.about.Span.End)
	}
	return end
}

// memheapItem looks at an item of a memheap: its first, its last, or the head
// of its free list lead to the heap.
func (s *rtScan) memheapItem(at heap.Addr, w int) {
	b := s.m.bytes(at, 6*w)
	if b == nil {
		return
	}
	head, next, prev := heap.Addr(word(b[w:], w)), heap.Addr(word(b[2*w:], w)), heap.Addr(word(b[3*w:], w))
	p := rtPlace{kind: RTThreadMemheap, bits64: w == 8, head: head, first: at, end: prev}
	switch {
	case next == 0 && prev == 0 && head < at && at-head < rtNear:
		if q, ok := s.memheapIn(head, w); ok {
			s.add(q)
		}
		return
	case prev > at && next > at && next <= prev:
	case next < at && prev < at && prev >= next && b[0]&1 != 0:
		p.first, p.end = next, at
	default:
		return
	}
	s.add(p)
}

// magicNode looks at a node of small memory up to 4.0, which has no structure:
// the first one names itself, and the last one is as far away as the node in
// front of it says.
func (s *rtScan) magicNode(at heap.Addr, w int) {
	b := s.m.bytes(at, 3*w)
	if b == nil {
		return
	}
	next, prev := word(b[w:], w), word(b[2*w:], w)
	p := rtPlace{kind: RTThreadMagic, bits64: w == 8, first: at}
	last := s.before
	s.before = rtPlace{bits64: p.bits64, first: at, end: heap.Addr(next)}
	switch {
	case next < uint64(3*w) || next >= 1<<32 || next&3 != 0:
	case prev == 0:
		s.add(p)
	case last.end == heap.Addr(next) && last.bits64 == p.bits64 && b[2] == 1 && heap.Addr(next) < at:
		p.first, p.end = at-heap.Addr(next), at
		s.add(p)
	}
}

func (s *rtScan) addAll(places []rtPlace) {
	for _, p := range places {
		if s.add(p) {
			return
		}
	}
}

// add opens the heap at a place and keeps it, if there is one.
func (s *rtScan) add(place rtPlace) bool {
	for _, p := range s.pools {
		if place.first >= p.about.Span.Start && place.first < p.about.Span.End {
			return true
		}
	}
	if s.tries++; len(s.pools) >= maxPools || s.budget <= 0 {
		return false
	}
	if place.first == 0 || place.first&3 != 0 {
		return false
	}
	if p := s.open(place, nil); p != nil {
		s.pools = append(s.pools, p)
		return true
	}
	return false
}
