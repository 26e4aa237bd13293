package layout

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// Fields implements Pool.
func (p *LiteOSPool) Fields(n *heap.Node) []Field {
	w := p.walker()
	var list []Field
	if w.o.Own != 0 {
		list = w.parts(list, n.Addr, "backup of the next header: ")
	}
	return w.parts(list, n.Addr+heap.Addr(w.o.Own), "")
}

// parts adds those of the control header, or backup of one, at `at`.
func (w *walker) parts(list []Field, at heap.Addr, prefix string) []Field {
	o := &w.o
	b := w.m.bytes(at, o.Ctl)
	if b == nil {
		return list
	}
	var h header
	o.read(b, &h)
	add := func(off, n int, name, value string) {
		if off >= 0 {
			list = append(list, Field{Span: heap.Span{Start: at + heap.Addr(off), End: at + heap.Addr(off+n)}, Name: prefix + name, Value: value})
		}
	}
	hex := func(v uint64) string { return fmt.Sprintf("%#x", v) }
	if h.used() {
		add(o.First, 4, "magic", hex(h.first&0xffffffff))
		add(o.Task, 2, "task", fmt.Sprint(o.task(&h)))
	} else {
		add(o.First, o.Word, "previous free", hex(h.first))
		add(o.Second, o.Word, "next free", hex(h.second))
	}
	add(o.Prev, o.Word, "previous node", hex(h.prev))
	add(o.Gap, 4, "gap size", fmt.Sprint(h.gap))
	add(o.Sum, o.Word, "checksum", hex(h.sum))
	add(o.Orig, 4, "size asked for", fmt.Sprint(h.orig))
	if prefix == "" {
		for i := range o.LRs {
			add(o.LR+i*o.Word, o.Word, fmt.Sprintf("LR[%d]", i), hex(word(b[o.LR+i*o.Word:], o.Word)))
		}
	}
	add(o.Size, 4, "size and flags", hex(uint64(h.size)))
	return list
}
