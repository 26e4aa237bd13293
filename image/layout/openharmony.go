package layout

import (
	"errors"
	"fmt"
	"strings"
)

// TLSF is a configuration of the allocator of OpenHarmony's two LiteOS kernels,
// as far as it changes how a heap lies in memory, by their los_memory.c. Both
// have a pool head, nodes in a row, and an end node of length 0:
//
//	pool head  pool (points to itself), total size, attributes,
//	           [waterline, bytes in use], [bytes in gaps],
//	           bitmap[7], first free nodes[223], LiteOS-A: lock, [next pool]
//	node       LiteOS-M: [magic] [LR x n] previous node, [task], size and flags
//	           LiteOS-A: magic, previous node, [LR x n], size and flags
//	free node  the same, then previous and next free node of its list
//
// The previous node of the first one is the end node in LiteOS-M and nobody in
// LiteOS-A. The LRs of a free node are those of whoever freed it. The names in
// the comments are those of the device's configuration.
type TLSF struct {
	A         bool     // LiteOS-A, not LiteOS-M
	Bits64    bool     // addresses of 8 bytes
	Integrity bool     // LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK: a magic; always in LiteOS-A
	LeakCheck bool     // LOSCFG_MEM_LEAKCHECK: headers hold call stacks
	LRs       int      // LOSCFG_MEM_RECORD_LR_CNT, LOS_RECORD_LR_CNT, 1 to 8; only with LeakCheck
	Task      TLSFTask // which task allocated a node; only LiteOS-M
	Waterline bool     // LOSCFG_MEM_WATERLINE: the pool head counts the bytes in use
	Regions   bool     // LOSCFG_MEM_MUL_REGIONS: gap nodes bridge memory in between; only LiteOS-M
	MulPool   bool     // LOSCFG_MEM_MUL_POOL: pools are chained
	SMP       bool     // LOSCFG_KERNEL_SMP: a longer lock; only LiteOS-A
	Expand    bool     // LOSCFG_KERNEL_VM: a pool grows by regions elsewhere; only LiteOS-A
}

// A TLSFTask says where a header holds the ID of the task.
type TLSFTask uint8

// The three ways.
const (
	TLSFNoTask     TLSFTask = iota
	TLSFTaskWord            // LOSCFG_TASK_MEM_USED: 4 bytes in front of the size
	TLSFTaskPacked          // LOSCFG_MEM_FREE_BY_TASKID: the low 6 bits of the size word, the size above them
)

const (
	tlsfMagic    = 0xABCDDCBA
	tlsfGap      = 0xDCBAABCD // previous node of a gap node
	tlsfBitmap   = 7          // words
	tlsfLists    = 223
	tlsfSmall    = 31   // lists for one size each, of 4 to 124 bytes
	tlsfTaskBits = 6    // of a packed word
	tlsfSeen     = 0x20 // flags, in the highest byte of the size word: seen by the leak check; LiteOS-A: last
	tlsfAligned  = 0x40
	tlsfUsed     = 0x80
)

// Validate says what is wrong with a configuration.
func (l TLSF) Validate() error {
	switch {
	case l.LeakCheck && (l.LRs < 1 || l.LRs > MaxLRs):
		return fmt.Errorf("layout: %d LRs: must be 1 to %d", l.LRs, MaxLRs)
	case !l.LeakCheck && l.LRs != 0:
		return errors.New("layout: LRs without LOSCFG_MEM_LEAKCHECK")
	case l.Task > TLSFTaskPacked:
		return errors.New("layout: there is no such place for a task ID")
	case l.A && (!l.Integrity || l.Task != TLSFNoTask || l.Regions):
		return errors.New("layout: headers of LiteOS-A have a magic, no task ID and no gap nodes")
	case !l.A && (l.SMP || l.Expand):
		return errors.New("layout: LOSCFG_KERNEL_SMP and LOSCFG_KERNEL_VM are LiteOS-A's")
	}
	return nil
}

// System is the name of the allocator, as Systems lists it.
func (l TLSF) System() string {
	if l.A {
		return "liteos-a"
	}
	return "liteos-m"
}

