package layout

import (
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

// chainJudge holds what examining one head after the other needs.
type chainJudge struct {
	want  []byte // the head under examination as it should be
	known []bool // which bytes of want are known
	trail *damage.Trail
	told  []heap.Addr // the nodes examined, as many as are explained
}

// examine judges the head of cur, in which something is wrong, and notes in cur
// what of it is overwritten.
func (w *chainWalk) examine(before, cur, next *chainSeen) *heap.Finding {
	j := &w.judge
	if len(j.told) < maxFindings {
		j.told = append(j.told, cur.at)
	}
	if w.survey.Findings >= maxFindings {
		w.survey.Findings++
		cur.hitTo = w.layout.headLen(cur.free) // nothing in it is believed
		return nil
	}
	have := w.m.bytes(cur.at, w.layout.headLen(cur.free))
	j.want = append(j.want[:0], have...)
	j.known = slices.Grow(j.known[:0], len(have))[:len(have)]
	clear(j.known)
	if have != nil {
		w.layout.expect(cur, next, j.want, j.known)
	}
	cur.hitFrom, cur.hitTo = j.wrong(have)
	f := &heap.Finding{Node: cur.at, Op: "check", Kind: heap.HeaderDamaged}
	switch {
	case cur.lost():
	case cur.bad&chainNoPrev != 0:
		f.Kind = heap.LinkBroken
	case cur.bad&chainNoLinks != 0:
		f.Kind = heap.FreeDamaged
	}
	f.Recovered = cur.exact && w.restores(cur, have)
	if before != nil && before.exact && before.at+before.size == cur.at {
		f.Previous = w.nodeOf(before)
	}
	f.Subject = w.nodeOf(cur)
	f.Fields = w.fields(cur, have)
	f.Detail = w.detail(cur)
	if have == nil {
		return f
	}
	f.Memory = []heap.Memory{{Addr: cur.at, Bytes: slices.Clone(have)}}
	w.explain(f, before, cur, have)
	w.patch(cur.at, have)
	// The span goes on where what was written goes on.
	if span := f.Span; span.Len() > 0 {
		cur.hitFrom = min(cur.hitFrom, int(span.Start-cur.at))
		cur.hitTo = max(cur.hitTo, int(span.End-cur.at))
		f.Subject = w.nodeOf(cur)
		if to := min(cur.hitTo, len(j.known)); slices.Contains(j.known[min(cur.hitFrom, to):to], false) {
			f.Detail = joinText(f.Detail, "what nobody else knows, as a call stack, is lost where it was overwritten")
		} else if w.doubtful(cur, have) {
			f.Unseen = append(f.Unseen, "whether what lies directly beside the damage was overwritten too, as a call stack or a task: nothing else tells what was there")
		}
	}
	return f
}

// restores reports whether everything that was in the head is known: what is
// wrong, and what may have been overwritten with it.
func (w *chainWalk) restores(cur *chainSeen, have []byte) bool {
	j := &w.judge
	if cur.hitFrom == cur.hitTo || w.doubtful(cur, have) {
		return false
	}
	l, ok := w.layout.(chainWhole)
	return !ok || l.whole(cur, j.known)
}

// doubtful reports whether a field that nobody else knows, as a call stack, was
// overwritten or may have been, as it lies directly beside what was. Padding in
// between holds nothing, and nobody allocated the end node.
func (w *chainWalk) doubtful(cur *chainSeen, have []byte) bool {
	if cur.at == w.end {
		return false
	}
	const nothing, sure, lost = 0, 1, 2
	j := &w.judge
	is := make([]uint8, len(have))
	for _, f := range w.layout.parts(cur.at, cur.free, have) {
		for i := int(f.Start - cur.at); i < int(f.End-cur.at); i++ {
			if is[i] = lost; j.known[i] {
				is[i] = sure
			}
		}
	}
	if l, ok := w.layout.(chainForeign); ok {
		clear(is[:min(l.foreign(cur), len(is))])
	}
	from, to := cur.hitFrom, cur.hitTo
	for from > 0 && is[from-1] == nothing {
		from--
	}
	for to < len(is) && is[to] == nothing {
		to++
	}
	return slices.Contains(is[max(from-1, 0):min(to+1, len(is))], lost)
}

// detail says what is wrong with the header of s.
func (w *chainWalk) detail(s *chainSeen) string {
	var parts []string
	if s.bad&chainNoMark != 0 {
		parts = append(parts, "a magic or a flag in it is wrong")
	}
	if s.bad&chainNoSize != 0 {
		switch {
		case s.at == w.end:
		case !s.exact:
			parts = append(parts, fmt.Sprintf("it is not known how long it is: up to %s, %d bytes, nothing makes sense", s.at+s.size, s.size))
		case s.length != 0:
			parts = append(parts, fmt.Sprintf("it says that it is %d bytes long, but its neighbours show that it has %d", s.length, s.size))
		default:
			parts = append(parts, fmt.Sprintf("its size is wrong: its neighbours show that it has %d bytes", s.size))
		}
	}
	if s.bad&chainNoPrev != 0 {
		switch {
		case s.front != 0:
			parts = append(parts, fmt.Sprintf("it does not name %s as the node in front, which begins there", s.front))
		default:
			parts = append(parts, "its link to the node in front is wrong")
		}
	}
	if s.bad&chainNoLinks != 0 {
		parts = append(parts, "the links to other free nodes in it are wrong")
	}
	return joinText(parts...)
}

// explain lets package damage say what the bytes mean.
func (w *chainWalk) explain(f *heap.Finding, before, cur *chainSeen, have []byte) {
	const ahead, behind = 64, 4096
	o := damage.Overwrite{
		At: cur.at, Have: have, Want: w.judge.want, Known: w.judge.known,
		Previous: f.Previous, Subject: f.Subject, Trail: w.judge.trail, Word: w.about.PointerSize,
	}
	if w.report != nil { // else nobody reads what the bytes look like
		o.Where = func(a heap.Addr) string { return w.around().where(a) }
		o.CopyOf = func(first, end int) string { return w.around().copyOf(cur.at, have, first, end) }
	}
	if f.Previous != nil {
		from := max(before.at+heap.Addr(w.layout.headLen(before.free)), cur.at-min(cur.at, ahead))
		if from < cur.at {
			o.Ahead = w.m.bytes(from, int(cur.at-from))
		}
	}
	if rest := cur.size - min(cur.size, heap.Addr(len(have))); rest > 0 {
		o.Behind = w.m.some(cur.at+heap.Addr(len(have)), int(min(rest, behind)))
	}
	w.judge.trail = o.Explain(f)
	if w.judge.trail == nil && f.Cause == "" {
		f.Cause = "what was written there cannot be told: of what should be there too little is known"
		if o.CopyOf != nil {
			if name := o.CopyOf(0, len(have)); name != "" {
				f.Reach, f.Cause = "a copy of "+name, "it was overwritten with a copy of "+name+": with how much more cannot be told"
			}
		}
	}
}

// wrong returns the range of bytes known to be wrong, from == to if none is.
func (j *chainJudge) wrong(have []byte) (from, to int) {
	for i, known := range j.known {
		if known && have[i] != j.want[i] {
			if to == 0 {
				from = i
			}
			to = i + 1
		}
	}
	return from, to
}

// nodeOf returns a node for a finding; nil for the end node and for memory that
// is nobody's.
func (w *chainWalk) nodeOf(s *chainSeen) *heap.Node {
	if s.at == w.end || s.hidden || s.bad&chainMissing != 0 {
		return nil
	}
	n := new(heap.Node)
	w.fill(n, s)
	n.Stack = slices.Clone(n.Stack)
	return n
}

// fields lists what the head of s says, and beside it what it should say.
func (w *chainWalk) fields(s *chainSeen, have []byte) []heap.Field {
	if have == nil {
		return nil
	}
	is, should := w.layout.parts(s.at, s.free, have), w.layout.parts(s.at, s.free, w.judge.want)
	var list []heap.Field
	for i := range is {
		f := heap.Field{Name: is[i].Name, Header: is[i].Value}
		for at := is[i].Start; at < is[i].End; at++ {
			if k := int(at - s.at); w.judge.known[k] && have[k] != w.judge.want[k] {
				f.Differs, f.Backup = true, should[i].Value
			}
		}
		list = append(list, f)
	}
	return list
}

// patch notes what would restore the known bytes of the head at `at`.
func (w *chainWalk) patch(at heap.Addr, have []byte) {
	j := &w.judge
	for i := 0; i < len(have) && len(w.survey.Patches) < maxFindings; i++ {
		if !j.known[i] || have[i] == j.want[i] {
			continue
		}
		n := i
		for n < len(have) && j.known[n] && have[n] != j.want[n] {
			n++
		}
		w.survey.Patches = append(w.survey.Patches, Patch{Addr: at + heap.Addr(i), New: slices.Clone(j.want[i:n]), Why: fmt.Sprintf("the head of node %s", at)})
		i = n
	}
}
