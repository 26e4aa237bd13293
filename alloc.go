package heapwright

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/heapwright/heapwright/internal/bestfit"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
)

// MaxAlign is the largest alignment that can be asked for, in bytes.
const MaxAlign = 1 << 20

// Options are what an allocation may ask for besides its size.
type Options struct {
	Align int   // a power of two from 8 to MaxAlign; 0: 16 bytes
	Zero  bool  // fill the memory with zeroes
	Owner Owner // who it is for
}

// errSuspect says that a header which is needed cannot be trusted.
var errSuspect = errors.New("suspect header")

// tries bounds how often an operation is begun again after a repair.
const tries = 4

// Alloc allocates n bytes, aligned to 16. The contents are undefined.
//
//go:noinline
func (p *Pool) Alloc(n int) (unsafe.Pointer, error) { return p.allocate(n, Options{}) }

// AllocZeroed allocates n bytes of zeroes, aligned to 16.
//
//go:noinline
func (p *Pool) AllocZeroed(n int) (unsafe.Pointer, error) {
	return p.allocate(n, Options{Zero: true})
}

// AllocAligned allocates n bytes at an address that is a multiple of align, a
// power of two from 8 to MaxAlign; 0 is none (ErrAlignment).
//
//go:noinline
func (p *Pool) AllocAligned(n, align int) (unsafe.Pointer, error) {
	if align == 0 {
		return nil, ErrAlignment
	}
	return p.allocate(n, Options{Align: align})
}

// AllocWith allocates n bytes with options.
//
//go:noinline
func (p *Pool) AllocWith(n int, o Options) (unsafe.Pointer, error) { return p.allocate(n, o) }

// allocate is level 0 of a recorded stack; it must be called by the public
// function directly.
//
//go:noinline
func (p *Pool) allocate(n int, o Options) (unsafe.Pointer, error) {
	units, err := p.units(n)
	if err == nil && o.Align != 0 && (o.Align < 8 || o.Align > MaxAlign || o.Align&(o.Align-1) != 0) {
		err = ErrAlignment
	}
	if err != nil {
		return nil, err
	}
	var stamp node.Stamp
	if p.lay.Stacks {
		stamp[0] = p.tick()
		callers.Record(&stamp[1], min(p.lay.LRs, node.StampLRs), p.omit)
	}
	p.mu.Lock()
	// Most small allocations take a node of exactly their size that was freed a
	// moment ago; everything unusual goes the long way.
	if ref := p.quick.Top(units); ref != 0 && p.short && o.Align <= node.Unit && int(o.Owner) < len(p.owners) {
		used := node.Become(node.Used, uint16(o.Owner), p.slack(units, n))
		if _, ok := p.lay.Turn(p.base, ref, p.end, units, node.Quick, used, &stamp); ok {
			p.quick.Pop(units)
			p.charge(units, n, o.Owner)
			if invariants {
				p.checkInvariants()
			}
			if o.Zero {
				p.zeroing.Add(1)
			}
			p.mu.Unlock()
			return p.handOut(ref, n, o.Zero), nil
		}
	}
	t, err := p.take(n, units, o.Align)
	if err != nil {
		p.unlock()
		return nil, err
	}
	if p.lay.LRs > node.StampLRs {
		callers.Record(node.LR(p.ctrl(t.ref), 0), p.lay.LRs, p.omit)
	}
	p.putStamped(t.ref, node.Make(t.size, t.prev, node.Used, uint16(o.Owner), p.slack(t.size, n)), &stamp)
	p.meet(o.Owner)
	p.charge(t.size, n, o.Owner)
	if invariants {
		p.checkInvariants()
	}
	if o.Zero {
		p.zeroing.Add(1)
	}
	p.unlock()
	return p.handOut(t.ref, n, o.Zero), nil
}

// handOut returns the payload of a node, zeroed without holding the lock.
func (p *Pool) handOut(ref uint32, n int, zero bool) unsafe.Pointer {
	ptr := p.data(ref)
	if zero {
		clear(unsafe.Slice((*byte)(ptr), n))
		p.zeroing.Done()
	}
	return ptr
}

// slack is what is left at the end of a node of size units with n bytes of
// payload.
func (p *Pool) slack(size uint32, n int) uint32 {
	return size*node.Unit - uint32(p.lay.Head) - uint32(n)
}

// units returns the length of the node that holds n bytes, in units.
func (p *Pool) units(n int) (uint32, error) {
	if n <= 0 {
		if n == 0 {
			return 0, ErrZeroSize
		}
		return 0, ErrNegativeSize
	}
	if n > maxInt-int(p.lay.Head)-node.Unit {
		return 0, ErrSizeOverflow
	}
	if int64(n) > maxPool {
		return 0, ErrTooLarge
	}
	return uint32((uintptr(n) + p.lay.Head + node.Unit - 1) / node.Unit), nil
}

const maxInt = int(^uint(0) >> 1)

// taken is a node that has left the free structures, its neighbours put right,
// its own header still to be written.
type taken struct {
	ref, size, prev uint32
}

// take finds a node of at least units for n bytes, repairing what is in the
// way, and splits off what is not needed.
func (p *Pool) take(n int, units uint32, align int) (taken, error) {
	if p.limit == 0 {
		return taken{}, ErrClosed
	}
	if p.readOnly {
		return taken{}, ErrReadOnly
	}
	if uint64(n) > uint64(p.reserved) {
		return taken{}, fmt.Errorf("%w: asked for %d bytes, it is %d", ErrTooLarge, n, p.reserved)
	}
	if p.cfg.IntegrityCheck {
		p.heal("alloc")
		if p.panicking() {
			return taken{}, ErrDamaged
		}
	}
	for range tries {
		var t taken
		var err error
		if align > node.Unit {
			t, err = p.takeAligned(units, uint32(align)/node.Unit)
		} else {
			t, err = p.takeBest(units)
		}
		switch {
		case err == nil:
			return t, nil
		case !errors.Is(err, errSuspect):
			return taken{}, p.exhausted(n, err)
		}
		p.heal("alloc")
		if p.panicking() {
			break
		}
	}
	return taken{}, ErrDamaged
}

