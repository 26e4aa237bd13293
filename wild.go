package heapwright

import (
	"fmt"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// claim finds out what to do about a pointer that the fast way declined. Either
// damage was in the way: then it is reported and repaired, and claim returns the
// node, gathered. Or the pointer is wild: then that is reported and returned.
func (p *Pool) claim(op string, ptr unsafe.Pointer) (uint32, node.Header, error) {
	if p.limit == 0 {
		return 0, node.Header{}, ErrClosed
	}
	if p.readOnly {
		return 0, node.Header{}, ErrReadOnly
	}
	for range tries {
		if uintptr(ptr)-uintptr(p.base) < p.limit {
			p.heal(op)
			if p.panicking() {
				return 0, node.Header{}, ErrDamaged
			}
		}
		if ref, h, ok := p.owned(ptr); ok {
			if p.gather(ref, h) {
				return ref, h, nil
			}
			continue
		}
		f := p.explainPointer(ptr)
		f.Pool, f.Op, f.Pointer = p.name, op, heap.Addr(uintptr(ptr))
		p.report(f)
		return 0, node.Header{}, &WildPointerError{p.pending[len(p.pending)-1]}
	}
	return 0, node.Header{}, ErrDamaged
}

// explainPointer says what is wrong with a pointer that is not the payload of a
// used node. The pool has just been healed.
func (p *Pool) explainPointer(ptr unsafe.Pointer) heap.Finding {
	off := uintptr(ptr) - uintptr(p.base)
	tail := uintptr(p.end)*node.Unit + p.lay.Head
	switch {
	case ptr == nil:
		return heap.Finding{Kind: heap.NilPointer}
	case off >= tail:
		return p.explainOutside(uintptr(ptr))
	case off < uintptr(front)*node.Unit+p.lay.Head || off >= p.limit:
		return heap.Finding{Kind: heap.InPoolControl, Detail: "it points into the pool's own head or tail"}
	}

	at := uint32(off / node.Unit)
	n := p.enclosing(at)
	f := heap.Finding{Node: n.Addr, Subject: n}
	in := fmt.Sprintf("it points %d bytes into the payload of a node of %d bytes", heap.Addr(uintptr(ptr))-n.Payload, n.Size)
	if heap.Addr(uintptr(ptr)) < n.Payload {
		in = fmt.Sprintf("it points into the control header in front of the payload, %d bytes too low", n.Payload-heap.Addr(uintptr(ptr)))
	}
	former := p.former(off)
	switch n.State {
	case heap.Used:
		f.Kind, f.Expected, f.Detail = heap.InsideNode, n.Payload, in
		if off%node.Unit != 0 {
			f.Kind = heap.Unaligned
		} else if former != nil {
			f.FirstFree = former.Stack
			f.Detail += "; a node that began there was freed before and its memory has been handed out again"
		}
	case heap.Free:
		if heap.Addr(uintptr(ptr)) == n.Payload {
			former = n
		}
		switch {
		case former != nil:
			f.Kind, f.FirstFree = heap.DoubleFree, former.Stack
			f.Detail = "the node was freed before"
			if former != n {
				f.Detail = "the node was freed before and has been coalesced with its neighbours"
			}
		case off%node.Unit != 0:
			f.Kind, f.Detail = heap.Unaligned, "it points into a free node; no payload starts at such an address"
		default:
			f.Kind, f.FirstFree = heap.InsideFree, n.Stack
			f.Detail = "it points into a free node: freed before, its trace lost, or never a payload"
			if n.Stack != nil {
				f.Detail += "; the stack is that of a free which made this node"
			}
		}
	default:
		f.Kind, f.Detail = heap.InQuarantine, "it points into memory that was withdrawn after damage; nothing needs to be done"
	}
	return f
}

// former describes the node that once began with its payload at off and was
// freed, if the trace of its header is still there; nil otherwise.
func (p *Pool) former(off uintptr) *heap.Node {
	if off%node.Unit != 0 || off < p.lay.Head {
		return nil
	}
	ref := uint32(off/node.Unit) - p.lay.HeadU
	h, ok := p.lay.Check(p.ctrl(ref), ref)
	if !ok || h.State() != node.Dead && !h.State().IsFree() {
		return nil
	}
	r := p.surveyed()
	n := &heap.Node{Addr: r.Addr(ref), Payload: r.Addr(ref) + heap.Addr(p.lay.Head)}
	if p.lay.Stacks {
		n.Birth = uint64(*node.Birth(p.ctrl(ref)))
		n.Stack = r.AppendStack(nil, p.ctrl(ref))
	}
	return n
}

// enclosing describes the node in which the position at lies.
func (p *Pool) enclosing(at uint32) *heap.Node {
	var n *heap.Node
	r := p.surveyed()
	r.Survey(func(s, _, _ *seen) bool {
		if at < s.Ref+s.Size {
			n = r.Node(s)
		}
		return n == nil
	})
	return n
}

// explainOutside: the address is not in this pool.
func (p *Pool) explainOutside(addr uintptr) heap.Finding {
	for _, q := range Pools() {
		// No lock of q: base and region do not change before it is closed, and
		// it cannot be told more without risking a deadlock.
		if q != p && addr-uintptr(q.base) < q.reserved {
			return heap.Finding{Kind: heap.OtherPool, Detail: "it belongs to pool " + q.name}
		}
	}
	if addr-uintptr(p.base) < p.reserved {
		return heap.Finding{Kind: heap.OutsidePool, Detail: "it points beyond the end of what the pool has in use"}
	}
	return heap.Finding{Kind: heap.OutsidePool, Detail: "it points to no pool of this process"}
}
