package symbol

import (
	"cmp"
	"container/heap"
	"slices"
	"sort"
)

// span is a piece [start, end) of memory that something numbered item covers.
// Where spans overlap the one with the higher rank counts, then the shorter,
// then the later.
type span struct {
	start, end uint64
	item, rank int32
}

// spans is a set of disjoint spans in ascending order.
type spans []span

// find returns the item at pc.
func (s spans) find(pc uint64) (item int, ok bool) {
	i := sort.Search(len(s), func(i int) bool { return s[i].start > pc }) - 1
	if i < 0 || pc >= s[i].end {
		return 0, false
	}
	return int(s[i].item), true
}

// flatten makes spans disjoint: what it returns covers the same memory, each
// byte with the one span that counts there, in at most twice as many pieces.
// It takes O(n log n) however the spans overlap.
func flatten(all []span) spans {
	slices.SortStableFunc(all, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	overlap := false
	for i := 1; i < len(all) && !overlap; i++ {
		overlap = all[i].start < all[i-1].end
	}
	if !overlap {
		return slices.Clip(all)
	}
	edges := make([]uint64, 0, 2*len(all))
	for _, s := range all {
		edges = append(edges, s.start, s.end)
	}
	slices.Sort(edges)
	edges = slices.Compact(edges)
	var out spans
	var open spanHeap
	next := 0
	for i, from := range edges {
		for next < len(all) && all[next].start == from {
			heap.Push(&open, all[next])
			next++
		}
		for len(open) > 0 && open[0].end <= from {
			heap.Pop(&open)
		}
		if len(open) == 0 {
			continue
		}
		to := edges[i+1] // there is one: the end of open[0]
		top := open[0]
		if n := len(out); n > 0 && out[n-1].end == from && out[n-1].item == top.item {
			out[n-1].end = to
			continue
		}
		out = append(out, span{from, to, top.item, top.rank})
	}
	return slices.Clip(out)
}

// spanHeap has the span that counts at its top.
type spanHeap []span

func (h spanHeap) Len() int      { return len(h) }
func (h spanHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *spanHeap) Push(x any)   { *h = append(*h, x.(span)) }
func (h *spanHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func (h spanHeap) Less(i, j int) bool {
	return cmp.Or(
		-cmp.Compare(h[i].rank, h[j].rank),
		cmp.Compare(h[i].end-h[i].start, h[j].end-h[j].start),
		-cmp.Compare(h[i].item, h[j].item),
	) < 0
}
