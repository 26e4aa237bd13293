package damage

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A run is a stretch of memory that holds one byte over and over, as far as
// the pieces shown let it be followed.
type run struct {
	span heap.Span
	b    byte
	open bool // no memory is shown behind it: it may go on
}

// minRun is how many equal bytes make a run.
const minRun = 4

// at returns the byte at addr, if the pieces show it.
func at(pieces []heap.Memory, addr heap.Addr) (byte, bool) {
	for _, p := range pieces {
		if addr >= p.Addr && addr-p.Addr < heap.Addr(len(p.Bytes)) {
			return p.Bytes[addr-p.Addr], true
		}
	}
	return 0, false
}

// runAt returns the run that addr lies in, from no lower than floor. Gaps of up
// to gap bytes between pieces that hold the same byte on both sides are taken
// as part of it.
func runAt(pieces []heap.Memory, addr, floor heap.Addr, gap int) (run, bool) {
	b, ok := at(pieces, addr)
	if !ok {
		return run{}, false
	}
	r := run{heap.Span{Start: addr, End: addr + 1}, b, false}
	for r.span.Start > floor {
		c, ok := at(pieces, r.span.Start-1)
		if !ok || c != b {
			break
		}
		r.span.Start--
	}
	for {
		c, ok := at(pieces, r.span.End)
		if !ok {
			next := nextPiece(pieces, r.span.End)
			if next == nil || next.Addr-r.span.End > heap.Addr(gap) || next.Bytes[0] != b {
				r.open = next == nil || next.Addr-r.span.End > heap.Addr(gap)
				break
			}
			r.span.End = next.Addr
			continue
		}
		if c != b {
			break
		}
		r.span.End++
	}
	return r, r.span.Len() >= minRun
}

// nextPiece returns the first piece from addr on.
func nextPiece(pieces []heap.Memory, addr heap.Addr) *heap.Memory {
	var next *heap.Memory
	for i := range pieces {
		if p := &pieces[i]; p.Addr >= addr && len(p.Bytes) > 0 && (next == nil || p.Addr < next.Addr) {
			next = p
		}
	}
	return next
}

// shown returns the bytes in the span that the pieces show, in order.
func shown(pieces []heap.Memory, s heap.Span) []byte {
	var b []byte
	for _, p := range pieces {
		for i, c := range p.Bytes {
			if a := p.Addr + heap.Addr(i); a >= s.Start && a < s.End {
				b = append(b, c)
			}
		}
	}
	return b
}

// byteName names a byte as an engineer would: 'A' (0x41), 0x00.
func byteName(b byte) string {
	if b > ' ' && b <= '~' {
		return fmt.Sprintf("'%c' (0x%02x)", b, b)
	}
	return fmt.Sprintf("0x%02x", b)
}
