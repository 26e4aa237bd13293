package damage

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// A docket is a finding being explained.
type docket struct {
	*heap.Finding
	e *Explainer
	// lrs is where the node's own LRs lie in its damaged header, if that has
	// any: between two pieces of memory that show the header.
	lrs heap.Span
	run run // of one overwriting byte; empty: there is none
	// before are the bytes from the node's start to its header, where that is
	// damaged from its start on: the backup of the next header, on devices
	// that keep one.
	before uint64
}

func newDocket(e *Explainer, f *heap.Finding) *docket { return &docket{Finding: f, e: e} }

// buffer names a node by its owner: "task SerialShellTask's buffer of at most
// 3000 bytes at 0xb5d90".
func (c *docket) buffer(n *heap.Node) string {
	whose := "the "
	if name := c.Owners[n.Owner]; name != "" {
		whose = "task " + plain.Clean(name) + "'s "
	} else if n.Owner != 0 {
		whose = fmt.Sprintf("task %d's ", n.Owner)
	}
	if n.State != heap.Used {
		return fmt.Sprintf("the free node %s", n.Addr)
	}
	if n.Payload == 0 {
		return fmt.Sprintf("%snode %s", whose, n.Addr)
	}
	size := "buffer"
	if n.Size != 0 {
		size = fmt.Sprintf("buffer of %s", plain.Plural(int(n.Size), "byte"))
	} else if r := room(n); r != 0 {
		size = fmt.Sprintf("buffer of at most %s", plain.Plural(int(r), "byte"))
	}
	return fmt.Sprintf("%s%s at %s", whose, size, n.Payload)
}

// room is how many bytes of payload fit into a node; 0: not known.
func room(n *heap.Node) uint64 {
	if head := uint64(n.Payload - n.Addr); n.Payload >= n.Addr && n.Payload != 0 && head < n.Total {
		return n.Total - head
	}
	return 0
}

// name returns the name of the function that a return address lies in, or "".
func (e *Explainer) name(lr heap.Addr) string {
	if e.sym == nil {
		return ""
	}
	for _, f := range e.sym.Frames(lr) {
		if f.Function != "" && !f.Inlined {
			return plain.Clean(f.Function)
		}
	}
	return ""
}

// function names the function that a return address lies in.
func (e *Explainer) function(lr heap.Addr) string {
	if name := e.name(lr); name != "" {
		return name
	}
	return fmt.Sprintf("the function around %s", lr)
}

// by says where something was done: "by main_task", "at 0x2d5d8".
func (e *Explainer) by(lr heap.Addr) string {
	if name := e.name(lr); name != "" {
		return "by " + name
	}
	return "at " + lr.String()
}

// reportLines is how many lines in a log the parts of one report about several
// nodes can be apart.
const reportLines = 100

// near reports whether two findings were read in the same report, or in two
// that follow each other closely.
func near(a, b *heap.Finding) bool {
	log, line := place(a)
	other, at := place(b)
	return log == other && max(line, at)-min(line, at) <= reportLines
}

// place splits "console.log:81". Findings of a live pool are in line 0.
func place(f *heap.Finding) (log string, line int) {
	i := strings.LastIndexByte(f.Source, ':')
	if i < 0 {
		return f.Source, 0
	}
	line, _ = strconv.Atoi(f.Source[i+1:])
	return f.Source[:i], line
}

// blame names the culprit. If the node in front was itself overwritten with the
// same bytes in the same report, it is a victim of the same write, and whoever
// did that is the culprit. Otherwise it may be one; but not if its header has
// been whole since, or shows other bytes.
func (c *docket) blame(n *heap.Node, reason string) {
	if n == nil {
		return
	}
	c.Culprit, c.CulpritReason = n, reason
	v, ok := c.e.victims[n.Addr]
	if !ok || v.f == c.Finding || v.f.Culprit == nil {
		return
	}
	runs := c.run.span.Len() > 0 && v.run.span.Len() > 0
	switch near := near(c.Finding, v.f); {
	case runs && c.run.b != v.run.b, !near && (!runs || v.f.Repaired):
	case near && runs:
		const inBetween = "the nodes in between were overwritten too: "
		c.Culprit, c.CulpritReason = v.f.Culprit, inBetween+strings.TrimPrefix(v.f.CulpritReason, inBetween)
		nameOwners(c.Finding, v.f.Owners)
	default:
		c.CulpritReason += fmt.Sprintf("; but this node's header was overwritten itself (%s), so the write may have begun in front of it", v.f.Source)
	}
}

// chained reports whether the culprit is not the node in front.
func (c *docket) chained() bool {
	return c.Culprit != nil && c.Previous != nil && c.Culprit.Addr != c.Previous.Addr && c.Culprit.Addr != c.Node
}
