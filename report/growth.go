package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// maxColumns is how many listings text shows side by side at most.
const maxColumns = 10

// GrowthText writes the table of call sites and their nodes per listing.
// Listings marked with * are partial. With many listings only some are shown,
// always with the compared ones. A single listing is written as GroupsText
// does it.
func GrowthText(w io.Writer, g *leak.Growth, notes []string, o Options) error {
	t := newText(w, o)
	if g.Conclusive() {
		notes = append(GrowthNotes(g), notes...)
	} else {
		for _, s := range tooFew(g) {
			t.paragraph(plain.Clean(sentence(s)), 0)
			t.WriteByte('\n')
		}
		notes = append(partialGrowth(g), notes...)
	}
	if len(g.Listings) < 2 || len(g.Pools) == 0 {
		return t.groups(g, notes)
	}
	grown := 0
	for grown < len(g.Sites) && g.Sites[grown].Growth > 0 {
		grown++
	}
	first, last := g.Listings[0], g.Listings[len(g.Listings)-1]
	before, after := first, last
	if w := g.Pools[0]; w.First > 0 {
		before, after = g.Listings[w.First-1], g.Listings[w.Last-1]
	}
	where := fmt.Sprintf("%d listings from %s to %s", len(g.Listings), first[0].Source, last[0].Source)
	if file, line, ok := splitSource(first[0].Source); ok {
		if file2, line2, ok := splitSource(last[0].Source); ok && file == file2 {
			where = fmt.Sprintf("%d listings in %s, lines %s to %s", len(g.Listings), file, line, line2)
		}
	}
	t.paragraph(fmt.Sprintf("%s: %s at first, %d at last; %d of %s grew.",
		plain.Clean(where), plain.Plural(nodes(before), "node"), nodes(after), grown, plain.Plural(len(g.Sites), "call site")), 0)

	n := grown
	if o.Top >= 0 {
		n = len(g.Sites)
	}
	n = min(n, o.shown(len(g.Sites), screenful))
	if n > 0 {
		t.WriteByte('\n')
		columns := pick(g, growthColumns(g, g.Sites[:n], o.Width))
		t.table(growthTable(g, g.Sites[:n], columns))
		if len(columns) < len(g.Listings) {
			t.printf("%d of %d listings shown; json has all\n", len(columns), len(g.Listings))
		}
	}
	switch rest := len(g.Sites) - n; {
	case n < grown:
		t.printf("%s grew, %d did not%s\n", plain.Plural(grown-n, "more call site"), len(g.Sites)-grown, o.hint())
	case rest > 0 && n == 0:
		t.printf("%s did not grow%s\n", plain.Plural(rest, "call site"), o.hint())
	case rest > 0:
		t.printf("%s did not grow%s\n", plain.Plural(rest, "more call site"), o.hint())
	}
	if n > 0 && grown > 0 && g.Conclusive() {
		t.WriteByte('\n')
		t.paragraph("Growth alone is not a leak: a cache grows too, then stops. Look for rows that never level off.", 0)
	}
	t.notes(notes)
	return t.Flush()
}

// splitSource splits "file:line".
func splitSource(s string) (file, line string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", false
	}
	_, err := strconv.Atoi(s[i+1:])
	return s[:i], s[i+1:], err == nil
}

func nodes(l []leak.Info) int {
	n := 0
	for _, in := range l {
		n += in.Nodes
	}
	return n
}

// growthColumns returns how many listings fit side by side into width.
func growthColumns(g *leak.Growth, sites []leak.Site, width int) int {
	if width <= 0 {
		return maxColumns
	}
	used := len("growth  ")
	digits := len(strconv.Itoa(len(g.Listings) + g.Skipped))
	for i := range sites {
		if sites[i].Sized {
			used = len("growth  +123456789  ")
		}
		for _, c := range sites[i].Counts {
			digits = max(digits, len(strconv.Itoa(c.Nodes)))
		}
	}
	return max(2, min(maxColumns, (width-used-minChain)/(digits+2)))
}

func growthTable(g *leak.Growth, sites []leak.Site, columns []int) table {
	sized := slices.ContainsFunc(sites, func(s leak.Site) bool { return s.Sized })
	titles := []string{"growth"}
	if sized {
		titles = append(titles, "bytes")
	}
	for _, i := range columns {
		title := strconv.Itoa(i + g.Skipped)
		if isPartial(g.Listings[i-1]) {
			title += "*"
		}
		titles = append(titles, title)
	}
	tab := table{titles: titles}
	for i := range sites {
		s := &sites[i]
		r := tableRow{cells: []string{signed(int64(s.Growth))}, color: signColor(s.Growth), chain: chainOf(s.Pool, s.Frames)}
		if sized {
			cell := "?"
			if s.Sized {
				cell = signed(s.GrowthBytes)
			}
			r.cells = append(r.cells, cell)
		}
		for _, number := range columns {
			cell := "-"
			if g.Has(number, s.Pool) {
				cell = strconv.Itoa(s.At(number).Nodes)
			}
			r.cells = append(r.cells, cell)
		}
		tab.rows = append(tab.rows, r)
	}
	return tab
}

func isPartial(l []leak.Info) bool {
	return slices.ContainsFunc(l, func(in leak.Info) bool { return in.Partial != "" })
}

