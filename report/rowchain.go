package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// chainText is how the call chain of a row is written: the function, its callers
// beside it if they fit there, else below.
type chainText struct {
	head   string
	fresh  bool // head begins a line of its own
	beside string
	lines  []string
	more   int // levels left out at the end
}

// column is where a row's function begins.
func (lay layout) column() int {
	column := 0
	for _, w := range lay.widths {
		if w > 0 {
			column += w + 2
		}
	}
	return column
}

func (t *text) chainText(lay layout, r row, short bool) chainText {
	frames, wrappers := interesting(r.site)
	if short {
		frames = withoutDirectories(frames)
	}
	chain := chainOf(r.site.Pool, frames)
	c := chainText{head: chain[0]}
	column, below := lay.column(), lay.below()
	if c.fresh = t.Width > 0 && column+utf8.RuneCountInString(c.head) > t.Width; c.fresh {
		column = below
	}
	callers := t.callers(chain[1:], wrappers)
	beside := strings.Join(append([]string{""}, callers...), " ")
	if t.Width <= 0 || column+utf8.RuneCountInString(c.head+beside) <= t.Width {
		c.beside = beside
		return c
	}
	most := 2
	if r.quiet() && t.Top < 0 {
		most = 1 // verbose shows them
	}
	c.lines, c.more = fold(callers, t.Width-below, most)
	// The level that tells this row from another comes first where it would be
	// left out.
	if i := min(lay.told[r.site], len(callers)) - 1; i > 0 && i >= len(callers)-c.more {
		rest := slices.Clone(callers[i:])
		rest[0] = "<- ... " + rest[0]
		c.lines, c.more = fold(rest, t.Width-below, most)
		c.more += i
	}
	return c
}

// withoutDirectories returns frames whose files have no directories.
func withoutDirectories(frames []heap.Frame) []heap.Frame {
	frames = slices.Clone(frames)
	for i := range frames {
		if at := strings.LastIndexAny(frames[i].File, `/\`); at >= 0 {
			frames[i].File = frames[i].File[at+1:]
		}
	}
	return frames
}

// tellApart returns for each row at which level of its chain, from 0, it is first
// told from all the others.
func tellApart(rows []row) map[*leak.Site]int {
	type named struct {
		site   *leak.Site
		levels []string
	}
	all := make([]named, len(rows))
	for i, r := range rows {
		frames, _ := interesting(r.site)
		all[i] = named{r.site, chainOf(r.site.Pool, frames)}
	}
	slices.SortFunc(all, func(a, b named) int { return slices.Compare(a.levels, b.levels) })
	told := make(map[*leak.Site]int, len(all))
	for i := 1; i < len(all); i++ {
		// Only neighbours in order can have as much in common.
		n := common(all[i-1].levels, all[i].levels)
		told[all[i-1].site] = max(told[all[i-1].site], n)
		told[all[i].site] = n
	}
	return told
}

// common returns how many levels two chains begin with have in common.
func common(a, b []string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// callers names the callers of a function, and the wrappers through which it
// allocates.
func (t *text) callers(chain []string, wrappers []heap.Frame) []string {
	var all []string
	for _, c := range chain {
		all = append(all, "<- "+c)
	}
	through := ""
	for i := len(wrappers) - 1; i >= 0; i-- {
		if through += ", " + function(wrappers[i]); len(through) > 60 && i > 0 {
			through += ", ..."
			break
		}
	}
	if through != "" {
		all = append(all, "(through "+through[2:]+")")
	}
	return all
}

// fold breaks items into so many lines at most, which say how many items are
// left out then.
func fold(items []string, width, most int) (lines []string, more int) {
	for len(items) > 0 && len(lines) < most {
		line := items[0]
		for items = items[1:]; len(items) > 0; items = items[1:] {
			n := utf8.RuneCountInString(line) + 1 + utf8.RuneCountInString(items[0])
			if len(lines) == most-1 && len(items) > 1 {
				n += len(" (99 more)")
			}
			if n > width {
				break
			}
			line += " " + items[0]
		}
		lines = append(lines, line)
	}
	if len(items) > 0 && most > 0 {
		lines[most-1] += fmt.Sprintf(" (%d more)", len(items))
	}
	return lines, len(items)
}
