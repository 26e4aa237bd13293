package leak

import (
	"fmt"
	"math"
)

// trend judges a site of which only counts are known: nodes without addresses
// have no lives to follow. Growth alone cannot tell a leak from a cache, so a
// leak is never confirmed.
func (s *Series) trend(t *track, w Window) judgement {
	if w.Complete < minColumns {
		return judgement{}
	}
	var counts []float64
	next := 0
	for _, at := range t.history.kept {
		for next < len(t.Counts) && t.Counts[next].Listing < at.listing {
			next++
		}
		// Of recent listings more are kept than of older ones.
		ends := at.listing == w.First || at.listing == w.Last
		if at.listing < w.First || at.listing > w.Last || !at.info(s).Votes() || !ends && at.nth%t.history.stride != 0 {
			continue
		}
		held := 0.0
		if next < len(t.Counts) && t.Counts[next].Listing == at.listing {
			held = float64(t.Counts[next].Nodes)
		}
		counts = append(counts, held)
	}
	counts = thinned(counts, maxColumns)
	n := len(counts)
	if n < minColumns {
		return judgement{p: 1, verdict: Inconclusive, reason: "the counts of too few listings are kept", from: w.First, to: w.Last}
	}
	j := judgement{p: risingTail(counts), verdict: Stable, from: w.First, to: w.Last}
	grown := counts[n-1] - counts[0]
	switch late := counts[n-1] - counts[n-1-max(1, n/3)]; {
	case grown <= 0:
		j.reason = "it does not grow"
	case j.p > falseChance:
		j.reason = "it grows and shrinks"
	case late <= 0:
		j.reason = fmt.Sprintf("grew to %s and stopped", nodes(counts[n-1]))
	default:
		j.candidate, j.tested, j.weak, j.verdict = true, true, true, Inconclusive
		j.reason = fmt.Sprintf("grows steadily, by %s; without addresses that may be a cache", nodes(grown))
		j.leaked = int(grown)
		j.climb = climb{from: w.First, to: w.Last, nodes: grown}
	}
	return j
}

// thinned leaves out values evenly until there are at most most; it keeps the
// first and the last.
func thinned[T any](v []T, most int) []T {
	if len(v) <= most {
		return v
	}
	out := make([]T, most)
	for i := range out {
		out[i] = v[i*(len(v)-1)/(most-1)]
	}
	return out
}

// risingTail returns the probability that values in any order rise as much as
// these do (Mann and Kendall, with the variance corrected for ties).
func risingTail(v []float64) float64 {
	n := float64(len(v))
	score, ties := 0.0, map[float64]float64{}
	for i := range v {
		ties[v[i]]++
		for j := range i {
			switch {
			case v[i] > v[j]:
				score++
			case v[i] < v[j]:
				score--
			}
		}
	}
	variance := n * (n - 1) * (2*n + 5)
	for _, k := range ties {
		variance -= k * (k - 1) * (2*k + 5)
	}
	if variance <= 0 || score <= 0 {
		return 1
	}
	return normalTail(-(score - 1) / math.Sqrt(variance/18))
}
