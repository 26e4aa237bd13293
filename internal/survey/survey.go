// Package survey walks a pool that may be damaged and explains what is wrong
// with it. It serves the pool that is alive and the reader of dumps alike: it
// reads memory, writes none, and trusts nothing that it reads.
//
// A survey knows two places for certain, the front and the end; in between every
// node's header is weighed against its backup in the node before:
//
//	header  backup   what the node is taken for
//	good    good     what both say; what the header says, if they differ
//	bad     good     what the backup says
//	good    bad      what the header says
//	bad     bad      lost: how far it reaches is inferred from what follows
//
// "Good" means that the checksum is right for this place in this pool. A survey
// always ends, because every step goes forward, and always reaches the end or
// the place where memory ends. It takes time linear in the length of the pool.
package survey

import (
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// Front is the ref of the node that precedes all others.
const Front = uint32(node.HeadUnits)

// Region is the memory of a pool and what is known about it beforehand. Its
// methods only read; they may be called concurrently as long as nobody changes
// it.
type Region struct {
	Base   unsafe.Pointer // the pool head
	Limit  uint32         // units that are there from Base on; in a whole pool up to and with the end node
	End    uint32         // ref of the end node, at least Front + HeadU
	Origin uint64         // address of the pool head as it is to be named
	Layout *node.Layout

	// FreeSize returns the length in units of a free node as it is known outside
	// the pool, 0 if it is not known; nil: nothing is known outside.
	FreeSize func(ref uint32) uint32
	// LR returns the return address that an LR in a header stands for, 0 if
	// that cannot be told.
	LR func(slot uint32) heap.Addr
	// Blind says that the key of the checksums is lost: a header is good if it
	// makes sense and the next one points back to it.
	Blind bool
}

// Seen is a node as a survey meets it.
type Seen struct {
	Ref, Size uint32 // where it lies and how far it is taken to reach
	Prev      uint32 // the size of the node before
	Holder    uint32 // the node that should hold the backup

	H        node.Header // what it is taken for; meaningless if lost
	HeaderOK bool
	BackupOK bool // true without backups
	Differ   bool // both are good and contradict each other
	LinkOK   bool // it names the node before as its previous node
	Lost     bool
	Exact    bool // lost, but it is certain where it ends
}

// Sound reports whether nothing is wrong with the node.
func (s *Seen) Sound() bool { return s.HeaderOK && s.BackupOK && !s.Differ && s.LinkOK }

// Survey calls visit for every node from the front to the end, until it returns
// false. before and beforeThat are the nodes in front of s; they have Ref 0 if
// there are none. All three are overwritten later. It reports whether it got to
// the end: neither visit nor a lack of memory kept it from that.
func (r *Region) Survey(visit func(s, before, beforeThat *Seen) bool) bool {
	return r.Glide(nil, visit)
}

// place is where a node lies and what is in front of it.
type place struct{ ref, prev, holder uint32 }

// Glide is Survey that calls sound, if that is not nil, in place of visit for
// most nodes with which nothing is wrong: c is the node's control header. It
// takes a third of the time.
func (r *Region) Glide(sound func(ref uint32, h node.Header, c unsafe.Pointer) bool, visit func(s, before, beforeThat *Seen) bool) bool {
	var nodes [3]Seen
	s, before, beforeThat := &nodes[0], &nodes[1], &nodes[2]
	at := place{Front, 0, r.End}
	whole := true // the node before is sound
	for r.There(at.ref) {
		if sound != nil && whole && at.ref != Front && !r.Blind {
			next, more := r.stride(at, before, beforeThat, sound)
			if !more {
				return false
			}
			if at = next; !r.There(at.ref) {
				break
			}
		}
		r.look(s, at.ref, at.prev, at.holder)
		if !visit(s, before, beforeThat) {
			return false
		}
		if at.ref == r.End {
			return true
		}
		whole = s.Sound()
		at = place{at.ref + s.Size, s.Size, at.ref}
		s, before, beforeThat = beforeThat, s, before
	}
	return false
}

// stride goes over nodes with which nothing is wrong from at on and returns where
// it stops. It leaves the two nodes in front of that in before and beforeThat. The
// node in front of at must lie where at.holder says.
func (r *Region) stride(at place, before, beforeThat *Seen, sound func(ref uint32, h node.Header, c unsafe.Pointer) bool) (place, bool) {
	var last, other place // passed, the latter before the former
	l, base := r.Layout, r.Base
	limit := min(r.End, r.Limit-l.HeadU+1)
	ref, prev := at.ref, at.prev
	for ref < limit {
		h, ok := l.Follows(base, ref, prev)
		if !ok || !r.plausible(ref, h) {
			break
		}
		if !sound(ref, h, unsafe.Add(base, uintptr(ref)*node.Unit+l.Slot)) {
			return at, false
		}
		other, last = last, place{ref, prev, ref - prev}
		prev = h.Size()
		ref += prev
	}
	switch {
	case last.ref == 0:
		return at, true
	case other.ref == 0:
		*beforeThat = *before
	default:
		r.look(beforeThat, other.ref, other.prev, other.holder)
	}
	r.look(before, last.ref, last.prev, last.holder)
	return place{ref, prev, last.ref}, true
}

// There reports whether the head of a node at ref is in memory.
func (r *Region) There(ref uint32) bool {
	return uint64(ref)+uint64(r.Layout.HeadU) <= uint64(r.Limit)
}

// Ctrl returns the address of a node's control header, which must be there.
func (r *Region) Ctrl(ref uint32) unsafe.Pointer {
	return unsafe.Add(r.Base, uintptr(ref)*node.Unit+r.Layout.Slot)
}

// Slot returns the address of the backup of the next node's header.
func (r *Region) Slot(ref uint32) unsafe.Pointer {
	return unsafe.Add(r.Base, uintptr(ref)*node.Unit)
}

// Addr is the address of a node's start.
func (r *Region) Addr(ref uint32) heap.Addr {
	return heap.Addr(r.Origin + uint64(ref)*node.Unit)
}

// Bytes returns what is there of the bytes [from, to) of the pool.
func (r *Region) Bytes(from, to uint64) []byte {
	to = min(to, uint64(r.Limit)*node.Unit)
	if from >= to {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Add(r.Base, uintptr(from))), to-from)
}

