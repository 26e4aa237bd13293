package layout

import (
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// The chain engine: walking heaps that are a row of nodes without gaps, each
// with a header that says how long it is and, mostly, where the one in front
// begins, but without copies of headers and without checksums.
//
// The walk goes from node to node by their lengths. A length is proven when the
// header that it leads to names this node as the one in front: two words in
// different places cannot agree by chance. Where they do not agree, or what is
// there is no header, the evidence is weighed in this order: a header inside
// the node that names it as the one in front and whose successors lead past its
// claimed end (then the length is too large); a confirmed header behind that
// names it (then the length is too small); a confirmed header that the length
// leads to (then only the link of that header is wrong); else the length is
// believed if the rest of the header is right, and if it is not the node
// reaches up to the next place that looks like a header and is confirmed by its
// successors. Memory is full of former headers, from before nodes were merged:
// the node behind them names the node they lie in, which gives them away.
// Searches and confirmations draw on a budget proportional to the heap, so that
// a walk is linear in it whatever it holds.
//
// What an allocator supplies is chainLayout, nothing else. A Pool's Walk makes
// a chainWalk, calls run, then judges what belongs to no node (the pool's head,
// its free lists, totals), reporting with say, and finally calls finish.

// chainBad is what is wrong with a header as it stands, a bit each.
type chainBad uint8

const (
	chainNoSize  chainBad = 1 << iota // no node at this place can be that long
	chainNoMark                       // a magic, a flag or another constant is wrong
	chainNoPrev                       // the link backwards is wrong
	chainNoLinks                      // a free node: the list links in it are wrong
	chainMissing                      // it is not in the image
)

// chainLost are those with which a header is not believed by itself.
const chainLost = chainNoSize | chainNoMark | chainMissing

// A chainLink is what a header says about the node in front.
type chainLink int8

const (
	chainDenies chainLink = iota - 1 // it names another one
	chainSilent                      // it does not say, and nothing speaks against it
	chainNames                       // it names that one
)

// A chainNode is what one header says: what chainLayout.read fills in.
type chainNode struct {
	at     heap.Addr // where the header lies: the start of the node
	length heap.Addr // of the node with its header; 0: chainNoSize or chainMissing
	prev   heap.Addr // the start of the node in front as it is named; 0: it does not say
	bad    chainBad  // what cannot be right whatever the neighbours are
	free   bool
	// hidden nodes belong to nobody: they bridge memory that is not the heap's.
	hidden bool
	raw    [4]uint64 // the layout's own notes
}

// A chainSeen is a node as the walk takes it to be.
type chainSeen struct {
	chainNode           // as its header says; bad includes what the neighbours prove
	front     heap.Addr // where the node in front begins; 0: not known
	size      heap.Addr // how far it is taken to reach; for the end node, 0
	exact     bool      // it is certain where it ends
	proven    bool      // the node behind names it
	// [hitFrom, hitTo) of the head are known to be overwritten.
	hitFrom, hitTo int
}

// intact reports whether n bytes at off in the head of a node lie outside what
// is known to be overwritten.
func (s *chainSeen) intact(off, n int) bool {
	return s.hitTo == s.hitFrom || off+n <= s.hitFrom || off >= s.hitTo
}

// lost reports whether the header is not what it was in more than its link.
func (s *chainSeen) lost() bool { return s.bad&chainLost != 0 }

// chainLayout is what the engine has to know about an allocator. Nothing that
// it is asked about needs to be in the image or to make sense.
type chainLayout interface {
	// read decodes the header at n.at, fills in the rest of n, and judges it by
	// itself: length within the heap, magic, flags, link within the heap. It is
	// also asked about the end node.
	read(n *chainNode)
	// link says what the header n, which lies where the node front ends, says
	// about that. front is nil for the first node of the heap.
	link(front, n *chainNode) chainLink
	// infer decides what a node is of which chainLost or chainNoLinks holds: it
	// sets s.free, and may correct s.bad. at, size, exact and front hold; what
	// read has found is there to be used.
	infer(s *chainSeen)
	// headLen is how many bytes at the start of a node are the allocator's.
	headLen(free bool) int
	// expect writes into want, which holds what is there, headLen bytes, what
	// must be there instead as far as the neighbours and constants prove it, and
	// sets known for all bytes about which want is certain, right or wrong.
	// behind is the next node.
	expect(s, behind *chainSeen, want []byte, known []bool)
	// parts names what lies in b, the head of the node at `at`, in ascending
	// order of address, always the same names for the same free and end.
	parts(at heap.Addr, free bool, b []byte) []Field
	// fill completes n, of which Addr, Total and State are set and the rest is
	// zero. What of the head is not s.intact it leaves alone. The stack may be
	// overwritten by the next call.
	fill(n *heap.Node, s *chainSeen)
}

// A chainWhole is a chainLayout that can say that what is known of a head after
// expect does not make it right, though it is all that was overwritten.
type chainWhole interface {
	whole(s *chainSeen, known []bool) bool
}

// A chainForeign is a chainLayout in which a head can begin with bytes that are
// not its own.
type chainForeign interface {
	foreign(s *chainSeen) int
}

// A chainStrider is a chainLayout that goes over sound nodes faster than the
// engine does. stride begins with the node at `at`, of which nothing is wrong by
// itself or for its neighbour in front, and gives it and those behind it out,
// counting them in survey.Stats and setting stop if visit says so, as long as
// each is sound and named by the one behind it. It returns the first node that
// was not given out and the one in front of that, 0 if none was given out.
type chainStrider interface {
	stride(at heap.Addr) (next, front heap.Addr)
}

// A chainSeeker is a chainLayout that knows a quick test for headers. seek
// returns the first place in [at, limit) that could be one, limit if none could.
type chainSeeker interface {
	seek(at, limit heap.Addr) heap.Addr
}

// chainLinks is how many nodes in a row must confirm each other before a place
// is believed to be the start of a node that nothing else leads to.
const chainLinks = 8

// chainWalk is one walk. The fields of the first group are the layout's to set.
type chainWalk struct {
	layout     chainLayout
	m          *ram
	start, end heap.Addr // the first node and the end node, which is not given out
	align      heap.Addr // of nodes, a power of two
	minimum    heap.Addr // length of a node
	magic      bool      // a header has a constant in it of 32 bits or so
	tells      bool      // no other header holds the same, but nobody else knows most of it
	visit      func(*heap.Node) bool
	report     func(*heap.Finding)
	about      *About
	again      func(visit func(*heap.Node) bool) *chainWalk // another one, that judges nothing

	survey Survey
	hidden struct{ nodes, bytes uint64 } // that were not given out
	stop   bool
	node   heap.Node
	judge  chainJudge
	places *places       // nil: not asked for yet
	seeker chainSeeker   // nil: there is none
	budget int64         // headers that may still be read in searches
	spent  bool          // a search was given up
	room   [5]chainNode  // what searches look at
	weak   [32]chainNode // starts of nodes that nothing confirms yet
}

// run goes over all nodes. What is wrong with one can depend on the one behind
// it, so a node is given out when that has been seen.
func (w *chainWalk) run() {
	w.budget = 4096
	fast, _ := w.layout.(chainStrider)
	if w.seeker, _ = w.layout.(chainSeeker); w.end > w.start {
		w.budget += 2 * int64((w.end-w.start)/w.align)
		if w.seeker != nil {
			w.budget /= 8
		}
	}
	var seen [3]chainSeen
	before, cur, next := &seen[0], &seen[1], &seen[2]
	there := false // is a node in front
	w.look(cur, w.start, nil)
	for cur.at < w.end && !w.stop {
		if fast != nil && cur.bad == 0 && !cur.hidden {
			if next, front := fast.stride(cur.at); front != 0 {
				w.look(before, front, nil)
				before.size, before.exact = next-front, true
				w.look(cur, next, before)
				there, w.judge.trail = true, nil
				continue
			}
		}
		w.settle(cur, next)
		w.emit(chainFront(before, there), cur, next)
		before, cur, next = cur, next, before
		there = true
	}
	if w.survey.Stopped = w.stop; !w.stop {
		cur.size, cur.exact = 0, true
		w.emit(chainFront(before, there), cur, nil)
	}
}

// chainFront returns the node in front, nil if there is none.
func chainFront(before *chainSeen, there bool) *chainSeen {
	if !there {
		return nil
	}
	return before
}

// look reads the header at `at`. front is the node that ends there; nil: this
// is the first one.
func (w *chainWalk) look(s *chainSeen, at heap.Addr, front *chainSeen) {
	*s = chainSeen{}
	s.at = at
	w.layout.read(&s.chainNode)
	switch {
	case front == nil:
		if at == w.start && s.bad&chainMissing == 0 && w.layout.link(nil, &s.chainNode) == chainDenies {
			s.bad |= chainNoPrev
		}
	case front.exact:
		s.front = front.at
	}
}

// settle decides how far cur reaches and reads what lies behind.
func (w *chainWalk) settle(cur, next *chainSeen) {
	cur.size, cur.exact = cur.length, true
	said := chainDenies
	if cur.bad&(chainNoSize|chainMissing) == 0 {
		w.look(next, cur.at+cur.length, cur)
		if next.bad&chainMissing == 0 {
			said = w.layout.link(&cur.chainNode, &next.chainNode)
		}
	}
	switch {
	case said == chainNames:
		cur.proven = true
	case said == chainSilent && (cur.bad|next.bad)&chainLost == 0:
	default:
		w.weigh(cur, next, said)
		w.behind(cur, next)
	}
	if cur.bad&(chainLost|chainNoLinks) != 0 {
		w.layout.infer(cur)
	}
}

// behind reads what lies behind cur after its size has been weighed.
func (w *chainWalk) behind(cur, next *chainSeen) {
	if cur.size != cur.length && cur.bad&chainMissing == 0 {
		cur.bad |= chainNoSize
	}
	w.look(next, cur.at+cur.size, cur)
	if cur.exact && next.bad&chainMissing == 0 {
		// The link speaks about cur as it is, not as its header says.
		believed := &w.room[0]
		*believed = cur.chainNode
		believed.length = cur.size
		switch w.layout.link(believed, &next.chainNode) {
		case chainDenies:
			next.bad |= chainNoPrev
		case chainNames:
			cur.proven = true
		}
	}
	if !cur.exact {
		w.gap(cur)
	}
}

// emit gives out the node cur, and what is wrong with its head. next is nil
// behind the end node.
func (w *chainWalk) emit(before, cur, next *chainSeen) {
	var f *heap.Finding
	if cur.bad&^chainMissing != 0 && cur.bad&chainMissing == 0 {
		f = w.examine(before, cur, next)
	} else {
		w.judge.trail = nil
	}
	if cur.at != w.end && cur.bad&chainMissing == 0 {
		st := &w.survey.Stats
		switch {
		case cur.hidden:
			w.hidden.nodes++
			w.hidden.bytes += uint64(cur.size)
		case cur.free:
			st.FreeNodes++
			st.LargestFree = max(st.LargestFree, uint64(cur.size))
		default:
			st.UsedNodes++
			st.Used += uint64(cur.size)
		}
		if w.visit != nil && !cur.hidden {
			w.fill(&w.node, cur)
			if !w.visit(&w.node) {
				w.stop = true
			}
		}
	}
	if f != nil {
		w.say(f)
	}
}

// fill makes n what the node s is taken for.
func (w *chainWalk) fill(n *heap.Node, s *chainSeen) {
	*n = heap.Node{Addr: s.at, Total: uint64(s.size)}
	switch {
	case !s.exact:
		n.State = heap.Quarantined
	case s.free:
		n.State = heap.Free
	}
	w.layout.fill(n, s)
}

// say reports a finding.
func (w *chainWalk) say(f *heap.Finding) {
	w.survey.Findings++
	if w.report != nil && w.survey.Findings <= maxFindings {
		w.report(f)
	}
}

// gap notes that the memory of s cannot be interpreted up to its end.
func (w *chainWalk) gap(s *chainSeen) {
	why := "no headers that make sense; it may have held several nodes"
	if s.bad&chainMissing != 0 {
		why = "not in the image"
	}
	g := Gap{heap.Span{Start: s.at, End: s.at + s.size}, why}
	gaps := w.survey.Gaps
	if n := len(gaps); n > 0 && (n == maxGaps || gaps[n-1].End == g.Start && gaps[n-1].Why == g.Why) {
		gaps[n-1].End = g.End // the last one stands for all the rest
		return
	}
	w.survey.Gaps = append(gaps, g)
}

// finish completes the survey of a pool of size bytes, of which used nodes and,
// besides them, extra bytes are in use. What the layout has written to Partial
// stays.
func (w *chainWalk) finish(size, extra uint64) {
	s := &w.survey
	if s.Stopped {
		s.Partial = "the walk was ended early"
		return
	}
	s.Stats.Size = size
	s.Stats.Used += extra
	s.Stats.Free = size - min(size, s.Stats.Used)
	why := []string{s.Partial}
	switch n := len(s.Gaps); {
	case n == 0:
	case n == maxGaps:
		why = append(why, fmt.Sprintf("%d or more ranges could not be interpreted", n))
	default:
		var bytes uint64
		for _, g := range s.Gaps {
			bytes += g.Len()
		}
		why = append(why, fmt.Sprintf("%d bytes in %s could not be interpreted, the first at %s", bytes, plain.Plural(n, "range"), s.Gaps[0].Start))
	}
	if w.spent {
		why = append(why, "so much is damaged that the search for nodes behind damage was given up")
	}
	if s.Findings > maxFindings {
		why = append(why, fmt.Sprintf("%d of %d findings are explained", maxFindings, s.Findings))
	}
	s.Partial = joinText(why...)
}

// chainStack decodes the LRs in b into room, without those at the end that were
// not there.
func chainStack(room heap.Stack, b []byte, w int) heap.Stack {
	n := min(len(room), len(b)/w)
	if w == 8 {
		for n > 0 && binary.LittleEndian.Uint64(b[n*8-8:]) == 0 {
			n--
		}
		for i := range room[:n] {
			room[i] = heap.Addr(binary.LittleEndian.Uint64(b[i*8:]))
		}
		return room[:n:n]
	}
	for n > 0 && binary.LittleEndian.Uint32(b[n*4-4:]) == 0 {
		n--
	}
	for i := range room[:n] {
		room[i] = heap.Addr(binary.LittleEndian.Uint32(b[i*4:]))
	}
	return room[:n:n]
}
