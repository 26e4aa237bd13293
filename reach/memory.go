package reach

import (
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// memory gives the words of a range, in pieces as they come.
type memory struct {
	mem    heap.RAM
	spans  []heap.Memory
	size   heap.Addr // of a word
	stride heap.Addr // between words
}

func newMemory(mem heap.RAM, o Options) memory {
	m := memory{mem, mem.Spans(), heap.Addr(o.PointerSize), heap.Addr(o.PointerSize)}
	if o.Unaligned {
		m.stride = 1
	}
	return m
}

// last returns the address of the last byte of a span, which has some, as far
// as the address space goes.
func last(s *heap.Memory) heap.Addr {
	if end := s.Addr + heap.Addr(len(s.Bytes)-1); end >= s.Addr {
		return end
	}
	return ^heap.Addr(0)
}

// index returns the number of the first span that reaches to addr or behind it.
func (m *memory) index(addr heap.Addr) int {
	i, _ := slices.BinarySearchFunc(m.spans, addr, func(s heap.Memory, a heap.Addr) int {
		if len(s.Bytes) == 0 {
			return cmp.Compare(s.Addr, a)
		}
		return cmp.Compare(last(&s), a)
	})
	return i
}

// pieces calls fn with the parts of a range that are there, ascending, until it
// returns false. Each begins where a word may begin. Words that lie across the
// border of two spans come as pieces of their own.
func (m *memory) pieces(r heap.Span, fn func(at heap.Addr, b []byte) bool) {
	for i := m.index(r.Start); i < len(m.spans) && m.spans[i].Addr < r.End; i++ {
		s := &m.spans[i]
		if len(s.Bytes) == 0 {
			continue
		}
		from, to := max(s.Addr, r.Start), min(last(s), r.End-1)+1 // to: 0 at the end of the address space
		if m.stride > 1 {
			skip := -from & (m.size - 1)
			if skip >= to-from {
				continue
			}
			from += skip
		}
		if !fn(from, s.Bytes[from-s.Addr:to-s.Addr]) || !m.across(heap.Span{Start: from, End: to}, r.End, fn) {
			return
		}
	}
}

// across calls fn with the words that begin in piece and end behind it, but not
// behind end.
func (m *memory) across(piece heap.Span, end heap.Addr, fn func(at heap.Addr, b []byte) bool) bool {
	at := piece.End - min(m.size-1, piece.End-piece.Start)
	if m.stride > 1 {
		at = piece.End &^ (m.size - 1)
	}
	for ; at < piece.End && at+m.size > at && at+m.size <= end; at += m.stride {
		if b := m.mem.View(at, uint64(m.size)); b != nil && !fn(at, b) {
			return false
		}
	}
	return true
}

// there returns how many bytes of a range are in memory.
func (m *memory) there(r heap.Span) (n uint64) {
	for i := m.index(r.Start); i < len(m.spans) && m.spans[i].Addr < r.End; i++ {
		if s := &m.spans[i]; len(s.Bytes) > 0 {
			n += uint64(min(last(s), r.End-1)-max(s.Addr, r.Start)) + 1
		}
	}
	return n
}

// subtract returns what of a range is in none of the others, which are
// ascending and disjoint.
func subtract(r heap.Span, others []heap.Span) (left []heap.Span) {
	for _, o := range others {
		if o.End <= r.Start || o.Start >= r.End {
			continue
		}
		if o.Start > r.Start {
			left = append(left, heap.Span{Start: r.Start, End: o.Start})
		}
		r.Start = o.End
	}
	if r.Start < r.End {
		left = append(left, r)
	}
	return left
}

// words reads words.
type words struct {
	wide, swapped, unaligned bool
	size                     int // of a word
	stride                   int
}

func newWords(o Options) words {
	w := words{wide: o.PointerSize == 8, unaligned: o.Unaligned, size: o.PointerSize, stride: o.PointerSize}
	if w.unaligned {
		w.stride = 1
	}
	w.swapped = o.Order != nil && o.Order.Uint16([]byte{0, 1}) == 1
	return w
}

// word returns the one that b begins with.
func (w *words) word(b []byte) uint64 {
	switch {
	case w.wide && w.swapped:
		return binary.BigEndian.Uint64(b)
	case w.wide:
		return binary.LittleEndian.Uint64(b)
	case w.swapped:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return uint64(binary.LittleEndian.Uint32(b))
}

const (
	chunk = 1024 // the words that are sieved at a time
	batch = 2 * chunk
)

// sieve appends the words of b, at most chunk, that lie in [lo, lo+size) to the
// n in vals, which has room for them, and returns how many there are then.
//
// Its loops store each word and then count it or not, which takes no branch: one
// in ten words passes, so branches would often be mispredicted.
func (w *words) sieve(b []byte, vals *[batch]uint64, n int, lo, size uint64) int {
	switch {
	case w.unaligned || w.swapped:
		for ; len(b) >= w.size; b = b[w.stride:] {
			n = keep(vals, n, w.word(b), lo, size)
		}
	case w.wide:
		for ; len(b) >= 16; b = b[16:] {
			n = keep(vals, n, binary.LittleEndian.Uint64(b), lo, size)
			n = keep(vals, n, binary.LittleEndian.Uint64(b[8:]), lo, size)
		}
		if len(b) >= 8 {
			n = keep(vals, n, binary.LittleEndian.Uint64(b), lo, size)
		}
	default:
		for ; len(b) >= 16; b = b[16:] {
			n = keep(vals, n, uint64(binary.LittleEndian.Uint32(b)), lo, size)
			n = keep(vals, n, uint64(binary.LittleEndian.Uint32(b[4:])), lo, size)
			n = keep(vals, n, uint64(binary.LittleEndian.Uint32(b[8:])), lo, size)
			n = keep(vals, n, uint64(binary.LittleEndian.Uint32(b[12:])), lo, size)
		}
		for ; len(b) >= 4; b = b[4:] {
			n = keep(vals, n, uint64(binary.LittleEndian.Uint32(b)), lo, size)
		}
	}
	return n
}

// keep stores v behind the n in vals and counts it if it lies in [lo, lo+size).
func keep(vals *[batch]uint64, n int, v, lo, size uint64) int {
	vals[n&(batch-1)] = v
	if v-lo < size {
		n++
	}
	return n
}