// takeBest takes the best fit over coalesced and not yet coalesced nodes.
func (p *Pool) takeBest(units uint32) (taken, error) {
	for {
		slot, size := p.set.Best(units)
		if q := p.quick.Best(units); q != 0 && (q <= size || slot == 0) {
			ref := p.quick.Top(q)
			h, ok := p.trusted(ref)
			if !ok || h.Size() != q || h.State() != node.Quick || !p.besideSound(ref, h) {
				return taken{}, errSuspect
			}
			if q-units < p.lay.MinU {
				p.quick.Pop(q)
				return taken{ref, q, h.Prev()}, nil
			}
			// It would have to be split: let it coalesce first and look again.
			if err := p.settle(ref, h); err != nil {
				return taken{}, err
			}
			continue
		}
		if slot != 0 {
			return p.carve(slot, 0, units)
		}
		if err := p.makeRoom(units); err != nil {
			return taken{}, err
		}
	}
}

// takeAligned takes a node whose payload is aligned to align units, from the
// best fit for the worst case among the coalesced nodes.
func (p *Pool) takeAligned(units, align uint32) (taken, error) {
	worst := units + align + p.lay.MinU
	for {
		slot, _ := p.set.Best(worst)
		if slot != 0 {
			ref, _ := p.set.At(slot)
			return p.carve(slot, p.lead(ref, align), units)
		}
		err := p.makeRoom(worst)
		if err == nil {
			continue
		}
		// At the edge of exhaustion a smaller node may still happen to lie
		// right. A few are tried, so that the time stays bounded.
		left := 64
		p.set.Each(units, func(s bestfit.Slot) bool {
			ref, size := p.set.At(s)
			if uint64(p.lead(ref, align))+uint64(units) <= uint64(size) {
				slot = s
			}
			left--
			return slot == 0 && left > 0
		})
		if slot == 0 || errors.Is(err, errSuspect) {
			return taken{}, err
		}
		ref, _ := p.set.At(slot)
		return p.carve(slot, p.lead(ref, align), units)
	}
}

// lead returns how many units in front of an aligned node must be split off a
// free node at ref: none, or enough for a node.
func (p *Pool) lead(ref, align uint32) uint32 {
	at := uintptr(p.data(ref)) / node.Unit
	off := uint32(-at) & (align - 1)
	for off != 0 && off < p.lay.MinU {
		off += align
	}
	return off
}

// carve takes units out of the free node of an entry of the set, lead units
// from its start, and puts what is left on both sides back.
func (p *Pool) carve(slot bestfit.Slot, lead, units uint32) (taken, error) {
	ref, size := p.set.At(slot)
	h, ok := p.trusted(ref)
	if !ok || h.State() != node.Free || h.Size() != size || *p.note(ref) != slot || !p.besideSound(ref, h) {
		return taken{}, errSuspect
	}
	after := ref + size
	ah, ok := p.inspect(after) // its link will change
	if !ok {
		return taken{}, errSuspect
	}
	dirty := p.removeFree(slot)
	t := taken{ref + lead, size - lead, h.Prev()}
	if lead != 0 {
		// Both pieces of a free node keep the stack of its free.
		p.lay.Copy(p.ctrl(t.ref), p.ctrl(ref))
		p.put(ref, h.WithSize(lead))
		p.insertFree(ref, lead, dirty)
		t.prev = lead
	}
	if rest := t.size - units; rest >= p.lay.MinU {
		t.size = units
		p.lay.Copy(p.ctrl(t.ref+units), p.ctrl(ref))
		p.put(t.ref+units, node.Make(rest, units, node.Free, 0, 0))
		p.insertFree(t.ref+units, rest, dirty)
		p.put(after, ah.WithPrev(rest))
	} else if lead != 0 {
		p.put(after, ah.WithPrev(t.size))
	}
	return t, nil
}

// insertFree puts a free node whose header is written into the set. Of its
// pages, dirty units have been written to since the system gave them.
func (p *Pool) insertFree(ref, size, dirty uint32) {
	slot := p.set.Insert(ref, size)
	*p.note(ref) = slot
	if size >= largeUnits {
		dirty = min(dirty, size)
		*p.set.Dirty(slot) = dirty
		p.dirty += uint64(dirty)
	}
}

// removeFree takes a free node out of the set and returns its dirty units.
func (p *Pool) removeFree(slot bestfit.Slot) (dirty uint32) {
	_, size := p.set.At(slot)
	dirty = size
	if size >= largeUnits {
		dirty = *p.set.Dirty(slot)
		p.dirty -= uint64(dirty)
	}
	p.set.Remove(slot)
	return dirty
}

// exhausted describes the failure to find n bytes.
func (p *Pool) exhausted(n int, cause error) error {
	e := &ExhaustedError{
		Pool:      p.name,
		Asked:     n,
		Waterline: uint64(p.waterline) * node.Unit,
		Size:      p.size(),
		MaxSize:   uint64(p.reserved),
	}
	if l := p.largestFree(); l > p.lay.HeadU {
		e.LargestFree = uint64(l-p.lay.HeadU) * node.Unit
	}
	if cause != errFull {
		e.Cause = cause
	}
	return e
}

// largestFree returns the length of the largest free node in units.
func (p *Pool) largestFree() uint32 { return max(p.set.Largest(), p.quick.Largest()) }
