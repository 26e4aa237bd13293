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
	p.mu.Lock()
	ref, h, ok := p.owned(ptr)
	if ok {
		ok = p.gatherAll(ref, h)
	}
	if !ok {
		if ref, h, err = p.claim("realloc", ptr); err != nil {
			p.unlock()
			return nil, err
		}
		p.gatherAll(ref, h) // it has just been found sound
	}
	old := p.payloadOf(h)
	got, inPlace := p.resize(ref, h, units)
	if !inPlace {
		if got, err = p.take(n, units, 0); err != nil {
			p.unlock()
			return nil, err
		}
	}
	if p.lay.Stacks {
		c := p.ctrl(got.ref)
		*node.Birth(c) = p.tick()
		if p.lay.LRs != 0 {
			callers.Record(node.LR(c, 0), p.lay.LRs, p.omit)
		}
	}
	slack := uint32(uintptr(got.size)*node.Unit - p.lay.Head - uintptr(n))
	if inPlace {
		p.discharge(h)
	}
	p.put(got.ref, node.Make(got.size, got.prev, node.Used, h.Owner(), slack))
	p.charge(got.size, n, Owner(h.Owner()))
	to := p.data(got.ref)
	if !inPlace {
		copy(unsafe.Slice((*byte)(to), n), unsafe.Slice((*byte)(ptr), old))
		err = p.abandon(ptr)
	}
	if invariants {
		p.checkInvariants()
	}
	p.unlock()
	return to, err
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

// abandon frees what Realloc has moved away from. The pointer was beyond doubt
// before the new node was taken, but a repair in between may have changed that.
func (p *Pool) abandon(ptr unsafe.Pointer) error {
	ref, h, ok := p.owned(ptr)
	if !ok || !p.gather(ref, h) {
		var err error
		if ref, h, err = p.claim("realloc", ptr); err != nil {
			return nil // it has been reported; the new memory is good
		}
	}
	if p.lay.Stacks {
		c := p.ctrl(ref)
		*node.Birth(c) = p.tick()
		if p.lay.LRs != 0 {
			callers.Record(node.LR(c, 0), p.lay.LRs, p.omit+1) // one level deeper
		}
	}
	p.discharge(h)
	p.retire(ref, h)
	return nil
}
