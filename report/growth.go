package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

func nodes(l []leak.Info) int {
	n := 0
	for _, in := range l {
		n += in.Nodes
	}
	return n
}

func isPartial(l []leak.Info) bool {
	return slices.ContainsFunc(l, func(in leak.Info) bool { return in.Partial != "" })
}

// growthNotes says what limits the answer that g gives: too few listings,
// partial ones, and which were compared where that is not the first and last.
func growthNotes(g *leak.Growth) []string { return append(partialGrowth(g), tooFew(g)...) }

// mostNotes is how many listings or pools are named in notes of one kind.
const mostNotes = 20

// partialGrowth says which listings are partial, which were compared where that
// is not the first and last, and what g itself has to note.
func partialGrowth(g *leak.Growth) []string {
	var notes []string
	partial := 0
	conclusive := map[string]bool{}
	for _, w := range g.Pools {
		conclusive[w.Pool] = w.Conclusive()
	}
	for i, l := range g.Listings {
		for _, in := range l {
			if in.Partial == "" {
				continue
			}
			if partial++; partial > mostNotes {
				continue
			}
			s := fmt.Sprintf("listing %d%s is partial (%s): %s", i+1+g.Skipped, inPool(in.Pool), in.Source, in.Partial)
			if conclusive[in.Pool] && !in.Votes() {
				s += "; it is not compared"
			}
			notes = append(notes, s)
		}
	}
	if partial > mostNotes {
		notes = append(notes, plain.Plural(partial-mostNotes, "more partial listing"))
	}
	inner := 0
	for _, w := range g.Pools {
		if !w.Conclusive() || w.First == 1 && w.Last == len(g.Listings) {
			continue
		}
		if inner++; inner <= mostNotes {
			notes = append(notes, fmt.Sprintf("growth%s is from listing %d to listing %d", inPool(w.Pool), w.First+g.Skipped, w.Last+g.Skipped))
		}
	}
	if inner > mostNotes {
		notes = append(notes, fmt.Sprintf("so it is, between other listings, in %s", plain.Plural(inner-mostNotes, "more pool")))
	}
	return append(append(notes, g.Notes...), fewListings(g)...)
}

// enough is how many complete listings it takes to tell a cache that fills at
// the usual pace from a leak.
const enough = 6

// fewListings says how little a confirmed leak rests on.
func fewListings(g *leak.Growth) []string {
	complete := make(map[string]int, len(g.Pools))
	for _, w := range g.Pools {
		complete[w.Pool] = w.Complete
	}
	for i := range g.Sites {
		s := &g.Sites[i]
		if n := complete[s.Pool]; s.Verdict == leak.Confirmed && s.Lost == nil && n < enough {
			return []string{fmt.Sprintf("%s%s: a cache that is still filling can look like a leak in so few; ten tell more", plain.Plural(n, "complete listing"), inPool(s.Pool))}
		}
	}
	return nil
}

// tooFew says where there are not two complete listings.
func tooFew(g *leak.Growth) []string {
	var notes []string
	few := 0
	for _, w := range g.Pools {
		if w.Shown < 2 || w.Conclusive() {
			continue
		}
		if few++; few <= mostNotes {
			notes = append(notes, fmt.Sprintf("there are not two complete listings%s: growth is from listing %d to listing %d, and what a partial one lacks passes for freed or new; let the device print another one to its end", inPool(w.Pool), w.First+g.Skipped, w.Last+g.Skipped))
		}
	}
	if few > mostNotes {
		notes = append(notes, fmt.Sprintf("nor are there in %s", plain.Plural(few-mostNotes, "more pool")))
	}
	const again = "let the device run, dump its memory again, and give the dumps in the order in which they were taken: heapwright leaks EARLIER_DUMP LATER_DUMP"
	switch {
	case oneDump(g) && g.Aged:
		notes = append(notes, "of one dump, growth is judged by the ages of the nodes that are there; to see what grows, "+again)
	case oneDump(g):
		notes = append(notes, "one dump shows no growth: "+again)
	case len(g.Listings) == 1:
		notes = append(notes, "one listing cannot show growth: let the device run, print another, and give the log of both, or both logs in order")
	}
	return notes
}

// sentence makes a sentence of a clause.
func sentence(clause string) string {
	first, n := utf8.DecodeRuneInString(clause)
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(clause[n:], ".") + "."
}

func inPool(pool string) string {
	if pool == "" {
		return ""
	}
	return " of " + pool
}

// GroupsText writes the call sites of one listing: how many nodes each holds
// now, and bytes where the source tells sizes.
func GroupsText(w io.Writer, g *leak.Growth, notes []string, o Options) error {
	t := newText(w, o)
	t.notes(slices.Concat(t.groups(g), listingNotes(g), notes))
	return t.Flush()
}

// groups writes the table of one listing and returns what has to be noted.
func (t *text) groups(g *leak.Growth) (notes []string) {
	if len(g.Listings) == 0 || len(g.Listings[0]) == 0 {
		return []string{"there is no listing"}
	}
	g = byNodes(g)
	l := g.Listings[len(g.Listings)-1]
	total := nodes(l)
	t.paragraph(plain.Clean(fmt.Sprintf("%s: %s at %s.", origin(l[0], ""), plain.Plural(total, "node"), plain.Plural(len(g.Sites), "call site"))), 0)
	n := t.shown(len(g.Sites), screenful)
	if n > 0 {
		t.WriteByte('\n')
		t.table(groupsTable(g, g.Sites[:n], total))
	}
	if rest := len(g.Sites) - n; rest > 0 {
		t.printf("%s not shown%s\n", plain.Plural(rest, "call site"), t.hint())
	}
	return nil
}

// byNodes returns g with its call sites in the order of the nodes they hold in
// the last listing, the most first: where nothing is compared, nothing else
// counts.
func byNodes(g *leak.Growth) *leak.Growth {
	sorted := *g
	sorted.Sites = slices.Clone(g.Sites)
	last := len(g.Listings)
	slices.SortStableFunc(sorted.Sites, func(a, b leak.Site) int { return cmp.Compare(b.At(last).Nodes, a.At(last).Nodes) })
	return &sorted
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
			chain: chainOf(sites[i].Pool, sites[i].Frames), frames: sites[i].Frames,
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
