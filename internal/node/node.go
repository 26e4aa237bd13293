// Package node defines, once, how a pool lies in memory: the pool head, the
// control header of a node, the backup of it in the previous node, and the
// checksum over both. The pool writes this layout and every reader of a dump
// reads it through this package.
//
// Sizes and positions inside a pool are counted in units of 16 bytes from the
// pool head; such a position is called a ref. Positions, not addresses, are
// what headers hold and what checksums are bound to, so that a pool in a file
// stays valid when it is mapped elsewhere.
//
//	pool   [pool head 256][front][node][node]...[node][end]
//
//	node   +------------------------------+ ref
//	       | backup of the NEXT node's    |   Ctrl bytes, only with Backup
//	       | control header               |
//	       +------------------------------+
//	       | own control header           |   Ctrl bytes
//	       +------------------------------+ ref + Head: the payload, 16-aligned
//	       | payload                      |
//	       +------------------------------+ ref + Size: the next node
//
//	control header
//	        0  size    u32   length of the node in units, headers included
//	        4  prev    u32   length of the previous node in units; 0: front
//	        8  owner   u16   tag of the allocation
//	       10  tail    u16   low 4 bits: state; high 12 bits: slack, the bytes
//	                         between the end of the payload and of the node
//	       12  sum     u32   checksum of this header at this ref in this pool
//	                         -- only with stacks (LRs > 0 or Birth):
//	       16  birth   u32   tick of the allocation or free
//	       20  LR[0..] u32   return addresses, see package callers
//	                         -- padded to a multiple of 16
//
// The front and the end are nodes without payload that are never free. They
// close the ring of backups: the front's header is backed up in the end.
//
// Values are stored in the machine's byte order.
package node

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"unsafe"
)

const (
	// Unit is the granularity of sizes and positions, and the alignment of
	// every payload, in bytes.
	Unit = 16
	// HeadUnits is the length of the pool head in units: the front's ref.
	HeadUnits = 256 / Unit
	// MaxLRs is the largest number of return addresses a header can hold.
	MaxLRs = 32
	// MaxSlack is the largest slack a header can express, in bytes.
	MaxSlack = 1<<12 - 1

	fixed    = 16 // bytes of the fixed part of a control header
	lrOffset = fixed + 4
	maxPairs = (lrOffset + 4*MaxLRs + Unit - 1) / Unit
)

// State is what a node is used for.
type State uint8

// The states of a node. No state is 0 or has all its bits set, so that memory
// overwritten with zeroes or 0xFF never looks like a state.
const (
	Used        State = 1
	Free        State = 2 // coalesced, in the ordered set
	Quick       State = 3 // freed, not yet coalesced
	Dead        State = 4 // start of a former node swallowed by the one before
	Quarantined State = 5 // withdrawn: something in it could not be trusted
	Bound       State = 6 // the front and the end
)

// Valid reports whether s is the state of a node that is there: a dead header
// is a trace of one that was.
func (s State) Valid() bool { return s >= Used && s <= Bound && s != Dead }

// IsFree reports whether the node may be handed out or coalesced.
func (s State) IsFree() bool { return s == Free || s == Quick }

// Header is the fixed part of a control header, read from memory at one time
// so that what was checked is what is used.
type Header struct {
	sizes uint64 // size | prev<<32
	rest  uint64 // owner | tail<<16 | sum<<32
}

// Make returns a header without checksum; Layout.Seal adds it.
func Make(size, prev uint32, s State, owner uint16, slack uint32) Header {
	return Header{
		sizes: uint64(size) | uint64(prev)<<32,
		rest:  uint64(owner) | uint64(s)<<16 | uint64(slack)<<20,
	}
}

// Size returns the node's length in units, headers included.
func (h Header) Size() uint32 { return uint32(h.sizes) }

// Prev returns the previous node's length in units; 0 in the front.
func (h Header) Prev() uint32 { return uint32(h.sizes >> 32) }

