package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// A LiteOSPool is one pool in memory. It may be walked from several goroutines
// at a time.
type LiteOSPool struct {
	Layout LiteOS
	Addr   heap.Addr
	// Size is the pool's length in bytes, its head included.
	Size uint64
	// Next is the pool chained behind this one; 0: none.
	Next heap.Addr

	about About
	mem   heap.RAM
}

// About implements Pool.
func (p *LiteOSPool) About() *About { return &p.about }

// From what is known of a node at one place.
type seen struct {
	at, prev heap.Addr // prev: the start of the node in front; 0: unknown
	size     heap.Addr // how far it is taken to reach
	own      problem   // with its own header
	copy     problem   // with the backup of it; 0 if there are no backups
	lost     bool      // h was inferred, and the fields in known only
	exact    bool      // it is certain where it ends
	noLRs    bool      // its LRs were overwritten, as far as can be told
	gapBad   bool      // the word in front of an aligned payload is wrong
	known    fieldSet
	syncPrev heap.Addr // lost: the node named as the previous one by the next that is sound; 0: unknown
	h        header    // what it is taken for
}

// A fieldSet says which fields of an inferred header are known.
type fieldSet uint8

const (
	hasFirst fieldSet = 1 << iota
	hasSecond
	hasPrev
	hasGap
	hasSum
	hasSize
	hasAll fieldSet = 1<<iota - 1
)

// walker is one walk over a pool.
type walker struct {
	p   *LiteOSPool
	o   Offsets
	m   *ram // where the walk is
	far *ram // elsewhere

	lists, start, end heap.Addr // list heads, first node, end node

	visit  func(*heap.Node) bool
	report func(*heap.Finding)
	survey Survey
	stop   bool
	slow   bool // without stride
	near   bool // looks no further than the next node, searches for none

	b      header // scratch
	node   heap.Node
	stack  heap.Stack
	lost   uint64      // nodes
	unseen uint64      // bytes that are neither used nor free: they are not in the image
	hit    []heap.Addr // damaged headers, as many as are explained
	judge  judge
	places *places    // nil: not asked for yet
	spent  uint64     // on searching, in bytes
	free   []freeLink // what the free lists name, sorted; nil: not read yet
	links  linkSum    // of the free nodes given out
}

func (p *LiteOSPool) walker() *walker {
	o := p.Layout.Offsets()
	return &walker{
		p: p, o: o, m: newRAM(p.mem), far: newRAM(p.mem),
		lists: p.Addr + heap.Addr(o.Lists),
		start: p.Addr + heap.Addr(o.FirstNode),
		end:   p.Addr + heap.Addr(p.Size) - heap.Addr(o.Head),
		stack: make(heap.Stack, o.LRs+1), // stackAt decodes two at a time
	}
}

// Walk implements Pool.
func (p *LiteOSPool) Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) Survey {
	w := p.walker()
	w.visit, w.report = visit, report
	w.run()
	return w.survey
}

// run goes from node to node. What is wrong with one node can depend on the one
// behind it, so a node is given out when that has been seen.
func (w *walker) run() {
	var nodes [3]seen
	before, cur, next := &nodes[0], &nodes[1], &nodes[2]
	there := false // is a node in front
	w.look(cur, w.start, w.end)
	first := *cur
	for cur.at < w.end && !w.stop {
		if !w.slow && w.stride(before, cur) {
			there = true
			continue
		}
		w.look(next, cur.at+cur.size, cur.at)
		if next.own != 0 && !w.proven(cur) {
			w.recut(cur, next)
		}
		if !cur.exact {
			w.gap(cur)
			w.look(next, next.at, 0) // nodes may lie between the two
		}
		w.emit(w.inFront(before, there), cur, next)
		before, cur, next = cur, next, before
		there = true
	}
	w.survey.Stopped = w.stop
	if w.stop {
		w.survey.Partial = "the walk was ended early"
		return
	}
	w.emit(w.inFront(before, there), cur, &first)
	w.finish()
}

// inFront returns the node in front, nil if there is none.
func (w *walker) inFront(before *seen, there bool) *seen {
	if !there {
		return nil
	}
	return before
}

// look weighs what is known about the node at `at`.
func (w *walker) look(s *seen, at, prev heap.Addr) {
	s.at, s.prev = at, prev
	s.lost, s.exact, s.gapBad, s.noLRs = false, true, false, false
	s.own, s.copy, s.known = missing, 0, hasAll
	if w.header(at, &s.h) {
		s.own = w.check(&s.h, at, prev)
	}
	if w.o.Own != 0 {
		switch {
		case prev == 0 || !w.backup(prev, &w.b):
			s.copy = missing
		case s.own != 0 || !s.h.sameCopy(&w.b):
			if s.copy = w.check(&w.b, at, prev); s.copy == 0 && s.own == 0 {
				w.choose(s)
			}
		}
	}
	if s.own != 0 {
		w.weigh(s)
		return
	}
	s.size = s.h.length()
	if s.h.aligned() && s.h.gap != 0 {
		s.gapBad = w.gapWordBad(s)
	}
}

// choose decides between a header and a backup that are both sound but differ:
// one of them is from another time. The node behind knows which.
func (w *walker) choose(s *seen) {
	if !w.confirms(s.at, s.h.length()) && w.confirms(s.at, w.b.length()) {
		s.own = differs
		return
	}
	s.copy = differs
}

// gapWordBad reports whether the word in front of an aligned payload
// contradicts the header.
func (w *walker) gapWordBad(s *seen) bool {
	if s.h.gap > maxGap || s.h.gap&3 != 0 || heap.Addr(s.h.gap) >= s.h.length()-heap.Addr(w.o.Head) {
		return false
	}
	v, ok := w.m.word(s.at+heap.Addr(w.o.Head)+heap.Addr(s.h.gap)-4, 4)
	return ok && v != uint64(s.h.gap)|gapMark
}

