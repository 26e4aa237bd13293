package layout

import (
	"fmt"
	"unsafe"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/survey"
)

// hwWalk is one walk over a pool.
type hwWalk struct {
	*heapwrightPool
	visit  func(*heap.Node) bool
	report func(*heap.Finding)
	survey Survey
	x      survey.Examiner
	trail  *damage.Trail // what the damage at the node before means for the next
	around *places       // nil: not asked for yet
	notes  uint32        // what the number in a free node cannot exceed
	node   heap.Node
	stack  heap.Stack
	origin heap.Addr
	anchor uint64 // what LRs are relative to
}

// Walk implements Pool.
func (p *heapwrightPool) Walk(visit func(*heap.Node) bool, report func(*heap.Finding)) Survey {
	w := hwWalk{heapwrightPool: p, visit: visit, report: report, x: p.region.Examiner(), stack: make(heap.Stack, p.lay.LRs), origin: p.about.Span.Start, anchor: p.info.Anchor}
	// An entry is made when no free node gave its own back, so there never were
	// more entries than there could be free nodes.
	w.notes = p.region.End / p.lay.MinU
	whole := p.region.Glide(w.sound, w.next)
	w.finish(whole)
	return w.survey
}

// sound takes a node with which nothing is wrong. It does what next does for such
// a node and nothing else.
func (w *hwWalk) sound(ref uint32, h node.Header, c unsafe.Pointer) bool {
	total := uint64(h.Size()) * node.Unit
	st := &w.survey.Stats
	n := &w.node
	switch h.State() {
	case node.Used:
		st.Used += total
		st.UsedNodes++
		n.State, n.Size = heap.Used, total-uint64(w.lay.Head)-uint64(h.Slack())
	case node.Free, node.Quick:
		st.FreeNodes++
		st.LargestFree = max(st.LargestFree, total)
		n.State, n.Size = heap.Free, 0
	default:
		st.Used += total
		n.State, n.Size = heap.Quarantined, 0
	}
	w.trail = nil
	if w.visit != nil {
		n.Addr = w.origin + heap.Addr(ref)*node.Unit
		n.Payload, n.Total, n.Owner = n.Addr+heap.Addr(w.lay.Head), total, heap.Owner(h.Owner())
		if w.lay.Stacks {
			n.Birth = uint64(*node.Birth(c))
			levels := 0
			for ; levels < len(w.stack); levels++ {
				v := *node.LR(c, levels)
				if v == 0 {
					break
				}
				w.stack[levels] = heap.Addr(callers.Rebase(v, w.anchor) & w.mask)
			}
			n.Stack = w.stack[:levels:levels]
		}
		if !w.visit(n) {
			w.survey.Stopped = true
			return false
		}
	}
	if w.report != nil && h.State() == node.Free {
		w.checkNote(ref, h)
	}
	return true
}

// next takes one node of the survey.
func (w *hwWalk) next(s, before, beforeThat *survey.Seen) bool {
	more := w.emit(s)
	if s.Lost && !s.Exact {
		w.gap(s)
	}
	if w.report == nil {
		return more
	}
	if w.survey.Findings >= maxFindings { // which takes too long to explain
		if !s.Sound() {
			w.survey.Findings++
		}
		return more
	}
	f := w.x.Next(s, before, beforeThat)
	switch {
	case f != nil:
		w.explain(f, s, before, beforeThat)
		if !s.HeaderOK && !s.Lost && s.H.State() == node.Free && w.noteBad(s.Ref) {
			f.Detail = joinText(f.Detail, "the number of a list entry, which the pool keeps behind the header of a free node, was overwritten as well")
		}
		w.say(f)
	case s.Sound():
		w.trail = nil
		if s.H.State() == node.Free {
			w.checkNote(s.Ref, s.H)
		}
	}
	if !s.Sound() {
		w.mend(s, before)
	}
	return more
}

// emit counts the node s and gives it out, unless it is one of the pool's own.
func (w *hwWalk) emit(s *survey.Seen) bool {
	total := uint64(s.Size) * node.Unit
	st := &w.survey.Stats
	if s.Ref == survey.Front || s.Ref == w.region.End {
		st.Used += total
		return true
	}
	switch {
	case s.Lost || s.H.State() == node.Quarantined:
		st.Used += total
	case s.H.State() == node.Used:
		st.Used += total
		st.UsedNodes++
	default:
		st.FreeNodes++
		st.LargestFree = max(st.LargestFree, total)
	}
	if w.visit == nil {
		return true
	}
	w.region.Fill(&w.node, s)
	if c := w.region.Evidence(s); c != nil && w.lay.LRs > 0 {
		w.node.Stack = w.region.AppendStack(w.stack[:0], c)
	}
	w.survey.Stopped = !w.visit(&w.node)
	return !w.survey.Stopped
}