// Owner returns the allocation's tag.
func (h Header) Owner() uint16 { return uint16(h.rest) }

// State returns the node's state.
func (h Header) State() State { return State(h.rest >> 16 & 15) }

// Slack returns the bytes at the end of the node that were not asked for.
func (h Header) Slack() uint32 { return uint32(h.rest >> 20 & MaxSlack) }

// Sum returns the stored checksum.
func (h Header) Sum() uint32 { return uint32(h.rest >> 32) }

// WithSize returns h with another size.
func (h Header) WithSize(size uint32) Header {
	h.sizes = h.sizes&^0xffffffff | uint64(size)
	return h
}

// WithPrev returns h with another length of the previous node.
func (h Header) WithPrev(prev uint32) Header {
	h.sizes = h.sizes&0xffffffff | uint64(prev)<<32
	return h
}

// WithState returns h with another state.
func (h Header) WithState(s State) Header {
	h.rest = h.rest&^(15<<16) | uint64(s)<<16
	return h
}

// Layout is the shape of the nodes of one pool and its checksum keys. It is
// immutable once made.
type Layout struct {
	Ctrl   uintptr // bytes of a control header, a multiple of Unit
	Slot   uintptr // bytes of the backup of the next node's header; 0: none
	Head   uintptr // Slot + Ctrl: bytes in front of the payload
	LRs    int     // return addresses in a header
	Stacks bool    // whether headers have birth and LRs

	HeadU uint32 // Head in units
	MinU  uint32 // smallest node in units: room for one unit of payload

	pairs int                  // Ctrl in units
	key   [2 * maxPairs]uint64 // a pair for each unit
}

// NewLayout returns the layout of a pool. stacks gives headers a birth tick and
// room for lrs return addresses, 0 to MaxLRs; backup gives every node the
// backup of the next one's header; secret keys the checksums.
func NewLayout(stacks bool, lrs int, backup bool, secret uint64) Layout {
	l := Layout{Ctrl: fixed, Stacks: stacks}
	if stacks {
		l.LRs = lrs
		l.Ctrl = uintptr(lrOffset+4*lrs+Unit-1) &^ (Unit - 1)
	}
	if backup {
		l.Slot = l.Ctrl
	}
	l.Head = l.Slot + l.Ctrl
	l.HeadU = uint32(l.Head / Unit)
	l.MinU = l.HeadU + 1
	l.pairs = int(l.Ctrl / Unit)
	for i := range l.key {
		// splitmix64 (Steele, Lea, Flood 2014)
		secret += 0x9e3779b97f4a7c15
		z := secret
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		l.key[i] = z ^ z>>31 | 1
	}
	return l
}

const (
	low       = 1<<32 - 1
	bigEndian = runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" || runtime.GOARCH == "mips" || runtime.GOARCH == "mips64"
)

func load(p unsafe.Pointer) uint64     { return *(*uint64)(p) }
func load32(p unsafe.Pointer) uint32   { return *(*uint32)(p) }
func store(p unsafe.Pointer, v uint64) { *(*uint64)(p) = v }

// fold makes a checksum of two weighted sums: the folded multiplication of
// wyhash (Wang Yi, public domain).
func (l *Layout) fold(x, y uint64) uint32 {
	hi, lo := bits.Mul64(x^l.key[0], y^l.key[1])
	s := hi ^ lo
	return uint32(s) ^ uint32(s>>32)
}

// sum computes the checksum of the header (sizes, rest), whose variable part
// lies at c+16, as that of the node at ref. The ref takes the place of the
// stored checksum. The variable part enters weighted by odd keys, 8 bytes
// alternately into one and the other half, so that every bit of it counts.
func (l *Layout) sum(sizes, rest uint64, c unsafe.Pointer, ref uint32) uint32 {
	x, y := sizes, rest&low|uint64(ref)<<32
	if l.pairs > 1 {
		x += load(unsafe.Add(c, 16)) * l.key[2]
		y += load(unsafe.Add(c, 24)) * l.key[3]
		if l.pairs > 2 {
			x, y = l.more(c, x, y)
		}
	}
	return l.fold(x, y)
}

