package layout

import (
	"errors"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A LiteOSHeap is a heap to be written down: what Encode makes bytes of.
type LiteOSHeap struct {
	Layout LiteOS
	Addr   heap.Addr // of the pool, a multiple of the size of an address
	Next   heap.Addr // of the pool chained to it; only with MulPool
	Peak   uint64    // the waterline, if higher than what is in use; only with TaskStat
	Nodes  []LiteOSNode
}

// A LiteOSNode is one node of a heap to be written down.
type LiteOSNode struct {
	Free bool
	// Size is the payload in bytes as asked for; in a free node, the bytes
	// behind the head.
	Size uint64
	// Gap is how far the payload was moved to align it, a multiple of 4.
	Gap          uint32
	Task, Module uint16
	Stack        heap.Stack
	Payload      []byte // its first bytes; the rest is 0
}

// Encode returns the bytes of a pool as the device has them in memory, and the
// start of each node.
func (h *LiteOSHeap) Encode() (pool []byte, starts []heap.Addr, err error) {
	if err := h.Layout.Validate(); err != nil {
		return nil, nil, err
	}
	e := encoder{LiteOSHeap: h, o: h.Layout.Offsets()}
	if err := e.place(); err != nil {
		return nil, nil, err
	}
	e.b = make([]byte, uint64(e.end-h.Addr)+uint64(e.o.Head))
	e.poolHead()
	e.headers()
	return e.b, e.starts, nil
}

type encoder struct {
	*LiteOSHeap
	o      Offsets
	b      []byte
	starts []heap.Addr
	end    heap.Addr
}

// length returns how long a node is, head included.
func (e *encoder) length(n *LiteOSNode) uint64 {
	w := uint64(e.o.Word)
	return uint64(e.o.Head) + (n.Size+uint64(n.Gap)+w-1)/w*w
}

// place gives every node its address.
func (e *encoder) place() error {
	if e.Addr == 0 || uint64(e.Addr)%uint64(e.o.Word) != 0 {
		return fmt.Errorf("layout: no pool can lie at %s", e.Addr)
	}
	at := e.Addr + heap.Addr(e.o.FirstNode)
	for i := range e.Nodes {
		n := &e.Nodes[i]
		switch {
		case n.Size > sizeMask || n.Gap > sizeMask || e.length(n) > sizeMask:
			return fmt.Errorf("layout: node %d is too long", i)
		case n.Gap%4 != 0 || n.Free && n.Gap != 0:
			return fmt.Errorf("layout: node %d cannot have a gap of %d bytes", i, n.Gap)
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
	case size > sizeMask:
		return fmt.Errorf("layout: a pool of %d bytes is too long", size)
	case e.o.Word == 4 && uint64(e.Addr)+size > 1<<32:
		return fmt.Errorf("layout: the pool ends behind the last address")
	}
	return nil
}

func (e *encoder) put(at heap.Addr, n int, v uint64) {
	if off := at - e.Addr; n == 2 {
		e.b[off], e.b[off+1] = byte(v), byte(v>>8)
	} else {
		putWord(e.b[off:], n, v)
	}
}

// poolHead writes all of the pool's head but the lists.
func (e *encoder) poolHead() {
	o := &e.o
	e.put(e.Addr, o.Word, uint64(e.Addr))
	e.put(e.Addr+heap.Addr(o.PoolSize), 4, uint64(len(e.b)))
	if o.NextPool >= 0 {
		e.put(e.Addr+heap.Addr(o.NextPool), o.Word, uint64(e.Next))
	}
	if o.Used < 0 {
		return
	}
	used := uint64(o.FirstNode + o.Head)
	byTask := make([]uint64, e.Layout.Tasks+1)
	for i := range e.Nodes {
		if n := &e.Nodes[i]; !n.Free {
			used += e.length(n)
			if int(n.Task) < len(byTask) {
				byTask[n.Task] += e.length(n)
			}
		}
	}
	e.put(e.Addr+heap.Addr(o.Used), 4, used)
	e.put(e.Addr+heap.Addr(o.Peak), 4, max(used, e.Peak))
	for i, v := range byTask {
		e.put(e.Addr+heap.Addr(o.TaskUsed+8*i), 4, v)
		e.put(e.Addr+heap.Addr(o.TaskUsed+8*i+4), 4, v)
	}
}

// headers writes the nodes, their backups and the lists of free ones.
func (e *encoder) headers() {
	o := &e.o
	ws := heap.Addr(o.Word)
	var lists [freeLists][]heap.Addr // of headers; each begins and ends with the list's head
	for i := range lists {
		lists[i] = []heap.Addr{e.Addr + heap.Addr(o.Lists) + 2*ws*heap.Addr(i)}
	}
	for i := range e.Nodes {
		if n := &e.Nodes[i]; n.Free {
			l := listOf(e.length(n))
			lists[l] = append(lists[l], e.starts[i]+heap.Addr(o.Own))
		}
	}
	for _, l := range lists {
		for i, at := range l {
			next := l[(i+1)%len(l)]
			e.put(at+ws, o.Word, uint64(next))
			e.put(next, o.Word, uint64(at))
		}
	}
	prev := e.end
	for i := range e.Nodes {
		n := &e.Nodes[i]
		e.header(e.starts[i], prev, e.length(n), n)
		payload := e.starts[i] + heap.Addr(o.Head) + heap.Addr(n.Gap)
		if n.Gap != 0 {
			e.put(payload-4, 4, uint64(n.Gap)|gapMark)
		}
		copy(e.b[payload-e.Addr:], n.Payload)
		prev = e.starts[i]
	}
	e.header(e.end, prev, uint64(o.Head), &LiteOSNode{Task: uint16(e.Layout.Tasks)})
}

// header writes one control header and the backup of it. The links of a free
// node are there already.
func (e *encoder) header(at, prev heap.Addr, length uint64, n *LiteOSNode) {
	o := &e.o
	own := at + heap.Addr(o.Own)
	size := uint32(length)
	if !n.Free {
		size |= usedBit
		if n.Gap != 0 {
			size |= alignBit
		}
		e.put(own, 4, uint64(^uint32(own)))
		e.put(own+heap.Addr(o.Task), 2, uint64(n.Task))
		if e.Layout.MulModule {
			e.put(own+heap.Addr(o.Task)+2, 2, uint64(n.Module))
		}
	}
	e.put(own+heap.Addr(o.Prev), o.Word, uint64(prev))
	e.put(own+heap.Addr(o.Size), 4, uint64(size))
	if o.Orig >= 0 {
		e.put(own+heap.Addr(o.Orig), 4, n.Size)
	}
	for i, lr := range n.Stack {
		e.put(own+heap.Addr(o.LR+i*o.Word), o.Word, uint64(lr))
	}
	if o.Own == 0 {
		return
	}
	e.put(own+heap.Addr(o.Gap), 4, uint64(n.Gap))
	var h header
	o.read(e.b[own-e.Addr:], &h)
	e.put(own+heap.Addr(o.Sum), o.Word, o.checksum(&h))
	for _, f := range [][2]int{{o.First, o.Word}, {o.Second, o.Word}, {o.Prev, o.Word}, {o.Gap, 4}, {o.Sum, o.Word}, {o.Size, 4}} {
		copy(e.b[prev-e.Addr+heap.Addr(f[0]):][:f[1]], e.b[own-e.Addr+heap.Addr(f[0]):])
	}
}
