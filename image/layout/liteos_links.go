package layout

import (
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// A link is what a free node, or the head of a list, should hold at `at`.
type link struct {
	own  heap.Addr // the header, or the head of the list
	at   heap.Addr
	want heap.Addr
}

// relink reports the links of free list i that lead where no node answers them,
// and that the list's other direction proves wrong: one that goes through the
// whole list and back to its head. It reports whether there are any.
func (w *walker) relink(i int) bool {
	ws := heap.Addr(w.o.Word)
	head := w.lists + 2*ws*heap.Addr(i)
	forth, ok1 := w.unanswered(head, ws)
	back, ok2 := w.unanswered(head, 0)
	if ok1 == ok2 || len(forth)+len(back) == 0 {
		return false
	}
	for _, l := range append(forth, back...) {
		switch {
		case l.own < w.start:
			w.relinkHead(l, i)
		case !w.told(l.own) && !w.relinkNode(l):
			return false
		}
	}
	return true
}

// maxUnanswered bounds the links of one list that are told to be wrong.
const maxUnanswered = 64

// unanswered follows a list from its head in the direction of the links at off
// in each header. It is not ok if that does not lead back to the head; otherwise
// it returns the links of the other direction that contradict.
func (w *walker) unanswered(head, off heap.Addr) (wrong []link, ok bool) {
	ws := heap.Addr(w.o.Word)
	at := head
	for n := uint64(0); n <= w.survey.Stats.FreeNodes; n++ {
		v, ok := w.far.word(at+off, w.o.Word)
		next := heap.Addr(v)
		if !ok || !w.linkable(v) || next < w.start && next != head {
			return nil, false
		}
		answer, ok := w.far.word(next+ws-off, w.o.Word)
		if !ok {
			return nil, false
		}
		if heap.Addr(answer) != at {
			if len(wrong) == maxUnanswered {
				return nil, false
			}
			wrong = append(wrong, link{own: next, at: next + ws - off, want: at})
		}
		if next == head {
			return wrong, true
		}
		if size, ok := w.far.word(next+heap.Addr(w.o.Size), 4); !ok || size&usedBit != 0 {
			return nil, false
		}
		at = next
	}
	return nil, false
}

// relinkHead reports a link in the head of list i.
func (w *walker) relinkHead(l link, i int) {
	have := slices.Clone(w.far.bytes(l.at, w.o.Word))
	want := make([]byte, w.o.Word)
	putWord(want, w.o.Word, uint64(l.want))
	w.survey.Patches = append(w.survey.Patches, Patch{Addr: l.at, New: want, Why: "a list of free nodes in the pool's head"})
	name := "prev"
	if l.at != l.own {
		name = "next"
	}
	v := word(have, w.o.Word)
	w.say(&heap.Finding{
		Kind: heap.FreeIndexWrong, Op: "check", Node: w.p.Addr, Recovered: true,
		Fields: []heap.Field{{Name: fmt.Sprintf("free list %d, %s", i, name), Header: fmt.Sprintf("%#x", v), Backup: fmt.Sprintf("%#x", uint64(l.want)), Differs: true}},
		Span:   heap.Span{Start: l.at, End: l.at + heap.Addr(w.o.Word)},
		Memory: []heap.Memory{{Addr: l.at, Bytes: have}},
		Detail: fmt.Sprintf("the head of free list %d leads to %#x; in the other direction the list is whole and says %s, which a repair writes there", i, v, l.want),
		Cause:  "a stray write to the pool's head: no node lies in front of it",
	})
}

// relinkNode reports a link of a free node, whose header nothing else protects:
// those of which there are backups have been judged.
func (w *walker) relinkNode(l link) bool {
	at := l.own - heap.Addr(w.o.Own)
	var h header
	if w.o.Own != 0 || !w.header(at, &h) || w.check(&h, at, 0) != 0 {
		return false
	}
	var before, cur, next seen
	w.look(&cur, at, heap.Addr(h.prev))
	front := &before
	if at == w.start {
		front = nil
	} else if w.look(front, cur.prev, 0); front.own != 0 || front.at+front.size != at {
		return false
	}
	w.look(&next, at+cur.size, at)
	cur.own |= badMagic
	if l.at == l.own {
		cur.h.first = uint64(l.want)
	} else {
		cur.h.second = uint64(l.want)
	}
	w.judge.trail = nil
	f, _ := w.examine(front, &cur, &next)
	slices.Sort(w.hit)
	if f == nil { // counted, and no more
		return true
	}
	f.Detail = joinText("in the other direction its free list is whole and tells what the link should be", f.Detail)
	w.say(f)
	return true
}
