package image

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// ErrNoCopy says that a repaired copy of an image cannot be written.
var ErrNoCopy = errors.New("a repaired copy can be written of one raw file or one ELF core only")

// change is bytes at an offset in a file.
type change struct {
	off   int
	bytes []byte
}

// WriteRepaired writes the file that m was opened from to w, as it is but for
// repairs: what memory is to hold instead. All of that must be in the image,
// once; otherwise nothing is written. A packed file is written unpacked. Of
// several files, and of text, there is no such copy: the error wraps ErrNoCopy.
//
// Where a core has the same memory twice, the copy that View shows is repaired.
func (m *Image) WriteRepaired(w io.Writer, repairs []heap.Memory) error {
	if m.file == nil {
		return ErrNoCopy
	}
	var changes []change
	for _, r := range repairs {
		for addr, rest := r.Addr, r.Bytes; len(rest) > 0; {
			s := m.Segment(addr)
			if s == nil {
				return fmt.Errorf("the repair at %s is outside the image", addr)
			}
			at := int(addr - s.Addr)
			n := min(len(rest), len(s.Bytes)-at)
			changes = append(changes, change{off: s.offset + at, bytes: rest[:n]})
			addr, rest = addr+heap.Addr(n), rest[n:]
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return cmp.Compare(a.off, b.off) })
	for i := 1; i < len(changes); i++ {
		if changes[i-1].off+len(changes[i-1].bytes) > changes[i].off {
			return fmt.Errorf("two repairs of the same memory, at offset %#x of the file", changes[i].off)
		}
	}
	at := 0
	for _, c := range append(changes, change{off: len(m.file)}) {
		if _, err := w.Write(m.file[at:c.off]); err != nil {
			return err
		}
		if _, err := w.Write(c.bytes); err != nil {
			return err
		}
		at = c.off + len(c.bytes)
	}
	return nil
}