// Check reads the control header at c and reports whether its checksum is that
// of a header of the node at ref in this pool.
func (l *Layout) Check(c unsafe.Pointer, ref uint32) (Header, bool) {
	h := Read(c)
	return h, l.sum(h.sizes, h.rest, c, ref) == h.Sum()
}

// Read reads the fixed part of the control header at c without judging it.
func Read(c unsafe.Pointer) Header { return Header{load(c), load(unsafe.Add(c, 8))} }

// SumAt returns the checksum that the control header at c would need as that
// of the node at ref.
func (l *Layout) SumAt(c unsafe.Pointer, ref uint32) uint32 {
	h := Read(c)
	return l.sum(h.sizes, h.rest, c, ref)
}

// Inspect is Check for the node at ref of the pool at base that ends at end,
// and a comparison with the header's backup, where there is one.
func (l *Layout) Inspect(base unsafe.Pointer, ref, end uint32) (Header, bool) {
	c := unsafe.Add(base, uintptr(ref)*Unit+l.Slot)
	h, ok := l.Check(c, ref)
	if !ok || l.Slot == 0 {
		return h, ok
	}
	holder := end
	if prev := h.Prev(); prev != 0 {
		holder = ref - prev
	}
	return h, l.Same(c, unsafe.Add(base, uintptr(holder)*Unit))
}

// Trusted is Inspect for the node at ref, together with a look at the nodes on
// both sides of it where there are backups. Nothing in those will be relied
// upon, so the look is for damage only and costs little: the next header is
// compared with the backup that the node itself holds, and the previous node
// must be as long as this one says. The node must not be the end.
func (l *Layout) Trusted(base unsafe.Pointer, ref, end uint32) (Header, bool) {
	p := unsafe.Add(base, uintptr(ref)*Unit)
	c := unsafe.Add(p, l.Slot)
	h := Header{load(c), load(unsafe.Add(c, 8))}
	x, y := h.sizes, h.rest&low|uint64(ref)<<32
	if l.pairs > 1 {
		x += load(unsafe.Add(c, 16)) * l.key[2]
		y += load(unsafe.Add(c, 24)) * l.key[3]
		if l.pairs > 2 {
			x, y = l.more(c, x, y)
		}
	}
	if l.Slot == 0 || l.fold(x, y) != h.Sum() {
		return h, l.fold(x, y) == h.Sum()
	}
	holder := end
	var d uint64
	if prev := h.Prev(); prev != 0 {
		holder = ref - prev
		d = uint64(load32(unsafe.Add(base, uintptr(holder)*Unit+l.Slot)) ^ prev)
	}
	b := unsafe.Add(base, uintptr(holder)*Unit)
	n := unsafe.Add(base, uintptr(ref+h.Size())*Unit+l.Slot)
	d |= (load(b) ^ h.sizes) | (load(unsafe.Add(b, 8)) ^ h.rest)
	d |= (load(n) ^ load(p)) | (load(unsafe.Add(n, 8)) ^ load(unsafe.Add(p, 8)))
	if l.pairs > 1 {
		d |= (load(unsafe.Add(b, 16)) ^ load(unsafe.Add(c, 16))) | (load(unsafe.Add(b, 24)) ^ load(unsafe.Add(c, 24)))
		d |= (load(unsafe.Add(n, 16)) ^ load(unsafe.Add(p, 16))) | (load(unsafe.Add(n, 24)) ^ load(unsafe.Add(p, 24)))
		for i := uintptr(2 * Unit); i < l.Ctrl; i += 8 {
			d |= (load(unsafe.Add(b, i)) ^ load(unsafe.Add(c, i))) | (load(unsafe.Add(n, i)) ^ load(unsafe.Add(p, i)))
		}
	}
	return h, d == 0
}

