package shell

import (
	"fmt"
	"time"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
)

// defaultMark is the name of a mark without one.
const defaultMark = "mark"

func (c *call) mark() error {
	name := c.arg()
	if name == "" {
		name = defaultMark
	}
	if c.flags.has('d') {
		if !c.dropMark(c.pool, name) {
			return fmt.Errorf("there is no mark %q%s", name, suggest(name, c.markNames(), "marks lists them"))
		}
		return nil
	}
	snap, err := c.snapshot()
	if err != nil {
		return err
	}
	if err := c.setMark(mark{name, c.pool, snap}); err != nil {
		return err
	}
	c.printf("mark %q: %s in pool %s\n", name, plain.Plural(len(snap.Nodes), "used node"), plain.Clean(snap.Pool))
	if snap.Partial != "" {
		c.printf("partial: %s; memcheck tells more\n", snap.Partial)
	}
	return nil
}

func (c *call) listMarks() error {
	if c.pool == nil {
		return errNoPool
	}
	marks := c.marksOf(c.pool)
	if len(marks) == 0 {
		c.printf("no mark in pool %s\n", plain.Clean(c.pool.Name()))
		return nil
	}
	c.printf("%8s  %10s  name\n", "age", "used nodes")
	for _, m := range marks {
		c.printf("%8s  %10d  %s\n", plain.Duration(time.Since(m.snap.Time)), len(m.snap.Nodes), plain.Clean(m.name))
	}
	return nil
}

func (c *call) diff() error {
	top, err := c.flags.number('n', screenful)
	if err != nil {
		return err
	}
	if c.pool == nil {
		return errNoPool
	}
	from, err := c.findMark(c.arg())
	if err != nil {
		return err
	}
	snap, err := c.snapshot()
	if err != nil {
		return err
	}
	before := *from.snap
	before.Label, before.Source = fmt.Sprintf("mark %q", from.name), plain.Duration(snap.Time.Sub(before.Time))+" ago"
	snap.Label, snap.Source = "now", "pool "+snap.Pool
	before.Pool, snap.Pool = "", "" // one pool, named already

	d := leak.Compare(leak.Listing{&before}, leak.Listing{snap}, c.symbols())
	for i := range d.Changes {
		shorten(d.Changes[i].Frames)
	}
	return report.DiffText(c, d, c.symbolNotes(), c.options(top))
}

// findMark returns a mark of the pool by name, the newest one without.
func (c *call) findMark(name string) (mark, error) {
	marks := c.marksOf(c.pool)
	var known []string
	for _, m := range marks {
		if m.name == name {
			return m, nil
		}
		known = append(known, m.name)
	}
	switch {
	case len(marks) == 0:
		return mark{}, fmt.Errorf("nothing to compare with in pool %s: say mark now, let the program work, then diff", plain.Clean(c.pool.Name()))
	case name != "":
		return mark{}, fmt.Errorf("there is no mark %q%s", name, suggest(name, known, "marks lists them"))
	}
	return marks[len(marks)-1], nil
}
