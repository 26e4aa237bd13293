package layout

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// stride implements chainStrider, on local variables.
func (w *tlsfWalk) stride(at heap.Addr) (next, front heap.Addr) {
	o := &w.o
	if w.m.bytes(at, o.Head) == nil || uint64(at-w.m.at) >= uint64(len(w.m.win)) {
		return at, 0
	}
	var (
		win, base = w.m.win, w.m.at
		wide      = o.Word == 8
		head      = uint64(o.Head)
		freeHead  = uint64(o.FreeHead)
		sizeAt    = uint64(o.Size)
		prevAt    = uint64(o.Prev)
		lrAt      = uint64(o.LR)
		lrs       = uint64(o.LRs * o.Word)
		end       = w.end
		mask      = w.mask
		shift     = w.shift
		odd       = uint32(w.align - 1)
		seen      = uint32(0) // flags that a used node may have
		visit     = w.visit
		n         = &w.node
		st        = &w.survey.Stats
	)
	if mask>>29 == 0 && !w.p.Layout.A {
		seen = tlsfSeen
	}
	*n = heap.Node{}
	for !w.stop && at < end {
		off := uint64(at - base)
		if off+freeHead > uint64(len(win)) {
			break
		}
		h := win[off : off+freeHead]
		size := binary.LittleEndian.Uint32(h[sizeAt:])
		length := uint64(size & mask >> shift)
		free := size>>31 == 0
		least := head
		flags := (size &^ mask) >> 24
		switch {
		case free && flags != 0, !free && flags&^(tlsfUsed|tlsfAligned|seen) != 0:
			return at, front
		case free:
			least = freeHead
		}
		behind := off + length
		if length < least || uint32(length)&odd != 0 || length > uint64(end-at) || behind+head > uint64(len(win)) ||
			o.Magic >= 0 && binary.LittleEndian.Uint32(h[o.Magic:]) != tlsfMagic {
			break
		}
		b := win[behind : behind+head]
		if wide {
			if heap.Addr(binary.LittleEndian.Uint64(b[prevAt:])) != at {
				break
			}
		} else if heap.Addr(binary.LittleEndian.Uint32(b[prevAt:])) != at {
			break
		}
		n.Addr, n.Payload, n.Total, n.Owner = at, at+heap.Addr(head), length, 0
		if free {
			l := h[o.Links:]
			if v := heap.Addr(word(l, o.Word)); v != 0 && !w.p.holds(v) {
				break
			}
			if v := heap.Addr(word(l[o.Word:], o.Word)); v != 0 && !w.p.holds(v) {
				break
			}
			n.State = heap.Free
			st.FreeNodes++
			st.LargestFree = max(st.LargestFree, length)
		} else {
			n.State = heap.Used
			st.UsedNodes++
			st.Used += length
			switch {
			case o.Task >= 0:
				n.Owner = heap.Owner(binary.LittleEndian.Uint32(h[o.Task:]))
			case shift != 0:
				n.Owner = heap.Owner(size & (1<<tlsfTaskBits - 1))
			}
			if flags&tlsfAligned != 0 {
				n.Payload += w.gapWord(at, heap.Addr(length))
			}
		}
		n.Stack = nil
		if lrs > 0 {
			n.Stack = chainStack(w.stack, h[lrAt:lrAt+lrs], o.Word)
		}
		front, at = at, at+heap.Addr(length)
		if visit != nil && !visit(n) {
			w.stop = true
		}
	}
	return at, front
}

// seek implements chainSeeker: a header has its magic, if there is one, and else
// a link to a node in front and a size that fits.
func (w *tlsfWalk) seek(at, limit heap.Addr) heap.Addr {
	o := &w.o
	step := o.Word
	for at < limit {
		b := w.m.some(at, int(min(limit-at, 1<<20))+o.Head)
		n := len(b) - o.Head
		if n <= 0 { // the border of two pieces
			return at
		}
		n = min(n, int(min(limit-at, 1<<20)))
		i := 0
		if o.Magic >= 0 {
			for ; i < n; i += step {
				if binary.LittleEndian.Uint32(b[i+o.Magic:]) == tlsfMagic {
					return at + heap.Addr(i)
				}
			}
		} else {
			low, span := uint32(w.start), uint32(w.end-w.start)
			least, most := uint32(o.Head), uint32(min(uint64(w.end-w.start), 1<<31))
			gap := w.p.Layout.Regions
			for ; i < n; i += step {
				p := binary.LittleEndian.Uint32(b[i+o.Prev:])
				if p-low >= span && !(gap && p == tlsfGap) {
					continue
				}
				if s := binary.LittleEndian.Uint32(b[i+o.Size:]) & w.mask >> w.shift; s >= least && s <= most {
					return at + heap.Addr(i)
				}
			}
		}
		at += heap.Addr(i)
	}
	return limit
}