// pick chooses at most n listings to show, in order: the compared ones of each
// pool as far as there is room, and others evenly between.
func pick(g *leak.Growth, n int) []int {
	all := len(g.Listings)
	if all <= n {
		n = all
	}
	var columns []int
	add := func(i int) {
		if i > 0 && len(columns) < n && !slices.Contains(columns, i) {
			columns = append(columns, i)
		}
	}
	for _, w := range g.Pools {
		add(w.First)
		add(w.Last)
	}
	for i := range n {
		add(1 + i*(all-1)/max(1, n-1))
	}
	for i := 1; i <= all && len(columns) < n; i++ {
		add(i)
	}
	slices.Sort(columns)
	return columns
}

// GrowthNotes says what limits the answer that g gives: too few listings,
// partial ones, and which were compared where that is not the first and last.
func GrowthNotes(g *leak.Growth) []string { return append(partialGrowth(g), tooFew(g)...) }

// partialGrowth says which listings are partial, and which were compared where
// that is not the first and last.
func partialGrowth(g *leak.Growth) []string {
	var notes []string
	const most = 20
	partial := 0
	for i, l := range g.Listings {
		for _, in := range l {
			if in.Partial == "" {
				continue
			}
			if partial++; partial > most {
				continue
			}
			s := fmt.Sprintf("listing %d%s is partial (%s): %s", i+1+g.Skipped, inPool(in.Pool), in.Source, in.Partial)
			if g.Pool(in.Pool).Conclusive() {
				s += "; it is not compared"
			}
			notes = append(notes, s)
		}
	}
	if partial > most {
		notes = append(notes, plain.Plural(partial-most, "more partial listing"))
	}
	for _, w := range g.Pools {
		if w.Conclusive() && (w.First != 1 || w.Last != len(g.Listings)) {
			notes = append(notes, fmt.Sprintf("growth%s is from listing %d to listing %d", inPool(w.Pool), w.First+g.Skipped, w.Last+g.Skipped))
		}
	}
	return notes
}

// tooFew says where there are not two complete listings.
func tooFew(g *leak.Growth) []string {
	var notes []string
	for _, w := range g.Pools {
		if w.Shown >= 2 && !w.Conclusive() {
			notes = append(notes, fmt.Sprintf("there are not two complete listings%s: growth is from listing %d to listing %d, and what a partial one lacks passes for freed or new; let the device print another one to its end", inPool(w.Pool), w.First+g.Skipped, w.Last+g.Skipped))
		}
	}
	if len(g.Listings) == 1 {
		notes = append(notes, "one listing cannot show growth: let the device run, print another, and give the log of both, or both logs in order")
	}
	return notes
}

// sentence makes a sentence of a note.
func sentence(note string) string { return strings.ToUpper(note[:1]) + note[1:] + "." }

func inPool(pool string) string {
	if pool == "" {
		return ""
	}
	return " of " + pool
}

// GroupsText writes the call sites of one listing: how many nodes each holds
// now, and bytes where the source tells sizes.
func GroupsText(w io.Writer, g *leak.Growth, notes []string, o Options) error {
	return newText(w, o).groups(g, append(listingNotes(g), notes...))
}

func (t *text) groups(g *leak.Growth, notes []string) error {
	o := t.Options
	if len(g.Listings) == 0 || len(g.Listings[0]) == 0 {
		t.notes(append([]string{"there is no listing"}, notes...))
		return t.Flush()
	}
	l := g.Listings[len(g.Listings)-1]
	total := nodes(l)
	t.paragraph(plain.Clean(fmt.Sprintf("%s: %s at %s.", origin(l[0], ""), plain.Plural(total, "node"), plain.Plural(len(g.Sites), "call site"))), 0)
	n := o.shown(len(g.Sites), screenful)
	if n > 0 {
		t.WriteByte('\n')
		t.table(groupsTable(g, g.Sites[:n], total))
	}
	if rest := len(g.Sites) - n; rest > 0 {
		t.printf("%s not shown%s\n", plain.Plural(rest, "call site"), o.hint())
	}
	t.notes(notes)
	return t.Flush()
}

func groupsTable(g *leak.Growth, sites []leak.Site, total int) table {
	number := len(g.Listings)
	sized := slices.ContainsFunc(sites, func(s leak.Site) bool { return s.Sized })
	tab := table{titles: []string{"nodes", "%"}}
	if sized {
		tab.titles = append(tab.titles, "bytes")
	}
	for i := range sites {
		c := sites[i].At(number)
		r := tableRow{
			cells: []string{strconv.Itoa(c.Nodes), fmt.Sprintf("%.1f", 100*float64(c.Nodes)/float64(max(1, total)))},
			chain: chainOf(sites[i].Pool, sites[i].Frames),
		}
		if sized {
			cell := "?"
			if sites[i].Sized {
				cell = strconv.FormatUint(c.Bytes, 10)
			}
			r.cells = append(r.cells, cell)
		}
		tab.rows = append(tab.rows, r)
	}
	return tab
}

// listingNotes says what the only listing of g lacks.
func listingNotes(g *leak.Growth) []string {
	var notes []string
	for _, l := range g.Listings {
		notes = append(notes, partialNotes(l)...)
	}
	return notes
}

func partialNotes(l []leak.Info) []string {
	var notes []string
	for _, in := range l {
		if in.Partial != "" {
			notes = append(notes, fmt.Sprintf("%s%s is partial (%s): %s", in.Label, inPool(in.Pool), in.Source, in.Partial))
		}
	}
	return notes
}
