package damage

import (
	"fmt"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// unseen says what the device could not see of this finding. The points are
// weaknesses of LiteOS 5.0's own checks, each said only where it matters.
func (c *docket) unseen() {
	say := func(when bool, format string, args ...any) {
		if when {
			c.Unseen = append(c.Unseen, fmt.Sprintf(format, args...))
		}
	}
	damage := !c.Kind.WildPointer()
	compared := c.compared()
	// The fields of a LiteOS header; other devices' checks have other limits.
	heads := slices.ContainsFunc(c.Fields, func(f heap.Field) bool { return f.Name == "size and flags" })
	say(damage && c.Culprit != nil && c.Culprit == c.Previous && c.Culprit.State == heap.Used,
		"the device names the node that lies in front now: if the one that wrote was freed before this was noticed, it is not the culprit")
	say(damage && c.Node != 0 && len(c.Stack) == 0 && c.Op != "",
		"who noticed it, in which task: the report has no call stack; the write itself can be much older")
	say(damage && len(c.Stack) > 0,
		"the write itself, which can be much older: the call stack is that of the check that noticed it")
	say(c.before > 0 && c.Kind == heap.HeaderDamaged && compared,
		"the %d bytes in front of the header: they hold the backup of the next node's header, which is checked only when something else is wrong, so an overflow that ends in them goes unnoticed", c.before)
	say(c.lrs.Len() > 0 && c.Span.Start <= c.lrs.Start && c.lrs.End <= c.Span.End,
		"the call stack in the header of node %s, %d bytes in the middle of the damage: neither the checksum nor the backup covers it, so memused shows wrong callers for this node until it is freed", c.Node, c.lrs.Len())
	say(c.Kind == heap.BothDamaged,
		"whether the backup was right: it is copied over the header without being checked")
	say(c.chained(),
		"the damage in between: when a neighbour changes, the device computes a new checksum over whatever a header holds")
	say(c.wordOnly(),
		"anything else: the device gives up at this word without comparing the header with its backup, restores nothing and returns an error, so the node stays allocated for good and frees of its neighbours can fail without a message")
	say(c.Op == "check" && heads && !compared && c.Node != 0,
		"whatever lies behind: the check stops the device at the first bad node, and looks only at magics and at pointers of free nodes, not at sizes, links or call stacks")
	say(c.Expected != 0 && (c.Kind == heap.InsideNode || c.Kind == heap.DoubleFree),
		"wrong frees of other kinds: pointers outside the pool, unaligned ones, and a second free of a node that was not merged only return an error code")
	_, own := c.onStack()
	say(c.Kind == heap.InsideNode && c.Subject == nil && !own,
		"whether the node found is used, and who allocated it")
}
