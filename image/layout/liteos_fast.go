package layout

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// stride goes over nodes with which nothing is wrong, starting behind cur, and
// gives them out. It does what look and emit do and nothing else, on local
// variables; the first doubt ends it. It leaves in cur the last node that is
// sound, not given out yet, and in before the one in front of that, and reports
// whether it has moved.
func (w *walker) stride(before, cur *seen) bool {
	if cur.at == w.end || cur.own|cur.copy != 0 || cur.gapBad || !w.here(cur) {
		return false
	}
	o := &w.o
	var (
		win, base = w.m.win, w.m.at
		wide      = o.Word == 8
		own, head = heap.Addr(o.Own), heap.Addr(o.Head)
		low       = uint64(w.lists)
		span      = uint64(w.end) - low
		mask      = uint64(o.Word - 1)
		sizeAt    = o.Size
		ctl, end  = o.Ctl, w.end
		orig      = o.Orig
		lrs       = own + heap.Addr(o.LR) // in the node
		lrBytes   = o.LRs * o.Word
		visit     = w.visit

		front     heap.Addr // of cur
		at, prev  = cur.at, cur.prev
		word      = cur.h.size
		first     = cur.h.first
		second    = cur.h.second
		n         = &w.node
		st        = &w.survey.Stats
		length    heap.Addr
		moved     bool
		nextFirst uint64
		nextWord  uint32
	)
	for !w.stop {
		length = heap.Addr(word & sizeMask)
		next := at + length
		off := uint64(next - base)
		if next >= end || off+uint64(head) > uint64(len(win)) {
			break
		}
		b := win[off+uint64(own):][:ctl]
		c := win[uint64(at-base):][:ctl] // the backup of it
		var nextSecond, nextPrev, sum uint64
		nextWord = binary.LittleEndian.Uint32(b[sizeAt:])
		if wide {
			nextFirst = binary.LittleEndian.Uint64(b)
			nextSecond = binary.LittleEndian.Uint64(b[8:])
			nextPrev = binary.LittleEndian.Uint64(b[16:])
			if own != 0 {
				gap := uint64(binary.LittleEndian.Uint32(b[24:]))
				sum = binary.LittleEndian.Uint64(b[32:])
				if sum != nextFirst^nextSecond^nextPrev^gap^uint64(nextWord)^sumKey ||
					binary.LittleEndian.Uint64(c) != nextFirst || binary.LittleEndian.Uint64(c[8:]) != nextSecond ||
					binary.LittleEndian.Uint64(c[16:]) != nextPrev || uint64(binary.LittleEndian.Uint32(c[24:])) != gap ||
					binary.LittleEndian.Uint64(c[32:]) != sum || binary.LittleEndian.Uint32(c[sizeAt:]) != nextWord {
					break
				}
			}
		} else {
			x := binary.LittleEndian.Uint64(b)
			nextFirst, nextSecond = x&0xffffffff, x>>32
			nextPrev = uint64(binary.LittleEndian.Uint32(b[8:]))
			if own != 0 {
				y := binary.LittleEndian.Uint64(b[8:])
				s := binary.LittleEndian.Uint32(b[16:])
				if s != uint32(x)^uint32(x>>32)^uint32(y)^uint32(y>>32)^nextWord^sumKey ||
					binary.LittleEndian.Uint64(c) != x || binary.LittleEndian.Uint64(c[8:]) != y ||
					binary.LittleEndian.Uint32(c[16:]) != s || binary.LittleEndian.Uint32(c[sizeAt:]) != nextWord {
					break
				}
			}
		}
		l := heap.Addr(nextWord & sizeMask)
		if nextPrev != uint64(at) || l < head || uint64(l)&mask != 0 || l > end-next {
			break
		}
		ok := false // an aligned allocation is for look
		switch nextWord >> 30 {
		case 2:
			ok = uint32(nextFirst) == ^uint32(next+own)
		case 0:
			ok = nextFirst-low < span && nextSecond-low < span && (nextFirst|nextSecond)&mask == 0
		}
		if !ok {
			break
		}
		// cur is sound as its own header says, and so is what lies behind it.
		n.Addr, n.Payload, n.Total, n.Size, n.Birth = at, at+head, uint64(length), 0, 0
		if word>>31 != 0 {
			n.State = heap.Used
			if wide {
				n.Owner = heap.Owner(first >> 32 & 0xffff)
			} else {
				n.Owner = heap.Owner(second & 0xffff)
			}
			st.UsedNodes++
			st.Used += uint64(length)
			if word&alignBit != 0 {
				n.Payload += w.gapOf(cur)
			}
			if orig >= 0 {
				if v := binary.LittleEndian.Uint32(win[uint64(at-base)+uint64(own)+uint64(orig):]); heap.Addr(v) <= length-head {
					n.Size = uint64(v)
				}
			}
		} else {
			n.State, n.Owner = heap.Free, 0
			st.FreeNodes++
			st.LargestFree = max(st.LargestFree, uint64(length))
		}
		n.Stack = nil
		if lrBytes > 0 {
			n.Stack = w.stackAt(win[uint64(at-base)+uint64(lrs):][:lrBytes])
		}
		if visit != nil && !visit(n) {
			w.stop = true
		}
		front, prev, at = prev, at, next
		word, first, second = nextWord, nextFirst, nextSecond
		moved = true
	}
	if moved {
		w.look(before, prev, front)
		w.look(cur, at, prev)
		w.judge.trail = nil
	}
	return moved
}

// here moves the window to the span that s lies in, if that holds its head.
func (w *walker) here(s *seen) bool {
	return w.m.bytes(s.at, w.o.Head) != nil && s.at >= w.m.at && uint64(s.at-w.m.at) < uint64(len(w.m.win))
}

// stackAt decodes LRs, without those that were not there.
func (w *walker) stackAt(b []byte) heap.Stack {
	stack := w.stack
	n := len(stack)
	if w.o.Word == 8 {
		for n > 0 && binary.LittleEndian.Uint64(b[n*8-8:]) == 0 {
			n--
		}
		for i := range stack[:n] {
			stack[i] = heap.Addr(binary.LittleEndian.Uint64(b[i*8:]))
		}
		return stack[:n:n]
	}
	for n > 0 && binary.LittleEndian.Uint32(b[n*4-4:]) == 0 {
		n--
	}
	for i := range stack[:n] {
		stack[i] = heap.Addr(binary.LittleEndian.Uint32(b[i*4:]))
	}
	return stack[:n:n]
}
