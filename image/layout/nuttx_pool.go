package layout

import (
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// A NuttXPool is one region of a heap of NuttX in memory. It may be walked from
// several goroutines at a time.
type NuttXPool struct {
	Layout NuttX
	// First and End are the guard nodes in front of the region and behind it.
	First, End heap.Addr

	// structure is where the heap's own, struct mm_heap_s, begins, or a little in
	// front of what it says about the region; 0: not known.
	structure heap.Addr
	table     heap.Addr // heads of the lists of free nodes; 0: not known
	about     About
	mem       heap.RAM
}

// About implements Pool.
func (p *NuttXPool) About() *About { return &p.about }

func (p *NuttXPool) walk(visit func(*heap.Node) bool, report func(*heap.Finding), links bool) *chainWalk {
	o := p.Layout.offsets()
	m := newRAM(p.mem)
	c := &nuttxChain{o: o, m: m, base: p.First + heap.Addr(o.head), end: p.End, stack: make(heap.Stack, 0, o.levels)}
	if links {
		c.links = p.links(&o)
	}
	c.walk = &chainWalk{
		layout: c, m: m, start: c.base, end: p.End, align: heap.Addr(o.word), minimum: heap.Addr(o.word), // a place that damage led to need not be the start of a node
		visit: visit, report: report, about: &p.about, tells: o.head > 2*o.word,
		again: func(visit func(*heap.Node) bool) *chainWalk { return p.walk(visit, nil, links) },
	}
	return c.walk
}

// links returns what judges the lists of free nodes.
func (p *NuttXPool) links(o *nuttxOffsets) *mmLinks {
	l := &mmLinks{m: newRAM(p.mem), word: o.word, next: o.next, prev: o.prev, low: p.First, high: p.End, open: true}
	if p.table != 0 && !p.shared() {
		n, _ := o.lists()
		l.stride = heap.Addr(o.head + 2*o.word)
		l.heads, l.headsEnd = p.table, p.table+heap.Addr(n)*l.stride
	}
	far := newRAM(p.mem)
	l.free = func(a heap.Addr) bool {
		v, ok := far.word(a+heap.Addr(o.size), o.word)
		return !ok || v&nuttxUsed == 0
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

// shared reports whether the heap has other regions, whose free nodes are in the
// same lists.
func (p *NuttXPool) shared() bool {
	return len(p.about.Name) > 0 && p.about.Name[len(p.about.Name)-1] == ')'
}

// Walk implements Pool.
func (p *NuttXPool) Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) Survey {
	w := p.walk(visit, report, report != nil)
	o := p.Layout.offsets()
	if report != nil {
		p.watch(w)
		p.checkGuard(w, &o)
	}
	w.run()
	if report != nil && !w.survey.Stopped {
		p.checkLists(w)
	}
	w.finish(uint64(p.End-p.First)+uint64(o.head), 2*uint64(o.head))
	return w.survey
}

// watch adds to a walk what the way from node to node does not show.
func (p *NuttXPool) watch(w *chainWalk) {
	c := w.layout.(*nuttxChain)
	visit, report := w.visit, w.report
	w.report = func(f *heap.Finding) {
		if f.Node == c.unsure && f.Kind != heap.TotalsWrong {
			f.Recovered = false
			f.Unseen = append(f.Unseen, "whether this node and the one in front are in use: what tells is contradictory or gone")
		}
		if f.Kind == heap.HeaderDamaged && f.Previous != nil && f.Previous.State == heap.Used && !f.Recovered {
			f.Unseen = append(f.Unseen, fmt.Sprintf("how long node %s in front is: only its own header says so, and if that is wrong no node begins here", f.Previous.Addr))
		}
		report(f)
	}
	w.visit = chainNeighbours(w, visit)
}

// checkLists reports what the lists of free nodes name and what is marked as
// used. If the mark was overwritten so that the length became wrong too, nothing
// else shows it.
func (p *NuttXPool) checkLists(w *chainWalk) {
	c := w.layout.(*nuttxChain)
	c.links.headsToo()
	slices.Sort(c.links.suspects)
	for _, at := range slices.Compact(c.links.suspects) {
		if slices.Contains(w.judge.told, at) {
			continue
		}
		w.say(&heap.Finding{
			Kind: heap.FreeIndexWrong, Op: "check", Node: at,
			Detail: "a list of free nodes names it, but its header says that it is in use",
			Cause:  "its header was overwritten; then its length cannot be believed either, and nodes behind it may be missing here",
		})
	}
}

// checkGuard looks at the guard node in front.
func (p *NuttXPool) checkGuard(w *chainWalk, o *nuttxOffsets) {
	b := w.m.bytes(p.First, o.head)
	if b == nil || word(b[o.size:], o.word) == uint64(o.head)|nuttxUsed {
		return
	}
	at := p.First + heap.Addr(o.size)
	patch := make([]byte, o.word)
	putWord(patch, o.word, uint64(o.head)|nuttxUsed)
	w.survey.Patches = append(w.survey.Patches, Patch{Addr: at, New: patch, Why: "the guard node in front of the region"})
	w.say(&heap.Finding{
		Kind: heap.PoolHeadDamaged, Op: "check", Node: p.First, Recovered: true,
		Span: heap.Span{Start: at, End: at + heap.Addr(o.word)},
		Fields: []heap.Field{{
			Name: "size and flags", Header: fmt.Sprintf("%#x", word(b[o.size:], o.word)), Backup: fmt.Sprintf("%#x", o.head|nuttxUsed), Differs: true,
		}},
		Memory: []heap.Memory{{Addr: p.First, Bytes: slices.Clone(b)}},
		Detail: "the guard node in front of the region is damaged",
		Cause:  "something in front of the heap was written past its end, or a write through a wild pointer",
	})
}

// Fields implements Pool.
func (p *NuttXPool) Fields(n *heap.Node) []Field {
	w := p.walk(nil, nil, false)
	c := w.layout.(*nuttxChain)
	b := w.m.bytes(n.Addr, c.headLen(n.State == heap.Free))
	if b == nil {
		return nil
	}
	list := c.parts(n.Addr, n.State == heap.Free, b)
	at := chainNode{at: n.Addr}
	c.read(&at)
	for i := range list {
		switch f := &list[i]; {
		case f.Name == "size and flags" && at.bad&chainNoSize != 0:
			f.Wrong = "no node here can be that long"
		case f.Name == "preceding size" && at.bad&chainNoPrev != 0:
			f.Wrong = "no free node can lie there"
		case f.Name == "preceding size" && at.raw[0]&nuttxPrevFree == 0:
			f.Name = "payload of the node in front"
		}
	}
	return list
}