// Follows reads the control header of the node at ref of the pool at base, behind
// a node of prev units that lies in the pool, and reports whether its checksum is
// right, it names that length, and its backup is the same. This is all that most
// nodes of a walk need, in one go.
func (l *Layout) Follows(base unsafe.Pointer, ref, prev uint32) (Header, bool) {
	c := unsafe.Add(base, uintptr(ref)*Unit+l.Slot)
	h := Header{load(c), load(unsafe.Add(c, 8))}
	x, y := h.sizes, h.rest&low|uint64(ref)<<32
	d := h.sizes>>32 ^ uint64(prev)
	if l.pairs == 1 {
		if l.Slot != 0 {
			b := unsafe.Add(base, uintptr(ref-prev)*Unit)
			d |= (load(b) ^ h.sizes) | (load(unsafe.Add(b, 8)) ^ h.rest)
		}
		return h, d|uint64(l.fold(x, y)^h.Sum()) == 0
	}
	v, w := load(unsafe.Add(c, 16)), load(unsafe.Add(c, 24))
	x += v * l.key[2]
	y += w * l.key[3]
	if l.Slot != 0 {
		b := unsafe.Add(base, uintptr(ref-prev)*Unit)
		d |= (load(b) ^ h.sizes) | (load(unsafe.Add(b, 8)) ^ h.rest)
		d |= (load(unsafe.Add(b, 16)) ^ v) | (load(unsafe.Add(b, 24)) ^ w)
		for i := uintptr(2 * Unit); i < l.Ctrl; i += 8 {
			d |= load(unsafe.Add(b, i)) ^ load(unsafe.Add(c, i))
		}
	}
	if l.pairs > 2 {
		x, y = l.more(c, x, y)
	}
	return h, d|uint64(l.fold(x, y)^h.Sum()) == 0
}

// Change is what Turn does to a header's owner, state and slack.
type Change struct{ keep, set uint64 }

// Become replaces all three.
func Become(s State, owner uint16, slack uint32) Change {
	return Change{0, Make(0, 0, s, owner, slack).rest}
}

// Into replaces the state.
func Into(s State) Change { return Change{low &^ (15 << 16), uint64(s) << 16} }

// Turn is Trusted for a node that should be in the state from and size units
// long, followed, if that is so, by PutStamped with the header changed; it
// returns the header as it was. What lies beside a used node is checked too.
// This is all that a small allocation or free does to memory, in one go because
// the two halves share most of their work. The layout must have no more LRs than
// a stamp.
func (l *Layout) Turn(base unsafe.Pointer, ref, end, size uint32, from State, to Change, s *Stamp) (Header, bool) {
	p := unsafe.Add(base, uintptr(ref)*Unit)
	c := unsafe.Add(p, l.Slot)
	h := Header{load(c), load(unsafe.Add(c, 8))}
	place := uint64(ref) << 32
	x, y := h.sizes, h.rest&low|place
	if l.pairs > 1 {
		x += load(unsafe.Add(c, 16)) * l.key[2]
		y += load(unsafe.Add(c, 24)) * l.key[3]
	}
	if l.fold(x, y) != h.Sum() || h.Size() != size || h.State() != from {
		return h, false
	}
	b := c // without backup everything is written to the same place twice
	if l.Slot != 0 {
		holder := end
		var d uint64
		if prev := h.Prev(); prev != 0 {
			holder = ref - prev
			d = uint64(load32(unsafe.Add(base, uintptr(holder)*Unit+l.Slot)) ^ prev)
		}
		b = unsafe.Add(base, uintptr(holder)*Unit)
		n := unsafe.Add(p, uintptr(size)*Unit+l.Slot)
		d |= (load(b) ^ h.sizes) | (load(unsafe.Add(b, 8)) ^ h.rest)
		d |= (load(n) ^ load(p)) | (load(unsafe.Add(n, 8)) ^ load(unsafe.Add(p, 8)))
		if l.pairs > 1 {
			d |= (load(unsafe.Add(b, 16)) ^ load(unsafe.Add(c, 16))) | (load(unsafe.Add(b, 24)) ^ load(unsafe.Add(c, 24)))
			d |= (load(unsafe.Add(n, 16)) ^ load(unsafe.Add(p, 16))) | (load(unsafe.Add(n, 24)) ^ load(unsafe.Add(p, 24)))
		}
		if d != 0 || from == Used && !l.Beside(base, ref, end, h) {
			return h, false
		}
	}
	rest := h.rest&to.keep | to.set
	x, y = h.sizes, rest|place
	if l.pairs > 1 {
		v, w := pieces(unsafe.Pointer(s))
		x += v * l.key[2]
		y += w * l.key[3]
		store2(c, b, 16, v, w)
	}
	store2(c, b, 0, h.sizes, rest|uint64(l.fold(x, y))<<32)
	return h, true
}

