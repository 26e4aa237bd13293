package console

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// A liteosLayout says how LiteOS 5.0's bestfit heap lays out a node: a backup
// of the next node's control header if it keeps backups, its own control
// header, the payload. Which one a device has depends on how it was built;
// reports show enough to tell. Sizes and offsets are bytes; a control header is
// little-endian:
//
//	list prev of a free node, else magic     word 0
//	list next of a free node, else task id   word 1 (64-bit: task id at 4)
//	previous node                            word 2
//	gap size, checksum                       with backups
//	original size                            with LOSCFG_MEM_RECORDINFO
//	LR[0], LR[1], LR[2]                      with LOSCFG_MEM_LEAKCHECK
//	size and flags                           the last 4 bytes
type liteosLayout struct {
	word     int // 4 or 8
	slot     int // backup; 0: none
	ctl      int // own control header
	gap, sum int // gap size and checksum; 0: none
	lrs      int // LR[0]; 0: none
}

var liteosLayouts = []liteosLayout{
	{word: 4, ctl: 16},
	{word: 4, ctl: 28, lrs: 12},
	{word: 4, slot: 24, ctl: 24, gap: 12, sum: 16},
	{word: 4, slot: 36, ctl: 36, gap: 12, sum: 16, lrs: 20},
	{word: 4, ctl: 20},
	{word: 4, ctl: 32, lrs: 16},
	{word: 4, slot: 28, ctl: 28, gap: 12, sum: 16},
	{word: 4, slot: 40, ctl: 40, gap: 12, sum: 16, lrs: 24},
	{word: 8, ctl: 32},
	{word: 8, ctl: 56, lrs: 24},
	{word: 8, slot: 48, ctl: 48, gap: 24, sum: 32},
	{word: 8, slot: 72, ctl: 72, gap: 24, sum: 32, lrs: 40},
}

// head is the distance from a node's start to its payload.
func (l *liteosLayout) head() int { return l.slot + l.ctl }

// size is the offset of the size and flags.
func (l *liteosLayout) size() int { return l.ctl - 4 }

// layoutOf returns the layout with a backup of so many bytes, or nil.
func layoutOf(slot int64) *liteosLayout {
	for i := range liteosLayouts {
		if l := &liteosLayouts[i]; l.slot > 0 && int64(l.slot) == slot {
			return l
		}
	}
	return nil
}

// layoutOfHead returns the layout with backups whose node head has so many
// bytes, or nil. Without backups a size does not tell the layout.
func layoutOfHead(head uint64) *liteosLayout { return layoutOf(int64(head / 2)) }

// bareLayout returns the layout without backups, or nil.
func bareLayout(word int, leakcheck bool) *liteosLayout {
	for i := range liteosLayouts {
		if l := &liteosLayouts[i]; l.slot == 0 && l.word == word && (l.lrs > 0) == leakcheck {
			return l
		}
	}
	return nil
}

// Flags in the size word.
const (
	liteosUsed    = 1 << 31
	liteosAligned = 1 << 30
)

// A ctlHeader is a control header as a report prints it.
type ctlHeader struct {
	at              heap.Addr // where it lies
	sum, recomputed uint64
	prev, next, pre uint64
	gap, size       uint64
	fields          int // of the eight above and at, how many were read
}

const ctlFields = 8

// whole reports whether the line it was read from was complete: the checksum
// that the device computed is that of the numbers read.
func (h *ctlHeader) whole() bool {
	if h.fields != ctlFields {
		return false
	}
	sum := h.prev ^ h.next ^ h.pre ^ h.gap ^ h.size ^ 0xdeadbeef
	return sum == h.recomputed
}

// good reports whether the header is complete and carries the right checksum.
func (h *ctlHeader) good() bool { return h.whole() && h.sum == h.recomputed }

func (h *ctlHeader) used() bool    { return h.size&liteosUsed != 0 }
func (h *ctlHeader) total() uint64 { return h.size &^ (liteosUsed | liteosAligned) }

// magic reports whether the header of a used node holds what it must, or was
// written by a build without magic: 64-bit devices store 32 bits of it.
func (h *ctlHeader) magic() bool {
	return !h.used() || h.prev == 0 || uint32(h.prev) == ^uint32(h.at)
}

// wide reports whether a value can only be one of a 64-bit device.
func (h *ctlHeader) wide() bool {
	return (uint64(h.at)|h.sum|h.recomputed|h.prev|h.next|h.pre)>>32 != 0
}

// owner returns the task that a used node's header names.
func (h *ctlHeader) owner(l *liteosLayout) heap.Owner {
	if l != nil && l.word == 8 || l == nil && h.wide() {
		return heap.Owner(h.prev >> 32 & 0xffff)
	}
	return heap.Owner(h.next & 0xffff)
}

// node returns the node with this header, which starts at addr.
func (h *ctlHeader) node(addr heap.Addr, l *liteosLayout) *heap.Node {
	n := &heap.Node{Addr: addr, Total: h.total(), State: heap.Free, Stack: heap.Stack{}}
	if h.used() {
		n.State, n.Owner = heap.Used, h.owner(l)
		if l != nil {
			n.Payload = addr + heap.Addr(l.head())
			if h.size&liteosAligned != 0 {
				n.Payload += heap.Addr(h.gap)
			}
		}
	}
	return n
}

// memory returns the contents of memory that the header shows, in pieces, as
// it lies at addr.
func (h *ctlHeader) memory(addr heap.Addr, l *liteosLayout) []heap.Memory {
	if l == nil || l.sum == 0 || !h.whole() {
		return nil
	}
	le := binary.LittleEndian
	put := func(b []byte, v uint64) []byte {
		if l.word == 8 {
			return le.AppendUint64(b, v)
		}
		return le.AppendUint32(b, uint32(v))
	}
	b := put(put(put(nil, h.prev), h.next), h.pre)
	b = le.AppendUint32(b, uint32(h.gap))
	pieces := []heap.Memory{{Addr: addr, Bytes: b}}
	if len(b) < l.sum { // padding
		b = nil
		pieces = append(pieces, heap.Memory{Addr: addr + heap.Addr(l.sum)})
	}
	last := &pieces[len(pieces)-1]
	last.Bytes = put(b, h.sum)
	tail := heap.Memory{Addr: addr + heap.Addr(l.size()), Bytes: le.AppendUint32(nil, uint32(h.size))}
	if last.Addr+heap.Addr(len(last.Bytes)) == tail.Addr {
		last.Bytes = append(last.Bytes, tail.Bytes...)
		return pieces
	}
	return append(pieces, tail)
}
