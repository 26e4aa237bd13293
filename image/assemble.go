package image

import (
	"cmp"
	queue "container/heap"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// disjoint returns what is in pieces in ascending order of address, each
// address once: from the first of pieces that has it. twice counts the bytes
// left out. It takes O(n log n) for n pieces, however they overlap, and copies
// no memory.
func disjoint(pieces []Segment) (segments []Segment, twice uint64) {
	pieces = slices.DeleteFunc(pieces, func(s Segment) bool { return len(s.Bytes) == 0 })
	inOrder := true
	for i := 1; i < len(pieces) && inOrder; i++ {
		inOrder = pieces[i-1].limit() <= pieces[i].Addr
	}
	if inOrder {
		return pieces, 0
	}

	byStart := make([]int, len(pieces))
	for i := range byStart {
		byStart[i] = i
	}
	slices.SortFunc(byStart, func(a, b int) int { return cmp.Compare(pieces[a].Addr, pieces[b].Addr) })

	// A sweep over the addresses. open are the pieces that have begun and, as
	// far as they have been looked at, not ended.
	var open indexes
	var at heap.Addr
	last := -1 // the piece that the last of segments is from
	for next := 0; next < len(byStart) || len(open) > 0; {
		if len(open) == 0 {
			at = pieces[byStart[next]].Addr
		}
		for next < len(byStart) && pieces[byStart[next]].Addr <= at {
			queue.Push(&open, byStart[next])
			twice += uint64(len(pieces[byStart[next]].Bytes))
			next++
		}
		i := open[0]
		p := &pieces[i]
		if p.limit() <= at {
			queue.Pop(&open)
			continue
		}
		until := p.limit()
		if next < len(byStart) { // which may begin one that counts more
			until = min(until, pieces[byStart[next]].Addr)
		}
		if i == last && segments[len(segments)-1].limit() == at {
			s := &segments[len(segments)-1]
			s.Bytes = s.Bytes[:len(s.Bytes)+int(until-at)]
		} else {
			s := *p
			s.Addr, s.Bytes = at, p.Bytes[at-p.Addr:until-p.Addr]
			s.offset += int(at - p.Addr)
			segments = append(segments, s)
		}
		last = i
		twice -= uint64(until - at)
		at = until
	}
	return segments, twice
}

// indexes is a queue that yields the smallest first.
type indexes []int

func (q indexes) Len() int           { return len(q) }
func (q indexes) Less(i, j int) bool { return q[i] < q[j] }
func (q indexes) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *indexes) Push(i any)        { *q = append(*q, i.(int)) }
func (q *indexes) Pop() any {
	i := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return i
}

const (
	// joinSize is up to how many bytes adjacent segments are copied into one
	// span.
	joinSize = 16 << 20
	// borderReach is how many bytes on either side of the border of two
	// adjacent spans View can see.
	borderReach = 64 << 10
	// joinTotal bounds all copies of one image, in bytes.
	joinTotal = 256 << 20
)

// join returns the memory of segments, which are disjoint and in ascending
// order, in spans as large as possible: where adjacent segments also lie one
// behind the other in this program's memory, they are one; where they do not and
// are small, they are copied, and their Bytes become those of the copy. What
// lies on both sides of the remaining borders is copied to borders. Copies take
// at most most bytes; apart counts the borders for which that was too little.
func join(segments []Segment, most uint64) (spans, borders []heap.Memory, apart int) {
	budget := int(min(most, joinTotal))
	blocks, firsts := contiguous(segments)
	for i := 0; i < len(blocks); {
		end, size := i+1, len(blocks[i].Bytes)
		for end < len(blocks) && adjacent(blocks, end) && size+len(blocks[end].Bytes) <= min(budget, joinSize) {
			size += len(blocks[end].Bytes)
			end++
		}
		span := blocks[i]
		if end > i+1 {
			budget -= size
			span.Bytes = make([]byte, 0, size)
			for j := firsts[i]; j < firsts[end]; j++ {
				from := len(span.Bytes)
				span.Bytes = append(span.Bytes, segments[j].Bytes...)
				segments[j].Bytes = span.Bytes[from:]
			}
		}
		spans = append(spans, span)
		i = end
	}
	for i := 1; i < len(spans); i++ {
		switch {
		case !adjacent(spans, i):
		case budget < 2*borderReach:
			apart++
		default:
			b := around(spans, i)
			budget -= len(b.Bytes)
			borders = append(borders, b)
		}
	}
	return spans, borders, apart
}

// contiguous joins what needs no copy. blocks[i] begins with
// segments[firsts[i]]; firsts has one element more, the number of segments.
func contiguous(segments []Segment) (blocks []heap.Memory, firsts []int) {
	for i := range segments {
		s := heap.Memory{Addr: segments[i].Addr, Bytes: segments[i].Bytes}
		if n := len(blocks); n > 0 {
			b := &blocks[n-1]
			size := len(b.Bytes)
			if b.Addr+heap.Addr(size) == s.Addr && size+len(s.Bytes) <= cap(b.Bytes) &&
				&b.Bytes[:size+1][size] == &s.Bytes[0] {
				b.Bytes = b.Bytes[:size+len(s.Bytes)]
				continue
			}
		}
		blocks, firsts = append(blocks, s), append(firsts, i)
	}
	return blocks, append(firsts, len(segments))
}

// adjacent reports whether spans[i] begins where the span before it ends.
func adjacent(spans []heap.Memory, i int) bool {
	return spans[i-1].Addr+heap.Addr(len(spans[i-1].Bytes)) == spans[i].Addr
}

// around returns a copy of what lies on both sides of the border in front of
// spans[i].
func around(spans []heap.Memory, i int) heap.Memory {
	first, before := i-1, len(spans[i-1].Bytes)
	for before < borderReach && first > 0 && adjacent(spans, first) {
		first--
		before += len(spans[first].Bytes)
	}
	skip := max(0, before-borderReach)
	size := before - skip + borderReach
	m := heap.Memory{Addr: spans[first].Addr + heap.Addr(skip), Bytes: make([]byte, 0, size)}
	for j := first; j < len(spans) && len(m.Bytes) < size && (j <= i || adjacent(spans, j)); j++ {
		b := spans[j].Bytes[skip:]
		m.Bytes = append(m.Bytes, b[:min(len(b), size-len(m.Bytes))]...)
		skip = 0
	}
	return m
}
