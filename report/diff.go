package report

import (
	"fmt"
	"io"
	"strconv"

	"github.com/heapwright/heapwright/leak"
)

// DiffText writes which nodes appeared and disappeared between two listings,
// by call site.
func DiffText(w io.Writer, d *leak.Diff, notes []string, o Options) error {
	t := newText(w, o)
	t.paragraph(clean(fmt.Sprintf("From %s to %s: %d appeared, %d disappeared, %d stayed.", side(d.From), side(d.To), d.New, d.Gone, d.Kept)), 0)
	n := o.shown(len(d.Changes), screenful)
	tab := table{titles: []string{"change", "new", "gone", "stayed"}}
	for i := range d.Changes[:n] {
		c := &d.Changes[i]
		change := len(c.New) - len(c.Gone)
		tab.rows = append(tab.rows, tableRow{
			cells: []string{signed(change), strconv.Itoa(len(c.New)), strconv.Itoa(len(c.Gone)), strconv.Itoa(c.Kept)},
			color: signColor(change),
			chain: chainOf(c.Pool, c.Frames),
		})
	}
	if n > 0 {
		t.WriteByte('\n')
		t.table(tab)
	}
	if rest := len(d.Changes) - n; rest > 0 {
		t.printf("%s not shown%s\n", plural(rest, "changed call site"), o.hint())
	}
	t.notes(append(diffNotes(d), notes...))
	return t.Flush()
}

func side(l []leak.Info) string {
	if len(l) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%s (%s, %s)", l[0].Label, l[0].Source, plural(nodes(l), "node"))
}

func diffNotes(d *leak.Diff) []string {
	notes := append(partialNotes(d.From), partialNotes(d.To)...)
	if d.Unknown > 0 {
		notes = append(notes, fmt.Sprintf("%s behind the end of a partial listing: whether they appeared or disappeared cannot be told", plural(d.Unknown, "node")))
	}
	return notes
}
