package layout

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// around returns what knows the pool's nodes, for damage.Overwrite. Of what the
// bytes are a copy copyOf tells better.
func (w *walker) around() *places {
	if w.places == nil {
		w.places = &places{about: &w.p.about, first: w.start, end: w.end, nodes: func(visit func(*heap.Node) bool) {
			all := w.p.walker()
			all.visit = visit
			all.run()
		}}
	}
	return w.places
}

// copyOf names the node of whose head the bytes at [first, end) of the head at
// `at` are a copy, as damage.Overwrite asks for it. A control header leads to
// where it came from: a magic is the complement of its own address, and the
// backup of a header lies at the previous node that it names.
func (w *walker) copyOf(at heap.Addr, have []byte, first, end int) string {
	o := &w.o
	if end-first >= leastCopy && bytes.Count(have[first:end], have[first:first+1]) == end-first {
		return ""
	}
	for i := first &^ (o.Word - 1); i < end && i+4 <= len(have); i += 4 {
		v := word(have[i:], 4)
		own := at&^0xffffffff | heap.Addr(^uint32(v))
		if name := w.sameAs(own-heap.Addr(o.Own), own-heap.Addr(i), at, have, first, end); name != "" {
			return name
		}
		if i%o.Word != 0 || i+o.Word > len(have) {
			continue
		}
		prev := heap.Addr(word(have[i:], o.Word))
		from := prev + heap.Addr(o.Prev) - heap.Addr(i) // if it is in the backup there
		if name := w.sameAs(prev, from, at, have, first, end); o.Own != 0 && name != "" {
			return name
		}
		var h header
		if prev < w.start || prev >= w.end || !w.header(prev, &h) {
			continue
		}
		next := prev + h.length()
		from = next + heap.Addr(o.Own+o.Prev) - heap.Addr(i) // or in the node behind
		if name := w.sameAs(next, from, at, have, first, end); name != "" {
			return name
		}
	}
	return ""
}

// sameAs names the node at `node` if that is sound and its head holds the same
// as [first, end) of have, which lies at `at`, where have would begin at from.
func (w *walker) sameAs(node, from, at heap.Addr, have []byte, first, end int) string {
	start := from + heap.Addr(first)
	if from == at || node < w.start || node > w.end || start < node || start+heap.Addr(end-first) > node+heap.Addr(w.o.Head) {
		return ""
	}
	var h header
	b := w.far.bytes(start, end-first)
	if b == nil || string(b) != string(have[first:end]) || !w.header(node, &h) || w.check(&h, node, 0) != 0 {
		return ""
	}
	if own := int(node+heap.Addr(w.o.Own)) - int(from); end-first < leastCopy &&
		(own < 0 || own+w.o.Ctl > len(have) || string(w.far.bytes(node+heap.Addr(w.o.Own), w.o.Ctl)) != string(have[own:own+w.o.Ctl])) {
		return ""
	}
	return fmt.Sprintf("the head of node %s", node)
}
