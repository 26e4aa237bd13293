package node

import (
	"errors"
	"fmt"
	"math/bits"
	"unsafe"
)

// The pool head tells a reader of a dump or file how to read the pool. The pool
// itself never reads it back.
//
//	  0  magic     8 bytes "heapwrit"
//	  8  version   u32   1
//	 12  flags     u32   1: birth and LRs in headers; 2: header backup
//	 16  LRs       u32   return addresses in a header
//	 20  omit      u32   stack levels left out
//	 24  secret    u64   keys of the checksums
//	 32  base      u64   address of the pool head in the process
//	 40  anchor    u64   address that LRs are relative to, see package callers
//	 48  text      u64   identifies the build of the program
//	 56  created   i64   nanoseconds since 1970
//	 64  tick rate u32   ticks of birth a second, counted from 1 at creation
//	 68  pid       u32
//	 72  end       u32   ref of the end node
//	 76  name len  u32
//	 80  name      160 bytes
//	240  (unused)  8 bytes
//	248  sum       u64   checksum of everything before
type Head struct {
	magic   [8]byte
	version uint32
	flags   uint32
	lrs     uint32
	omit    uint32
	secret  uint64
	base    uint64
	anchor  uint64
	text    uint64
	created int64
	tickHz  uint32
	pid     uint32
	end     uint32
	nameLen uint32
	name    [160]byte
	_       [8]byte
	sum     uint64
}

// HeadSize is the length of the pool head in bytes.
const HeadSize = HeadUnits * Unit

// The pool head must fill its place exactly.
const (
	_ = uint(HeadSize - unsafe.Sizeof(Head{}))
	_ = uint(unsafe.Sizeof(Head{}) - HeadSize)
)

const (
	headMagic   = "heapwrit"
	headVersion = 1
	flagStacks  = 1
	flagBackup  = 2
)

// HeadInfo is what a pool head says.
type HeadInfo struct {
	Secret         uint64
	Stacks, Backup bool
	LRs, OmitLR    int
	End            uint32
	Base           uint64
	Anchor         uint64
	Text           uint64
	Created        int64
	TickHz         uint32
	PID            uint32
	PoolName       string // cut to 160 bytes
}

// HeadAt returns the pool head at p, which must point to HeadSize bytes.
func HeadAt(p unsafe.Pointer) *Head { return (*Head)(p) }

func (h *Head) checksum() uint64 {
	s := uint64(0x6865617077726974)
	p := unsafe.Pointer(h)
	for off := uintptr(0); off < unsafe.Offsetof(h.sum); off += 8 {
		hi, lo := bits.Mul64(s^load(unsafe.Add(p, off)), 0x9e3779b97f4a7c15)
		s = hi ^ lo
	}
	return s
}

// Write fills in the head.
func (h *Head) Write(i HeadInfo) {
	*h = Head{
		version: headVersion,
		lrs:     uint32(i.LRs),
		omit:    uint32(i.OmitLR),
		secret:  i.Secret,
		base:    i.Base,
		anchor:  i.Anchor,
		text:    i.Text,
		created: i.Created,
		tickHz:  i.TickHz,
		pid:     i.PID,
		end:     i.End,
	}
	copy(h.magic[:], headMagic)
	if i.Stacks {
		h.flags |= flagStacks
	}
	if i.Backup {
		h.flags |= flagBackup
	}
	h.nameLen = uint32(copy(h.name[:], i.PoolName))
	h.sum = h.checksum()
}

// SetEnd changes the ref of the end node.
func (h *Head) SetEnd(end uint32) {
	h.end = end
	h.sum = h.checksum()
}

// Intact reports whether the head is as Write or SetEnd left it.
func (h *Head) Intact() bool { return h.Named() && h.sum == h.checksum() }

// HeadOf returns a copy of the pool head at the start of b, which must hold
// HeadSize bytes and need not be aligned.
func HeadOf(b []byte) *Head {
	h := new(Head)
	copy(h.bytes(), b[:HeadSize])
	return h
}

func (h *Head) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(h)), HeadSize) }

// Magic is what a pool head begins with.
const Magic = headMagic

// Named reports whether the head begins with the magic.
func (h *Head) Named() bool { return string(h.magic[:]) == headMagic }

// OtherOrder reports whether the head was written by a machine of the other
// byte order, whose pools cannot be read here.
func (h *Head) OtherOrder() bool {
	return h.Named() && h.version == bits.ReverseBytes32(headVersion)
}

// Believe returns what the head says without judging any of it, but for lengths
// that there cannot be.
func (h *Head) Believe() HeadInfo {
	return HeadInfo{
		Secret:   h.secret,
		Stacks:   h.flags&flagStacks != 0,
		Backup:   h.flags&flagBackup != 0,
		LRs:      int(min(h.lrs, MaxLRs)),
		OmitLR:   int(min(h.omit, MaxLRs)),
		End:      h.end,
		Base:     h.base,
		Anchor:   h.anchor,
		Text:     h.text,
		Created:  h.created,
		TickHz:   h.tickHz,
		PID:      h.pid,
		PoolName: string(h.name[:min(h.nameLen, uint32(len(h.name)))]),
	}
}

// Restore returns the bytes of the damaged head h with everything in it that is
// known from elsewhere: what is the same in all heads, and of i the secret, the
// shape of the nodes, the end, and the base if that is not 0. It reports whether
// the stored checksum says that all the rest is right too.
func (h *Head) Restore(i HeadInfo) (b []byte, whole bool) {
	r := *h
	copy(r.magic[:], headMagic)
	r.version, r.flags = headVersion, 0
	if i.Stacks {
		r.flags |= flagStacks
	}
	if i.Backup {
		r.flags |= flagBackup
	}
	r.lrs, r.secret, r.end = uint32(i.LRs), i.Secret, i.End
	if i.Base != 0 {
		r.base = i.Base
	}
	clear(r.bytes()[unsafe.Offsetof(r.sum)-8 : unsafe.Offsetof(r.sum)])
	return append([]byte(nil), r.bytes()...), r.Intact()
}

// Errors of Head.Read.
var (
	ErrNoPool  = errors.New("not a heapwright pool")
	ErrBadHead = errors.New("the pool head is damaged")
)

// Read returns what the head says if it can be believed.
func (h *Head) Read() (HeadInfo, error) {
	switch {
	case !h.Named():
		return HeadInfo{}, ErrNoPool
	case h.version != headVersion:
		return HeadInfo{}, fmt.Errorf("%w of a version this program reads: version %d, want %d", ErrNoPool, h.version, headVersion)
	case !h.Intact():
		return HeadInfo{}, ErrBadHead
	case h.lrs > MaxLRs || h.omit > MaxLRs || h.nameLen > uint32(len(h.name)) || h.flags&^(flagStacks|flagBackup) != 0:
		return HeadInfo{}, ErrBadHead
	}
	return h.Believe(), nil
}
