package layout

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A part is a field of a control header.
type part struct {
	name   string
	off, n int // where it lies, in bytes
	is     fieldSet
}

// parts returns the fields of a control header of which there is a backup, in the
// order in which they lie in memory.
func (o *Offsets) parts(used bool) []part {
	list := []part{{"list prev", o.First, o.Word, hasFirst}, {"list next", o.Second, o.Word, hasSecond}}
	if used {
		task := hasSecond
		if o.Word == 8 {
			task = hasFirst
		}
		list = []part{{"magic", o.First, 4, 0}, {"task id", o.Task, 4, task}}
	}
	list = append(list, part{"previous node", o.Prev, o.Word, hasPrev})
	if o.Sum >= 0 {
		list = append(list, part{"gap size", o.Gap, 4, hasGap}, part{"checksum", o.Sum, o.Word, hasSum})
	}
	return append(list, part{"size and flags", o.Size, 4, hasSize})
}

// text is the value of a part as one reads it; b is the control header.
func (w *walker) text(p part, b []byte) string {
	v := word(b[p.off:], p.n)
	switch p.is {
	case hasGap:
		return fmt.Sprintf("%d", v)
	case hasSize:
		return sizeText(uint32(v))
	}
	if p.name == "task id" {
		if w.p.Layout.MulModule {
			return fmt.Sprintf("%d, module %d", v&0xffff, v>>16)
		}
		return fmt.Sprintf("%d", v)
	}
	text := fmt.Sprintf("%#x", v)
	if list := (heap.Addr(v) - w.lists) / heap.Addr(2*w.o.Word); p.name[0] == 'l' && heap.Addr(v) >= w.lists && list < freeLists {
		text += fmt.Sprintf(" (free list %d)", list)
	}
	return text
}

// sizeText says what a word of size and flags means.
func sizeText(v uint32) string {
	text := fmt.Sprintf("%#x: %d bytes", v, v&sizeMask)
	switch {
	case v&usedBit != 0:
		text += ", used"
	case v&alignBit == 0:
		text += ", free"
	}
	if v&alignBit != 0 {
		text += ", aligned"
	}
	return text
}

// Fields implements Pool. It walks up to the node, to know what lies in front of
// it.
func (p *LiteOSPool) Fields(n *heap.Node) []Field {
	w := p.walker()
	prev := w.end
	p.Walk(func(m *heap.Node) bool {
		if m.Addr >= n.Addr {
			return false
		}
		prev = m.Addr
		return true
	}, nil)
	var cur, next seen
	w.look(&cur, n.Addr, prev)
	w.look(&next, n.Addr+heap.Addr(n.Total), n.Addr)
	var list []Field
	if w.o.Own != 0 {
		list = w.control(list, n.Addr, "backup: ", &next)
	}
	list = w.control(list, n.Addr+heap.Addr(w.o.Own), "", &cur)
	if gap := n.Payload - n.Addr - heap.Addr(w.o.Head); n.State == heap.Used && gap >= 4 {
		list = w.gapField(list, n, uint32(gap))
	}
	return list
}

// gapField adds the word in front of an aligned payload.
func (w *walker) gapField(list []Field, n *heap.Node, gap uint32) []Field {
	v, ok := w.m.word(n.Payload-4, 4)
	if !ok {
		return list
	}
	f := Field{Span: heap.Span{Start: n.Payload - 4, End: n.Payload}, Name: "gap word", Value: fmt.Sprintf("%#x: moved by %d bytes", v, v&^gapMark)}
	if want := gap | gapMark; v != uint64(want) {
		f.Value = fmt.Sprintf("%#x", v)
		f.Wrong = fmt.Sprintf("it should be %#x: the payload is moved by %d bytes", want, gap)
	}
	return append(list, f)
}

// control adds the fields of one control header at `at`, or of the backup of
// one. s is what the node is taken for that it is about.
func (w *walker) control(list []Field, at heap.Addr, prefix string, s *seen) []Field {
	o := &w.o
	b := w.m.bytes(at, o.Ctl)
	if b == nil {
		return list
	}
	want := make([]byte, o.Ctl)
	o.write(want, &s.h)
	var h header
	o.read(b, &h)
	add := func(off, n int, name, value, wrong string) {
		list = append(list, Field{Span: heap.Span{Start: at + heap.Addr(off), End: at + heap.Addr(off+n)}, Name: prefix + name, Value: value, Wrong: wrong})
	}
	for _, p := range o.parts(s.h.used()) {
		if p.is == hasSize && prefix == "" { // what no backup has lies in front of it
			if o.Orig >= 0 {
				wrong := ""
				if room := uint64(s.size) - uint64(o.Head); uint64(h.orig) > room && s.h.used() {
					wrong = fmt.Sprintf("there is room for %d bytes", room)
				}
				add(o.Orig, 4, "size asked for", fmt.Sprintf("%d bytes", h.orig), wrong)
			}
			for i := range o.LRs {
				add(o.LR+i*o.Word, o.Word, fmt.Sprintf("LR[%d]", i), fmt.Sprintf("%#x", word(b[o.LR+i*o.Word:], o.Word)), "")
			}
		}
		wrong := ""
		sure := p.is == 0 || s.known&p.is == p.is
		if have := word(b[p.off:], p.n); sure && s.own&missing == 0 && have != word(want[p.off:], p.n) {
			wrong = "it should be " + w.text(p, want)
		}
		if sum := o.checksum(&h); p.is == hasSum && h.sum != sum {
			wrong = joinText(wrong, fmt.Sprintf("the fields give %#x", sum))
		}
		add(p.off, p.n, p.name, w.text(p, b), wrong)
	}
	return list
}
