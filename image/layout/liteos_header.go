package layout

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// header is a control header as it lies in memory, 32-bit words extended.
// Whether it is true is for check to say.
type header struct {
	first, second uint64 // links of a free node; used: the magic, and the task ID behind it
	prev, sum     uint64
	gap, orig     uint32
	size          uint32 // with flags
}

// read decodes a control header without its LRs from Ctl bytes.
func (o *Offsets) read(b []byte, h *header) {
	if o.Word == 4 {
		_ = b[11]
		h.first = uint64(binary.LittleEndian.Uint32(b))
		h.second = uint64(binary.LittleEndian.Uint32(b[4:]))
		h.prev = uint64(binary.LittleEndian.Uint32(b[8:]))
		if o.Sum >= 0 {
			h.gap = binary.LittleEndian.Uint32(b[o.Gap:])
			h.sum = uint64(binary.LittleEndian.Uint32(b[o.Sum:]))
		}
	} else {
		_ = b[23]
		h.first = binary.LittleEndian.Uint64(b)
		h.second = binary.LittleEndian.Uint64(b[8:])
		h.prev = binary.LittleEndian.Uint64(b[16:])
		if o.Sum >= 0 {
			h.gap = binary.LittleEndian.Uint32(b[o.Gap:])
			h.sum = binary.LittleEndian.Uint64(b[o.Sum:])
		}
	}
	if o.Orig >= 0 {
		h.orig = binary.LittleEndian.Uint32(b[o.Orig:])
	}
	h.size = binary.LittleEndian.Uint32(b[o.Size:])
}

// write is the way back, into Ctl bytes. It leaves the LRs alone.
func (o *Offsets) write(b []byte, h *header) {
	putWord(b[o.First:], o.Word, h.first)
	putWord(b[o.Second:], o.Word, h.second)
	putWord(b[o.Prev:], o.Word, h.prev)
	if o.Sum >= 0 {
		putWord(b[o.Gap:], 4, uint64(h.gap))
		putWord(b[o.Sum:], o.Word, h.sum)
	}
	putWord(b[o.Size:], 4, uint64(h.size))
}

func (h *header) used() bool    { return h.size&usedBit != 0 }
func (h *header) aligned() bool { return h.size&alignBit != 0 }
func (h *header) length() heap.Addr {
	return heap.Addr(h.size & sizeMask)
}

// checksum is what the checksum of h should be.
func (o *Offsets) checksum(h *header) uint64 {
	s := h.first ^ h.second ^ h.prev ^ uint64(h.gap) ^ uint64(h.size) ^ sumKey
	if o.Word == 4 {
		s &= 0xffffffff
	}
	return s
}

// task returns the ID of the task that allocated a used node.
func (o *Offsets) task(h *header) heap.Owner {
	if o.Word == 8 {
		return heap.Owner(h.first >> 32 & 0xffff)
	}
	return heap.Owner(h.second & 0xffff)
}

// sameCopy reports whether a backup says what the header says, as far as a
// backup goes.
func (h *header) sameCopy(b *header) bool {
	return h.first == b.first && h.second == b.second && h.prev == b.prev &&
		h.sum == b.sum && h.gap == b.gap && h.size == b.size
}

// problem is what is wrong with a header, a bit each.
type problem uint8

const (
	badSize  problem = 1 << iota // no node at this place can be that long, or its flags are no flags
	badMagic                     // used: the magic is not ~its own address; free: the links cannot be right
	badPrev                      // it names another node as the one in front
	badSum                       // its checksum is wrong
	differs                      // sound, but header and backup contradict each other
	missing                      // the memory is not there, or it is not known where it is
)

// check judges a header that claims to be that of the node at `at`. prev is
// where the node in front begins; 0: not known.
func (w *walker) check(h *header, at, prev heap.Addr) problem {
	var p problem
	o := &w.o
	length := h.length()
	switch {
	case at == w.end:
		if h.size != uint32(o.Head)|usedBit {
			p |= badSize
		}
	case length < heap.Addr(o.Head) || length&heap.Addr(o.Word-1) != 0 || length > w.end-at || h.size>>30 == 1:
		p |= badSize
	}
	if h.used() {
		if uint32(h.first) != ^uint32(at+heap.Addr(o.Own)) {
			p |= badMagic
		}
	} else if !w.linkable(h.first) || !w.linkable(h.second) {
		p |= badMagic
	}
	if prev != 0 && h.prev != uint64(prev) {
		p |= badPrev
	}
	if o.Sum >= 0 && h.sum != o.checksum(h) {
		p |= badSum
	}
	return p
}

// linkable reports whether a link of a free node can be right: it leads to a
// list head or into a node.
func (w *walker) linkable(link uint64) bool {
	return link >= uint64(w.lists) && link < uint64(w.end) && link&uint64(w.o.Word-1) == 0
}

// header reads the node's own control header; false: not there.
func (w *walker) header(at heap.Addr, h *header) bool {
	b := w.m.bytes(at+heap.Addr(w.o.Own), w.o.Ctl)
	if b == nil {
		return false
	}
	w.o.read(b, h)
	return true
}

// backup reads the copy of a header that lies at the start of node holder.
func (w *walker) backup(holder heap.Addr, h *header) bool {
	b := w.m.bytes(holder, w.o.Ctl)
	if b == nil {
		return false
	}
	w.o.read(b, h)
	return true
}
