package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// A row is a call site in the table, with its rank among all.
type row struct {
	site *leak.Site
	rank int
}

// quiet reports whether the row is shown although there is nothing to act on.
func (r row) quiet() bool { return r.site.Verdict == leak.Stable || known(r.site) }

// layout is how wide the columns in front of the function are, and how call
// chains are written behind them.
type layout struct {
	widths [5]int
	nodes  [2]int // digits of the first and the last count
	short  bool   // files go without their directories
	// told holds for each site at which level its chain is first told from all
	// others in the table; the levels up to there are shown.
	told map[*leak.Site]int
}

var columnTitles = [...]string{"#", "verdict", "trend", "nodes", "rate"}

// leftAligned are the columns that are not right-aligned.
var leftAligned = [...]bool{false, true, true, false, false}

func (t *text) layout(v *view, groups ...[]row) layout {
	var lay layout
	for _, rows := range groups {
		for _, r := range rows {
			first, last := v.ends(r.site)
			lay.nodes[0] = max(lay.nodes[0], len(strconv.Itoa(first.Nodes)))
			lay.nodes[1] = max(lay.nodes[1], len(strconv.Itoa(last.Nodes)))
		}
	}
	for i, title := range columnTitles {
		lay.widths[i] = len(title)
	}
	rated := false
	for _, rows := range groups {
		for _, r := range rows {
			rate := v.rate(r.site)
			rated = rated || rate != ""
			lay.widths[0] = max(lay.widths[0], len(strconv.Itoa(r.rank)))
			lay.widths[1] = max(lay.widths[1], len(verdict(r.site)))
			lay.widths[4] = max(lay.widths[4], len(rate))
		}
	}
	lay.widths[2] = max(lay.widths[2], min(maxSparks, len(v.Listings)))
	lay.widths[3] = max(lay.widths[3], lay.nodes[0]+utf8.RuneCountInString(t.arrow())+lay.nodes[1])
	if !rated {
		lay.widths[4] = 0 // no column
	}
	lay.told = tellApart(slices.Concat(groups...))
	lay.short = t.Width > 0 && slices.ContainsFunc(slices.Concat(groups...), func(r row) bool { return t.chainText(lay, r, false).more > 0 })
	return lay
}

// below is the column in which the lines below a row begin.
func (lay layout) below() int { return lay.widths[0] + 4 }

func (t *text) arrow() string {
	if t.ASCII {
		return "->"
	}
	return "→"
}

// pad fills a cell.
func (lay layout) pad(column int, s string) string {
	fill := strings.Repeat(" ", max(0, lay.widths[column]-utf8.RuneCountInString(s)))
	if leftAligned[column] {
		return s + fill
	}
	return fill + s
}

func (t *text) titles(lay layout) {
	for i, title := range columnTitles {
		if lay.widths[i] > 0 {
			t.WriteString(t.paint(bold, lay.pad(i, title)) + "  ")
		}
	}
	t.WriteString(t.paint(bold, "allocated by") + "\n")
}

// verdictColor is how a verdict stands out.
func verdictColor(v leak.Verdict) string {
	switch v {
	case leak.Confirmed:
		return bold + red
	case leak.Suspect:
		return yellow
	}
	return ""
}

// row writes a call site: a line of numbers with the function, its callers, and
// the reason for the verdict.
func (t *text) row(v *view, lay layout, r row) {
	s := r.site
	first, last := v.ends(s)
	cells := [...]string{
		strconv.Itoa(r.rank),
		string(verdict(s)),
		t.sparkline(v, s),
		fmt.Sprintf("%*d%s%*d", lay.nodes[0], first.Nodes, t.arrow(), lay.nodes[1], last.Nodes),
		v.rate(s),
	}
	quiet := r.quiet()
	color := func(c string) string {
		if quiet {
			return faint
		}
		return c
	}
	line := ""
	for i, cell := range cells {
		if lay.widths[i] == 0 {
			continue
		}
		c := color("")
		if i == 1 {
			c = color(verdictColor(verdict(s)))
		}
		line += "  " + t.paint(c, lay.pad(i, cell))
	}
	below := lay.below()
	t.WriteString(line[2:])
	c := t.chainText(lay, r, lay.short)
	if c.fresh {
		t.printf("\n%*s", below, "")
	} else {
		t.WriteString("  ")
	}
	t.WriteString(t.paint(color(bold), c.head))
	if t.Verbose {
		t.WriteByte('\n')
		t.details(v, s, below)
		return
	}
	t.WriteString(t.paint(color(""), c.beside) + "\n")
	for _, line := range c.lines {
		t.printf("%*s%s\n", below, "", t.paint(color(""), line))
	}
	t.reason(s, below)
}

// reason writes why the verdict is what it is, and who tolerates the site.
func (t *text) reason(s *leak.Site, indent int) {
	color := ""
	if s.Verdict == leak.Stable || known(s) {
		color = faint
	}
	say := func(what string) {
		if what != "" {
			t.printf("%*s%s\n", indent, "", t.paint(color, t.fill(indent, plain.Clean(what), indent)))
		}
	}
	if !known(s) || t.Verbose || t.Top >= 0 {
		say(s.Reason)
	}
	if !known(s) || t.Verbose {
		t.held(s, indent)
	}
	if s.Suppressed != "" {
		say("suppressed by " + s.Suppressed)
	} else if s.Baseline {
		say("known from the baseline")
	}
}

// details writes all that is known about a site below its line.
func (t *text) details(v *view, s *leak.Site, below int) {
	t.reason(s, below)
	if len(s.Frames) > 0 {
		t.printf("%*s", below, "")
		t.frames(below, s.Frames, len(s.Frames))
	}
	t.counts(v, s, "nodes", below, func(c *leak.Count) string { return strconv.Itoa(c.Nodes) })
	if s.Sized {
		t.counts(v, s, "bytes", below, func(c *leak.Count) string { return strconv.FormatUint(c.Bytes, 10) })
	}
}

// maxCounts bounds how many listings are shown as numbers.
const maxCounts = 40

// counts writes what a site holds in each listing; partial listings are marked.
func (t *text) counts(v *view, s *leak.Site, name string, indent int, format func(*leak.Count) string) {
	var all []string
	v.each(s, func(l listed, c *leak.Count) {
		switch {
		case l.unknown: // a note says so
		case c == nil:
			all = append(all, "-")
		case l.partial:
			all = append(all, format(c)+"*")
		default:
			all = append(all, format(c))
		}
	})
	words := []string{name}
	for _, i := range thin(len(all), maxCounts) {
		words = append(words, all[i])
	}
	if len(all) > maxCounts {
		words = append(words, fmt.Sprintf("(%d of %d listings)", maxCounts, len(v.Listings)))
	}
	t.printf("%*s", indent, "")
	t.paragraphAt(indent, strings.Join(words, " "), indent+len(name)+1)
}
