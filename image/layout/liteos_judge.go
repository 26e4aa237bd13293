package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

// judge holds what examining one head after the other needs.
type judge struct {
	want     []byte // the head under examination as it should be
	known    []bool // which bytes of want are known
	trail    *damage.Trail
	lostTask bool // the task ID of the node was overwritten
}

// examine judges the head of cur, which holds the backup of next and cur's own
// header and in which something is wrong. It returns what, and whether the LRs
// can be trusted.
func (w *walker) examine(before, cur, next *seen) (f *heap.Finding, lrs bool) {
	j := &w.judge
	have := w.expect(cur, next)
	first, end := j.wrong(have)
	lrs = w.intact(cur, first, end)
	j.lostTask = cur.own != 0 && !w.outside(w.o.Own+w.o.Task, 2, first, end)
	ownBad := cur.own&^missing != 0
	if cur.lost && first == end {
		lrs = cur.own == badPrev
	}
	if w.survey.Findings >= maxFindings {
		w.survey.Findings++
		return nil, lrs
	}
	f = &heap.Finding{Node: cur.at, Op: "check", Recovered: true, Owners: w.p.about.Owners}
	f.Subject = w.nodeOf(cur, lrs)
	if before != nil && before.at+before.size == cur.at {
		f.Previous = w.nodeOf(before, !before.noLRs)
	}
	switch {
	case ownBad:
		w.hit = append(w.hit, cur.at+heap.Addr(w.o.Own))
		w.describeHeader(f, cur, first, end)
	case next.copy&^missing != 0:
		f.Kind = heap.BackupDamaged
		f.Fields = w.fields(next)
		f.Recovered = !next.lost
		f.Detail = fmt.Sprintf("what was overwritten is the backup of the header of node %s", next.at)
		switch {
		case next.copy == differs:
			f.Detail += "; both carry a right checksum: one of them is from another time"
		case next.own == 0:
			f.Detail += ", which is intact"
		default:
			f.Detail += ", which is damaged too"
		}
	default:
		f.Kind = heap.HeaderDamaged
		f.Detail = "what was overwritten is the word in front of an aligned payload that says how far it was moved"
	}
	if cur.gapBad {
		at := w.o.Head + int(cur.h.gap) - 4
		v, _ := w.m.word(cur.at+heap.Addr(at), 4)
		f.Fields = append(f.Fields, heap.Field{Name: "gap word", Header: fmt.Sprintf("%#x", v), Backup: fmt.Sprintf("%#x", cur.h.gap|gapMark), Differs: true})
	}
	if ownBad && next.copy&^missing != 0 {
		f.Detail = joinText(f.Detail, fmt.Sprintf("the backup of the header of node %s, which lies in front of it, was overwritten as well", next.at))
	}
	if have != nil {
		f.Memory = []heap.Memory{{Addr: cur.at, Bytes: slices.Clone(have)}}
		w.explain(f, before, cur, have)
		w.patch(cur.at, have)
		if f.Repair = w.restored(cur, next, have); f.Repair == "" {
			f.Detail = joinText(f.Detail, "nothing of it can be restored")
		}
		// The span goes on where what was written goes on.
		if span := f.Span; lrs && span.Len() > 0 {
			if lrs = w.intact(cur, int(span.Start-cur.at), int(span.End-cur.at)); !lrs && f.Subject != nil {
				f.Subject.Stack = nil
			}
		}
	}
	if lrs && ownBad && f.Subject != nil && f.Span.Len() > 0 && w.besideLRs(cur, f.Span) {
		if s := f.Subject.Stack; len(s) > 0 && s[0] == 0 { // no call returns there
			lrs, f.Subject.Stack = false, nil
		} else {
			f.Detail = joinText(f.Detail, "its call stack lies beside what was overwritten, and nothing tells whether it is whole")
		}
	}
	if w.o.Sum < 0 && ownBad && cur.h.used() && !cur.h.aligned() && f.Span.End == cur.at+heap.Addr(w.o.Head) && f.Span.Start == cur.at {
		f.Detail = joinText(f.Detail, "whether its payload was aligned cannot be told: what says so lies in the header and behind it")
	}
	if !lrs && w.o.LRs > 0 && ownBad {
		f.Detail = joinText(f.Detail, "its call stack was overwritten too, and of that there is no backup")
	}
	return f, lrs
}

// explain lets package damage say what the bytes mean.
func (w *walker) explain(f *heap.Finding, before, cur *seen, have []byte) {
	const ahead, behind = 64, 4096
	o := damage.Overwrite{
		At: cur.at, Have: have, Want: w.judge.want, Known: w.judge.known,
		Previous: f.Previous, Subject: f.Subject, Trail: w.judge.trail, Heads: "its head",
		Word: w.o.Word,
	}
	if w.report != nil { // else nobody reads what the bytes look like
		o.Where = w.around().where
		o.CopyOf = func(first, end int) string { return w.copyOf(cur.at, have, first, end) }
	}
	if f.Previous != nil {
		from := max(before.at+heap.Addr(w.o.Head), cur.at-min(cur.at, ahead))
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
	}
}

