package shell

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/report"
	"github.com/heapwright/heapwright/symbol"
)

// digits is how many of an address LiteOS prints.
const digits = 2 * strconv.IntSize / 8

// screenful is how many call stacks are shown unless asked for more.
const screenful = 15

func (c *call) memused() error {
	if c.flags.has('g') && c.flags.has('v') {
		return fmt.Errorf("-g and -v exclude each other")
	}
	otherwise := 0
	if c.flags.has('g') {
		otherwise = screenful
	}
	top, err := c.flags.number('n', otherwise)
	if err != nil {
		return err
	}
	snap, err := c.snapshot()
	if err != nil {
		return err
	}
	if c.flags.has('g') {
		return c.groups(snap, top)
	}
	rows, notes := snap.Nodes, []string(nil)
	if top > 0 {
		rows = rows[:min(top, len(rows))]
	}
	if c.flags.has('v') {
		c.verbose(snap, rows)
		notes = c.symbolNotes()
	} else {
		c.listing(rows)
	}
	if rest := len(snap.Nodes) - len(rows); rest > 0 {
		c.printf("%s not shown\n", plain.Plural(rest, "node"))
	}
	if snap.Partial != "" {
		c.printf("\npartial: %s; memcheck tells more\n", snap.Partial)
	}
	c.printNotes(notes)
	return nil
}

func (c *call) snapshot() (*heap.Snapshot, error) {
	if c.pool == nil {
		return nil, errNoPool
	}
	return c.pool.Snapshot()
}

// listing prints nodes exactly as LiteOS does:
//
//	node                        LR[0]               LR[1]
//	0x00007f2c5a001100:  0x00000000004d1f00  0x0000000000000000
func (c *call) listing(nodes []heap.Node) {
	levels := 0
	if cfg := c.pool.Config(); cfg.LeakCheck {
		levels = max(0, cfg.RecordLR)
	}
	gap := digits - 8
	c.printf("%-*s", digits+4, "node")
	for i := range levels {
		c.printf("%*sLR[%d]%*s", 4+gap/2, "", i, 3+gap/2, "")
	}
	c.printf("\n")
	for i := range nodes {
		c.printf("0x%0*x: ", digits, uint64(nodes[i].Addr))
		for level := range levels {
			var lr heap.Addr
			if level < len(nodes[i].Stack) {
				lr = nodes[i].Stack[level]
			}
			c.printf(" 0x%0*x ", digits, uint64(lr))
		}
		c.printf("\n")
	}
}

// verbose prints nodes with all that is known of each.
func (c *call) verbose(snap *heap.Snapshot, nodes []heap.Node) {
	const addr = 2 + digits*3/4
	owned := 0
	for i := range nodes {
		if n := len(snap.OwnerName(nodes[i].Owner)); n > 0 {
			owned = max(owned, n, len("owner"))
		}
	}
	// Who allocated it goes to a line of its own where it would not fit.
	columns := 2*(addr+2) + len("      size  ")
	// The clock of a pool that another process wrote says nothing here.
	aged := !c.pool.ReadOnly() || slices.ContainsFunc(nodes, func(n heap.Node) bool { return bornAgo(&n, snap) != "" })
	if aged {
		columns += len("    age  ")
	}
	if owned > 0 {
		columns += owned + 2
	}
	between := ""
	if c.width > 0 && c.width < columns+50 {
		between = "\n    "
	}
	c.printf("%-*s  %-*s  %8s  ", addr, "node", addr, "payload", "size")
	if aged {
		c.printf("%7s  ", "age")
	}
	if owned > 0 {
		c.printf("%-*s  ", owned, "owner")
	}
	c.printf("%sallocated by\n", between)
	by := map[heap.Addr]string{}
	for i := range nodes {
		n := &nodes[i]
		c.printf("%-*s  %-*s  %8d  ", addr, n.Addr, addr, n.Payload, n.Size)
		if aged {
			c.printf("%7s  ", bornAgo(n, snap))
		}
		if owned > 0 {
			c.printf("%-*s  ", owned, plain.Clean(snap.OwnerName(n.Owner)))
		}
		who := "-"
		if len(n.Stack) > 0 {
			var ok bool
			if who, ok = by[n.Stack[0]]; !ok {
				who = plain.Clean(Short(c.symbols().Frames(n.Stack[0])[0]).String())
				by[n.Stack[0]] = who
			}
		}
		c.printf("%s%s\n", between, who)
	}
}

// groups prints how many nodes and bytes each call stack holds.
func (c *call) groups(snap *heap.Snapshot, top int) error {
	snap.Label, snap.Source = "Used nodes", "pool "+snap.Pool
	snap.Pool = "" // in the title already
	g := leak.Group(leak.Listing{snap}, c.symbols())
	bytes := func(s *leak.Site) uint64 { return s.At(1).Bytes }
	slices.SortStableFunc(g.Sites, func(a, b leak.Site) int { return -cmp.Compare(bytes(&a), bytes(&b)) })
	for i := range g.Sites {
		shorten(g.Sites[i].Frames)
	}
	return report.GroupsText(c, g, c.symbolNotes(), c.options(top))
}

// foreign reports whether the pool's call stacks mean nothing to the shell's
// symbols.
func (c *call) foreign() bool { return c.pool.Foreign() && c.cfg.Symbols == symbol.Process }

// symbols resolves the call stacks of the pool. Those of another build would
// get the names of whatever happens to lie there in this one.
func (c *call) symbols() heap.Symbolizer {
	if c.foreign() {
		return symbol.None
	}
	return c.cfg.Symbols
}

// symbolNotes says why call stacks have no names.
func (c *call) symbolNotes() []string {
	if !c.foreign() {
		return nil
	}
	return []string{"call stacks are shown as addresses: another build of the program wrote this pool, and their names need the symbols of that build"}
}

// printNotes ends an answer that no report has written.
func (c *call) printNotes(notes []string) { report.NotesText(c, notes, c.options(0)) }

// options are those of a table of call stacks.
func (c *call) options(top int) report.Options {
	return report.Options{Width: c.columns(), Top: top, TopHint: "-n 0 shows all"}
}

// columns is the width that text should fit into.
func (c *call) columns() int {
	switch {
	case c.width > 0:
		return c.width
	case c.cfg.Width > 0:
		return c.cfg.Width
	}
	return 80
}
