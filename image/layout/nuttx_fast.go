package layout

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// stride implements chainStrider, on local variables.
func (c *nuttxChain) stride(at heap.Addr) (next, front heap.Addr) {
	o, w := &c.o, c.walk
	if w.m.bytes(at, o.head) == nil || uint64(at-w.m.at) >= uint64(len(w.m.win)) {
		return at, 0
	}
	var (
		win, base = w.m.win, w.m.at
		wide      = o.word == 8
		head      = uint64(o.head)
		least     = uint64(o.least())
		mask      = uint64(o.align - 1)
		end       = c.end
		plain     = o.head == 2*o.word
		n         = &w.node
		st        = &w.survey.Stats
	)
	*n = heap.Node{}
	size := word(win[uint64(at-base)+uint64(o.size):], o.word)
	for !w.stop && at < end {
		off := uint64(at - base)
		length := size &^ nuttxBits
		// The end node is for the engine.
		if length&mask != 0 || length < least || length >= uint64(end-at) || off+length+head > uint64(len(win)) {
			break
		}
		b := win[off+length : off+length+head]
		var preceding, behind uint64
		if wide {
			preceding, behind = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		} else {
			x := binary.LittleEndian.Uint64(b)
			preceding, behind = x&(1<<32-1), x>>32
		}
		free := size&nuttxUsed == 0
		if l := behind &^ nuttxBits; free != (behind&nuttxPrevFree != 0) || free && preceding != length ||
			l&mask != 0 || l < least || l > uint64(end-at)-length {
			break
		}
		if free && c.links != nil {
			node := chainNode{at: at}
			if c.read(&node); node.bad != 0 {
				break
			}
		}
		n.Addr, n.Payload, n.Total = at, at+heap.Addr(head), length
		if free {
			n.State, n.Owner, n.Serial, n.Stack = heap.Free, 0, 0, nil
			st.FreeNodes++
			st.LargestFree = max(st.LargestFree, length)
		} else {
			n.State = heap.Used
			if !plain {
				c.record(n, win[off:off+head])
			}
			st.UsedNodes++
			st.Used += length
		}
		front, at, size = at, at+heap.Addr(length), behind
		if w.visit != nil && !w.visit(n) {
			w.stop = true
		}
	}
	return at, front
}

// record decodes who allocated a used node.
func (c *nuttxChain) record(n *heap.Node, b []byte) {
	o := &c.o
	if o.pid >= 0 {
		n.Owner = heap.Owner(binary.LittleEndian.Uint32(b[o.pid:]))
	}
	if o.seqno >= 0 {
		n.Serial = word(b[o.seqno:], o.word)
	}
	n.Stack = c.levels(b)
}

// levels decodes a backtrace. Behind a zero lies what was there before.
func (c *nuttxChain) levels(b []byte) heap.Stack {
	o := &c.o
	c.stack = c.stack[:0]
	for i := range o.levels {
		lr := word(b[o.stack+i*o.word:], o.word)
		if lr == 0 {
			break
		}
		c.stack = append(c.stack, heap.Addr(lr))
	}
	return c.stack
}
