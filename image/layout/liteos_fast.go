package layout

import (
	"encoding/binary"

	"github.com/heapwright/heapwright/heap"
)

// Nearly all nodes of nearly all pools are sound. For them, stride does what
// look and emit do and nothing else, in two tight loops over a batch of nodes:
// one checks their headers, the other gives the nodes out. The first doubt ends
// it.

// batch is how many nodes are checked before they are given out. Their heads
// should still be in the processor's first cache then.
const batch = 64

// offsets are where a batch of sound nodes begins, and the sound one behind
// them, in bytes from the first.
type offsets [batch + 1]uint32

// stride goes over nodes with which nothing is wrong, starting behind cur, and
// gives them out. It leaves in cur the last node that is sound, not given out
// yet, and in before the one in front of that, and reports whether it has moved.
func (w *walker) stride(before, cur *seen) bool {
	if cur.at == w.end || cur.own|cur.copy != 0 || cur.h.aligned() || !w.here(cur) {
		return false
	}
	scan := w.scan32
	if w.o.Word == 8 {
		scan = w.scan64
	}
	win := w.m.win[cur.at-w.m.at:]
	var offs offsets
	var front heap.Addr // of prev
	at, prev := cur.at, cur.prev
	for !w.stop {
		n := scan(win, at, &offs)
		if n == 0 {
			break
		}
		w.give(win, at, offs[:n+1])
		if front = prev; n > 1 {
			front = at + heap.Addr(offs[n-2])
		}
		prev = at + heap.Addr(offs[n-1])
		at += heap.Addr(offs[n])
		win = win[offs[n]:]
	}
	if at == cur.at {
		return false
	}
	w.look(before, prev, front)
	w.look(cur, at, prev)
	w.judge.trail = nil
	return true
}

// here moves the window to the span that s lies in, if that holds its head.
func (w *walker) here(s *seen) bool {
	return w.m.bytes(s.at, w.o.Head) != nil && s.at >= w.m.at && uint64(s.at-w.m.at) < uint64(len(w.m.win))
}

// scan32 checks nodes with words of 4 bytes from the sound one at `at` on, with
// which win begins, and returns how many there are each of which has a sound one
// behind it: the header of that, and the backup of it. The bytes of a header that
// all layouts have, or all with backups, are read as arrays: their bounds are
// checked once.
func (w *walker) scan32(win []byte, at heap.Addr, offs *offsets) (n int) {
	var (
		own, head = w.o.Own, w.o.Head
		ctl, size = w.o.Ctl, w.o.Size
		end       = int(w.end - at)
		low       = uint32(w.lists)
		span      = uint32(w.end) - low
		off       = 0
		word      = binary.LittleEndian.Uint32(win[own+size:])
	)
	offs[0] = 0
	for n < batch {
		next := off + int(word&sizeMask)
		if next >= end || next+head > len(win) {
			break
		}
		b := win[next+own : next+own+ctl]
		word = binary.LittleEndian.Uint32(b[size:])
		f := (*[16]byte)(b)
		x := binary.LittleEndian.Uint64(f[:]) // links, or magic and task
		first, second := uint32(x), uint32(x>>32)
		y := binary.LittleEndian.Uint64(f[8:]) // previous node, gap size
		if own != 0 {
			c := win[off : off+ctl]
			f, g := (*[20]byte)(b), (*[20]byte)(c)
			s := binary.LittleEndian.Uint32(f[16:])
			if binary.LittleEndian.Uint64(g[:]) != x || binary.LittleEndian.Uint64(g[8:]) != y ||
				binary.LittleEndian.Uint32(g[16:]) != s || binary.LittleEndian.Uint32(c[size:]) != word ||
				s != first^second^uint32(y)^uint32(y>>32)^word^sumKey {
				break
			}
		}
		length := int(word & sizeMask)
		if uint32(y) != uint32(at)+uint32(off) || length < head || length&3 != 0 || length > end-next {
			break
		}
		if word&usedBit != 0 {
			if word&alignBit != 0 || first != ^(uint32(at)+uint32(next+own)) {
				break // an aligned allocation is for look
			}
		} else if word&alignBit != 0 || first-low >= span || second-low >= span || (first|second)&3 != 0 {
			break
		}
		n++
		off = next
		offs[n] = uint32(off)
	}
	return n
}

