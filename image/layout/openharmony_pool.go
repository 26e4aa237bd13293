package layout

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A TLSFPool is one pool of OpenHarmony's allocator in memory, or a region by
// which one of LiteOS-A has grown. It may be walked from several goroutines at
// a time.
type TLSFPool struct {
	Layout TLSF
	Addr   heap.Addr // of the pool's head; of a region, its first node
	// Size is its length in bytes, its head included.
	Size uint64
	// Next is the pool chained behind this one; 0: none.
	Next heap.Addr

	about      About
	mem        heap.RAM
	main       *TLSFPool   // of a region: the pool that has grown by it
	first, end heap.Addr   // first node, end node
	more       heap.Addr   // the region behind this one
	grown      []*TLSFPool // by these regions
	unsure     bool        // which kernel's it is, and so what first and end node hold
}

// About implements Pool.
func (p *TLSFPool) About() *About { return &p.about }

// head returns where the pool's head lies.
func (p *TLSFPool) head() heap.Addr {
	if p.main != nil {
		return p.main.Addr
	}
	return p.Addr
}

// inside reports whether a node can begin at addr.
func (p *TLSFPool) inside(addr heap.Addr) bool {
	return addr >= p.first && addr < p.end && addr&heap.Addr(p.about.PointerSize-1) == 0
}

// holds reports whether a node can begin at addr, in the pool or a region of it.
func (p *TLSFPool) holds(addr heap.Addr) bool {
	return p.inside(addr) || p.elsewhere(addr)
}

// elsewhere is the same for the other regions.
func (p *TLSFPool) elsewhere(addr heap.Addr) bool {
	all := p
	if p.main != nil {
		if all = p.main; all.inside(addr) {
			return true
		}
	}
	for _, g := range all.grown {
		if g != p && g.inside(addr) {
			return true
		}
	}
	return false
}

// others returns how many nodes may lie in the other regions.
func (p *TLSFPool) others() (n uint64) {
	all := p
	if p.main != nil {
		all = p.main
	}
	for _, g := range append([]*TLSFPool{all}, all.grown...) {
		if g != p {
			n += g.Size / uint64(p.Layout.Offsets().FreeHead)
		}
	}
	return n
}

// Walk implements Pool.
func (p *TLSFPool) Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) Survey {
	w := p.walker()
	w.visit, w.report = visit, report
	w.run()
	extra := uint64(p.first-p.Addr) + (1+w.hidden.nodes)*uint64(w.o.Head)
	if !w.survey.Stopped && report != nil {
		w.checkHead(w.survey.Stats.Used + extra)
	}
	w.finish(p.Size-w.hidden.bytes+w.hidden.nodes*uint64(w.o.Head), extra)
	return w.survey
}

// Fields implements Pool.
func (p *TLSFPool) Fields(n *heap.Node) []Field {
	w := p.walker()
	free := n.State == heap.Free
	b := w.m.bytes(n.Addr, w.headLen(free))
	if b == nil {
		return nil
	}
	list := w.parts(n.Addr, free, b)
	for i := range list {
		list[i].Wrong = w.fieldWrong(&list[i], n)
	}
	return list
}

// fieldWrong says why a field of the node n cannot be right.
func (w *tlsfWalk) fieldWrong(f *Field, n *heap.Node) string {
	v, ok := w.far.word(f.Start, int(f.Len()))
	if !ok {
		return ""
	}
	h := chainNode{at: n.Addr}
	w.read(&h)
	switch int(f.Start - n.Addr) {
	case w.o.Magic:
		if v != tlsfMagic {
			return fmt.Sprintf("it should be %#x", uint32(tlsfMagic))
		}
	case w.o.Prev:
		if h.bad&chainNoPrev != 0 {
			return "no node can be there"
		}
	case w.o.Size:
		if h.bad&chainNoSize != 0 || n.Total != uint64(h.length) && !h.hidden {
			return fmt.Sprintf("the node has %d bytes", n.Total)
		}
	case w.o.Links, w.o.Links + w.o.Word:
		if v != 0 && !w.p.holds(heap.Addr(v)) {
			return "no free node can be there"
		}
	}
	return ""
}

// checkHead judges what belongs to no node: the pool's head, its lists of free
// nodes and its totals. What follows from damage that has been reported is not
// reported again. used is a recount.
func (w *tlsfWalk) checkHead(used uint64) {
	p := w.p
	damaged := w.survey.Findings > 0
	w.checkLists()
	if p.main != nil {
		return
	}
	for _, f := range []struct {
		off, n int
		want   uint64
		name   string
	}{{0, w.o.Word, uint64(p.Addr), "pool"}, {w.o.PoolSize, 4, p.Size, "total size"}} {
		if v, ok := w.far.word(p.Addr+heap.Addr(f.off), f.n); ok && v != f.want {
			w.sayHead(f.off, f.n, v, f.want, true, f.name)
		}
	}
	if w.o.Used < 0 {
		return
	}
	have, ok := w.far.word(p.Addr+heap.Addr(w.o.Used), 4)
	peak, ok2 := w.far.word(p.Addr+heap.Addr(w.o.Peak), 4)
	if !ok || !ok2 {
		return
	}
	if peak <= p.Size {
		w.survey.Stats.Waterline = peak
	}
	// The device adds the used flag to the total when it enlarges a node in
	// place, so the total is right but for that bit and those above it.
	trust := uint64(tlsfUsed)<<24>>w.shift - 1
	if (have^used)&trust != 0 && !damaged && len(p.grown) == 0 && p.more == 0 && len(w.survey.Gaps) == 0 {
		w.say(&heap.Finding{
			Kind: heap.TotalsWrong, Op: "check", Node: p.Addr,
			Detail: fmt.Sprintf("the pool's head says that %d bytes are in use, a recount gives %d", have&trust, used),
			Cause:  "the pool's head was overwritten, or the image was taken in the middle of an operation",
		})
	}
}