// Beside checks what lies on both sides of the used node at ref with the trusted
// header h: the control header of the node in front of it, and the first thing
// behind it, the backup that the next node begins with. An overflow of the node
// hits that first, and while the node is still used its allocation is known.
// Only for layouts with backups.
func (l *Layout) Beside(base unsafe.Pointer, ref, end uint32, h Header) bool {
	holder := end
	if prev := h.Prev(); prev != 0 {
		holder = ref - prev
	}
	next := ref + h.Size()
	n := unsafe.Add(base, uintptr(next)*Unit)
	after := uint32(HeadUnits) // whose header the end backs up
	if next != end {
		after = next + load32(unsafe.Add(n, l.Slot))
	}
	// Both checksums are computed side by side: written out, because this is
	// part of every checked free.
	b := unsafe.Add(base, uintptr(holder)*Unit+l.Slot)
	nrest, brest := load(unsafe.Add(n, 8)), load(unsafe.Add(b, 8))
	nx, ny := load(n), nrest&low|uint64(after)<<32
	bx, by := load(b), brest&low|uint64(holder)<<32
	if l.pairs > 1 {
		nx += load(unsafe.Add(n, 16)) * l.key[2]
		ny += load(unsafe.Add(n, 24)) * l.key[3]
		bx += load(unsafe.Add(b, 16)) * l.key[2]
		by += load(unsafe.Add(b, 24)) * l.key[3]
		if l.pairs > 2 {
			nx, ny = l.more(n, nx, ny)
			bx, by = l.more(b, bx, by)
		}
	}
	return (l.fold(nx, ny)^uint32(nrest>>32))|(l.fold(bx, by)^uint32(brest>>32)) == 0
}

// more adds what lies beyond the first 32 bytes of the control header at c to
// the two sums that the checksum is made of.
func (l *Layout) more(c unsafe.Pointer, x, y uint64) (uint64, uint64) {
	for i := 2; i < l.pairs; i++ {
		q := unsafe.Add(c, i*Unit)
		x += load(q) * l.key[2*i]
		y += load(unsafe.Add(q, 8)) * l.key[2*i+1]
	}
	return x, y
}

// Put writes h with its checksum as the control header of the node at ref, and
// its backup. Birth and LRs are those already in place.
func (l *Layout) Put(base unsafe.Pointer, ref, end uint32, h Header) {
	var s Stamp
	if l.pairs > 1 {
		s = *(*Stamp)(unsafe.Add(base, uintptr(ref)*Unit+l.Slot+fixed))
	}
	l.PutStamped(base, ref, end, h, &s)
}

// Stamp is the beginning of the variable part of a control header: the birth
// tick and the first LRs. It is filled in before the pool is locked.
type Stamp [1 + StampLRs]uint32

// StampLRs is the number of LRs in a Stamp; further ones are recorded in place.
const StampLRs = 3

