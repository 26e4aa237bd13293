package heapwright

import (
	"unsafe"

	"github.com/heapwright/heapwright/internal/node"
)

// A survey walks the whole pool and trusts nothing. It knows two places for
// certain, the front and the end; in between every node's header is weighed
// against its backup in the node before:
//
//	header  backup   what the node is taken for
//	good    good     what both say; what the header says, if they differ
//	bad     good     what the backup says
//	good    bad      what the header says
//	bad     bad      lost: how far it reaches is inferred from what follows
//
// "Good" means that the checksum is right for this place in this pool. The
// survey always ends, because every step goes forward, and always reaches the
// end.

// seen is a node as a survey meets it.
type seen struct {
	ref, size uint32 // where it lies and how far it is taken to reach
	prev      uint32 // the size of the node before
	holder    uint32 // the node that should hold the backup

	h        node.Header // what it is taken for; meaningless if lost
	headerOK bool
	backupOK bool // true without Config.HeadBackup
	differ   bool // both are good and contradict each other
	linkOK   bool // it names the node before as its previous node
	lost     bool
	exact    bool // lost, but it is certain where it ends
}

func (s *seen) sound() bool {
	return s.headerOK && s.backupOK && !s.differ && s.linkOK
}

// evidence returns the control header that the node is taken for; nil if lost.
func (p *Pool) evidence(s *seen) unsafe.Pointer {
	switch {
	case s.headerOK:
		return p.ctrl(s.ref)
	case s.backupOK && p.lay.Slot != 0:
		return p.slot(s.holder)
	}
	return nil
}

// survey calls visit for every node from the front to the end, until it
// returns false.
func (p *Pool) survey(visit func(*seen) bool) {
	var prev, holder uint32 = 0, p.end
	for at := front; ; {
		s := p.look(at, prev, holder)
		if !visit(&s) || at == p.end {
			return
		}
		holder, prev, at = at, s.size, at+s.size
	}
}

// look weighs the node at ref. prev is how long the node before it was taken
// to be and holder where that lies.
func (p *Pool) look(ref, prev, holder uint32) seen {
	s := seen{ref: ref, prev: prev, holder: holder, backupOK: true, linkOK: true}
	h, ok := p.lay.Check(p.ctrl(ref), ref)
	s.headerOK = ok && p.plausible(ref, h)
	if p.lay.Slot != 0 {
		b, ok := p.lay.Check(p.slot(holder), ref)
		s.backupOK = ok && p.plausible(ref, b)
		switch {
		case !s.backupOK:
		case !s.headerOK:
			h = b
		case !p.lay.Same(p.ctrl(ref), p.slot(holder)):
			// One of them is from another time. The next node knows which.
			s.differ = true
			if p.confirmed(ref, b) && !p.confirmed(ref, h) {
				h, s.headerOK, s.differ = b, false, false
			}
		}
	}
	if s.headerOK || s.backupOK && p.lay.Slot != 0 {
		s.h, s.size = h, h.Size()
		s.linkOK = h.Prev() == prev
		return s
	}
	s.lost = true
	s.size, s.exact = p.extent(ref)
	return s
}

// confirmed reports whether the node behind the one at ref with header h agrees
// about where that ends.
func (p *Pool) confirmed(ref uint32, h node.Header) bool {
	if ref == p.end {
		return true
	}
	next := ref + h.Size()
	n, ok := p.lay.Check(p.ctrl(next), next)
	return ok && n.Prev() == h.Size() && p.plausible(next, n)
}

// plausible reports whether a header with a right checksum makes sense. Only
// a header that the pool itself wrote for another life of this place can fail.
func (p *Pool) plausible(ref uint32, h node.Header) bool {
	bound := ref == front || ref == p.end
	switch {
	case !h.State().Valid() || (h.State() == node.Bound) != bound:
		return false
	case bound:
		return h.Size() == p.lay.HeadU
	}
	if h.State() == node.Used && uintptr(h.Slack()) >= uintptr(h.Size())*node.Unit-p.lay.Head {
		return false
	}
	return p.fits(ref, h.Size())
}

// fits reports whether there can be a node of that size at ref: what is left up
// to the end must be nothing or enough for a node.
func (p *Pool) fits(ref, size uint32) bool {
	if size < p.lay.MinU || uint64(ref)+uint64(size) > uint64(p.end) {
		return false
	}
	rest := p.end - (ref + size)
	return rest == 0 || rest >= p.lay.MinU
}

// extent infers how long the lost node at ref is, and whether that is certain.
func (p *Pool) extent(ref uint32) (size uint32, exact bool) {
	if ref == front || ref == p.end {
		return p.lay.HeadU, true
	}
	// The free structures lie outside the pool and know their nodes.
	if n := p.freeSize(ref); n != 0 {
		return n, true
	}
	// The node itself holds the backup of the next one's header, which tells
	// where that lies, and whose checksum tells whether that is true.
	if p.lay.Slot != 0 {
		b := node.Read(p.slot(ref))
		if n := b.Prev(); p.fits(ref, n) {
			if _, ok := p.lay.Check(p.slot(ref), ref+n); ok {
				return n, true
			}
		}
	}
	// Otherwise the next header that is good: if it points back here, this
	// node ends there; if it does not, more than one node is lost. Traces of
	// former nodes are marked dead, so a good header is the head of a node.
	for at := ref + p.lay.MinU; at+p.lay.MinU <= p.end; at++ {
		if h, ok := p.lay.Check(p.ctrl(at), at); ok && p.plausible(at, h) {
			return at - ref, h.Prev() == at-ref
		}
	}
	h, ok := p.lay.Check(p.ctrl(p.end), p.end)
	return p.end - ref, ok && h.Prev() == p.end-ref
}

// freeSize returns the size of the node at ref according to the structures that
// hold free nodes; 0 if they do not know it.
func (p *Pool) freeSize(ref uint32) uint32 {
	if slot := p.set.Find(ref); slot != 0 {
		_, size := p.set.At(slot)
		return size
	}
	return p.quick.Find(ref)
}
