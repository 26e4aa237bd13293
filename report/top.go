package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// growth writes the table of call sites and returns what has to be noted: a
// summary, then the gravest sites with their verdict, how many nodes they held
// over the listings, how fast they grow, who allocates, and why that is the
// verdict. Sites that grew and do not leak follow with their reason; what a
// baseline or suppressions tolerate stands apart; what did not grow is counted.
func (t *text) growth(g *leak.Growth) (notes []string) {
	if oneDump(g) {
		return t.dump(g)
	}
	if g.Conclusive() {
		notes = growthNotes(g)
	} else {
		for _, s := range tooFew(g) {
			t.paragraph(plain.Clean(sentence(s)), 0)
			t.WriteByte('\n')
		}
		notes = partialGrowth(g)
	}
	if len(g.Listings) < 2 || len(g.Pools) == 0 {
		return slices.Concat(t.groups(g), t.lost(g), notes)
	}
	v := newView(g)
	t.summary(v)
	t.sites(v)
	return slices.Concat(t.lost(g), notes)
}

// oneDump reports whether the only listing is a dump.
func oneDump(g *leak.Growth) bool { return len(g.Listings) == 1 && g.Unreferenced != nil }

// dump writes what a single dump shows and returns what has to be noted: what
// leaks, what nothing leads to, what the ages of nodes tell, and who has how many
// nodes.
func (t *text) dump(g *leak.Growth) (notes []string) {
	v := newView(g)
	t.paragraph(verdicts(v), 0)
	notes = t.lost(g)
	if g.Aged {
		t.sites(v)
	}
	t.WriteByte('\n')
	return slices.Concat(t.groups(g), notes, growthNotes(g))
}

// summary says in a few sentences what the listings show.
func (t *text) summary(v *view) {
	t.paragraph(verdicts(v), 0)
	first, last := v.Listings[0], v.Listings[len(v.Listings)-1]
	before, after := first, last
	if w := v.Pools[0]; w.First > 0 {
		before, after = v.Listings[w.First-1], v.Listings[w.Last-1]
	}
	where := fmt.Sprintf("%d listings from %s to %s", len(v.Listings), first[0].Source, last[0].Source)
	if file, line, ok := heap.SplitSource(first[0].Source); ok {
		if file2, line2, ok := heap.SplitSource(last[0].Source); ok && file == file2 {
			where = fmt.Sprintf("%d listings in %s, lines %d to %d", len(v.Listings), file, line, line2)
		}
	}
	t.paragraph(fmt.Sprintf("%s: %s at first, %d at last.", plain.Clean(where), plain.Plural(nodes(before), "node"), nodes(after)), 0)
	for _, w := range v.Pools {
		if w.Exhaustion > 0 {
			t.paragraph(plain.Clean(fmt.Sprintf("At this rate the %s that are free%s last %s.", size(float64(w.Free)), inPool(w.Pool), plain.Duration(w.Exhaustion))), 0)
		}
	}
}

