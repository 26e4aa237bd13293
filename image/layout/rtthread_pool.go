package layout

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// An RTThreadPool is one heap of RT-Thread in memory. It may be walked from
// several goroutines at a time.
type RTThreadPool struct {
	Layout RTThread
	// Head is the pool's own structure, struct rt_small_mem or rt_memheap; 0:
	// it has none, or it is not known where.
	Head heap.Addr
	// First is the first node and End the end node.
	First, End heap.Addr

	mark  uint64 // the constant in the headers
	ring  heap.Addr
	sums  rtTotals
	about About
	mem   heap.RAM
}

// rtTotals are what a pool's own structure counts, where it is in the image.
type rtTotals struct {
	at          heap.Addr // of the field that counts; 0: not there
	width       int
	value, peak uint64
	total       uint64
}

// About implements Pool.
func (p *RTThreadPool) About() *About { return &p.about }

// size is the length of the heap, end node included.
func (p *RTThreadPool) size() uint64 { return uint64(p.End-p.First) + uint64(p.Layout.offsets().head) }

func (p *RTThreadPool) walk(visit func(*heap.Node) bool, report func(*heap.Finding), links bool) *chainWalk {
	m := newRAM(p.mem)
	r := p.chain(m)
	if links && r.memheap {
		r.links = p.links()
	}
	unit := heap.Addr(max(r.o.align, r.o.word))
	r.walk = &chainWalk{
		layout: r, m: m, start: p.First, end: p.End, align: unit, minimum: heap.Addr(r.o.head) + unit,
		magic: true, visit: visit, report: report, about: &p.about,
		again: func(visit func(*heap.Node) bool) *chainWalk { return p.walk(visit, nil, links) },
	}
	return r.walk
}

// links returns what judges the free list of a memheap.
func (p *RTThreadPool) links() *mmLinks {
	o := p.Layout.offsets()
	l := &mmLinks{m: newRAM(p.mem), word: o.word, next: o.nextFree, prev: o.prevFree, low: p.First, high: p.End}
	if p.ring != 0 {
		l.heads, l.headsEnd, l.stride = p.ring, p.ring+1, 1
	}
	l.all = func(add func(heap.Addr)) {
		p.walk(func(n *heap.Node) bool {
			if n.State == heap.Free {
				add(n.Addr)
			}
			return true
		}, nil, false).run()
	}
	return l
}

// Walk implements Pool.
func (p *RTThreadPool) Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) Survey {
	w := p.walk(visit, report, report != nil)
	if report != nil {
		p.watch(w)
	}
	w.run()
	s := &w.survey
	s.Stats.Waterline = p.sums.peak
	if !s.Stopped && report != nil {
		p.checkTotals(w)
	}
	w.finish(p.size(), uint64(p.Layout.offsets().head))
	return w.survey
}

// watch adds to a walk what the way from node to node does not show.
func (p *RTThreadPool) watch(w *chainWalk) {
	r := w.layout.(*rtChain)
	visit, report := w.visit, w.report
	w.report = func(f *heap.Finding) {
		if f.Node == r.unsure && f.Kind == heap.HeaderDamaged {
			f.Recovered = false
			f.Unseen = append(f.Unseen, "whether the node was in use or free: nothing else tells, so it is taken to be in use")
		}
		report(f)
	}
	w.visit = chainNeighbours(w, visit)
}

// chainNeighbours reports free nodes that are neighbours, which the allocator
// would have made one.
func chainNeighbours(w *chainWalk, visit func(*heap.Node) bool) func(*heap.Node) bool {
	var front heap.Node // the free node in front
	return func(n *heap.Node) bool {
		more := visit == nil || visit(n)
		if n.State != heap.Free {
			front.Total = 0
			return more
		}
		if front.Total != 0 && front.Addr+heap.Addr(front.Total) == n.Addr {
			w.say(&heap.Finding{
				Kind: heap.LinkBroken, Op: "check", Node: n.Addr, Subject: new(*n), Previous: new(front),
				Detail: fmt.Sprintf("it is free, and so is node %s in front of it: the allocator would have made them one, so one of them was in use", front.Addr),
				Cause:  "the flag that says whether a node is in use was overwritten, or the device stopped while it freed one of them",
			})
		}
		front = *n
		return more
	}
}

// checkTotals compares what the pool's structure counts with a recount.
func (p *RTThreadPool) checkTotals(w *chainWalk) {
	s := &w.survey
	if p.sums.at == 0 || len(s.Gaps) > 0 {
		return
	}
	head := uint64(p.Layout.offsets().head)
	want, what := s.Stats.Used, "bytes in use"
	if p.Layout.Kind == RTThreadMemheap {
		free := uint64(p.End-p.First) - s.Stats.Used
		want, what = free-min(free, head*s.Stats.FreeNodes), "bytes available"
	}
	if want == p.sums.value {
		return
	}
	f := &heap.Finding{
		Kind: heap.TotalsWrong, Op: "check", Node: p.Head,
		Detail: fmt.Sprintf("the pool's structure counts %d %s, its nodes add up to %d", p.sums.value, what, want),
	}
	if s.Findings > 0 {
		f.Cause = "the structure was overwritten, or the damage has made a node free that was in use, or the other way round"
	} else {
		f.Cause = "the device stopped in the middle of an allocation, or the structure or the flag of a node was overwritten"
		f.Recovered = true
		f.Span = heap.Span{Start: p.sums.at, End: p.sums.at + heap.Addr(p.sums.width)}
		b := make([]byte, p.sums.width)
		putWord(b, p.sums.width, want)
		s.Patches = append(s.Patches, Patch{Addr: p.sums.at, New: b, Why: "the total in the pool's structure"})
	}
	w.say(f)
}

// Fields implements Pool.
func (p *RTThreadPool) Fields(n *heap.Node) []Field {
	m := newRAM(p.mem)
	r := p.chain(m)
	b := m.bytes(n.Addr, r.o.head)
	if b == nil {
		return nil
	}
	list := r.parts(n.Addr, n.State == heap.Free, b)
	at := chainNode{at: n.Addr}
	r.read(&at)
	for i := range list {
		f := &list[i]
		switch {
		case f.Name == "next node" && at.bad&chainNoSize != 0:
			f.Wrong = "no node can end there"
		case f.Name == "previous node" && at.bad&chainNoPrev != 0:
			f.Wrong = "no node in front can begin there"
		case f.Name == "pool" && heap.Addr(word(b[r.o.pool:], r.o.word)) != r.pool:
			f.Wrong = fmt.Sprintf("the pool lies at %s", r.pool)
		case i == 0 && at.bad&chainNoMark != 0 && r.markOf(b)&^r.usedBit != r.mark:
			f.Wrong = fmt.Sprintf("nodes have %#x here, but for the bit that says whether they are used", r.mark)
		}
	}
	return list
}

// markOf returns the constant in a header, with the bit for its state.
func (r *rtChain) markOf(b []byte) uint64 {
	if r.o.markLen == 8 {
		return word(b, 8)
	}
	return word(b, 4)
}
