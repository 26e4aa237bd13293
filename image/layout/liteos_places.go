package layout

import (
	"bytes"
	"fmt"
	"maps"
	"strconv"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

// What overwriting bytes are is told by where they point and by what they are a
// copy of. Both are asked only of damaged heads, and the first of them needs to
// know all nodes: a second walk over the pool, once there is such a question.

// where names what lies at an address, for damage.Overwrite.
func (w *walker) where(a heap.Addr) string {
	if w.places == nil {
		w.places = w.p.places()
	}
	return w.places.Where(a)
}

// places goes over all nodes and notes where they are.
func (p *LiteOSPool) places() *damage.Places {
	all := &damage.Places{Owners: maps.Clone(p.about.Owners)}
	if s, ok := p.program.(heap.Symbolizer); ok {
		all.Symbols = s
	}
	if v, ok := p.program.(interface {
		VariableAt(heap.Addr) (string, heap.Span, bool)
	}); ok {
		all.Variables = v
	}
	w := p.walker()
	all.Add(p.about.Span, "the pool")
	all.Add(heap.Span{Start: p.Addr, End: w.start}, "the pool's head")
	all.Add(heap.Span{Start: w.end, End: p.about.Span.End}, "the pool's end node")
	w.visit = func(n *heap.Node) bool {
		all.AddNode(n)
		if all.Owners[n.Owner] == "" && n.State == heap.Used && all.Owners != nil {
			all.Owners[n.Owner] = strconv.Itoa(int(n.Owner))
		}
		return true
	}
	w.run()
	return all
}

// leastCopy is how many overwritten bytes must be the same as in another head to
// be taken for a copy of a part of it. Of a whole control header it does not
// matter how many bytes differ from what should be there.
const leastCopy = 8

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
