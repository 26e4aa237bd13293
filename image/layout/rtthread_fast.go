package layout

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// stride implements chainStrider, on local variables.
func (r *rtChain) stride(at heap.Addr) (next, front heap.Addr) {
	o, w := &r.o, r.walk
	if w.m.bytes(at, o.head) == nil || uint64(at-w.m.at) >= uint64(len(w.m.win)) {
		return at, 0
	}
	var (
		win, base = w.m.win, w.m.at
		wide      = o.word == 8
		head      = uint64(o.head)
		nextAt    = uint64(o.next)
		prevAt    = uint64(o.prev)
		poolAt    = uint64(max(o.pool, 0))
		end       = r.end
		origin    = r.origin
		unit      = heap.Addr(max(o.align, o.word) - 1)
		mask      = r.usedBit
		mark      = r.mark
		short     = o.markLen < 8
		n         = &w.node
		st        = &w.survey.Stats
	)
	*n = heap.Node{}
	for !w.stop && at < end {
		off := uint64(at - base)
		if off+head > uint64(len(win)) {
			break
		}
		h := win[off : off+head]
		var v, to, from uint64
		if wide {
			v, to = binary.LittleEndian.Uint64(h), binary.LittleEndian.Uint64(h[nextAt:])
			if short {
				v &= 1<<32 - 1
			}
		} else {
			v, to = uint64(binary.LittleEndian.Uint32(h)), uint64(binary.LittleEndian.Uint32(h[nextAt:]))
		}
		behind := origin + heap.Addr(to)
		length := uint64(behind - at)
		// What lies in front of the end node is for the engine.
		if v&^mask != mark || behind <= at || behind >= end || length <= head || heap.Addr(length)&unit != 0 || off+length+head > uint64(len(win)) ||
			r.memheap && heap.Addr(word(h[poolAt:], o.word)) != r.pool {
			break
		}
		b := win[off+length : off+length+head]
		if wide {
			from = binary.LittleEndian.Uint64(b[prevAt:])
		} else {
			from = uint64(binary.LittleEndian.Uint32(b[prevAt:]))
		}
		if origin+heap.Addr(from) != at {
			break
		}
		// The one behind is looked at before it is the next front.
		if v = word(b, min(o.word, max(o.markLen, 4))); v&^mask != mark {
			break
		}
		free := word(h, 4)&mask == 0
		if r.links != nil {
			node := chainNode{at: at, free: free}
			if r.readLinks(&node, h); node.bad != 0 {
				break
			}
		}
		n.Addr, n.Payload, n.Total, n.Owner = at, at+heap.Addr(head), length, 0
		if free {
			n.State = heap.Free
			st.FreeNodes++
			st.LargestFree = max(st.LargestFree, length)
		} else {
			n.State = heap.Used
			if o.name >= 0 {
				if name := h[o.name : o.name+o.nameLen]; rtName(name) {
					n.Owner = rtOwner(name)
				}
			}
			st.UsedNodes++
			st.Used += length
		}
		front, at = at, behind
		if w.visit != nil && !w.visit(n) {
			w.stop = true
		}
	}
	return at, front
}
