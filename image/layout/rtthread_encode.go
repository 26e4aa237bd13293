package layout

import (
	"errors"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// An RTThreadHeap is a heap to be written down: what Encode makes bytes of.
type RTThreadHeap struct {
	Layout RTThread
	// Addr is where the pool's own structure lies, which small memory up to 4.0
	// does not have; there it is the first node. A multiple of 8.
	Addr  heap.Addr
	Name  string // of the pool, at most 8 bytes are kept
	Nodes []RTThreadNode
}

// An RTThreadNode is one node of a heap to be written down.
type RTThreadNode struct {
	Free bool
	// Size is the payload in bytes as asked for; in a free node, the bytes
	// behind the header. The node gets the length that the device would give it.
	Size    uint64
	Thread  string // that allocated it; only with MemTrace
	Payload []byte // its first bytes; the rest is 0
}

// rtNameMax is RT_NAME_MAX as heaps are encoded.
const rtNameMax = 8

// Encode returns the bytes of a heap as the device has them in memory, from its
// structure to its end node, and the start of each node.
func (h *RTThreadHeap) Encode() (memory []byte, starts []heap.Addr, err error) {
	if err := h.Layout.Validate(); err != nil {
		return nil, nil, err
	}
	e := rtEncoder{RTThreadHeap: h, o: h.Layout.offsets()}
	if err := e.place(); err != nil {
		return nil, nil, err
	}
	e.b = make([]byte, int(e.end-h.Addr)+e.o.head)
	e.nodes()
	switch h.Layout.Kind {
	case RTThreadSmall:
		e.small()
	case RTThreadMemheap:
		e.memheap()
	}
	return e.b, e.starts, nil
}

type rtEncoder struct {
	*RTThreadHeap
	o      rtOffsets
	b      []byte
	starts []heap.Addr
	end    heap.Addr
}

// object is the length of what begins a kernel object: name, type, flag, list.
func (e *rtEncoder) object() int { return (rtNameMax+2+e.o.word-1)&^(e.o.word-1) + 2*e.o.word }

// structure is the length of the pool's own structure.
func (e *rtEncoder) structure() int {
	w, object := e.o.word, e.object()
	switch e.Layout.Kind {
	case RTThreadSmall:
		return object + 9*w
	case RTThreadMemheap:
		o := e.Layout
		o.Align = 0 // the free list's head is not padded
		return object + 6*w + o.offsets().head + object + 3*w
	}
	return 0
}

// place gives every node its address.
func (e *rtEncoder) place() error {
	o := &e.o
	const most = 1 << 30
	align := heap.Addr(max(o.align, o.word))
	at := (e.Addr + heap.Addr(e.structure()) + align - 1) &^ (align - 1)
	switch {
	case e.Addr == 0 || e.Addr%8 != 0 || e.Layout.Kind == RTThreadMagic && at != e.Addr:
		return fmt.Errorf("layout: no heap can lie at %s", e.Addr)
	case len(e.Nodes) == 0:
		return errors.New("layout: a heap without nodes")
	}
	for i := range e.Nodes {
		n := &e.Nodes[i]
		switch {
		case n.Size == 0 || n.Size > most || uint64(at-e.Addr) > most:
			return fmt.Errorf("layout: node %d of %d bytes does not fit", i, n.Size)
		case uint64(len(n.Payload)) > n.Size:
			return fmt.Errorf("layout: the payload of node %d is longer than its size", i)
		case i > 0 && n.Free && e.Nodes[i-1].Free:
			return fmt.Errorf("layout: free nodes %d and %d would be one", i-1, i)
		}
		e.starts = append(e.starts, at)
		at += heap.Addr(o.head) + (heap.Addr(n.Size)+align-1)&^(align-1)
	}
	e.end = at
	if last := uint64(at) + uint64(o.head); last < uint64(e.Addr) || o.word == 4 && last > 1<<32 {
		return errors.New("layout: the heap ends behind the last address")
	}
	return nil
}

func (e *rtEncoder) put(at heap.Addr, off int, v uint64) {
	putWord(e.b[uint64(at-e.Addr)+uint64(off):], e.o.word, v)
}

// nodes writes headers and payloads.
func (e *rtEncoder) nodes() {
	prev := e.starts[0] // what the first node of small memory names
	if e.Layout.Kind == RTThreadMemheap {
		prev = e.end
	}
	for i := range e.Nodes {
		n, at := &e.Nodes[i], e.starts[i]
		next := e.end
		if i+1 < len(e.starts) {
			next = e.starts[i+1]
		}
		name := n.Thread
		if n.Free {
			name = ""
		}
		e.header(at, prev, next, n.Free, name)
		copy(e.b[uint64(at-e.Addr)+uint64(e.o.head):], n.Payload)
		prev = at
	}
	if e.Layout.Kind == RTThreadMemheap {
		e.header(e.end, prev, e.starts[0], false, "")
		return
	}
	e.header(e.end, e.end, e.end, false, "INIT")
}

func (e *rtEncoder) header(at, prev, next heap.Addr, free bool, name string) {
	o := &e.o
	used := uint64(1)
	if free {
		used = 0
	}
	if e.Layout.Kind == RTThreadMemheap {
		putWord(e.b[at-e.Addr:], 4, rtMagic32|used)
		e.put(at, o.pool, uint64(e.Addr))
	} else {
		prev, next = prev-e.starts[0], next-e.starts[0]
		if e.Layout.Kind == RTThreadMagic {
			putWord(e.b[at-e.Addr:], 4, rtMagic16|used<<16)
		} else {
			e.put(at, 0, uint64(e.Addr)|used)
		}
	}
	e.put(at, o.next, uint64(next))
	e.put(at, o.prev, uint64(prev))
	if o.name >= 0 {
		b := e.b[uint64(at-e.Addr)+uint64(o.name):][:o.nameLen]
		for i := range b {
			b[i] = ' '
		}
		copy(b, name)
	}
}

// small writes the structure of small memory, struct rt_small_mem.
func (e *rtEncoder) small() {
	w := e.o.word
	copy(e.b[:rtNameMax], e.Name)
	first := e.starts[0]
	total := uint64(e.end-first) - uint64(e.o.head)
	var used uint64
	lowest := e.end
	for i := range e.Nodes {
		next := e.end
		if i+1 < len(e.starts) {
			next = e.starts[i+1]
		}
		switch {
		case !e.Nodes[i].Free:
			used += uint64(next - e.starts[i])
		case lowest == e.end:
			lowest = e.starts[i]
		}
	}
	for i, v := range []uint64{0, uint64(first), total, used, used, uint64(first), uint64(e.end), uint64(lowest), total} {
		e.put(e.Addr, e.object()+i*w, v)
	}
}

// memheap writes the structure of a memheap, struct rt_memheap, and the ring of
// free nodes that begins in it.
func (e *rtEncoder) memheap() {
	o := &e.o
	w, object := o.word, e.object()
	copy(e.b[:rtNameMax], e.Name)
	ring := e.Addr + heap.Addr(object+6*w)
	var available uint64
	order := []heap.Addr{ring}
	for i := range e.Nodes {
		next := e.end
		if i+1 < len(e.starts) {
			next = e.starts[i+1]
		}
		if e.Nodes[i].Free {
			order = append(order, e.starts[i])
			available += uint64(next-e.starts[i]) - uint64(o.head)
		}
	}
	size := uint64(e.end-e.starts[0]) + uint64(o.head)
	for i, v := range []uint64{uint64(e.starts[0]), size, available, size - available, uint64(e.starts[0]), uint64(ring)} {
		e.put(e.Addr, object+i*w, v)
	}
	putWord(e.b[ring-e.Addr:], 4, rtMagic32)
	e.put(ring, o.pool, uint64(e.Addr))
	for i, at := range order {
		e.put(at, o.nextFree, uint64(order[(i+1)%len(order)]))
		e.put(at, o.prevFree, uint64(order[(i+len(order)-1)%len(order)]))
	}
}
