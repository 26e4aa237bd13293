package heapwright

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// A CheckLevel says how NodeSize finds the node that an address lies in
// (LOSCFG_BASE_MEM_NODE_SIZE_CHECK, LOS_MemCheckLevelSet).
type CheckLevel uint8

const (
	// CheckOff: nothing is looked up, and the checked copies and fills do not
	// check (LOS_MEM_CHECK_LEVEL_DISABLE).
	CheckOff CheckLevel = iota
	// CheckLow: an address must be what an allocation returned, which takes
	// constant time; others cannot be checked and are refused
	// (LOS_MEM_CHECK_LEVEL_LOW).
	CheckLow
	// CheckHigh: an address may lie anywhere in a payload. The time grows with
	// its distance from the payload's start, some µs for 4 KiB
	// (LOS_MEM_CHECK_LEVEL_HIGH).
	CheckHigh
)

// ErrCheckOff is returned by NodeSize if Config.SizeCheck is CheckOff.
var ErrCheckOff = errors.New("heapwright: the size check is off")

// ErrPastEnd matches every *PastEndError.
var ErrPastEnd = errors.New("heapwright: write past the end of a node")

// PastEndError is returned by CopyChecked and SetChecked for a write that would
// have left its node. Nothing was written.
type PastEndError struct {
	Finding heap.Finding
}

func (e *PastEndError) Error() string { return "heapwright: " + e.Finding.Summary() }

// Is matches ErrPastEnd.
func (e *PastEndError) Is(target error) bool { return target == ErrPastEnd }

// SetCheckLevel changes Config.SizeCheck. It may be called while others use the
// pool.
func (p *Pool) SetCheckLevel(l CheckLevel) error {
	if l > CheckHigh {
		return fmt.Errorf("heapwright: check level %d, want CheckOff, CheckLow or CheckHigh", l)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cfg.SizeCheck = l
	return nil
}

// CheckLevel returns the check level in force.
func (p *Pool) CheckLevel() CheckLevel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cfg.SizeCheck
}

// NodeSize returns, in bytes, how large the allocation is that ptr points into,
// as it was asked for, and how much of it there is from ptr on
// (LOS_MemNodeSizeCheck). A pointer that is not into a used node of this pool
// gives a *WildPointerError, at CheckLow also one that is not to its start;
// neither is reported as a finding. In a pool from Open, whose addresses are those
// of the process that wrote it, it returns ErrReadOnly.
func (p *Pool) NodeSize(ptr unsafe.Pointer) (total, available int, err error) {
	p.mu.Lock()
	defer p.unlock()
	if p.cfg.SizeCheck == CheckOff {
		return 0, 0, ErrCheckOff
	}
	ref, h, err := p.around("node size", ptr)
	if err != nil {
		return 0, 0, err
	}
	total = p.asked(h)
	return total, total - p.into(ref, ptr), nil
}

// CopyChecked copies src to dst, unless that would write past the end of the
// allocation that dst points into: then nothing is copied, a finding of kind
// heap.PastEnd is reported and the error is a *PastEndError. With CheckOff it is
// no more than copy. dst and src may overlap. It does not hold the pool's lock
// while it copies: that nobody frees the node meanwhile is the caller's to see to.
//
//go:noinline
func (p *Pool) CopyChecked(dst unsafe.Pointer, src []byte) error {
	if err := p.writable("copy", dst, len(src)); err != nil {
		return err
	}
	copy(unsafe.Slice((*byte)(dst), len(src)), src)
	return nil
}

// SetChecked sets n bytes from dst on to c, under the conditions of CopyChecked.
//
//go:noinline
func (p *Pool) SetChecked(dst unsafe.Pointer, c byte, n int) error {
	if n < 0 {
		return ErrNegativeSize
	}
	if err := p.writable("set", dst, n); err != nil {
		return err
	}
	b := unsafe.Slice((*byte)(dst), n)
	if c == 0 {
		clear(b)
		return nil
	}
	for i := range b {
		b[i] = c
	}
	return nil
}