// describeHeader says what is wrong with cur's own header.
func (w *walker) describeHeader(f *heap.Finding, cur *seen, first, end int) {
	f.Kind = heap.HeaderDamaged
	f.Fields = w.fields(cur)
	sum := w.o.Sum >= 0 && cur.own&badSum == 0
	switch {
	case cur.own == badPrev && cur.copy&^missing == badPrev:
		f.Kind = heap.LinkBroken
		f.Detail = fmt.Sprintf("it names %s as the previous node, which begins at %s", heap.Addr(w.rawPrev(cur.at)), cur.prev)
	case !cur.lost && cur.copy == 0 && w.o.Own != 0 && cur.own == differs:
		f.Detail = "header and backup differ and both carry a right checksum; the node behind agrees with the backup"
	case !cur.lost && cur.copy == 0 && w.o.Own != 0 && sum:
		f.Detail = "its checksum is right for what it holds now: it was computed anew after the damage, as a change to a neighbour does; the backup is right"
	case !cur.lost && cur.copy == 0 && w.o.Own != 0:
		f.Detail = "the backup is right"
	case !cur.lost && w.o.Own != 0:
		f.Detail = "the backup is damaged too; what is left of both, put together, gives a stored checksum"
		f.Kind = heap.BothDamaged
	case w.o.Own != 0 && cur.copy&^missing != 0:
		f.Kind = heap.BothDamaged
		f.Recovered = false
		f.Detail = "neither the header nor its backup is right"
	default:
		links := cur.h.used() || cur.own&badMagic == 0 || cur.known&(hasFirst|hasSecond) == hasFirst|hasSecond
		f.Recovered = cur.exact && first < end && links && w.allKnown(first, end)
	}
	if cur.lost && !cur.exact {
		f.Detail = joinText(f.Detail, fmt.Sprintf("it is not known how long it is: up to %s, %d bytes, nothing makes sense", cur.at+cur.size, cur.size))
	}
}

func (w *walker) rawPrev(at heap.Addr) uint64 {
	var h header
	w.header(at, &h)
	return h.prev
}

// expect fills in what the head of cur should be and returns what it is; nil if
// that is not in the image.
func (w *walker) expect(cur, next *seen) []byte {
	o, j := &w.o, &w.judge
	n := o.Head
	gap := 0
	if g := cur.h.gap; cur.known&hasGap != 0 && cur.h.used() && cur.h.aligned() && g&3 == 0 && g <= maxGap && o.Gap >= 0 && heap.Addr(n)+heap.Addr(g) < cur.size {
		gap = int(g)
	}
	have := w.m.bytes(cur.at, n+gap)
	j.want = append(j.want[:0], have...)
	j.known = slices.Grow(j.known[:0], len(have))[:len(have)]
	clear(j.known)
	if have == nil {
		return nil
	}
	if o.Own != 0 {
		switch {
		case next.copy == 0:
			w.put(0, nil, hasAll)
		case next.copy&missing == 0:
			w.put(0, &next.h, next.known)
		}
	}
	if cur.own == 0 {
		w.put(o.Own, nil, hasAll)
	} else {
		w.put(o.Own, &cur.h, cur.known)
	}
	if gap > 0 {
		putWord(j.want[n+gap-4:], 4, uint64(gap|gapMark))
		for i := range 4 {
			j.known[n+gap-4+i] = true
		}
	}
	return have
}

// put notes what is known of the control header that lies at off in the head. h
// is nil if it is as it should be.
func (w *walker) put(off int, h *header, known fieldSet) {
	j, o := &w.judge, &w.o
	field := func(is fieldSet, at, n int, v uint64) {
		if known&is == 0 || at < 0 {
			return
		}
		if h != nil {
			putWord(j.want[off+at:], n, v)
		}
		for i := range n {
			j.known[off+at+i] = true
		}
	}
	var v header
	if h != nil {
		v = *h
	}
	if h != nil && h.used() { // the magic is known where the task is not
		putWord(j.want[off:], 4, v.first&0xffffffff)
		for i := range 4 {
			j.known[off+i] = true
		}
	}
	field(hasFirst, o.First, o.Word, v.first)
	field(hasSecond, o.Second, o.Word, v.second)
	field(hasPrev, o.Prev, o.Word, v.prev)
	field(hasGap, o.Gap, 4, uint64(v.gap))
	field(hasSum, o.Sum, o.Word, v.sum)
	field(hasSize, o.Size, 4, uint64(v.size))
}

// wrong returns the range of bytes known to be wrong, first == end if none is.
func (j *judge) wrong(have []byte) (first, end int) {
	for i, known := range j.known {
		if known && have[i] != j.want[i] {
			if end == 0 {
				first = i
			}
			end = i + 1
		}
	}
	return first, end
}

// outside reports whether n bytes at off in the head lie outside [first, end).
func (w *walker) outside(off, n, first, end int) bool {
	return off+n <= first || off >= end
}

// intact reports whether the LRs of cur lie outside the damage.
func (w *walker) intact(cur *seen, first, end int) bool {
	o := &w.o
	return cur.own == 0 || o.LRs == 0 || w.outside(o.Own+o.LR, o.LRs*o.Word, first, end)
}

