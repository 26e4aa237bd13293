package shell

import (
	"github.com/heapwright/heapwright/heap"
)

func (c *call) memcheck() error {
	if c.pool == nil {
		return errNoPool
	}
	var around *heap.Snapshot
	n, err := c.pool.Check(func(f heap.Finding) {
		if c.flags.has('s') {
			wrap(c, clean(f.Summary()), "  ")
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
		c.printf("system memcheck over, %s\n", plural(n, "finding"))
		if !c.flags.has('s') {
			c.printNotes(c.symbolNotes())
		}
	}
	return nil
}