// writable reports a write of n bytes to dst that would leave its node.
func (p *Pool) writable(op string, dst unsafe.Pointer, n int) error {
	p.mu.Lock()
	defer p.unlock()
	if p.readOnly {
		return ErrReadOnly
	}
	if p.cfg.SizeCheck == CheckOff || n == 0 {
		return nil
	}
	ref, h, err := p.around(op, dst)
	var wild *WildPointerError
	if errors.As(err, &wild) {
		p.report(wild.Finding)
		return &WildPointerError{p.pending[len(p.pending)-1]}
	}
	if err != nil {
		return err
	}
	room := p.asked(h) - p.into(ref, dst)
	if n <= room {
		return nil
	}
	at := heap.Addr(uintptr(dst))
	subject := p.enclosing(ref)
	p.report(heap.Finding{
		Kind: heap.PastEnd, Pool: p.name, Op: op, Pointer: at, Node: subject.Addr, Subject: subject, Recovered: true,
		Detail: fmt.Sprintf("%d bytes were to be written where %d are left of the node's %d: nothing was written", n, max(room, 0), p.asked(h)),
	})
	return &PastEndError{p.pending[len(p.pending)-1]}
}

// around returns the used node whose payload ptr points into, repairing what is
// damaged on the way. The error of a wild pointer has been reported to nobody.
func (p *Pool) around(op string, ptr unsafe.Pointer) (uint32, node.Header, error) {
	if p.limit == 0 {
		return 0, node.Header{}, ErrClosed
	}
	if p.readOnly {
		return 0, node.Header{}, ErrReadOnly
	}
	for range tries {
		ref, h, ok := p.owned(ptr)
		if !ok && p.cfg.SizeCheck == CheckHigh {
			ref, h, ok = p.inside(ptr)
		}
		if ok {
			return ref, h, nil
		}
		if uintptr(ptr)-uintptr(p.base) < p.limit {
			before := len(p.pending)
			p.heal(op)
			if p.panicking() {
				return 0, node.Header{}, ErrDamaged
			}
			if len(p.pending) > before {
				continue
			}
		}
		f := p.explainPointer(ptr)
		f.Pool, f.Op, f.Pointer = p.name, op, heap.Addr(uintptr(ptr))
		if f.Kind == heap.InsideNode && p.cfg.SizeCheck == CheckLow {
			f.Detail += "; only CheckHigh checks addresses inside a node"
		}
		return 0, node.Header{}, &WildPointerError{f}
	}
	return 0, node.Header{}, ErrDamaged
}

// inside returns the used node whose payload ptr points into. The headers that
// are good lie at the heads of nodes only: traces of former ones are marked dead.
// So the next one below ptr is that of its node, unless the payload holds a copy
// that its user made of a header when there was one at that place; behind such a
// copy lies no header of a node.
func (p *Pool) inside(ptr unsafe.Pointer) (uint32, node.Header, bool) {
	off := uintptr(ptr) - uintptr(p.base)
	if off < p.first || off >= p.limit {
		return 0, node.Header{}, false
	}
	for ref := uint32((off-p.lay.Head)/node.Unit) + 1; ref > front; {
		ref--
		at := uintptr(ref) * node.Unit
		if h := node.Read(p.ctrl(ref)); !h.State().Valid() || off-at >= uintptr(h.Size())*node.Unit {
			continue // before the checksum, which takes longer
		}
		h, ok := p.lay.Check(p.ctrl(ref), ref)
		if !ok || h.Size() > p.end-ref || !p.linked(ref+h.Size(), h.Size()) {
			continue
		}
		h, ok = p.trusted(ref)
		ok = ok && h.State() == node.Used && off >= at+p.lay.Head && off-at < uintptr(h.Size())*node.Unit && p.besideSound(ref, h)
		return ref, h, ok
	}
	return 0, node.Header{}, false
}

// linked reports whether there is a node at ref behind one of size units.
func (p *Pool) linked(ref, size uint32) bool {
	h, ok := p.lay.Check(p.ctrl(ref), ref)
	return ok && h.State().Valid() && h.Prev() == size
}

// asked is how many bytes were asked for with a used node.
func (p *Pool) asked(h node.Header) int {
	return int(uintptr(h.Size())*node.Unit - p.lay.Head - uintptr(h.Slack()))
}

// into is how far behind the start of its payload a pointer points.
func (p *Pool) into(ref uint32, ptr unsafe.Pointer) int {
	return int(uintptr(ptr) - uintptr(p.base) - uintptr(ref)*node.Unit - p.lay.Head)
}
