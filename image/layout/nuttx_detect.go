package layout

import (
	"fmt"
	"math"

	"github.com/heapwright/heapwright/heap"
)

// nuttxDetection is what speaks for a region.
type nuttxDetection struct {
	s *nuttxScan
	p *NuttXPool

	confirmed int // free nodes that the one behind or another free one names
	whole     bool
	small     int // sampled words behind the task that can be sequence numbers
	repeated  int // those that are not larger than one before at a lower number
	numbers   map[uint64]bool
}

func (d *nuttxDetection) say(format string, args ...any) {
	d.p.about.Evidence = append(d.p.about.Evidence, fmt.Sprintf(format, args...))
}

func (d *nuttxDetection) doubt(format string, args ...any) {
	d.p.about.Doubts = append(d.p.about.Doubts, fmt.Sprintf(format, args...))
}

// bounds finds the guard at the end, and the heap's structure.
func (d *nuttxDetection) bounds() bool {
	p, s := d.p, d.s
	o := p.Layout.offsets()
	if p.First&heap.Addr(o.word-1) != 0 {
		return false
	}
	if p.End == 0 && !d.named(&o) && !d.search(&o) {
		return false
	}
	if p.structure == 0 {
		d.named(&o)
	}
	return p.End > p.First+heap.Addr(o.head) && uint64(p.End-p.First) <= s.most && p.End&heap.Addr(o.word-1) == 0 && s.m.span(p.First) != nil &&
		(o.word == 8 || uint64(p.End)+uint64(o.head) <= 1<<32)
}

// named looks in front of the region for a structure that names its guards.
func (d *nuttxDetection) named(o *nuttxOffsets) bool {
	p, s := d.p, d.s
	w := heap.Addr(o.word)
	piece := s.m.span(p.First)
	if piece == nil {
		return false
	}
	far := min(p.First-piece.Addr, nuttxFar) &^ (w - 1)
	b := s.m.some(p.First-far, int(far))
	if s.budget -= int64(len(b)) / 64; s.budget <= 0 {
		return false
	}
	for i := len(b)&^(o.word-1) - 2*o.word; i >= 0; i -= o.word {
		if word(b[i:], o.word) != uint64(p.First) {
			continue
		}
		for n := 1; n <= 4 && i+(n+1)*o.word <= len(b); n++ {
			end := heap.Addr(word(b[i+n*o.word:], o.word))
			if end > p.First && (p.End == 0 && s.guard(end, o.word) == o.head || p.End == end) {
				p.End = end
				p.structure = p.First - far + heap.Addr(i)
				p.structure -= min(p.structure, heap.Addr((nuttxLock+3)*o.word)) // about; the fields in front differ
				p.structure = max(p.structure, p.First-far)
				return true
			}
		}
	}
	return false
}

// search follows the nodes to the guard at the end, past damage if it must.
func (d *nuttxDetection) search(o *nuttxOffsets) bool {
	p, s := d.p, d.s
	c := &nuttxChain{o: *o, m: s.m, base: p.First + heap.Addr(o.head), end: ^heap.Addr(0) &^ (maxAlign - 1)}
	// follow returns how many nodes confirm each other, and where that ends.
	follow := func(at heap.Addr, most int) (nodes int, to heap.Addr, ended bool) {
		var front *chainNode
		var held chainNode
		for ; s.budget > 0 && nodes < most; s.budget-- {
			n := chainNode{at: at}
			c.read(&n)
			if n.bad&chainMissing != 0 || front != nil && c.link(front, &n) == chainDenies {
				return nodes, at, false
			}
			if n.raw[0]&^nuttxPrevFree == uint64(o.head)|nuttxUsed && nodes > 0 {
				return nodes, at, true
			}
			if n.bad&chainLost != 0 {
				return nodes, at, false
			}
			held, front = n, &held
			nodes, at = nodes+1, at+n.length
		}
		return nodes, at, false
	}
	nodes, at, ended := follow(c.base, math.MaxInt)
	if ended {
		p.End = at
		return true
	}
	if nodes < 8 && !s.force {
		return false // not worth a search
	}
	for ; s.budget > 0 && s.m.span(at) != nil; at += heap.Addr(o.word) {
		s.budget--
		switch n, to, ended := follow(at, 16); {
		case ended && n >= 2:
			p.End = to
			return true
		case n == 16:
			if _, to, ended := follow(to, math.MaxInt); ended {
				p.End = to
				return true
			} else if to > at {
				at = to - heap.Addr(o.word)
			}
		}
	}
	return false
}

