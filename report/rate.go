package report

import (
	"fmt"
	"math"
	"strconv"

	"github.com/heapwright/heapwright/leak"
)

// rate says how fast a leak grows: in bytes an hour if that is known, else in
// nodes an hour, else in bytes or nodes from listing to listing. It is empty for
// what does not leak.
func (v *view) rate(s *leak.Site) string {
	if !leaks(s) {
		return ""
	}
	// Growth is that of the site's own run, which need not be its pool's window.
	listings := float64(max(1, s.To-s.From))
	switch {
	case s.BytesPerHour > 0:
		return size(s.BytesPerHour) + "/h"
	case s.NodesPerHour > 0:
		return number(s.NodesPerHour) + " nodes/h"
	case s.Sized && s.GrowthBytes > 0:
		return size(float64(s.GrowthBytes)/listings) + "/listing"
	case s.Growth > 0:
		return number(float64(s.Growth)/listings) + "/listing"
	}
	return ""
}

// total says how fast all confirmed leaks grow that nobody tolerates, where that
// is known of each.
func (v *view) total() string {
	var bytes, nodes float64
	sized, timed := true, true
	for i := range v.Sites {
		if s := &v.Sites[i]; s.Verdict == leak.Confirmed && !known(s) {
			bytes += s.BytesPerHour
			nodes += s.NodesPerHour
			sized = sized && s.BytesPerHour > 0
			timed = timed && s.NodesPerHour > 0
		}
	}
	switch {
	case bytes > 0 && sized:
		return size(bytes) + " an hour"
	case nodes > 0 && timed:
		return number(nodes) + " nodes an hour"
	}
	return ""
}

// number formats a quantity for people: one decimal below 10, millions as such,
// and two digits of what is small.
func number(n float64) string {
	switch {
	case n > 0 && n < .095:
		return strconv.FormatFloat(n, 'f', min(6, 1-int(math.Floor(math.Log10(n)))), 64)
	case n < 9.95:
		return strconv.FormatFloat(n, 'f', 1, 64)
	case n < 999_999.5:
		return strconv.FormatFloat(n, 'f', 0, 64)
	}
	return strconv.FormatFloat(n/1e6, 'f', 1, 64) + "M"
}

// size formats bytes for people.
func size(bytes float64) string {
	const units = "KMGTPE"
	if bytes < 1023.5 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	i := 0
	for bytes /= 1024; bytes >= 1023.95 && i < len(units)-1; bytes /= 1024 {
		i++
	}
	return fmt.Sprintf("%.1f %ciB", bytes, units[i])
}
