package layout

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// ram reads memory through a window, so that reading a node costs no call
// through an interface.
type ram struct {
	mem   heap.RAM
	spans []heap.Memory
	at    heap.Addr // of win[0]
	win   []byte
	lists [2]listsAt // for words of 4 and 8 bytes
}

func newRAM(mem heap.RAM) *ram { return &ram{mem: mem, spans: mem.Spans()} }

// bytes returns the n bytes at addr, nil if they are not all there.
func (r *ram) bytes(addr heap.Addr, n int) []byte {
	if off := uint64(addr - r.at); off < uint64(len(r.win)) && uint64(n) <= uint64(len(r.win))-off {
		return r.win[off : off+uint64(n)]
	}
	return r.elsewhere(addr, n)
}

// elsewhere moves the window to the span that addr lies in.
func (r *ram) elsewhere(addr heap.Addr, n int) []byte {
	s := r.span(addr)
	if s == nil || n < 0 {
		return nil
	}
	r.at, r.win = s.Addr, s.Bytes
	if off := uint64(addr - r.at); uint64(n) <= uint64(len(r.win))-off {
		return r.win[off : off+uint64(n)]
	}
	return r.mem.View(addr, uint64(n)) // across the border of two spans
}

// span returns the piece that addr lies in, nil if there is none.
func (r *ram) span(addr heap.Addr) *heap.Memory {
	if i := r.index(addr); i < len(r.spans) && r.spans[i].Addr <= addr {
		return &r.spans[i]
	}
	return nil
}

// index returns the number of the first span that ends behind addr.
func (r *ram) index(addr heap.Addr) int {
	lo, hi := 0, len(r.spans)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s := &r.spans[mid]; s.Addr <= addr && uint64(addr-s.Addr) >= uint64(len(s.Bytes)) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// some returns up to n bytes from addr on, as many as there are in one piece.
func (r *ram) some(addr heap.Addr, n int) []byte {
	s := r.span(addr)
	if s == nil {
		return nil
	}
	return s.Bytes[addr-s.Addr:][:min(uint64(n), uint64(len(s.Bytes))-uint64(addr-s.Addr))]
}

// size returns how many bytes there are between from and to.
func (r *ram) size(from, to heap.Addr) (n uint64) {
	for i := r.index(from); i < len(r.spans) && r.spans[i].Addr < to; i++ {
		s := &r.spans[i]
		start := max(s.Addr, from)
		n += min(uint64(to-start), uint64(len(s.Bytes))-uint64(start-s.Addr))
	}
	return n
}

// firstMissing returns the first address from at on that is in no span.
func (r *ram) firstMissing(at heap.Addr) heap.Addr {
	for i := r.index(at); i < len(r.spans) && r.spans[i].Addr <= at; i++ {
		at = r.spans[i].Addr + heap.Addr(len(r.spans[i].Bytes))
	}
	return at
}

// word reads an address of w bytes, 4 or 8.
func word(b []byte, w int) uint64 {
	if w == 8 {
		return binary.LittleEndian.Uint64(b)
	}
	return uint64(binary.LittleEndian.Uint32(b))
}

func putWord(b []byte, w int, v uint64) {
	if w == 8 {
		binary.LittleEndian.PutUint64(b, v)
		return
	}
	binary.LittleEndian.PutUint32(b, uint32(v))
}

func (r *ram) word(addr heap.Addr, w int) (uint64, bool) {
	b := r.bytes(addr, w)
	if b == nil {
		return 0, false
	}
	return word(b, w), true
}

// selfPointer returns the first word from at on that holds its own address, or
// the low half of it.
func selfPointer(s *heap.Memory, at heap.Addr) (heap.Addr, bool) {
	at = (at + 3) &^ 3
	off := uint64(at - s.Addr)
	if at < s.Addr || off >= uint64(len(s.Bytes)) {
		return 0, false
	}
	b := s.Bytes[off:]
	want := uint32(at)
	for len(b) >= 16 {
		x, y := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		switch want {
		case uint32(x):
			return at, true
		case uint32(x>>32) - 4:
			return at + 4, true
		case uint32(y) - 8:
			return at + 8, true
		case uint32(y>>32) - 12:
			return at + 12, true
		}
		b, at, want = b[16:], at+16, want+16
	}
	for len(b) >= 4 {
		if binary.LittleEndian.Uint32(b) == want {
			return at, true
		}
		b, at, want = b[4:], at+4, want+4
	}
	return 0, false
}
