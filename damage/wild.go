package damage

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// wild explains a pointer that should not have been passed.
func (c *docket) wild() {
	switch c.Kind {
	case heap.InsideNode:
		c.inside()
	case heap.OutsidePool:
		c.outside()
	case heap.InsideFree:
		c.Cause = "the pointer lies in memory that is free now: it was freed before and kept"
	}
}

// inside explains a pointer into a node that is not its payload.
func (c *docket) inside() {
	if c.Pointer == 0 || c.Expected == 0 || c.Node == 0 {
		c.Cause = "what was passed cannot be told from what the log has of the report"
		return
	}
	task := "the device"
	if c.Task != "" {
		task = "task " + c.Task
	}
	if level, ok := c.onStack(); ok {
		c.Cause = fmt.Sprintf("%s freed a pointer into its own call stack: the address lies in the frame of %s, so it is that of a local variable; the node found holds the stack itself", task, c.frame(level))
		return
	}
	if c.Pointer >= c.Expected && c.Expected > c.Node {
		head := c.Expected - c.Node
		if n, in := c.e.find(c.Pointer-head, c.Pointer); n != nil && n.Addr != c.Node && n.Addr != c.Expected {
			c.Kind = heap.DoubleFree
			freed := *n
			c.Subject = &freed
			c.Cause = fmt.Sprintf("freed twice: %s (%s) shows a used node %s with this pointer, and now no node begins there, so it was freed since and merged into node %s", in.Label, in.Source, n.Addr, c.Node)
			return
		}
	}
	if n, in := c.e.find(c.Node, c.Expected); n != nil {
		known := *n
		if known.Payload == 0 {
			known.Payload = c.Expected
		}
		c.Subject = &known
		c.Cause = fmt.Sprintf("%s passed a pointer %s node %s, which %s (%s) shows as used: a pointer that was moved on after the allocation, that of a member, or one of an earlier node there that was freed before", task, c.away(), c.Node, in.Label, in.Source)
		return
	}
	if d := c.Pointer - c.Expected; c.Pointer > c.Expected && d < c.Expected-c.Node {
		c.Cause = fmt.Sprintf("%s passed a pointer %s node %s: it was moved on after the allocation or is that of a member. No node of its own can have begun so close", task, c.away(), c.Node)
		return
	}
	if c.Pointer < c.Expected {
		c.Cause = fmt.Sprintf("%s passed a pointer %s node %s, into the head of the node: it was moved back after the allocation, or is a node's address in place of its payload's", task, c.away(), c.Node)
		return
	}
	c.Cause = fmt.Sprintf("%s passed a pointer %s node %s. If that node is used, the pointer was moved on after the allocation or is that of a member; if it is free, a node of its own was freed there before, and this is the second free. The report does not say which, a memused listing in front of it would", task, c.away(), c.Node)
}

// away says where the pointer lies, seen from the payload it should be.
func (c *docket) away() string {
	if c.Pointer < c.Expected {
		return fmt.Sprintf("%d bytes in front of the payload of", c.Expected-c.Pointer)
	}
	return fmt.Sprintf("%d bytes behind the start of the payload of", c.Pointer-c.Expected)
}

// onStack returns the level of the call stack in whose frame the pointer lies:
// its frame pointer is the first not below the pointer, with a callee below.
func (c *docket) onStack() (level int, ok bool) {
	for i := 1; i < len(c.Frames) && i < len(c.Stack); i++ {
		below, fp := c.Frames[i-1], c.Frames[i]
		if below == 0 || fp <= below {
			continue
		}
		if c.Pointer > below && c.Pointer <= fp {
			return i, true
		}
	}
	return 0, false
}

// frame names the function of a level of the call stack so that it is found
// there, with a name or without.
func (c *docket) frame(level int) string {
	lr := c.Stack[level]
	if name := c.e.name(lr); name != "" {
		return fmt.Sprintf("%s (return address %s)", name, lr)
	}
	return c.e.function(lr)
}

// outside explains a pointer outside the one pool that the device looked at.
func (c *docket) outside() {
	if n, in := c.e.around(c.Pointer); n != nil {
		pool := "another pool"
		if in.Pool != "" {
			pool = "pool " + plain.Clean(in.Pool)
		}
		c.Cause = fmt.Sprintf("the pointer is not of the pool that was asked, but lies among the nodes of %s: %s shows node %s at or below it", pool, named(in), n.Addr)
		return
	}
	c.Cause = "the pointer is not of the pool that was asked: it belongs to another one, is a static or stack address, was never set, or was overwritten"
}

// pool explains damage to what the pool keeps outside its nodes.
func (c *docket) pool() {
	switch {
	case c.Kind == heap.FreeIndexWrong:
		c.Cause = "the header of a free node was overwritten, and the pointer in it to the next free node with it: by the node in front of it writing past its end, or by someone who writes to memory after freeing it"
	case len(c.Fields) > 0:
		c.Cause = "a stray write, or one past the end of what lies in front of the pool in memory: no node lies in front of the pool's head"
	default:
		c.Cause = "the check was asked about something that is no pool"
	}
}