// Evidence returns the control header that the node is taken for; nil if lost.
func (r *Region) Evidence(s *Seen) unsafe.Pointer {
	switch {
	case s.HeaderOK:
		return r.Ctrl(s.Ref)
	case s.BackupOK && r.Layout.Slot != 0:
		return r.Slot(s.Holder)
	}
	return nil
}

// Good reads the control header, or backup of one, at c and reports whether it
// is that of the node at ref.
func (r *Region) Good(c unsafe.Pointer, ref uint32) (node.Header, bool) {
	if r.Blind {
		h := node.Read(c)
		return h, r.plausible(ref, h) && r.linked(ref, h)
	}
	h, ok := r.Layout.Check(c, ref)
	return h, ok && r.plausible(ref, h)
}

// linked reports whether the node behind the one at ref with header h says that
// it is that long. What is not there does not contradict.
func (r *Region) linked(ref uint32, h node.Header) bool {
	next := ref + h.Size()
	return ref == r.End || !r.There(next) || node.Read(r.Ctrl(next)).Prev() == h.Size()
}

// look weighs the node at ref. prev is how long the node before it was taken
// to be and holder where that lies.
func (r *Region) look(s *Seen, ref, prev, holder uint32) {
	c := r.Ctrl(ref)
	h, ok := r.Good(c, ref)
	backed := r.Layout.Slot != 0 && r.There(holder)
	if ok && (!backed || r.Layout.Same(c, r.Slot(holder))) {
		*s = Seen{Ref: ref, Size: h.Size(), Prev: prev, Holder: holder, H: h, HeaderOK: true, BackupOK: true, LinkOK: h.Prev() == prev}
		return
	}
	*s = Seen{Ref: ref, Prev: prev, Holder: holder, HeaderOK: ok, BackupOK: true, LinkOK: true}
	if r.Layout.Slot != 0 {
		var b node.Header
		s.BackupOK = false
		if backed {
			b, s.BackupOK = r.Good(r.Slot(holder), ref)
		}
		switch {
		case !s.BackupOK:
		case !s.HeaderOK:
			h = b
		default:
			// One of them is from another time. The next node knows which.
			s.Differ = true
			if r.confirmed(ref, b) && !r.confirmed(ref, h) {
				h, s.HeaderOK, s.Differ = b, false, false
			}
		}
	}
	if s.HeaderOK || s.BackupOK && r.Layout.Slot != 0 {
		s.H, s.Size = h, h.Size()
		s.LinkOK = h.Prev() == prev
		return
	}
	s.Lost = true
	s.Size, s.Exact = r.extent(ref)
}

