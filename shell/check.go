package shell

import (
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

func (c *call) memcheck() error {
	if c.pool == nil {
		return errNoPool
	}
	var around *heap.Snapshot
	shown := 0
	n, err := c.pool.Check(func(f heap.Finding) {
		if c.flags.has('s') {
			c.findingRow(&f, shown == 0)
			shown++
			return
		}
		if around == nil {
			around, _ = c.pool.Snapshot()
		}
		WriteFinding(c, &f, c.symbols(), around)
		c.printf("\n")
	})
	switch {
	case err != nil:
		return err
	case n == 0:
		c.printf("system memcheck over, all passed!\n")
	default:
		c.printf("system memcheck over, %s\n", plain.Plural(n, "finding"))
		if !c.flags.has('s') {
			c.printNotes(c.symbolNotes())
		}
	}
	return nil
}

// findingRow writes a finding as a line of a table.
func (c *call) findingRow(f *heap.Finding, first bool) {
	const addr = 2 + digits*3/4
	if first {
		c.printf("%-18s  %-*s  %6s  %-*s  damage\n", "finding", addr, "node", "bytes", addr, "culprit")
	}
	node, culprit, damage := "-", "-", "lasting"
	if f.Node != 0 {
		node = f.Node.String()
	}
	if f.Culprit != nil {
		culprit = f.Culprit.Addr.String()
	}
	if f.Recovered {
		damage = "can be restored"
	}
	c.printf("%-18s  %-*s  %6d  %-*s  %s\n", plain.Clean(string(f.Kind)), addr, node, f.Span.Len(), addr, culprit, damage)
}
