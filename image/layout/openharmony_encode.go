package layout

import (
	"errors"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A TLSFHeap is a heap to be written down: what Encode makes bytes of.
type TLSFHeap struct {
	Layout TLSF
	Addr   heap.Addr // of the pool, a multiple of the size of an address
	Next   heap.Addr // of the pool chained to it; only with MulPool
	Peak   uint64    // the waterline, if higher than what is in use; only with Waterline
	Nodes  []TLSFNode
}

// A TLSFNode is one node of a heap to be written down.
type TLSFNode struct {
	Free bool
	// Bridge makes it a gap node: Size bytes that are not the heap's.
	Bridge bool
	// Size is the payload in bytes as asked for; in a free node, the bytes
	// behind the head of a used one.
	Size uint64
	// Gap is how far the payload was moved to align it, a multiple of the size
	// of an address.
	Gap     uint32
	Task    uint32
	Seen    bool // by the leak check; only with LeakCheck
	Stack   heap.Stack
	Payload []byte // its first bytes; the rest is 0
}

// Encode returns the bytes of a pool as the device has them in memory, and the
// start of each node.
func (h *TLSFHeap) Encode() (pool []byte, starts []heap.Addr, err error) {
	if err := h.Layout.Validate(); err != nil {
		return nil, nil, err
	}
	e := tlsfEncoder{TLSFHeap: h, o: h.Layout.Offsets()}
	if err := e.place(); err != nil {
		return nil, nil, err
	}
	e.b = make([]byte, uint64(e.end-h.Addr)+uint64(e.o.Head))
	e.nodes()
	e.poolHead()
	return e.b, e.starts, nil
}

type tlsfEncoder struct {
	*TLSFHeap
	o      TLSFOffsets
	b      []byte
	starts []heap.Addr
	end    heap.Addr
}

// length returns how long a node is, head included.
func (e *tlsfEncoder) length(n *TLSFNode) uint64 {
	w := uint64(e.o.Word)
	return uint64(e.o.Head) + (n.Size+uint64(n.Gap)+w-1)/w*w
}

// place gives every node its address.
func (e *tlsfEncoder) place() error {
	if e.Addr == 0 || uint64(e.Addr)%uint64(e.o.Word) != 0 {
		return fmt.Errorf("layout: no pool can lie at %s", e.Addr)
	}
	most := uint64(e.Layout.sizeMask() >> e.Layout.shift())
	at := e.Addr + heap.Addr(e.o.FirstNode)
	for i := range e.Nodes {
		n := &e.Nodes[i]
		switch {
		case n.Size > most || uint64(n.Gap) > most || e.length(n) > most:
			return fmt.Errorf("layout: node %d is too long", i)
		case n.Free && e.length(n) < uint64(e.o.FreeHead):
			return fmt.Errorf("layout: node %d is too short for a free one", i)
		case n.Gap%uint32(e.o.Word) != 0 || (n.Free || n.Bridge) && n.Gap != 0:
			return fmt.Errorf("layout: node %d cannot have a gap of %d bytes", i, n.Gap)
		case n.Bridge && (n.Free || !e.Layout.Regions || i == 0):
			return fmt.Errorf("layout: node %d cannot be a gap node", i)
		case len(n.Stack) > e.o.LRs:
			return fmt.Errorf("layout: node %d has %d LRs, there is room for %d", i, len(n.Stack), e.o.LRs)
		case uint64(len(n.Payload)) > n.Size:
			return fmt.Errorf("layout: the payload of node %d is longer than its size", i)
		}
		e.starts = append(e.starts, at)
		at += heap.Addr(e.length(n))
	}
	e.end = at
	switch size := uint64(at-e.Addr) + uint64(e.o.Head); {
	case len(e.Nodes) == 0:
		return errors.New("layout: a pool without nodes")
	case !tlsfPlausible(e.Addr, size, &e.Layout, &e.o):
		return fmt.Errorf("layout: a pool of %d bytes cannot lie at %s", size, e.Addr)
	}
	return nil
}

func (e *tlsfEncoder) put(at heap.Addr, n int, v uint64) { putWord(e.b[at-e.Addr:], n, v) }

// putIf writes a field that is not in all layouts.
func (e *tlsfEncoder) putIf(off, n int, v uint64) {
	if off >= 0 {
		e.put(e.Addr+heap.Addr(off), n, v)
	}
}

// nodes writes the nodes and the end node.
func (e *tlsfEncoder) nodes() {
	l := &e.Layout
	prev := e.end
	if l.A {
		prev = 0
	}
	for i := range e.Nodes {
		n := &e.Nodes[i]
		at := e.starts[i]
		if n.Bridge {
			prev = tlsfGap
		}
		flags := uint32(tlsfUsed)
		if n.Free {
			flags = 0
		}
		if n.Gap != 0 {
			flags |= tlsfAligned
		}
		if n.Seen && l.LeakCheck && !l.A && !n.Free {
			flags |= tlsfSeen
		}
		e.header(at, prev, uint32(e.length(n))<<l.shift()|flags<<24, n)
		payload := at + heap.Addr(e.o.Head) + heap.Addr(n.Gap)
		if n.Gap != 0 {
			e.put(payload-4, 4, uint64(n.Gap)|gapMark)
		}
		if !n.Free {
			copy(e.b[payload-e.Addr:], n.Payload)
		}
		prev = at
	}
	flags := uint32(tlsfUsed)
	if l.Expand {
		flags, prev = tlsfUsed|tlsfSeen, 0
	}
	e.header(e.end, prev, flags<<24, &TLSFNode{Free: true})
}

// header writes one header.
func (e *tlsfEncoder) header(at, prev heap.Addr, size uint32, n *TLSFNode) {
	o := &e.o
	if o.Magic >= 0 {
		e.put(at+heap.Addr(o.Magic), 4, tlsfMagic)
	}
	for i, lr := range n.Stack {
		e.put(at+heap.Addr(o.LR+i*o.Word), o.Word, uint64(lr))
	}
	e.put(at+heap.Addr(o.Prev), o.Word, uint64(prev))
	if !n.Free && o.Task >= 0 {
		e.put(at+heap.Addr(o.Task), 4, uint64(n.Task))
	}
	if !n.Free && e.Layout.shift() != 0 {
		size |= n.Task & (1<<tlsfTaskBits - 1)
	}
	e.put(at+heap.Addr(o.Size), 4, uint64(size))
}

// poolHead writes the pool's head and the links of the free nodes.
func (e *tlsfEncoder) poolHead() {
	o := &e.o
	used := uint64(o.FirstNode + o.Head)
	var gaps uint64
	var last [tlsfLists]heap.Addr
	for i := range e.Nodes {
		n, at := &e.Nodes[i], e.starts[i]
		switch {
		case n.Bridge:
			used += uint64(o.Head)
			gaps += e.length(n) - uint64(o.Head)
		case !n.Free:
			used += e.length(n)
		default:
			k := tlsfList(e.length(n))
			links := heap.Addr(o.Links)
			e.put(at+links, o.Word, uint64(last[k]))
			if last[k] == 0 {
				e.put(e.Addr+heap.Addr(o.Lists+k*o.Word), o.Word, uint64(at))
				e.b[o.Bitmap+k/8] |= 1 << (k % 8)
			} else {
				e.put(last[k]+links+heap.Addr(o.Word), o.Word, uint64(at))
			}
			last[k] = at
		}
	}
	e.put(e.Addr, o.Word, uint64(e.Addr))
	e.putIf(o.PoolSize, 4, uint64(len(e.b)))
	if e.Layout.A {
		e.putIf(o.Attr, 4, 2)
	}
	e.putIf(o.Used, 4, used)
	e.putIf(o.Peak, 4, max(used, e.Peak))
	e.putIf(o.GapSize, 4, gaps)
	e.putIf(o.NextPool, o.Word, uint64(e.Next))
}
