package heapwright

import (
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// heal examines the whole pool, reports everything that is wrong and puts it
// right: what a good copy exists of is restored, what cannot be trusted is
// withdrawn from use. Afterwards every header and backup is good and the free
// structures match. Its cost grows with the pool, but only damage and wild
// pointers lead here.
func (p *Pool) heal(op string) {
	e := p.examine(op)
	if e.clean() && !p.readOnly {
		return
	}
	for _, f := range e.findings {
		f.Repaired = true
		p.report(f)
	}
	for i := range e.unsound {
		p.mend(&e.unsound[i])
	}
	if e.totals || len(e.unsound) > 0 || p.readOnly {
		p.rebuild()
	}
	if e.head {
		p.writeHead(p.secret)
	}
}

// mend gives an unsound node a good header and backup. Nodes are mended in
// ascending order.
func (p *Pool) mend(s *seen) {
	switch c := p.ctrl(s.Ref); {
	case s.Lost:
		state := node.Quarantined
		if s.Ref == front || s.Ref == p.end {
			state = node.Bound
		} else if p.freeSize(s.Ref) == s.Size {
			state = node.Free
		}
		clear(unsafe.Slice((*byte)(c), p.lay.Ctrl))
		p.put(s.Ref, node.Make(s.Size, s.Prev, state, 0, 0))
	case !s.HeaderOK:
		p.lay.Copy(c, p.slot(s.Holder))
		fallthrough
	default:
		p.put(s.Ref, s.H.WithPrev(s.Prev))
	}
}

// rebuild makes totals and free structures anew from the nodes, whose headers
// must all be good.
func (p *Pool) rebuild() {
	p.set.Reset()
	p.quick.Reset()
	p.inUse, p.quarantined, p.usedNodes, p.payload, p.dirty = p.overhead(), 0, 0, 0, 0
	for i := range p.owners {
		p.owners[i].units, p.owners[i].nodes = 0, 0
	}
	most := p.waterline
	for at := front; at != p.end; {
		h := node.Read(p.ctrl(at))
		switch h.State() {
		case node.Used:
			p.meet(Owner(h.Owner()))
			p.charge(h.Size(), int(p.payloadOf(h)), Owner(h.Owner()))
		case node.Quarantined:
			p.quarantined += h.Size()
			p.inUse += h.Size()
		case node.Quick:
			if p.quickable(h.Size()) {
				p.quick.Push(at, h.Size())
				break
			}
			p.put(at, h.WithState(node.Free))
			fallthrough
		case node.Free:
			p.insertFree(at, h.Size(), h.Size())
		}
		at += h.Size()
	}
	p.waterline = max(most, p.inUse)
	p.coalesceAll()
}

// coalesceAll joins coalesced free nodes that ended up side by side.
func (p *Pool) coalesceAll() {
	for at := front; at != p.end; {
		h := node.Read(p.ctrl(at))
		next := at + h.Size()
		if h.State() == node.Free && next != p.end && node.Read(p.ctrl(next)).State() == node.Free && p.gatherAll(at, h) {
			p.removeFree(*p.note(at))
			at = p.join(at, h, h.Size())
			h = node.Read(p.ctrl(at))
		}
		at += h.Size()
	}
}

// Check examines the whole pool: every header and backup, the links between
// neighbours, the free structures and the totals. It hands every finding to
// report, which may be nil, and returns their number. It repairs nothing; the
// next operation that needs a damaged node does. The pool is locked while it is
// examined, not while report runs.
func (p *Pool) Check(report func(heap.Finding)) (findings int, err error) {
	p.mu.Lock()
	if p.limit == 0 {
		p.mu.Unlock()
		return 0, ErrClosed
	}
	e := p.examine("check")
	p.mu.Unlock()
	if report != nil {
		for _, f := range e.findings {
			report(f)
		}
	}
	return len(e.findings), nil
}

// report queues a finding for delivery by unlock.
func (p *Pool) report(f heap.Finding) {
	f.Stack = callerStack()
	p.pending = append(p.pending, f)
}

// unlock releases the lock and then delivers what was found under it.
func (p *Pool) unlock() {
	if p.pending == nil {
		p.mu.Unlock()
		return
	}
	p.unlockAndDeliver()
}

func (p *Pool) unlockAndDeliver() {
	found := p.pending
	p.pending = nil
	p.mu.Unlock()
	deliver := p.cfg.OnFinding
	if deliver == nil {
		deliver = p.logFinding
	}
	for _, f := range found {
		deliver(f)
	}
	if p.cfg.Policy == Panic {
		panic(found[0])
	}
}

// panicking reports whether unlock will panic, so that the operation must not
// be carried out: its result would be lost.
func (p *Pool) panicking() bool { return p.cfg.Policy == Panic && p.pending != nil }
