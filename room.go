package heapwright

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/heapwright/heapwright/internal/bestfit"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/osmem"
)

// Getting memory from the operating system and giving it back.

const (
	growStep = 64 << 10 // bytes a pool starts with and grows by at least
	growMost = 64 << 20 // bytes it grows by at most, unless more is needed

	// largeUnits is the size from which the pages inside a free node are
	// worth giving back.
	largeUnits = 64 << 10 / node.Unit
	// reclaimLeast is how many dirty units must have gathered in large free
	// nodes before they are given back: a page that is needed again soon
	// costs a page fault.
	reclaimLeast = 4 << 20 / node.Unit
)

// errFull says that the pool has reached its maximum.
var errFull = errors.New("pool is full")

// makeRoom does something that may produce a free node of at least units:
// coalesce what has not been coalesced, else grow.
func (p *Pool) makeRoom(units uint32) error {
	if !p.quick.Empty() {
		return p.settleAll()
	}
	return p.grow(units)
}

// grow commits more memory at the end of the pool, enough for a free node of
// at least units.
//
//	before   [last node][end]
//	after    [last node][free node, from the old end on][end]
func (p *Pool) grow(units uint32) error {
	if p.cfg.Region != nil || p.cfg.File != "" {
		return errFull
	}
	at := p.end
	h, ok := p.inspect(at)
	if !ok || !p.gatherBefore(at, h) {
		return errSuspect
	}
	for _, s := range p.scratch { // what is free at the end counts
		units -= min(units, s.size)
	}
	have, most := p.size(), uint64(p.reserved)/node.Unit*node.Unit
	page := uint64(osmem.PageSize())
	want := max(uint64(units)*node.Unit, min(have/4, growMost), growStep)
	want = min((want+page-1)/page*page, most-have)
	if want < uint64(units)*node.Unit || want < uint64(p.lay.MinU)*node.Unit {
		return errFull
	}
	if err := p.region.Commit(uintptr(have), uintptr(want)); err != nil {
		return fmt.Errorf("commit %d bytes: %w", want, err)
	}
	more := uint32(want / node.Unit)
	p.setEnd(at + more)
	clear(p.bytes(p.end, p.lay.Head))
	if p.lay.Slot != 0 {
		p.lay.Copy(p.slot(p.end), p.ctrl(front))
	}
	p.put(p.end, node.Make(p.lay.HeadU, more, node.Bound, 0, 0))
	h = node.Make(more, h.Prev(), node.Quick, 0, 0)
	p.put(at, h)
	node.HeadAt(p.base).SetEnd(p.end)
	p.join(at, h, 0)
	return nil
}

// reclaim gives pages of large free nodes back to the operating system if they
// are many in proportion to what is used.
func (p *Pool) reclaim() {
	if p.dirty > max(reclaimLeast, uint64(p.inUse)/2) {
		p.giveBack(largeUnits)
	}
}

// giveBack gives back the pages inside free nodes of at least size units, and
// returns how many bytes it offered to the system.
func (p *Pool) giveBack(size uint32) (given uint64) {
	if !p.region.Releases() {
		p.dirty = 0
		return 0
	}
	page := uintptr(osmem.PageSize())
	p.set.Each(size, func(slot bestfit.Slot) bool {
		ref, size := p.set.At(slot)
		if size >= largeUnits {
			d := p.set.Dirty(slot)
			if *d == 0 {
				return true
			}
			p.dirty -= uint64(*d)
			*d = 0
		}
		from := uintptr(ref)*node.Unit + p.lay.Head + unsafe.Sizeof(*p.note(ref))
		from = (from + page - 1) &^ (page - 1)
		to := (uintptr(ref) + uintptr(size)) * node.Unit &^ (page - 1)
		if from < to && p.region.Release(from, to-from) == nil {
			given += uint64(to - from)
		}
		return true
	})
	return given
}

// ReleaseFree coalesces what is free and gives every whole page of it back to
// the operating system at once, instead of when enough has gathered. It returns
// the number of bytes offered to the system: 0 where that is not possible, as
// over a caller's region. The pool can use the memory again at any time.
func (p *Pool) ReleaseFree() (bytes uint64, err error) {
	p.mu.Lock()
	defer p.unlock()
	if p.limit == 0 {
		return 0, ErrClosed
	}
	if p.readOnly {
		return 0, ErrReadOnly
	}
	for range tries {
		if err = p.settleAll(); err == nil {
			return p.giveBack(uint32(osmem.PageSize() / node.Unit)), nil
		}
		p.heal("release")
	}
	return 0, ErrDamaged
}
