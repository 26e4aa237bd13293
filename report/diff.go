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

// DiffText writes which nodes appeared and disappeared between two listings,
// by call site, with the change in bytes where the source tells sizes.
func DiffText(w io.Writer, d *leak.Diff, notes []string, o Options) error {
	t := newText(w, o)
	notes = append(diffNotes(d), notes...)
	if d.Partial() {
		t.paragraph("Not both listings are complete: the notes below say what that means.", 0)
		t.WriteByte('\n')
	}
	appeared, gone := fmt.Sprintf("%d appeared", d.New), fmt.Sprintf("%d disappeared", d.Gone)
	if d.Sized && d.New > 0 {
		appeared += fmt.Sprintf(" (%d bytes)", d.NewBytes)
	}
	if d.Sized && d.Gone > 0 {
		gone += fmt.Sprintf(" (%d bytes)", d.GoneBytes)
	}
	t.paragraph(plain.Clean(fmt.Sprintf("From %s to %s: %s, %s, %d stayed.", side(d.From), side(d.To), appeared, gone, d.Kept)), 0)
	n := o.shown(len(d.Changes), screenful)
	sized := slices.ContainsFunc(d.Changes[:n], func(c leak.Change) bool { return c.Sized })
	tab := table{titles: []string{"change", "new", "gone", "stayed"}}
	if sized {
		tab.titles = []string{"change", "bytes", "new", "gone", "stayed"}
	}
	for i := range d.Changes[:n] {
		c := &d.Changes[i]
		change := len(c.New) - len(c.Gone)
		cells := []string{signed(int64(change))}
		if sized {
			cell := "?"
			if c.Sized {
				cell = signed(int64(c.NewBytes - c.GoneBytes))
			}
			cells = append(cells, cell)
		}
		tab.rows = append(tab.rows, tableRow{
			cells: append(cells, strconv.Itoa(len(c.New)), strconv.Itoa(len(c.Gone)), strconv.Itoa(c.Kept)),
			color: signColor(change),
			chain: chainOf(c.Pool, c.Frames), frames: c.Frames,
		})
	}
	if n > 0 {
		t.WriteByte('\n')
		t.table(tab)
	}
	if rest := len(d.Changes) - n; rest > 0 {
		t.printf("%s not shown%s\n", plain.Plural(rest, "changed call site"), o.hint())
	}
	t.notes(notes)
	return t.Flush()
}

func side(l []leak.Info) string {
	if len(l) == 0 {
		return "nothing"
	}
	return origin(l[0], plain.Plural(nodes(l), "node"))
}

// origin names a snapshot by its label, else by its time, else by its source,
// with what else is known of it in parentheses.
func origin(in leak.Info, more string) string {
	name, rest := in.Label, []string{in.Source, more}
	switch {
	case name != "":
	case !in.Time.IsZero():
		name = in.Time.Format("15:04:05")
	case in.Source != "":
		name, rest = in.Source, []string{more}
	default:
		name = "unnamed"
	}
	rest = slices.DeleteFunc(rest, func(s string) bool { return s == "" })
	if len(rest) == 0 {
		return name
	}
	return name + " (" + strings.Join(rest, ", ") + ")"
}

func diffNotes(d *leak.Diff) []string {
	notes := append(partialNotes(d.From), partialNotes(d.To)...)
	if d.Unknown > 0 {
		notes = append(notes, fmt.Sprintf("%s behind the end of a partial listing: whether they appeared or disappeared cannot be told", plain.Plural(d.Unknown, "node")))
	}
	return notes
}
