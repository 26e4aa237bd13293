package report

import (
	"strings"

	"github.com/heapwright/heapwright/leak"
)

// maxSparks bounds the width of a sparkline; longer series are thinned.
const maxSparks = 20

var (
	blocks = []rune("▁▂▃▄▅▆▇█")
	ascii  = []rune("_.:-=+*#")
)

// sparkline draws the nodes of a site over the listings, a character each,
// between nothing and the most that it holds in one of them. Listings that are
// not compared, because they are partial or lack the pool, are a dot; those
// whose counts are unknown look like the one before.
func (t *text) sparkline(v *view, s *leak.Site) string {
	levels, gap := blocks, '·'
	if t.ASCII {
		levels, gap = ascii, ' '
	}
	compared := v.windows[s.Pool].Conclusive()
	most := 0
	var counts []int
	v.each(s, func(l listed, c *leak.Count) {
		if l.unknown && len(counts) > 0 {
			counts = append(counts, counts[len(counts)-1])
			return
		}
		if c == nil || compared && l.partial {
			counts = append(counts, -1)
			return
		}
		counts = append(counts, c.Nodes)
		most = max(most, c.Nodes)
	})
	var b strings.Builder
	for _, i := range thin(len(counts), maxSparks) {
		if n := counts[i]; n < 0 {
			b.WriteRune(gap)
		} else {
			b.WriteRune(levels[int(float64(n)/float64(max(1, most))*float64(len(levels)-1)+0.5)])
		}
	}
	return b.String()
}

// thin returns at most so many of the indices below n, evenly, with the first
// and the last.
func thin(n, most int) []int {
	k := min(n, most)
	all := make([]int, k)
	for i := range all {
		if all[i] = i; k < n {
			all[i] = i * (n - 1) / (k - 1)
		}
	}
	return all
}
