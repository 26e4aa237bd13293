package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// NodesText writes listings node by node, as memused prints them, with what
// else is known behind: the payload's size, the length, the owner, and the
// functions, which go on in further lines where the width is limited. Without
// sizes the text is itself a log that can be read again.
type NodesText struct {
	t   *text
	sym heap.Symbolizer
}

// NewNodesText returns a writer of listings whose stacks sym resolves.
func NewNodesText(w io.Writer, sym heap.Symbolizer, o Options) *NodesText {
	return &NodesText{newText(w, o), sym}
}

// Listing writes one listing.
func (n *NodesText) Listing(l leak.Listing) error {
	for _, s := range l {
		n.snapshot(s)
	}
	return n.t.Flush()
}

// Close writes the notes. It does not close the writer below.
func (n *NodesText) Close(notes []string) error {
	if len(notes) > 0 {
		// The listing's own blank line stands in front already.
		for _, s := range notes {
			n.t.paragraph("note: "+plain.Clean(s), 6)
		}
	}
	return n.t.Flush()
}

func (n *NodesText) snapshot(s *heap.Snapshot) {
	t := n.t
	if s.Pool != "" {
		t.printf(" %s\n", plain.Clean(s.Pool))
	}
	used, levels, digits := 0, 1, 8
	var sized, owned bool
	for i := range s.Nodes {
		node := &s.Nodes[i]
		if node.State != heap.Used {
			continue
		}
		used++
		levels = max(levels, len(node.Stack))
		if node.Addr >= 1<<32 || slices.ContainsFunc(node.Stack, func(a heap.Addr) bool { return a >= 1<<32 }) {
			digits = 16
		}
		sized = sized || leak.Bytes(node) != 0
		owned = owned || s.OwnerName(node.Owner) != ""
	}
	t.printf("%s (%s): %s\n", plain.Clean(s.Label), plain.Clean(s.Source), plain.Plural(used, "node"))
	title := fmt.Sprintf("%-*s", digits+3, "node")
	if sized {
		title += fmt.Sprintf("  %10s  %10s", "size", "total")
	}
	for i := range levels {
		title += fmt.Sprintf("  %-*s", digits+2, fmt.Sprintf("LR[%d]", i))
	}
	if owned {
		title += "  owner     "
	}
	indent := len(title) + 2
	if n.sym != nil {
		title += "  call chain"
	}
	t.printf("%s\n", t.paint(bold, strings.TrimRight(title, " ")))
	for i := range s.Nodes {
		if s.Nodes[i].State == heap.Used {
			n.node(s, &s.Nodes[i], digits, levels, sized, owned, indent)
		}
	}
	if s.Partial != "" {
		// In place of the blank line, without which whoever reads this as a
		// log knows that the listing is not whole.
		t.printf("note: partial: %s\n", plain.Clean(s.Partial))
	} else {
		t.WriteByte('\n')
	}
}

// orUnknown formats a number of which 0 means that it is not known.
func orUnknown(n uint64) string {
	if n == 0 {
		return "?"
	}
	return strconv.FormatUint(n, 10)
}

func (n *NodesText) node(s *heap.Snapshot, node *heap.Node, digits, levels int, sized, owned bool, indent int) {
	t := n.t
	t.printf("0x%0*x:", digits, uint64(node.Addr))
	if sized {
		t.printf("  %10s  %10s", orUnknown(node.Size), orUnknown(node.Total))
	}
	for i := range levels {
		var lr heap.Addr
		if i < len(node.Stack) {
			lr = node.Stack[i]
		}
		t.printf("  0x%0*x", digits, uint64(lr))
	}
	if owned {
		t.printf("  %-10s", plain.Clean(s.OwnerName(node.Owner)))
	}
	if n.sym == nil || len(node.Stack) == 0 {
		t.WriteByte('\n')
		return
	}
	chain := chainOf("", leak.Resolve(n.sym, node.Stack))
	if t.Width > 0 && !t.fits(chain, indent) {
		t.printf("\n%*s", belowIndent, "")
		indent = belowIndent
	} else {
		t.WriteString("  ")
	}
	t.wrap(chain, indent)
}