// maxGap bounds the gaps of aligned allocations that are looked at, in bytes.
const maxGap = 1 << 12

// proven reports whether the length of a node is proven by more than its own
// size word.
func (w *walker) proven(s *seen) bool { return w.o.Sum >= 0 && !s.lost }

// gap notes that what begins at s cannot be interpreted up to its end.
func (w *walker) gap(s *seen) {
	why := "neither headers nor backups"
	if w.o.Own == 0 {
		why = "no headers"
	}
	why += " that make sense; it may have held several nodes"
	if s.own&missing != 0 {
		why = notThere
	}
	w.addGap(Gap{heap.Span{Start: s.at, End: s.at + s.size}, why})
}

func (w *walker) addGap(g Gap) {
	if n := len(w.survey.Gaps); n > 0 && (n == maxGaps || w.survey.Gaps[n-1].End == g.Start && w.survey.Gaps[n-1].Why == g.Why) {
		w.survey.Gaps[n-1].End = g.End // the last one stands for all the rest
		return
	}
	w.survey.Gaps = append(w.survey.Gaps, g)
}

// emit gives out the node cur, and what is wrong with its head, in which the
// backup of next lies.
func (w *walker) emit(before, cur, next *seen) {
	trusted := true // its LRs
	var f *heap.Finding
	if cur.own&^missing|next.copy&^missing != 0 || cur.gapBad {
		f, trusted = w.examine(before, cur, next)
		cur.noLRs = !trusted
	} else {
		w.judge.trail = nil
	}
	st := &w.survey.Stats
	total := uint64(cur.size)
	switch {
	case cur.lost && cur.own&missing != 0: // nothing is known but where it would begin
		w.unseen += total
	case cur.at == w.end:
		st.Used += total
	default:
		w.fill(&w.node, cur, trusted)
		switch w.node.State {
		case heap.Free:
			st.FreeNodes++
			st.LargestFree = max(st.LargestFree, total)
			w.links.add(cur.at+heap.Addr(w.o.Own), cur.h.first, cur.h.second, total)
		case heap.Quarantined:
			there := w.far.size(cur.at, cur.at+cur.size)
			st.UsedNodes++
			st.Used += there
			w.unseen += total - there
		default:
			st.UsedNodes++
			st.Used += total
		}
		if w.visit != nil && !w.visit(&w.node) {
			w.stop = true
		}
	}
	if cur.lost {
		w.lost++
	}
	if f != nil {
		w.say(f)
	}
}

// say reports a finding.
func (w *walker) say(f *heap.Finding) {
	w.survey.Findings++
	if w.report != nil && w.survey.Findings <= maxFindings {
		w.report(f)
	}
}

// fill makes n what the node s is taken for.
func (w *walker) fill(n *heap.Node, s *seen, lrs bool) {
	h := &s.h
	head := heap.Addr(w.o.Head)
	n.Addr, n.Payload, n.Total = s.at, s.at+head, uint64(s.size)
	n.State, n.Owner, n.Size, n.Stack = heap.Free, 0, 0, nil
	if h.used() {
		n.State = heap.Used
		if n.Owner = w.o.task(h); s.known&hasSecond == 0 && w.judge.lostTask {
			n.Owner = lostTask
		}
		if h.aligned() {
			n.Payload += w.gapOf(s)
		}
		if w.o.Orig >= 0 && s.own == 0 && uint64(h.orig) <= uint64(s.size-head) {
			n.Size = uint64(h.orig)
		}
	}
	if s.lost && !s.exact {
		n.State = heap.Quarantined
	}
	if w.o.LRs > 0 && lrs && s.own&missing == 0 {
		n.Stack = w.lrs(s.at)
	}
}

// lrs returns the call stack in a header.
func (w *walker) lrs(at heap.Addr) heap.Stack {
	b := w.m.bytes(at+heap.Addr(w.o.Own+w.o.LR), w.o.Ctl-w.o.LR)
	if b == nil {
		return nil
	}
	return w.stackAt(b)
}

// gapOf returns how far behind its head the payload of an aligned allocation
// begins. Without backups no header says so; the word in front of it does.
func (w *walker) gapOf(s *seen) heap.Addr {
	room := s.size - heap.Addr(w.o.Head)
	if w.o.Gap >= 0 {
		if g := heap.Addr(s.h.gap); s.known&hasGap != 0 && g < room {
			return g
		}
	}
	return w.gapWord(s.at, s.size)
}

// gapWord looks for the word in front of an aligned payload in the node at and
// returns how far behind the head that begins; 0: there is none.
func (w *walker) gapWord(at, size heap.Addr) heap.Addr {
	from, room := at+heap.Addr(w.o.Head), size-heap.Addr(w.o.Head)
	for g := heap.Addr(4); g < room && g <= maxGap; g += 4 {
		v, ok := w.m.word(from+g-4, 4)
		if !ok {
			break
		}
		if v == uint64(g)|gapMark {
			return g
		}
	}
	return 0
}

// finish adds up, and looks at what belongs to no node.
func (w *walker) finish() {
	st := &w.survey.Stats
	st.Size = w.p.Size
	st.Used += uint64(w.start - w.p.Addr)
	st.Free = st.Size - min(st.Size, st.Used+w.unseen)
	if w.report != nil {
		w.checkHead()
	}
	said := []string{w.notThere(), w.notUnderstood()}
	if w.survey.Findings > maxFindings {
		said = append(said, fmt.Sprintf("%d of %d findings are explained", maxFindings, w.survey.Findings))
	}
	w.survey.Partial = strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), "; ")
}