// String names the configuration: "OpenHarmony LiteOS-M TLSF, 32-bit,
// LOSCFG_MEM_WATERLINE".
func (l TLSF) String() string {
	parts := []string{"OpenHarmony LiteOS-M TLSF", "32-bit"}
	lrs := "LOSCFG_MEM_RECORD_LR_CNT"
	if l.A {
		parts[0], lrs = "OpenHarmony LiteOS-A TLSF", "LOS_RECORD_LR_CNT"
	}
	if l.Bits64 {
		parts[1] = "64-bit"
	}
	add := func(on bool, name string) {
		if on {
			parts = append(parts, name)
		}
	}
	add(l.Integrity && !l.A, "LOSCFG_BASE_MEM_NODE_INTEGRITY_CHECK")
	add(l.LeakCheck, fmt.Sprintf("LOSCFG_MEM_LEAKCHECK (%s=%d)", lrs, l.LRs))
	add(l.Task == TLSFTaskWord, "LOSCFG_TASK_MEM_USED")
	add(l.Task == TLSFTaskPacked, "LOSCFG_MEM_FREE_BY_TASKID")
	add(l.Waterline, "LOSCFG_MEM_WATERLINE")
	add(l.Regions, "LOSCFG_MEM_MUL_REGIONS")
	add(l.MulPool, "LOSCFG_MEM_MUL_POOL")
	add(l.SMP, "LOSCFG_KERNEL_SMP")
	add(l.Expand, "LOSCFG_KERNEL_VM")
	return strings.Join(parts, ", ")
}

// TLSFOffsets are where everything lies, in bytes; -1: not there.
type TLSFOffsets struct {
	Word int // size of an address

	// In a node.
	Magic, LR, Prev, Task, Size int
	LRs                         int // number of LRs
	Head                        int // length of the head of a used node: its payload's offset
	Links                       int // of a free node: previous, then next; Head
	FreeHead                    int // length of the head of a free node

	// In the pool.
	PoolSize, Attr, Peak, Used, GapSize, Bitmap, Lists, Lock, NextPool, FirstNode int
}

// Offsets computes the offsets as a C compiler does.
func (l TLSF) Offsets() TLSFOffsets {
	w := 4
	if l.Bits64 {
		w = 8
	}
	end := 0
	field := func(there bool, size, n int) int {
		if !there {
			return -1
		}
		at := (end + size - 1) / size * size
		end = at + size*n
		return at
	}
	whole := func() int { return (end + w - 1) / w * w }
	o := TLSFOffsets{Word: w, Magic: -1, LR: -1}
	if l.LeakCheck {
		o.LRs = l.LRs
	}
	o.Magic = field(l.Integrity, 4, 1)
	if l.A {
		o.Prev = field(true, w, 1)
		o.LR = field(o.LRs > 0, w, o.LRs)
	} else {
		o.LR = field(o.LRs > 0, w, o.LRs)
		o.Prev = field(true, w, 1)
	}
	o.Task = field(l.Task == TLSFTaskWord, 4, 1)
	o.Size = field(true, 4, 1)
	o.Head = whole()
	o.Links = o.Head
	o.FreeHead = o.Head + 2*w

	end = 0
	field(true, w, 1) // the pool itself
	o.PoolSize = field(true, 4, 1)
	o.Attr = field(true, 4, 1)
	o.Peak = field(l.Waterline, 4, 1)
	o.Used = field(l.Waterline, 4, 1)
	o.GapSize = field(l.Regions, 4, 1)
	end = whole() // the structure that holds these ends here
	o.Bitmap = field(true, 4, tlsfBitmap)
	o.Lists = field(true, w, tlsfLists)
	o.Lock = field(l.A, w, 1)
	field(l.SMP, 4, 1) // CPU
	field(l.SMP, w, 2) // owner, name
	o.NextPool = field(l.MulPool, w, 1)
	o.FirstNode = whole()
	return o
}

// sizeMask is which bits of the size word, shifted, are the size.
func (l TLSF) sizeMask() uint32 {
	if l.A || l.LeakCheck {
		return 1<<29 - 1
	}
	return 1<<30 - 1
}

// shift is how far the size is shifted in its word.
func (l TLSF) shift() uint {
	if l.Task == TLSFTaskPacked {
		return tlsfTaskBits
	}
	return 0
}

// tlsfList returns the number of the free list for nodes of a size in bytes:
// one list for each multiple of 4 below 128, then 8 for each power of two.
func tlsfList(size uint64) int {
	if size < 128 {
		return max(int(size>>2)-1, 0)
	}
	log := 0
	for v := size; v > 1; v >>= 1 {
		log++
	}
	return min(tlsfSmall+(log-7)<<3+int(size<<3>>log)-8, tlsfLists-1)
}