// sample judges the first nodes, and the guards.
func (d *nuttxDetection) sample() bool {
	p, a, m := d.p, &d.p.about, d.s.m
	*a = About{}
	d.numbers = make(map[uint64]bool)
	o := p.Layout.offsets()
	w := p.walk(nil, nil, false)
	c := w.layout.(*nuttxChain)
	var front chainNode
	w.visit = func(n *heap.Node) bool {
		a.Seen++
		k := chainNode{at: n.Addr}
		if c.read(&k); k.bad == 0 {
			a.Sound++
			if front.free && c.link(&front, &k) == chainNames {
				d.confirmed++
			}
			if !k.free {
				d.number(n.Addr, &o)
			}
		}
		front = k
		return a.Seen < sample
	}
	w.run()
	d.s.budget -= int64(a.Seen)
	if a.Sound < a.Seen || w.survey.Findings > 0 { // it may have searched all of it
		d.s.budget -= 1024 + int64(p.End-p.First)/4
	}
	d.whole = !w.survey.Stopped
	begun, ended := d.s.guard(p.First, o.word) == o.head, d.s.guard(p.End, o.word) == o.head
	switch {
	case a.Sound == 0, !begun && !ended:
		return false
	case d.s.force && (p.structure != 0 || 2*a.Sound > a.Seen):
	case 2*a.Sound <= a.Seen:
		return false
	case p.structure == 0 && d.confirmed == 0 && (a.Sound < 4 || a.Sound < a.Seen):
		return false
	}
	if begun {
		d.say("at %s lies a node of %d bytes that is marked as used: the guard in front, as long as a header", p.First, o.head)
	} else {
		d.doubt("at %s, where the heap should begin, lies no guard", p.First)
	}
	if ended {
		d.say("at %s lies another one, the guard at the end", p.End)
	} else {
		d.doubt("at %s, where the heap should end, lies no guard", p.End)
	}
	d.say("of %d nodes from the first on, %d are sound: their lengths lead from one to the next, and %d free ones are named by the node behind", a.Seen, a.Sound, d.confirmed)
	if p.structure != 0 {
		d.say("a structure near %s names both guards", p.structure)
		p.table = d.table(m, &o)
	}
	if p.table != 0 {
		d.say("at %s lie the heads of the lists of free nodes", p.table)
	}
	return true
}

// number notes the word behind the task, which is a sequence number or else the
// first level of a backtrace.
func (d *nuttxDetection) number(at heap.Addr, o *nuttxOffsets) {
	off := heap.Addr(3 * o.word)
	v, ok := d.s.m.word(at+off, o.word)
	if !ok || o.head <= 3*o.word {
		return
	}
	if v != 0 && v < 1<<24 && !d.numbers[v] {
		d.small++
	} else {
		d.repeated++
	}
	d.numbers[v] = true
}

// table returns where the heads of the lists lie: behind the addresses of the
// guards, nodes of no length that name each other.
func (d *nuttxDetection) table(m *ram, o *nuttxOffsets) heap.Addr {
	p := d.p
	n, _ := o.lists()
	stride := o.head + 2*o.word
	b := m.some(p.structure, nuttxFar)
	for i := 0; i+n*stride <= len(b) && i < 512; i += o.word {
		if word(b[i+o.size:], o.word) != 0 || word(b[i+o.prev:], o.word) != 0 {
			continue
		}
		good := 0
		for k := range n {
			e := b[i+k*stride:]
			next, prev := word(e[o.next:], o.word), word(e[o.prev:], o.word)
			if word(e[o.size:], o.word) == 0 && (next != 0 || k == n-1) && (prev != 0) == (k > 0) {
				good++
			}
		}
		if good >= n-1 {
			return p.structure + heap.Addr(i)
		}
	}
	return 0
}

// choose decides what lies in the headers.
func (d *nuttxDetection) choose(layouts []NuttX, given *NuttX) {
	p := d.p
	align := p.Layout.Align
	if given != nil {
		d.say("its layout was given: %s", given)
		return
	}
	if _, ok := d.s.described(p.Layout.word()); ok {
		d.say("debug information describes struct mm_allocnode_s")
	}
	best := 0
	for i, l := range layouts {
		if l.Seqno == (d.small > d.repeated) && (l.PID || len(layouts) == 1) {
			best = i
			break
		}
	}
	p.Layout = layouts[best]
	if p.Layout.Align == 0 {
		p.Layout.Align = align
	}
	if len(layouts) > 1 && d.small+d.repeated > 0 {
		if p.Layout.Seqno {
			d.say("the word behind the task is small and different in %d of %d used nodes: a sequence number", d.small, d.small+d.repeated)
		} else {
			d.say("the word behind the task is no sequence number in %d of %d used nodes", d.repeated, d.small+d.repeated)
		}
	}
	for i, l := range layouts {
		if i != best {
			d.doubt("%s has headers of the same length", l)
		}
	}
}

// about completes what is known about the region.
func (d *nuttxDetection) about(name string) {
	p := d.p
	a := &p.about
	o := p.Layout.offsets()
	a.System, a.Layout, a.PointerSize, a.Name = "nuttx", p.Layout.String(), o.word, name
	a.Span = heap.Span{Start: p.First, End: p.End + heap.Addr(o.head)}
	if p.Layout.PID {
		a.Owners = map[heap.Owner]string{0: "idle task", ^heap.Owner(0): "memory pools"}
	}
	if name != "" && name[0] != ' ' {
		d.say("the variable %s leads to it", name)
	}
	if d.s.m.bytes(a.Span.End-1, 1) == nil {
		d.doubt("the heap ends at %s, which is not in the image", a.Span.End)
	}
}
