package damage

import (
	"fmt"
	"strconv"
	"strings"

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

const (
	// maxText bounds the overwriting text that is quoted, in bytes.
	maxText = 64
	// maxBytes bounds the overwriting bytes that are listed.
	maxBytes = 16
)

// looks says what overwriting bytes look like; "" if there are none.
func looks(b []byte, heapAt heap.Addr) string {
	if len(b) == 0 {
		return ""
	}
	same := true
	for _, c := range b {
		same = same && c == b[0]
	}
	if same {
		switch b[0] {
		case 0:
			return "zeroes"
		default:
			return "byte " + byteName(b[0]) + " repeated"
		}
	}
	if text := strings.TrimRight(string(b), "\x00"); printable(text) && len(text) >= minRun {
		return "text " + strconv.Quote(text[:min(len(text), maxText)])
	}
	if p := pointers(b, heapAt); p*2 > len(b)/4 {
		return fmt.Sprintf("%d of %d words look like pointers into the heap", p, len(b)/4)
	}
	return fmt.Sprintf("bytes % x", b[:min(len(b), maxBytes)])
}

func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~') && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}

// pointers counts the 32-bit words that are aligned addresses within 16 MB of
// addr.
func pointers(b []byte, addr heap.Addr) int {
	const near = 16 << 20
	n := 0
	for i := 0; i+4 <= len(b); i += 4 {
		w := heap.Addr(b[i]) | heap.Addr(b[i+1])<<8 | heap.Addr(b[i+2])<<16 | heap.Addr(b[i+3])<<24
		if w%4 == 0 && w != 0 && max(w, addr)-min(w, addr) < near && w > 0xfff {
			n++
		}
	}
	return n
}
