package layout

import (
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// A NuttXHeap is a heap to be written down: what Encode makes bytes of. It has
// one region.
type NuttXHeap struct {
	Layout NuttX
	// Addr is the start of the heap's own structure, a multiple of 8; that of
	// the region follows.
	Addr  heap.Addr
	Nodes []NuttXNode
}

// A NuttXNode is one node of a heap to be written down.
type NuttXNode struct {
	Free bool
	// Size is the payload in bytes as asked for; in a free node, the bytes
	// behind the header. The node gets the length that the device would give it.
	Size uint64
	// PID is the task, Seqno the sequence number.
	PID   int32
	Seqno uint64
	// Stack is the backtrace; with StackRef its first level is the address of
	// the record.
	Stack   heap.Stack
	Payload []byte // its first bytes; the rest is 0
}

// nuttxMaxShift is MM_MAX_SHIFT: nodes of 2^22 bytes and more share a list.
const nuttxMaxShift = 22

// nuttxLock is the length of the lock in front of a heap's structure, as one
// version has it, in words.
const nuttxLock = 5

// lists returns how many lists of free nodes there are, and the logarithm of
// the length from which on the second holds nodes.
func (o *nuttxOffsets) lists() (n, shift int) {
	shift = bits.Len(uint(o.head + 2*o.word - 1))
	return nuttxMaxShift - shift + 1, shift
}

// Encode returns the bytes of a heap as the device has them in memory, from its
// structure to the guard at the end of its region, and the start of each node,
// guards not counted.
func (h *NuttXHeap) Encode() (memory []byte, starts []heap.Addr, err error) {
	if err := h.Layout.Validate(); err != nil {
		return nil, nil, err
	}
	e := nuttxEncoder{NuttXHeap: h, o: h.Layout.offsets()}
	if err := e.place(); err != nil {
		return nil, nil, err
	}
	e.b = make([]byte, int(e.end-h.Addr)+e.o.head)
	e.nodes()
	e.structure()
	return e.b, e.starts, nil
}

type nuttxEncoder struct {
	*NuttXHeap
	o            nuttxOffsets
	b            []byte
	table, first heap.Addr // lists, guard in front
	end          heap.Addr // guard behind
	starts       []heap.Addr
	lengths      []uint64
}

// length returns how long the device makes a node.
func (e *nuttxEncoder) length(n *NuttXNode) uint64 {
	o := &e.o
	total := n.Size + uint64(o.head)
	if !n.Free {
		total -= uint64(o.word) // the payload goes on in the next header
	}
	return max((total+uint64(o.align)-1)&^uint64(o.align-1), uint64(o.least()))
}

// place gives every node its address.
func (e *nuttxEncoder) place() error {
	o := &e.o
	n, _ := o.lists()
	const most = 1 << 30
	e.table = e.Addr + heap.Addr((nuttxLock+3+2)*o.word)
	at := e.table + heap.Addr(n*(o.head+2*o.word)+o.word)
	align := heap.Addr(o.align)
	e.first = (at+2*heap.Addr(o.head)+align-1)&^(align-1) - 2*heap.Addr(o.head)
	at = e.first + heap.Addr(o.head)
	switch {
	case e.Addr == 0 || e.Addr%8 != 0:
		return fmt.Errorf("layout: no heap can lie at %s", e.Addr)
	case len(e.Nodes) == 0:
		return errors.New("layout: a heap without nodes")
	}
	for i := range e.Nodes {
		n := &e.Nodes[i]
		switch {
		case n.Size > most || uint64(at-e.Addr) > most:
			return fmt.Errorf("layout: node %d makes the heap too long", i)
		case uint64(len(n.Payload)) > n.Size:
			return fmt.Errorf("layout: the payload of node %d is longer than its size", i)
		case len(n.Stack) > o.levels && (o.levels > 0 || o.stack < 0 || len(n.Stack) > 1):
			return fmt.Errorf("layout: node %d has %d levels, there is room for %d", i, len(n.Stack), o.levels)
		case i > 0 && n.Free && e.Nodes[i-1].Free:
			return fmt.Errorf("layout: free nodes %d and %d would be one", i-1, i)
		case n.Free && len(n.Payload) > 0 && uint64(len(n.Payload)) < uint64(2*o.word):
			return fmt.Errorf("layout: the payload of node %d ends in its links", i)
		}
		e.starts = append(e.starts, at)
		e.lengths = append(e.lengths, e.length(n))
		at += heap.Addr(e.lengths[i])
	}
	e.end = at
	if last := uint64(at) + uint64(o.head); last < uint64(e.Addr) || o.word == 4 && last > 1<<32 {
		return errors.New("layout: the heap ends behind the last address")
	}
	return nil
}

func (e *nuttxEncoder) put(at heap.Addr, off int, v uint64) {
	putWord(e.b[uint64(at-e.Addr)+uint64(off):], e.o.word, v)
}

// nodes writes guards, headers and payloads.
func (e *nuttxEncoder) nodes() {
	o := &e.o
	e.put(e.first, o.size, uint64(o.head)|nuttxUsed)
	free := uint64(0) // length of the node in front, if that is free
	for i := range e.Nodes {
		n, at := &e.Nodes[i], e.starts[i]
		copy(e.b[uint64(at-e.Addr)+uint64(o.head):], n.Payload)
		e.header(at, e.lengths[i], free, !n.Free)
		e.record(at, n)
		if free = 0; n.Free {
			free = e.lengths[i]
		}
	}
	e.header(e.end, uint64(o.head), free, true)
}

// header writes the first two words. The first stays as it is, the end of a
// payload, unless the node in front is free.
func (e *nuttxEncoder) header(at heap.Addr, length, free uint64, used bool) {
	if used {
		length |= nuttxUsed
	}
	if free != 0 {
		length |= nuttxPrevFree
		e.put(at, e.o.preceding, free)
	}
	e.put(at, e.o.size, length)
}

// record writes who allocated a node.
func (e *nuttxEncoder) record(at heap.Addr, n *NuttXNode) {
	o := &e.o
	if o.pid >= 0 {
		putWord(e.b[uint64(at-e.Addr)+uint64(o.pid):], 4, uint64(uint32(n.PID)))
	}
	if o.seqno >= 0 {
		e.put(at, o.seqno, n.Seqno)
	}
	for i, lr := range n.Stack {
		e.put(at, o.stack+i*o.word, uint64(lr))
	}
}

// structure writes the heap's own structure, and the list of free nodes: one
// for all, by length, with a head for each power of two on the way.
func (e *nuttxEncoder) structure() {
	o := &e.o
	n, shift := o.lists()
	used := uint64(2*o.head) + uint64(e.first-e.Addr)
	heads := make([][]int, n)
	for i := range e.Nodes {
		if !e.Nodes[i].Free {
			used += e.lengths[i]
			continue
		}
		l := min(max(bits.Len64(e.lengths[i])-1-shift, 0), n-1)
		heads[l] = append(heads[l], i)
	}
	stride := heap.Addr(o.head + 2*o.word)
	var order []heap.Addr
	for l, nodes := range heads {
		order = append(order, e.table+heap.Addr(l)*stride)
		slices.SortStableFunc(nodes, func(a, b int) int { return int(e.lengths[a]) - int(e.lengths[b]) })
		for _, i := range nodes {
			order = append(order, e.starts[i])
		}
	}
	for i, at := range order {
		if i > 0 {
			e.put(at, o.prev, uint64(order[i-1]))
		}
		if i+1 < len(order) {
			e.put(at, o.next, uint64(order[i+1]))
		}
	}
	for i, v := range []uint64{uint64(e.end-e.first) + uint64(o.head), used, used, uint64(e.first), uint64(e.end)} {
		e.put(e.Addr, (nuttxLock+i)*o.word, v)
	}
}
