package layout

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// nuttxLayouts returns every configuration, with some numbers of levels.
func nuttxLayouts() (all []NuttX) {
	for _, bits64 := range []bool{false, true} {
		for _, align := range []int{0, 4, 8, 16, 32} {
			for _, seqno := range []bool{false, true} {
				for _, n := range []int{-1, 0, 1, 2, 8, 16} {
					all = append(all, NuttX{Bits64: bits64, PID: n >= 0, Seqno: seqno, Backtrace: max(n, 0), Align: align})
				}
				all = append(all, NuttX{Bits64: bits64, PID: true, Seqno: seqno, StackRef: true, Align: align})
			}
		}
	}
	n := 0
	for _, l := range all {
		if l.Validate() == nil {
			all[n] = l
			n++
		}
	}
	return all[:n]
}

// drawNuttX draws a heap.
func drawNuttX(t *rapid.T, l NuttX, most int) *NuttXHeap {
	h := &NuttXHeap{Layout: l, Addr: heap.Addr(rapid.Uint32Range(16, 1<<20).Draw(t, "addr")) * 64}
	n := rapid.IntRange(3, most).Draw(t, "nodes")
	for i := range n {
		d := NuttXNode{
			Free: i > 0 && !h.Nodes[i-1].Free && rapid.IntRange(0, 3).Draw(t, "state") == 0,
			Size: rapid.Uint64Range(12, 400).Draw(t, "size"),
		}
		if !d.Free {
			d.PID = rapid.Int32Range(-1, 40).Draw(t, "pid")
			d.Seqno = uint64(100 + i)
			d.Payload = bytes.Repeat([]byte{rapid.Byte().Draw(t, "fill")}, int(d.Size))
			for range rapid.IntRange(0, l.Backtrace).Draw(t, "levels") {
				d.Stack = append(d.Stack, heap.Addr(rapid.Uint32Range(0x1000000, 0x1040000).Draw(t, "LR"))&^3)
			}
			if l.StackRef {
				d.Stack = heap.Stack{0x20001000}
			}
		}
		h.Nodes = append(h.Nodes, d)
	}
	return h
}

// model returns what is known about an encoded heap.
func (h *NuttXHeap) model(tb interface{ Fatal(...any) }) *chainModel {
	image, starts, err := h.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	o := h.Layout.offsets()
	end := h.Addr + heap.Addr(len(image)-o.head)
	m := &chainModel{
		name: h.Layout.String(), addr: h.Addr, image: image, starts: append(starts, end), checked: make([]byte, len(image)), weak: true,
		open: func(b Bytes) (Pool, error) {
			p, err := openNuttX(b, h.Addr, &h.Layout)
			if err != nil {
				return nil, err
			}
			return p, nil
		},
	}
	for i, at := range m.starts {
		free := i < len(h.Nodes) && h.Nodes[i].Free
		n := o.head
		if free {
			n += 2 * o.word
			m.mark(at, o.next, 2*o.word, 0xff)
		}
		span := heap.Span{Start: at + heap.Addr(o.word), End: at + heap.Addr(n)}
		if i > 0 && h.Nodes[i-1].Free { // else its first word is payload
			span.Start = at
			m.mark(at, o.preceding, o.word, 0xff)
			m.mark(at, o.size, o.word, 0xff)
		}
		m.mark(at, o.size, 1, 1|2)
		m.own = append(m.own, span)
		if i == len(h.Nodes) {
			m.mark(at, o.size, o.word, 0xff)
			break
		}
		d := &h.Nodes[i]
		if i+1 < len(h.Nodes) && free {
			m.mark(at, o.size, o.word, 0xff)
		}
		k := heap.Node{Addr: at, Payload: at + heap.Addr(o.head), Total: uint64(m.starts[i+1] - at), State: heap.Free}
		if !d.Free {
			k.State = heap.Used
			if o.pid >= 0 {
				k.Owner = heap.Owner(uint32(d.PID))
			}
			if o.seqno >= 0 {
				k.Serial = d.Seqno
			}
			if o.levels > 0 {
				k.Stack = d.Stack
			}
		}
		m.nodes = append(m.nodes, k)
	}
	return m
}

// TestNuttXClean: what is encoded is found, recognized and read back.
func TestNuttXClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(nuttxLayouts()).Draw(t, "layout")
		drawNuttX(t, l, 40).model(t).clean(t, "nuttx", findNuttX)
	})
}

// TestNuttXDamaged: what damaged says, for NuttX.
func TestNuttXDamaged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := rapid.SampledFrom(nuttxLayouts()).Draw(t, "layout")
		drawNuttX(t, l, 24).model(t).damaged(t)
	})
}

// TestNuttXHeaders: the lengths of headers that the sources give.
func TestNuttXHeaders(t *testing.T) {
	for _, c := range []struct {
		l            NuttX
		narrow, wide int
	}{
		{NuttX{}, 8, 16},
		{NuttX{PID: true}, 12, 24},
		{NuttX{PID: true, Seqno: true}, 16, 32},
		{NuttX{PID: true, Seqno: true, Backtrace: 8}, 48, 96},
		{NuttX{PID: true, Backtrace: 8}, 44, 88},
	} {
		if got := c.l.offsets().head; got != c.narrow {
			t.Errorf("%s: %d bytes, want %d", c.l, got, c.narrow)
		}
		c.l.Bits64 = true
		if got := c.l.offsets().head; got != c.wide {
			t.Errorf("%s: %d bytes, want %d", c.l, got, c.wide)
		}
	}
}
