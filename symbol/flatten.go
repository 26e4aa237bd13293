package symbol

import (
	"cmp"
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
			open.push(all[next])
			next++
		}
		for len(open) > 0 && open[0].end <= from {
			open.pop()
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

// spanHeap is a binary heap with the span that counts at its top. It is not
// container/heap because that allocates each span it is given.
type spanHeap []span

func (h *spanHeap) push(s span) {
	*h = append(*h, s)
	for i := len(*h) - 1; i > 0; {
		up := (i - 1) / 2
		if !(*h)[i].counts((*h)[up]) {
			return
		}
		(*h)[i], (*h)[up] = (*h)[up], (*h)[i]
		i = up
	}
}

func (h *spanHeap) pop() {
	n := len(*h) - 1
	(*h)[0] = (*h)[n]
	*h = (*h)[:n]
	for i := 0; ; {
		down := 2*i + 1
		if down+1 < n && (*h)[down+1].counts((*h)[down]) {
			down++
		}
		if down >= n || !(*h)[down].counts((*h)[i]) {
			return
		}
		(*h)[i], (*h)[down] = (*h)[down], (*h)[i]
		i = down
	}
}

// counts reports whether s counts where both are.
func (s span) counts(o span) bool {
	return cmp.Or(
		-cmp.Compare(s.rank, o.rank),
		cmp.Compare(s.end-s.start, o.end-o.start),
		-cmp.Compare(s.item, o.item),
	) < 0
}