// verdicts counts the call sites in a sentence, what is tolerated apart.
func verdicts(v *view) string {
	counts := map[leak.Verdict]int{}
	baseline, suppressed := 0, 0
	for i := range v.Sites {
		switch s := &v.Sites[i]; {
		case s.Suppressed != "":
			suppressed++
		case s.Baseline && leaks(s):
			baseline++
		default:
			counts[verdict(s)]++
		}
	}
	var head string
	var rest []string
	confirmed, suspect, unsure := counts[leak.Confirmed], counts[leak.Suspect], counts[leak.Inconclusive]
	switch {
	case confirmed > 0:
		head = plain.Plural(confirmed, "call site") + map[bool]string{true: " leaks", false: " leak"}[confirmed == 1]
		if total := v.total(); total != "" {
			head += " " + total
		}
		if suspect > 0 {
			head += fmt.Sprintf(", %d suspect", suspect)
		}
	case suspect > 0:
		head = fmt.Sprintf("No leak is confirmed, %s suspect", plain.Plural(suspect, "call site"))
	case unsure > 0:
		head = "No leak can be confirmed"
	case baseline+suppressed > 0:
		head = "No call site leaks that is not known"
	default:
		head = "No call site leaks"
	}
	for _, c := range []struct {
		n    int
		what string
	}{
		{unsure, "inconclusive"}, {counts[leak.Stable], "stable"}, {baseline, "known from the baseline"}, {suppressed, "suppressed"},
	} {
		if c.n > 0 {
			rest = append(rest, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(rest) > 0 {
		head += "; " + strings.Join(rest, ", ")
	}
	return head + "."
}

// screenLines is how many lines the table takes unless asked for more: with
// what stands around it, it fits into screenHeight.
const (
	screenLines  = 14
	screenHeight = 24
)

// taller is how many lines the screen has beyond the usual.
func (o Options) taller() int { return max(0, o.Height-screenHeight) }

// sites writes the table of call sites.
func (t *text) sites(v *view) {
	var own, tolerated []row
	flat, flatTolerated := 0, 0 // neither leak nor grew, and need not be shown
	for i := range v.Sites {
		r := row{site: &v.Sites[i], rank: i + 1}
		shown := leaks(r.site) || r.site.Growth > 0
		switch {
		case known(r.site) && shown:
			tolerated = append(tolerated, r)
		case known(r.site):
			flatTolerated++
		case shown || t.Top >= 0:
			own = append(own, r)
		default:
			flat++
		}
	}
	own, hidden := split(own, t.shown(len(own), screenful+t.taller()))
	tolerated, hiddenTolerated := split(tolerated, t.shown(len(tolerated), screenful+t.taller()))
	lay := t.layout(v, own, tolerated)
	room := screenLines + t.taller()
	if len(own) > 0 {
		t.WriteByte('\n')
		t.titles(lay)
		n := max(1, t.fitting(v, lay, own, room))
		for _, r := range own[:n] {
			room -= t.lines(v, lay, r)
			t.row(v, lay, r)
		}
		hidden = slices.Concat(own[n:], hidden)
	}
	n := t.fitting(v, lay, tolerated, max(0, room-3)) // a blank line, a title, what is not shown
	if len(tolerated) > 0 && n == 0 || len(tolerated)+len(hiddenTolerated) == 0 {
		t.rest(hidden, flat, len(tolerated)+len(hiddenTolerated)+flatTolerated)
		return
	}
	t.rest(hidden, flat, 0)
	t.WriteByte('\n')
	t.paragraph("Tolerated by the baseline or the suppressions:", 0)
	for _, r := range tolerated[:n] {
		t.row(v, lay, r)
	}
	t.rest(nil, 0, len(tolerated)-n+len(hiddenTolerated)+flatTolerated)
}

func split(rows []row, n int) (shown, hidden []row) { return rows[:n], rows[n:] }

// fitting returns how many rows fit into so many lines, where a screenful is
// wanted.
func (t *text) fitting(v *view, lay layout, rows []row, room int) int {
	for i, r := range rows {
		if room -= t.lines(v, lay, r); room < 0 {
			return i
		}
	}
	return len(rows)
}

// lines returns how many lines of a screen a row takes; 0 where that does not
// matter.
func (t *text) lines(v *view, lay layout, r row) int {
	if t.Top >= 0 || t.Verbose {
		return 0
	}
	var b strings.Builder
	one := newText(&b, t.Options)
	one.row(v, lay, r)
	one.Flush()
	return strings.Count(b.String(), "\n")
}

// rest counts what is not shown.
func (t *text) rest(hidden []row, flat, tolerated int) {
	leaking, grown := 0, 0
	for _, r := range hidden {
		switch {
		case leaks(r.site):
			leaking++
		case r.site.Growth > 0:
			grown++
		default:
			flat++
		}
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{leaking, "confirmed or suspect"}, {grown, "that grew"}, {flat, "that did not grow"}, {tolerated, "tolerated"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if len(parts) > 0 {
		t.paragraph("Call sites not shown: "+strings.Join(parts, ", ")+t.hint()+".", 0)
	}
}