// besideLRs reports whether between the damage and the LRs of cur there is
// nothing that could show whether it goes on there.
func (w *walker) besideLRs(cur *seen, damage heap.Span) bool {
	o := &w.o
	if o.LRs == 0 {
		return false
	}
	from, to := o.LR, o.LR+o.LRs*o.Word
	if o.Orig >= 0 { // of which there is no second copy either
		from = o.Orig
	}
	ctl, word := cur.at+heap.Addr(o.Own), heap.Addr(o.Word)
	start, end := ctl+heap.Addr(from), ctl+heap.Addr(to)
	return damage.End <= start && start-damage.End < word || damage.Start >= end && damage.Start-end < word
}

// allKnown reports whether everything in [first, end) of the own header is
// known, call stacks apart.
func (w *walker) allKnown(first, end int) bool {
	o := &w.o
	for _, f := range [][2]int{{o.First, o.Word}, {o.Task, 4}, {o.Prev, o.Word}, {o.Gap, 4}, {o.Sum, o.Word}, {o.Size, 4}} {
		if f[0] < 0 {
			continue
		}
		for i := o.Own + f[0]; i < o.Own+f[0]+f[1]; i++ {
			if i >= first && i < end && !w.judge.known[i] {
				return false
			}
		}
	}
	return true
}

// nodeOf returns a node for a finding; nil for the end node, which is nobody's.
func (w *walker) nodeOf(s *seen, lrs bool) *heap.Node {
	if s.at == w.end || s.lost && s.own&missing != 0 {
		return nil
	}
	n := new(heap.Node)
	w.fill(n, s, lrs)
	n.Stack = slices.Clone(n.Stack)
	return n
}

// fields compares the header of s with its backup, in the order in which the
// fields lie in memory.
func (w *walker) fields(s *seen) []heap.Field {
	var own, backup header
	haveOwn := w.header(s.at, &own)
	haveBackup := w.o.Own != 0 && s.prev != 0 && w.backup(s.prev, &backup)
	first, second := "list prev", "list next"
	if s.h.used() {
		first, second = "magic", "task id"
		if w.o.Word == 8 {
			first, second = "magic, task id", "(unused)"
		}
	}
	var list []heap.Field
	add := func(name string, off int, is fieldSet, value func(*header) uint64) {
		if off < 0 {
			return
		}
		f := heap.Field{Name: name}
		text := func(h *header) string {
			if is == hasSum && h.sum != w.o.checksum(h) {
				return fmt.Sprintf("%#x [%#x]", h.sum, w.o.checksum(h))
			}
			return fmt.Sprintf("%#x", value(h))
		}
		if haveOwn {
			f.Header = text(&own)
			f.Differs = s.own != 0 && s.known&is != 0 && value(&own) != value(&s.h)
		}
		if haveBackup {
			f.Backup = text(&backup)
			f.Differs = f.Differs || haveOwn && value(&own) != value(&backup)
		}
		list = append(list, f)
	}
	add(first, w.o.First, hasFirst, func(h *header) uint64 { return h.first })
	add(second, w.o.Second, hasSecond, func(h *header) uint64 { return h.second })
	add("previous node", w.o.Prev, hasPrev, func(h *header) uint64 { return h.prev })
	add("gap size", w.o.Gap, hasGap, func(h *header) uint64 { return uint64(h.gap) })
	add("checksum", w.o.Sum, hasSum, func(h *header) uint64 { return h.sum })
	add("size and flags", w.o.Size, hasSize, func(h *header) uint64 { return uint64(h.size) })
	return list
}

// restored says what a repair would write into the head of cur, if anything.
func (w *walker) restored(cur, next *seen, have []byte) string {
	j, o := &w.judge, &w.o
	list := func(off int, used bool) (texts []string) {
		for _, p := range o.parts(used) {
			for i := off + p.off; i < off+p.off+p.n; i++ {
				if j.known[i] && have[i] != j.want[i] {
					texts = append(texts, p.name+" "+w.text(p, j.want[off:]))
					break
				}
			}
		}
		return texts
	}
	var said []string
	if own := list(o.Own, cur.h.used()); len(own) > 0 {
		said = append(said, "in the header "+strings.Join(own, ", "))
	}
	if o.Own != 0 {
		if copied := list(0, next.h.used()); len(copied) > 0 {
			said = append(said, fmt.Sprintf("in the backup of node %s's header %s", next.at, strings.Join(copied, ", ")))
		}
	}
	if n := len(have); cur.gapBad && n > o.Head {
		said = append(said, fmt.Sprintf("the word %#x in front of the payload", word(j.want[n-4:], 4)))
	}
	if len(said) == 0 {
		return ""
	}
	return "a repair restores " + strings.Join(said, ", and ")
}

// patch notes what would restore the known bytes of the head at `at`.
func (w *walker) patch(at heap.Addr, have []byte) {
	j := &w.judge
	if len(w.survey.Patches) >= maxFindings {
		return
	}
	for i := 0; i < len(have); i++ {
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

func joinText(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
