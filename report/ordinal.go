package report

import (
	"cmp"
	"slices"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// ordinals numbers, from 1, the sites that share a key, in the order of their
// functions, files and lines: a site keeps its number while the ranks change.
func ordinals(sites []leak.Site, key func(*leak.Site) string) map[*leak.Site]int {
	groups := map[string][]*leak.Site{}
	for i := range sites {
		k := key(&sites[i])
		groups[k] = append(groups[k], &sites[i])
	}
	numbers := make(map[*leak.Site]int, len(sites))
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b *leak.Site) int { return slices.CompareFunc(a.Frames, b.Frames, compareFrames) })
		for i, s := range g {
			numbers[s] = i + 1
		}
	}
	return numbers
}

func compareFrames(a, b heap.Frame) int {
	return cmp.Or(cmp.Compare(a.Function, b.Function), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Addr, b.Addr))
}
