package heapwright

import (
	"unsafe"

	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
)

// Realloc changes the size of an allocation to n bytes and returns its address,
// which is the old one where the size shrinks or the next node is free and
// large enough. Otherwise the contents move to a new node, aligned to 16, and
// the old pointer is invalid. Bytes beyond the old size are undefined. With
// LeakCheck the node counts as allocated by this call. After an error the old
// allocation is as it was.
//
//go:noinline
func (p *Pool) Realloc(ptr unsafe.Pointer, n int) (unsafe.Pointer, error) {
	return p.reallocate(ptr, n)
}

// reallocate is level 0 of a recorded stack; it must be called by the public
// function directly.
//
//go:noinline
func (p *Pool) reallocate(ptr unsafe.Pointer, n int) (unsafe.Pointer, error) {
	units, err := p.units(n)
	if err != nil {
		return nil, err
	}
	var stamp node.Stamp
	if p.lay.Stacks {
		stamp[0] = p.tick()
		callers.Record(&stamp[1], min(p.lay.LRs, node.StampLRs), p.omit)
	}
	p.mu.Lock()
	if p.cfg.IntegrityCheck && p.limit != 0 {
		p.heal("realloc")
		if p.panicking() {
			p.unlock()
		}
	}
	ref, h, ok := p.owned(ptr)
	if ok {
		ok = p.gatherAll(ref, h)
	}
	if !ok {
		if ref, h, err = p.claim("realloc", ptr); err != nil {
			p.unlock()
			return nil, err
		}
		if !p.gatherAll(ref, h) { // claim has just found everything sound
			p.unlock()
			return nil, ErrDamaged
		}
	}
	old := p.payloadOf(h)
	got, inPlace := p.resize(ref, h, units)
	if !inPlace {
		if got, err = p.take(n, units, 0); err != nil {
			p.unlock()
			return nil, err
		}
	}
	if p.lay.LRs > node.StampLRs {
		callers.Record(node.LR(p.ctrl(got.ref), 0), p.lay.LRs, p.omit)
	}
	if inPlace {
		p.discharge(h)
	}
	p.putStamped(got.ref, node.Make(got.size, got.prev, node.Used, h.Owner(), p.slack(got.size, n)), &stamp)
	p.charge(got.size, n, Owner(h.Owner()))
	to := p.data(got.ref)
	if !inPlace {
		copy(unsafe.Slice((*byte)(to), n), unsafe.Slice((*byte)(ptr), old))
		if ref, h, ok := p.abandoned(ptr); ok {
			if p.lay.LRs > node.StampLRs {
				callers.Record(node.LR(p.ctrl(ref), 0), p.lay.LRs, p.omit)
			}
			p.retire(ref, h, &stamp)
		}
	}
	if invariants {
		p.checkInvariants()
	}
	p.unlock()
	return to, nil
}

// resize makes the gathered used node at ref units long where it lies, and
// reports whether that was possible. Like take, it leaves the node's own header
// to be written.
func (p *Pool) resize(ref uint32, h node.Header, units uint32) (taken, bool) {
	end := ref + h.Size()
	next, free := end, uint32(0)
	for _, s := range p.scratch {
		if s.ref > ref {
			next, free = max(next, s.ref+s.size), free+s.size
		}
	}
	whole := h.Size() + free
	t := taken{ref, h.Size(), h.Prev()}
	switch {
	case units > whole:
		return t, false
	case units <= h.Size() && h.Size()-units < p.lay.MinU:
		return t, true // nothing worth splitting off
	}
	// The free neighbours behind disappear; what is not needed becomes one.
	var dirty uint32
	for _, s := range p.scratch {
		if s.ref < ref {
			continue
		}
		if s.slot != 0 {
			dirty += p.removeFree(s.slot)
		} else {
			p.quick.Remove(s.ref, s.size)
			dirty += s.size
		}
		p.bury(s.ref)
	}
	p.scratch = p.scratch[:0]
	after := node.Read(p.ctrl(next))
	t.size = whole
	if rest := whole - units; rest >= p.lay.MinU {
		t.size = units
		at := ref + units
		// The piece has no history of its own.
		clear(p.bytes(at, p.lay.Head))
		if units < h.Size() {
			dirty += h.Size() - units
		}
		p.put(at, node.Make(rest, units, node.Free, 0, 0))
		p.put(next, after.WithPrev(rest))
		p.insertFree(at, rest, dirty)
	} else {
		p.put(next, after.WithPrev(whole))
	}
	return t, true
}

// abandoned returns the node that Realloc has moved away from, gathered. The
// pointer was beyond doubt before the new node was taken, but a repair in
// between may have changed that: then it has been reported, and is not ok.
func (p *Pool) abandoned(ptr unsafe.Pointer) (uint32, node.Header, bool) {
	ref, h, ok := p.owned(ptr)
	if ok && p.gather(ref, h) {
		return ref, h, true
	}
	ref, h, err := p.claim("realloc", ptr)
	return ref, h, err == nil
}
