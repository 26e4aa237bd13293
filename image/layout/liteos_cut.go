package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A dump may hold a part of a pool only: it was cut, or some of its segments were
// not written. What is not there is neither used nor free.

// leastRow is how many sound nodes in a row there must be for a pool whose end is
// not in the image to be believed unasked: its head can be that of a former one.
const leastRow = 4

// cutEnd returns where a pool at addr ends if that is not in the image; 0: it is,
// or there can be no pool. w is the length of a word in bytes.
func (m *ram) cutEnd(addr heap.Addr, w int) uint64 {
	size, ok := m.poolSize(addr, w == 8)
	if !ok || m.bytes(addr+heap.Addr(size)-1, 1) != nil {
		return 0
	}
	return uint64(addr) + size
}

// notThere is why a gap is one that the image does not have.
const notThere = "not in the image"

// notThere says what of the pool is not in the image, "" if all is.
func (w *walker) notThere() string {
	span := heap.Span{Start: w.p.Addr, End: w.p.Addr + heap.Addr(w.p.Size)}
	n := span.Len() - w.far.size(span.Start, span.End)
	if n == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of its %d bytes are not in the image, the first at %s", n, span.Len(), w.far.firstMissing(span.Start))
	if w.unseen == 0 {
		return text + ", but the heads of all nodes are"
	}
	text += fmt.Sprintf("; %d bytes are counted neither as used nor as free: no head tells what they are", w.unseen)
	if w.o.Used < 0 {
		return text
	}
	if v, ok := w.far.word(w.p.Addr+heap.Addr(w.o.Used), 4); ok {
		text += fmt.Sprintf("; the device itself counted %d bytes in use in all", v)
	}
	return text
}

// notUnderstood says what of the pool is in the image, but makes no sense; "" if
// all does.
func (w *walker) notUnderstood() string {
	if len(w.survey.Gaps) == maxGaps {
		return fmt.Sprintf("%d or more ranges could not be interpreted", maxGaps)
	}
	var n, bytes uint64
	var first heap.Addr
	for _, g := range w.survey.Gaps {
		if g.Why == notThere {
			continue
		}
		if n++; n == 1 {
			first = g.Start
		}
		bytes += g.Len()
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d bytes in %d ranges could not be interpreted, the first at %s", bytes, n, first)
}

const (
	// fewMagics is how many magics of nodes there must be to speak of a heap.
	fewMagics = 8
	// magicBytes is how much of each piece of memory is searched for them.
	magicBytes = 4 << 20
	// maxShifts bounds the places that are counted at which the memory could lie.
	maxShifts = 1 << 16
)

// headless says that memory in which no pool was found holds nodes of one, without
// the head; "" if it does not. A magic is the complement of its own address, so
// nodes are recognised even if the memory lay elsewhere than its addresses say.
func headless(mem heap.RAM) string {
	shifts := make(map[uint32]int)
	var best uint32
	for _, s := range mem.Spans() {
		b := s.Bytes[:min(len(s.Bytes), magicBytes)]
		for i := int(-s.Addr & 3); i+4 <= len(b); i += 4 {
			own := ^binary.LittleEndian.Uint32(b[i:])
			if own&3 != 0 || own < 0x1000 || own > 0xfff00000 {
				continue // most words
			}
			shift := own - uint32(s.Addr) - uint32(i)
			n, ok := shifts[shift]
			if !ok && len(shifts) == maxShifts {
				continue
			}
			if shifts[shift] = n + 1; n+1 > shifts[best] {
				best = shift
			}
		}
	}
	n := shifts[best]
	if n < fewMagics {
		return ""
	}
	where := ","
	if best != 0 {
		where = fmt.Sprintf(", if it begins at %#x,", uint32(mem.Spans()[0].Addr)+best)
	}
	return fmt.Sprintf("the memory holds %d magics of LiteOS nodes%s but no pool's head, which is needed: the dump must begin no later than the pool (m_aucSysMem1)", n, where)
}
