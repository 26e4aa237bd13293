package console

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// heapReach is how many lines apart the end of a listing and the header of the
// next one are if one command prints both.
const heapReach = 4

// A heapRun is the listings that one command has printed so far, in dialects
// whose command goes through all heaps and names none. They follow each other
// closely; but so do the listings of one heap in a log of nothing else. The
// heaps differ in where they lie.
type heapRun struct {
	d     *dialect
	end   int // line
	boot  int
	spans []heap.Span
}

// extend reports whether l, which is finished but for its order, is a further
// heap of the run, and which from 1. If it is not, it begins the next run.
func (h *heapRun) extend(l *listing, line int) (further bool, number int) {
	span := l.span()
	further = h.d == l.d && l.boot == h.boot && l.line-h.end <= heapReach && span.Len() > 0 && l.pool == "" && len(h.spans) < maxPools
	for _, s := range h.spans {
		further = further && (span.Start >= s.End || span.End <= s.Start)
	}
	if !further {
		h.spans = h.spans[:0]
	}
	h.d, h.end, h.boot = l.d, line, l.boot
	if span.Len() > 0 {
		h.spans = append(h.spans, span)
	}
	return further && len(h.spans) > 1, len(h.spans)
}

// span returns the addresses between which the rows lie.
func (l *listing) span() (s heap.Span) {
	for i := range l.rows {
		n := &l.rows[i]
		if i == 0 {
			s = heap.Span{Start: n.Addr, End: n.Addr + 1}
		}
		s.Start = min(s.Start, n.Addr)
		s.End = max(s.End, n.Addr+heap.Addr(max(n.Total, 1)))
	}
	return s
}

// sameCommand makes the open listing one of the command in front if it shows
// another heap.
func (r *Reader) sameCommand(l *listing) {
	if !l.d.heaps {
		return
	}
	if further, n := r.heaps.extend(l, r.lines.line); further {
		r.listed--
		l.number--
		l.pool = fmt.Sprintf("heap %d", n)
	}
}