// gap notes that what begins at s cannot be interpreted up to its end.
func (w *hwWalk) gap(s *survey.Seen) {
	why := "no header that is good"
	if w.lay.Slot != 0 {
		why = "neither header nor backup is good"
	}
	end := uint64(s.Ref) + uint64(s.Size)
	w.addGap(s.Ref, min(end, uint64(w.region.Limit)), why+"; it may have held several nodes")
	if end > uint64(w.region.Limit) {
		w.addGap(w.region.Limit, end, "not in the image")
	}
}

func (w *hwWalk) addGap(from uint32, to uint64, why string) {
	g := Gap{heap.Span{Start: w.region.Addr(from), End: w.about.Span.Start + heap.Addr(to*node.Unit)}, why}
	n := len(w.survey.Gaps)
	switch {
	case g.Start >= g.End:
	case n == maxGaps: // the last one stands for all the rest
		w.survey.Gaps[n-1].End = g.End
	default:
		w.survey.Gaps = append(w.survey.Gaps, g)
	}
}

// say reports a finding.
func (w *hwWalk) say(f *heap.Finding) {
	f.Op = "check"
	w.survey.Findings++
	if w.report != nil && w.survey.Findings <= maxFindings {
		w.report(f)
	}
}

// noteBad reports whether the number of its entry that the pool keeps in the free
// node at ref cannot be one. Which is right is known only to the process.
func (w *hwWalk) noteBad(ref uint32) bool {
	off := uint64(ref)*node.Unit + uint64(w.lay.Head)
	b := w.region.Bytes(off, off+4)
	if len(b) < 4 || w.region.Blind {
		return false
	}
	n := node.Note(b)
	return n == 0 || n > w.notes
}

// checkNote reports what is wrong with the number in the free node at ref.
func (w *hwWalk) checkNote(ref uint32, h node.Header) {
	if !w.noteBad(ref) {
		return
	}
	f := w.region.Note(&survey.Seen{Ref: ref, Size: h.Size(), H: h, HeaderOK: true})
	f.Recovered = false
	f.Detail = "the pool keeps the number of a list entry there, and this cannot be one; which it was is not in the image, and nothing else is lost. A process stopped in the middle of a free leaves the same"
	w.say(f)
}

// finish adds up, and looks at what belongs to no node.
func (w *hwWalk) finish(whole bool) {
	sv, r := &w.survey, &w.region
	if w.report != nil && !sv.Stopped {
		w.checkHead()
	}
	st := &sv.Stats
	st.Size = w.about.Span.Len()
	st.Used += node.HeadSize
	st.Free = st.Size - min(st.Size, st.Used)
	partial := func(format string, args ...any) {
		sv.Partial = joinText(sv.Partial, fmt.Sprintf(format, args...))
	}
	switch {
	case sv.Stopped:
		sv.Partial = "the walk was ended early"
		return
	case !whole:
		there := uint64(r.Limit) * node.Unit
		if n := len(sv.Gaps); n > 0 && sv.Gaps[n-1].End > r.Addr(r.Limit) {
			sv.Gaps[n-1].End = w.about.Span.End
		} else {
			w.addGap(r.Limit, st.Size/node.Unit, "not in the image")
		}
		st.Free = 0
		if !w.endAt {
			partial("the end of the pool is not in the image: nodes beyond %s are not listed", w.about.Span.Start+heap.Addr(there))
			break
		}
		partial("the image ends, or has a hole, %d bytes into the pool, whose head says that it has %d: nodes beyond %s are not listed", there, st.Size, w.about.Span.Start+heap.Addr(there))
	}
	if r.Blind {
		partial("the key of the checksums is lost with the pool head, so nothing could be verified")
	}
	if !w.endAt && whole {
		partial("where the pool ends is not known")
	}
	if n := len(sv.Gaps); n > 0 {
		var bytes uint64
		for _, g := range sv.Gaps {
			bytes += g.Len()
		}
		partial("%d bytes in %d ranges could not be interpreted, the first at %s", bytes, n, sv.Gaps[0].Start)
	}
	if sv.Findings > maxFindings {
		partial("%d of %d findings are explained", maxFindings, sv.Findings)
	}
}