// PutStamped is Put with the beginning of the variable part from s. A layout
// without stacks ignores s. LRs beyond the stamp must already be in place.
func (l *Layout) PutStamped(base unsafe.Pointer, ref, end uint32, h Header, s *Stamp) {
	c := unsafe.Add(base, uintptr(ref)*Unit+l.Slot)
	b := c // without backup everything is written to the same place twice
	if l.Slot != 0 {
		holder := end
		if prev := h.Prev(); prev != 0 {
			holder = ref - prev
		}
		b = unsafe.Add(base, uintptr(holder)*Unit)
	}
	x, y := h.sizes, h.rest&low|uint64(ref)<<32
	if l.pairs > 1 {
		v, w := pieces(unsafe.Pointer(s))
		x += v * l.key[2]
		y += w * l.key[3]
		store2(c, b, 16, v, w)
		for i := 2; i < l.pairs; i++ {
			v, w := pieces(unsafe.Add(c, i*Unit))
			x += v * l.key[2*i]
			y += w * l.key[2*i+1]
			store2(c, b, i*Unit, v, w)
		}
	}
	rest := h.rest&low | uint64(l.fold(x, y))<<32
	store2(c, b, 0, h.sizes, rest)
}

// pieces loads 16 bytes in pieces of 32 bits. LRs were most likely written a
// moment ago in such pieces: loading them alike lets the processor forward what
// it has not stored yet, and store2 does the same for the next check.
func pieces(p unsafe.Pointer) (x, y uint64) {
	if bigEndian {
		return load(p), load(unsafe.Add(p, 8))
	}
	x = uint64(load32(p)) | uint64(load32(unsafe.Add(p, 4)))<<32
	y = uint64(load32(unsafe.Add(p, 8))) | uint64(load32(unsafe.Add(p, 12)))<<32
	return x, y
}

// store2 stores 16 bytes of a control header and of its backup.
func store2(c, b unsafe.Pointer, off int, x, y uint64) {
	store(unsafe.Add(c, off), x)
	store(unsafe.Add(c, off+8), y)
	store(unsafe.Add(b, off), x)
	store(unsafe.Add(b, off+8), y)
}

// Seal is Put without backup.
func (l *Layout) Seal(c unsafe.Pointer, ref uint32, h Header) {
	s := l.sum(h.sizes, h.rest, c, ref)
	store(c, h.sizes)
	store(unsafe.Add(c, 8), h.rest&low|uint64(s)<<32)
}

// Same reports whether two control headers are equal in every byte.
func (l *Layout) Same(a, b unsafe.Pointer) bool {
	var d uint64
	for i := uintptr(0); i < l.Ctrl; i += 8 {
		d |= load(unsafe.Add(a, i)) ^ load(unsafe.Add(b, i))
	}
	return d == 0
}

// Copy copies a control header.
func (l *Layout) Copy(dst, src unsafe.Pointer) {
	for i := uintptr(0); i < l.Ctrl; i += 8 {
		store(unsafe.Add(dst, i), load(unsafe.Add(src, i)))
	}
}

// Birth returns the place of the birth tick in the control header at c. The
// layout must have stacks.
func Birth(c unsafe.Pointer) *uint32 { return (*uint32)(unsafe.Add(c, fixed)) }

// LR returns the place of LR[i] in the control header at c. The layout must
// have stacks and more than i LRs.
func LR(c unsafe.Pointer, i int) *uint32 {
	return (*uint32)(unsafe.Add(c, lrOffset+4*i))
}

// String returns the name of the state.
func (s State) String() string {
	switch s {
	case Used:
		return "used"
	case Free:
		return "free"
	case Quick:
		return "free, not coalesced"
	case Dead:
		return "dead"
	case Quarantined:
		return "quarantined"
	case Bound:
		return "bound"
	}
	return fmt.Sprintf("invalid (%d)", uint8(s))
}

// Note returns the number that the pool keeps in the first bytes of the payload
// of a coalesced free node, b: that of the node's entry in the set of free nodes.
func Note(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

// Lengths returns the bytes of the header that hold size and previous size.
func (h Header) Lengths() (b [8]byte) {
	binary.NativeEndian.PutUint64(b[:], h.sizes)
	return b
}
