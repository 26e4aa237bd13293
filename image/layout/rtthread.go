package layout

import (
	"fmt"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// RTThread is a configuration of an allocator of RT-Thread, as far as it
// changes how a heap lies in memory. Names in comments are those of the device's
// configuration. Sources: src/mem.c, src/memheap.c and include/rtdef.h of
// RT-Thread 2.1 to 5.2. Headers, 32-bit / 64-bit offsets:
//
//	small memory, to 4.0         small memory, from 4.1         memheap
//	 0/0  0x1ea0 in 16 bits       0/0  address of the pool       0/0  0x1ea01ea0
//	 2/2  used, 0 or 1                 bit 0: used                    bit 0: used
//	      (64-bit: 4 bytes)            (Reserved: 4 bytes)       4/8  address of the pool
//	 4/8  next                    4/8  next                      8/16 next
//	 8/16 previous                8/16 previous                 12/24 previous
//	12/24 name: 4/8 bytes        12/24 name: 4/8 bytes          16/32 next free
//	                                                            20/40 previous free
//	                                                            24/48 name: 4 bytes
//
// The names, of the thread that allocated the node, are there with MemTrace.
// Small memory links nodes by their distance from the first one, memheap by
// address. At the end lies a used node that is nothing but a header. That of
// small memory leads to itself, and what it says about the node in front may be
// out of date; that of memheap leads to the first one, which leads back to it.
type RTThread struct {
	Kind     RTThreadKind
	Bits64   bool // ARCH_CPU_64BIT
	MemTrace bool // RT_USING_MEMTRACE
	// Reserved is an unused word of 4 bytes in front of the links, which 64-bit
	// builds of 4.1 have; only with RTThreadSmall.
	Reserved bool
	// Align is RT_ALIGN_SIZE, a power of two in bytes; 0: a word. Nodes and
	// headers are multiples of it.
	Align int
}

// RTThreadKind is one of RT-Thread's allocators.
type RTThreadKind uint8

// The allocators whose heaps are a row of nodes.
const (
	RTThreadSmall   RTThreadKind = iota // small memory, from 4.1 on
	RTThreadMagic                       // small memory, up to 4.0
	RTThreadMemheap                     // memheap
)

// String names the allocator.
func (k RTThreadKind) String() string {
	switch k {
	case RTThreadSmall:
		return "small memory of 4.1 or later"
	case RTThreadMagic:
		return "small memory of 4.0 or earlier"
	case RTThreadMemheap:
		return "memheap"
	}
	return fmt.Sprintf("allocator %d", uint8(k))
}

const (
	rtMagic16 = 0x1ea0
	rtMagic32 = 0x1ea01ea0
)

// Validate says what is wrong with a configuration.
func (l RTThread) Validate() error {
	switch {
	case l.Kind > RTThreadMemheap:
		return fmt.Errorf("layout: RT-Thread has no %s", l.Kind)
	case l.Reserved && (l.Kind != RTThreadSmall || !l.Bits64):
		return fmt.Errorf("layout: only 64-bit small memory has a reserved word")
	case l.Align != 0 && (l.Align < 4 || l.Align > maxAlign || l.Align&(l.Align-1) != 0):
		return fmt.Errorf("layout: RT_ALIGN_SIZE=%d: must be a power of two from 4 to %d", l.Align, maxAlign)
	}
	return nil
}

// String names the configuration: "RT-Thread memheap, 32-bit,
// RT_USING_MEMTRACE, RT_ALIGN_SIZE=8".
func (l RTThread) String() string {
	parts := []string{"RT-Thread " + l.Kind.String(), "32-bit"}
	if l.Bits64 {
		parts[1] = "64-bit"
	}
	if l.MemTrace {
		parts = append(parts, "RT_USING_MEMTRACE")
	}
	if l.Reserved {
		parts = append(parts, "a reserved word")
	}
	return strings.Join(append(parts, fmt.Sprintf("RT_ALIGN_SIZE=%d", l.offsets().align)), ", ")
}

// rtOffsets are where everything lies in a header, in bytes; -1: not there.
type rtOffsets struct {
	word, align        int
	used               int // the byte that says whether it is used
	markLen            int // of the constant that a header begins with
	pool               int // memheap: the pool's address
	next, prev         int
	nextFree, prevFree int
	name, nameLen      int
	head               int // length of a header
}

func (l RTThread) offsets() rtOffsets {
	w := 4
	if l.Bits64 {
		w = 8
	}
	o := rtOffsets{word: w, align: l.Align, pool: -1, nextFree: -1, prevFree: -1, name: -1, markLen: w}
	if o.align == 0 {
		o.align = w
	}
	end := w // of the mark, padded
	field := func() (at int) { at, end = end, end+w; return at }
	switch l.Kind {
	case RTThreadMagic:
		o.markLen, o.used = 2, 2
	case RTThreadMemheap:
		o.markLen = 4
		o.pool = field()
	default:
		if l.Reserved {
			end += w
		}
	}
	o.next, o.prev = field(), field()
	if l.Kind == RTThreadMemheap {
		o.nextFree, o.prevFree = field(), field()
	}
	if l.MemTrace {
		o.name, o.nameLen = end, w
		if l.Kind == RTThreadMemheap {
			o.nameLen = 4
		}
		end += o.nameLen
	}
	unit := max(o.align, w)
	o.head = (end + unit - 1) &^ (unit - 1)
	return o
}

// rtOwner makes a thread's name an owner: short names as listings on the
// device's console give them, so that both can be compared.
func rtOwner(name []byte) (o heap.Owner) {
	for i, c := range rtTrim(name) {
		o ^= heap.Owner(c) << (8 * (i & 3))
	}
	return o
}

// rtTrim returns a name without the blanks it is filled up with.
func rtTrim(name []byte) []byte {
	for len(name) > 0 && (name[len(name)-1] == ' ' || name[len(name)-1] == 0) {
		name = name[:len(name)-1]
	}
	for len(name) > 0 && name[0] == ' ' {
		name = name[1:]
	}
	return name
}

// rtName reports whether b can be the name of a thread, blanks for none.
func rtName(b []byte) bool {
	ended := false
	for _, c := range b {
		switch {
		case c == 0:
			ended = true
		case ended || c < ' ' || c > '~':
			return false
		}
	}
	return true
}
