package layout

import (
	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// look lets package damage ask what the bytes point to and are a copy of.
func (w *hwWalk) look(o *damage.Overwrite) {
	if w.around == nil {
		w.around = w.places()
	}
	o.Word, o.Where = w.about.PointerSize, w.around.where
	if !w.region.Blind {
		o.CopyOf = func(first, end int) string { return w.around.copyOf(o.At, o.Have, first, end) }
	}
}

// places returns what knows the pool's nodes. A header has its own checksum, so
// that a copy of one is known by that alone.
func (p *heapwrightPool) places() *places {
	r, start := &p.region, p.about.Span.Start
	return &places{
		about: &p.about, first: start + node.HeadSize, end: r.Addr(r.End), field: 1,
		nodes: func(visit func(*heap.Node) bool) { p.Walk(visit, nil) },
		head: func(h placedHead) []byte {
			from := uint64(h.at - start)
			if b := r.Bytes(from, from+uint64(p.lay.Head)); len(b) == int(p.lay.Head) {
				return b
			}
			return nil
		},
		sound: func(h placedHead, _, _ heap.Addr) bool {
			ref := uint32((h.at - start) / node.Unit)
			_, ok := r.Good(r.Ctrl(ref), ref)
			return ok
		},
	}
}