// scan64 is scan32 for words of 8 bytes.
func (w *walker) scan64(win []byte, at heap.Addr, offs *offsets) (n int) {
	var (
		own, head = w.o.Own, w.o.Head
		ctl, size = w.o.Ctl, w.o.Size
		end       = int(w.end - at)
		low       = uint64(w.lists)
		span      = uint64(w.end) - low
		off       = 0
		word      = binary.LittleEndian.Uint32(win[own+size:])
	)
	offs[0] = 0
	for n < batch {
		next := off + int(word&sizeMask)
		if next >= end || next+head > len(win) {
			break
		}
		b := win[next+own : next+own+ctl]
		word = binary.LittleEndian.Uint32(b[size:])
		f := (*[24]byte)(b)
		first := binary.LittleEndian.Uint64(f[:])
		second := binary.LittleEndian.Uint64(f[8:])
		prev := binary.LittleEndian.Uint64(f[16:])
		if own != 0 {
			c := win[off : off+ctl]
			f, g := (*[40]byte)(b), (*[40]byte)(c)
			gap := binary.LittleEndian.Uint32(f[24:])
			s := binary.LittleEndian.Uint64(f[32:])
			if binary.LittleEndian.Uint64(g[:]) != first || binary.LittleEndian.Uint64(g[8:]) != second ||
				binary.LittleEndian.Uint64(g[16:]) != prev || binary.LittleEndian.Uint64(g[32:]) != s ||
				binary.LittleEndian.Uint32(g[24:]) != gap || binary.LittleEndian.Uint32(c[size:]) != word ||
				s != first^second^prev^uint64(gap)^uint64(word)^sumKey {
				break
			}
		}
		length := int(word & sizeMask)
		if prev != uint64(at)+uint64(off) || length < head || length&7 != 0 || length > end-next {
			break
		}
		if word&usedBit != 0 {
			if word&alignBit != 0 || uint32(first) != ^(uint32(at)+uint32(next+own)) {
				break // an aligned allocation is for look
			}
		} else if word&alignBit != 0 || first-low >= span || second-low >= span || (first|second)&7 != 0 {
			break
		}
		n++
		off = next
		offs[n] = uint32(off)
	}
	return n
}

// give gives out the sound nodes at the offsets in win, which begins at `at`. The
// last offset is where they end.
func (w *walker) give(win []byte, at heap.Addr, offs []uint32) {
	var (
		own, ctl = w.o.Own, w.o.Ctl
		size     = w.o.Size
		task     = w.o.Task
		orig     = w.o.Orig
		lrs      = w.o.LR
		head     = heap.Addr(w.o.Head)
		n        = &w.node
		visit    = w.visit
		used     uint64
	)
	off := offs[0]
	nodes := len(offs) - 1
	for i, end := range offs[1:] {
		from := int(off) + own
		b := win[from : from+ctl : from+ctl]
		length := end - off
		n.Addr = at + heap.Addr(off)
		n.Payload = n.Addr + head
		n.Total = uint64(length)
		n.Size = 0
		off = end
		if binary.LittleEndian.Uint32(b[size:])&usedBit != 0 {
			n.State = heap.Used
			n.Owner = heap.Owner(binary.LittleEndian.Uint16(b[task:]))
			used += uint64(length)
			if orig >= 0 {
				if v := binary.LittleEndian.Uint32(b[orig:]); v <= length-uint32(head) {
					n.Size = uint64(v)
				}
			}
		} else {
			n.State, n.Owner = heap.Free, 0
			w.freed(n, b)
		}
		if visit == nil {
			continue
		}
		if lrs >= 0 {
			n.Stack = w.stackAt(b[lrs:])
		}
		if !visit(n) {
			w.stop, nodes = true, i+1
			break
		}
	}
	st := &w.survey.Stats
	st.Used += used
	st.UsedNodes += uint64(nodes)
}

// freed counts a free node among those that give counts as used; b is its
// control header.
func (w *walker) freed(n *heap.Node, b []byte) {
	st := &w.survey.Stats
	st.UsedNodes--
	st.FreeNodes++
	st.LargestFree = max(st.LargestFree, n.Total)
	w.links.add(n.Addr+heap.Addr(w.o.Own), word(b, w.o.Word), word(b[w.o.Word:], w.o.Word), n.Total)
}

// stackAt decodes LRs, without those that were not there. b is a control header
// from them on.
func (w *walker) stackAt(b []byte) heap.Stack {
	stack := w.stack
	n := w.o.LRs
	if w.o.Word == 8 {
		for i := range n {
			stack[i] = heap.Addr(binary.LittleEndian.Uint64(b[i*8:]))
		}
	} else {
		for i := 0; i < n; i += 2 { // two at a time; behind the last one lies the size
			v := binary.LittleEndian.Uint64(b[i*4:])
			stack[i], stack[i+1] = heap.Addr(uint32(v)), heap.Addr(v>>32)
		}
	}
	for n > 0 && stack[n-1] == 0 {
		n--
	}
	return stack[:n:n]
}
