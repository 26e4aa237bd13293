package heapwright

import (
	"unsafe"

	"github.com/heapwright/heapwright/internal/bestfit"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
)

// Free gives back what an allocation function of this pool returned. Any other
// pointer is reported at once and returned as a *WildPointerError; nothing is
// changed then.
//
//go:noinline
func (p *Pool) Free(ptr unsafe.Pointer) error { return p.release(ptr) }

// release is level 0 of a recorded stack; it must be called by the public
// function directly.
//
//go:noinline
func (p *Pool) release(ptr unsafe.Pointer) error {
	var stamp node.Stamp
	if p.lay.Stacks {
		stamp[0] = p.tick()
		callers.Record(&stamp[1], min(p.lay.LRs, node.StampLRs), p.omit)
	}
	p.mu.Lock()
	// Most small nodes are kept as they are for the next allocation of their
	// size; everything unusual goes the long way. The size is not trusted yet,
	// Turn finds out whether it is the node's.
	if ref, ok := p.refOf(ptr); ok && p.short {
		if size := node.Read(p.ctrl(ref)).Size(); p.quickable(size) {
			if h, ok := p.lay.Turn(p.base, ref, p.end, size, node.Used, node.Into(node.Quick), &stamp); ok {
				p.quick.Push(ref, size)
				p.discharge(h)
				if invariants {
					p.checkInvariants()
				}
				p.mu.Unlock()
				return nil
			}
		}
	}
	ref, h, ok := p.owned(ptr)
	if !ok || !p.gather(ref, h) {
		var err error
		if ref, h, err = p.claim("free", ptr); err != nil {
			p.unlock()
			return err
		}
	}
	if p.lay.LRs > node.StampLRs {
		callers.Record(node.LR(p.ctrl(ref), 0), p.lay.LRs, p.omit)
	}
	p.retire(ref, h, &stamp)
	if invariants {
		p.checkInvariants()
	}
	p.unlock()
	return nil
}

// refOf returns the ref of the node whose payload ptr would be, if there can be
// a payload at all.
func (p *Pool) refOf(ptr unsafe.Pointer) (uint32, bool) {
	off := uintptr(ptr) - uintptr(p.base) // wraps below the pool
	return uint32(off/node.Unit) - p.lay.HeadU, off-p.first < p.reach && off%node.Unit == 0
}

// owned returns the used node whose payload is at ptr; not ok, if the pointer,
// the header there or, with backups, a neighbour is not beyond doubt.
func (p *Pool) owned(ptr unsafe.Pointer) (uint32, node.Header, bool) {
	ref, ok := p.refOf(ptr)
	if !ok {
		return 0, node.Header{}, false
	}
	h, ok := p.trusted(ref)
	return ref, h, ok && h.State() == node.Used && p.besideSound(ref, h)
}

// swallowed is a free neighbour about to be coalesced with.
type swallowed struct {
	ref, size uint32
	slot      bestfit.Slot // 0: it is in the quick lists
}

// quickable reports whether a freed node of that size is kept as it is for the
// next allocation of its size instead of being coalesced at once.
func (p *Pool) quickable(size uint32) bool { return size < bestfit.Small && !p.quick.Full(size) }

// gather inspects what freeing the trusted node at ref will touch beyond its
// neighbours, without changing anything: where it will coalesce, the free nodes
// next to it and the nodes behind those. It leaves what join needs in p.scratch.
func (p *Pool) gather(ref uint32, h node.Header) bool {
	return p.quickable(h.Size()) || p.gatherAll(ref, h)
}

// gatherAll is gather for a node that will coalesce.
func (p *Pool) gatherAll(ref uint32, h node.Header) bool {
	if !p.gatherBefore(ref, h) {
		return false
	}
	for at := ref + h.Size(); ; {
		n, ok := p.inspect(at)
		if !ok {
			return false
		}
		if !n.State().IsFree() {
			return true
		}
		if !p.gatherOne(at, n) {
			return false
		}
		at += n.Size()
	}
}

// gatherBefore is the part of gatherAll that looks in front of the node.
func (p *Pool) gatherBefore(ref uint32, h node.Header) bool {
	p.scratch = p.scratch[:0]
	for {
		ref = p.holder(ref, h)
		var ok bool
		if h, ok = p.inspect(ref); !ok {
			return false
		}
		if !h.State().IsFree() {
			return true
		}
		if !p.gatherOne(ref, h) {
			return false
		}
	}
}

func (p *Pool) gatherOne(ref uint32, h node.Header) bool {
	s := swallowed{ref: ref, size: h.Size()}
	if h.State() == node.Free {
		s.slot = *p.note(ref)
		if !p.set.Holds(s.slot, ref, s.size) {
			return false
		}
	} else if !p.quick.Has(ref, s.size) {
		return false
	}
	p.scratch = append(p.scratch, s)
	return true
}

// retire makes the gathered used node at ref free. LRs beyond the stamp are
// already in place, so that its checksum need not be right.
func (p *Pool) retire(ref uint32, h node.Header, stamp *node.Stamp) {
	p.discharge(h)
	p.putStamped(ref, h.WithState(node.Quick), stamp)
	if p.quickable(h.Size()) {
		p.quick.Push(ref, h.Size())
		return
	}
	p.join(ref, h, h.Size())
	if p.dirty > reclaimLeast {
		p.reclaim()
	}
}

// join coalesces the node at ref, of whose pages dirty units have been written
// to, with the free neighbours in p.scratch into one free node.
func (p *Pool) join(ref uint32, h node.Header, dirty uint32) uint32 {
	start, end := ref, ref+h.Size()
	for _, s := range p.scratch {
		if s.slot != 0 {
			dirty += p.removeFree(s.slot)
		} else {
			p.quick.Remove(s.ref, s.size)
			dirty += s.size
		}
		start, end = min(start, s.ref), max(end, s.ref+s.size)
	}
	if start != ref {
		h = node.Read(p.ctrl(start))
		p.bury(ref)
	}
	for _, s := range p.scratch {
		if s.ref != start {
			p.bury(s.ref)
		}
	}
	p.scratch = p.scratch[:0]
	size := end - start
	p.put(start, node.Make(size, h.Prev(), node.Free, h.Owner(), 0))
	if after := node.Read(p.ctrl(end)); after.Prev() != size {
		p.put(end, after.WithPrev(size))
	}
	p.insertFree(start, size, dirty)
	return start
}

// bury marks the control header of a node that is no more. It stays readable,
// with the stack of its free, until the memory is used again: the evidence for
// a double free. And it can never be mistaken for a header that is in use.
func (p *Pool) bury(ref uint32) {
	c := p.ctrl(ref)
	p.lay.Seal(c, ref, node.Read(c).WithState(node.Dead))
}

// settle coalesces a trusted node of the quick lists with its neighbours.
func (p *Pool) settle(ref uint32, h node.Header) error {
	if !p.gatherAll(ref, h) || !p.quick.Remove(ref, h.Size()) {
		return errSuspect
	}
	p.join(ref, h, h.Size())
	return nil
}

// settleAll coalesces all nodes of the quick lists.
func (p *Pool) settleAll() error {
	for !p.quick.Empty() {
		ref, size := p.quick.Any()
		h, ok := p.inspect(ref)
		if !ok || h.Size() != size || h.State() != node.Quick {
			return errSuspect
		}
		if err := p.settle(ref, h); err != nil {
			return err
		}
	}
	return nil
}
