// Package layout knows how heaps lie in memory: it finds them in a RAM image,
// walks their nodes, judges what is damaged, says which bytes a repair would
// write, and encodes heaps byte for byte.
//
// What is the same for all: pool.go has what is asked of a pool and how pools
// are found, this file what a walk gives, memory.go memory as a walk reads it,
// places.go what overwriting bytes point to and are copies of.
//
// One group of files per allocator, with the same division of work. Those of
// LiteOS 5.0 bestfit:
//
//	liteos.go         the configuration, and the offsets that follow from it
//	liteos_header.go  one control header: decode, judge, compare
//	liteos_find.go    pools anywhere in memory
//	liteos_hints.go   what configuration, debug information and variables say
//	liteos_detect.go  which configuration holds, with the evidence
//	liteos_walk.go    from node to node, past all damage
//	liteos_fast.go    the same over nodes with which nothing is wrong
//	liteos_sync.go    how to go on where the headers end
//	liteos_judge.go   what each damaged header means, and what repairs it
//	liteos_lists.go   pool head, free lists, totals
//	liteos_links.go   which link of a free list is wrong
//	liteos_places.go  which head overwriting bytes are a copy of
//	liteos_cut.go     pools of which the image has a part only
//	liteos_fields.go  the fields of one node's head
//	liteos_encode.go  the other direction
//
// The others are heapwright*.go (the pool of this module), openharmony*.go
// (LiteOS-M and LiteOS-A), nuttx*.go (mm_heap) and rtthread*.go (small memory
// and memheap). chain*.go is what the last three share: heaps whose headers name
// their neighbours and of which there is no second copy.
//
// Nothing read is trusted. Every loop goes forward or is counted, so a walk
// ends in time linear in the size of the pool whatever that holds; memory is
// constant except for what is returned.
package layout

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// Bytes is memory that is one piece.
type Bytes struct {
	Addr heap.Addr // of Data[0]
	Data []byte
}

// View implements heap.RAM.
func (b Bytes) View(addr heap.Addr, n uint64) []byte {
	off := uint64(addr - b.Addr)
	if addr < b.Addr || off > uint64(len(b.Data)) || n > uint64(len(b.Data))-off {
		return nil
	}
	return b.Data[off : off+n : off+n]
}

// Spans implements heap.RAM.
func (b Bytes) Spans() []heap.Memory { return []heap.Memory{{Addr: b.Addr, Bytes: b.Data}} }

// A Patch is bytes that a repair writes: what provably was there.
type Patch struct {
	Addr heap.Addr
	New  []byte
	Why  string
}

// A Gap is a range that could not be interpreted.
type Gap struct {
	heap.Span
	Why string
}

// String says which range it is and why.
func (g Gap) String() string {
	return fmt.Sprintf("%d bytes at [%s, %s): %s", g.Len(), g.Start, g.End, g.Why)
}

// A Survey is what a walk over a pool gives besides the nodes.
type Survey struct {
	Stats heap.Stats
	// Gaps are the ranges that could not be interpreted, ascending, at most
	// maxGaps of them.
	Gaps []Gap
	// Findings counts the findings; damage beyond maxFindings is counted but
	// not explained.
	Findings int
	// Patches repair what can be repaired.
	Patches []Patch
	// Partial is empty if the whole pool was there and was understood.
	Partial string
	// Stopped says that the visitor ended the walk early.
	Stopped bool
}

const (
	// maxFindings bounds the findings that a walk explains.
	maxFindings = 4096
	// maxGaps bounds the gaps that a walk lists.
	maxGaps = 4096
)