// confirmed reports whether the node behind the one at ref with header h agrees
// about where that ends.
func (r *Region) confirmed(ref uint32, h node.Header) bool {
	if ref == r.End {
		return true
	}
	next := ref + h.Size()
	if !r.There(next) {
		return false
	}
	n, ok := r.Good(r.Ctrl(next), next)
	return ok && n.Prev() == h.Size()
}

// plausible reports whether a header with a right checksum makes sense. Only
// a header that the pool itself wrote for another life of this place can fail.
func (r *Region) plausible(ref uint32, h node.Header) bool {
	bound := ref == Front || ref == r.End
	switch {
	case !h.State().Valid() || (h.State() == node.Bound) != bound:
		return false
	case bound:
		return h.Size() == r.Layout.HeadU
	}
	if h.State() == node.Used && uint64(h.Slack()) >= uint64(h.Size())*node.Unit-uint64(r.Layout.Head) {
		return false
	}
	return r.fits(ref, h.Size())
}

// fits reports whether there can be a node of that size at ref: what is left up
// to the end must be nothing or enough for a node.
func (r *Region) fits(ref, size uint32) bool {
	if size < r.Layout.MinU || uint64(ref)+uint64(size) > uint64(r.End) {
		return false
	}
	rest := r.End - (ref + size)
	return rest == 0 || rest >= r.Layout.MinU
}

// extent infers how long the lost node at ref is, and whether that is certain.
func (r *Region) extent(ref uint32) (size uint32, exact bool) {
	if ref == Front || ref == r.End {
		return r.Layout.HeadU, true
	}
	// The free structures lie outside the pool and know their nodes.
	if r.FreeSize != nil {
		if n := r.FreeSize(ref); n != 0 {
			return n, true
		}
	}
	// The node itself holds the backup of the next one's header, which tells
	// where that lies, and whose checksum tells whether that is true.
	if r.Layout.Slot != 0 && !r.Blind {
		b := node.Read(r.Slot(ref))
		if n := b.Prev(); r.fits(ref, n) {
			if _, ok := r.Layout.Check(r.Slot(ref), ref+n); ok {
				return n, true
			}
		}
	}
	return r.next(ref)
}

// next looks for the next header that is good behind the lost node at ref: if it
// points back there, the node ends there; if it does not, more than one node is
// lost. Traces of former nodes are marked dead, so a good header is the head of
// a node. What cannot be a size is skipped without a checksum: most of what is
// lost may be zeroes.
func (r *Region) next(ref uint32) (size uint32, exact bool) {
	stop := min(r.End, r.Limit)
	for at := uint64(ref) + uint64(r.Layout.MinU); at+uint64(r.Layout.MinU) <= uint64(stop); at++ {
		c := r.Ctrl(uint32(at))
		if n := node.Read(c).Size(); n < r.Layout.MinU || uint64(n) > uint64(r.End)-at {
			continue
		}
		if h, ok := r.Good(c, uint32(at)); ok {
			return uint32(at) - ref, h.Prev() == uint32(at)-ref
		}
	}
	if !r.There(r.End) {
		return r.End - ref, false
	}
	h, ok := r.Good(r.Ctrl(r.End), r.End)
	return r.End - ref, ok && h.Prev() == r.End-ref
}
