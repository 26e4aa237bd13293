package layout

import (
	"fmt"
	"strings"
)

// NuttX is a configuration of NuttX's mm_heap, as far as it changes how nodes
// lie in memory. The names in the comments are those of the device's
// configuration. Sources: mm/mm_heap/mm.h of NuttX 11 to 12.10, in which
//
//	         32-bit                  64-bit
//	0        length of the node in front, valid only if that is free
//	4        8       length, bit 0: used, bit 1: the node in front is free
//	8        16      task                                  (PID)
//	12       24      sequence number                       (Seqno)
//	then             one return address for each level     (Backtrace)
//	then             a free node's links: next, previous
//
// A header counts in a node's length. The first field belongs to the node in
// front as long as that is in use: its payload goes on there. At both ends of a
// region lies a used node that is nothing but a header.
type NuttX struct {
	Bits64 bool
	PID    bool // CONFIG_MM_BACKTRACE 0 or more; from 12.10 on CONFIG_MM_RECORD_PID
	Seqno  bool // the same from 12.3 to 12.9; then CONFIG_MM_RECORD_SEQNO
	// Backtrace is the number of levels, CONFIG_MM_BACKTRACE, from 0 to
	// MaxNuttXBacktrace.
	Backtrace int
	// StackRef is CONFIG_MM_RECORD_STACK of 12.10: the address of a backtrace
	// that is kept elsewhere, in place of the levels.
	StackRef bool
	// Align is CONFIG_MM_DEFAULT_ALIGNMENT, a power of two in bytes; 0: two
	// words. Lengths and payloads are multiples of it.
	Align int
}

const (
	// MaxNuttXBacktrace bounds CONFIG_MM_BACKTRACE.
	MaxNuttXBacktrace = 64
	// maxAlign bounds the alignment of nodes.
	maxAlign = 4096

	nuttxUsed     = 1 // bits of a length
	nuttxPrevFree = 2
	nuttxBits     = 3
)

// Validate says what is wrong with a configuration.
func (l NuttX) Validate() error {
	w := l.word()
	switch {
	case l.Backtrace < 0 || l.Backtrace > MaxNuttXBacktrace:
		return fmt.Errorf("layout: CONFIG_MM_BACKTRACE=%d: must be 0 to %d here", l.Backtrace, MaxNuttXBacktrace)
	case l.Backtrace > 0 && !l.PID:
		return fmt.Errorf("layout: CONFIG_MM_BACKTRACE=%d records the task too", l.Backtrace)
	case l.Backtrace > 0 && l.StackRef:
		return fmt.Errorf("layout: CONFIG_MM_BACKTRACE and CONFIG_MM_RECORD_STACK are of different versions")
	case l.Align != 0 && (l.Align < w || l.Align > maxAlign || l.Align&(l.Align-1) != 0):
		return fmt.Errorf("layout: CONFIG_MM_DEFAULT_ALIGNMENT=%d: must be a power of two from %d to %d", l.Align, w, maxAlign)
	}
	return nil
}

func (l NuttX) word() int {
	if l.Bits64 {
		return 8
	}
	return 4
}

// String names the configuration: "NuttX mm_heap, 32-bit, CONFIG_MM_BACKTRACE=8
// with sequence numbers".
func (l NuttX) String() string {
	parts := []string{"NuttX mm_heap", "32-bit"}
	if l.Bits64 {
		parts[1] = "64-bit"
	}
	switch {
	case l.Backtrace > 0:
		parts = append(parts, fmt.Sprintf("CONFIG_MM_BACKTRACE=%d", l.Backtrace))
	case l.PID:
		parts = append(parts, "CONFIG_MM_BACKTRACE=0")
	default:
		parts = append(parts, "CONFIG_MM_BACKTRACE=-1")
	}
	if l.Seqno {
		parts = append(parts, "sequence numbers")
	}
	if l.StackRef {
		parts = append(parts, "CONFIG_MM_RECORD_STACK")
	}
	if l.Align != 0 {
		parts = append(parts, fmt.Sprintf("aligned to %d", l.Align))
	}
	return strings.Join(parts, ", ")
}

// nuttxOffsets are where everything lies, in bytes; -1: not there.
type nuttxOffsets struct {
	word, align                                int
	preceding, size, pid, seqno, stack, levels int
	head                                       int // length of a header
	next, prev                                 int // links of a free node, behind its header
}

func (l NuttX) offsets() nuttxOffsets {
	w := l.word()
	o := nuttxOffsets{word: w, align: l.Align, levels: l.Backtrace, pid: -1, seqno: -1, stack: -1, size: w}
	if o.align == 0 {
		o.align = 2 * w
	}
	end := 2 * w
	if l.PID {
		o.pid = end
		end += 4
	}
	up := func() { end = (end + w - 1) &^ (w - 1) }
	if l.Seqno {
		up()
		o.seqno = end
		end += w
	}
	if l.Backtrace > 0 || l.StackRef {
		up()
		o.stack = end
		end += w * max(l.Backtrace, 1)
	}
	up()
	o.head = end
	o.next, o.prev = end, end+w
	return o
}

// least returns the length of the shortest node between the guards: it holds
// what a free node holds.
func (o *nuttxOffsets) least() int { return (o.head + 2*o.word + o.align - 1) &^ (o.align - 1) }
