package report

import (
	"fmt"
	"io"
	"iter"
	"math/bits"
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
	row []byte // that is being written
}

// NewNodesText returns a writer of listings whose stacks sym resolves.
func NewNodesText(w io.Writer, sym heap.Symbolizer, o Options) *NodesText {
	return &NodesText{t: newText(w, o), sym: sym}
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
	n.write(s, func(yield func(*heap.Node) bool) {
		for i := range s.Nodes {
			if s.Nodes[i].State == heap.Used && !yield(&s.Nodes[i]) {
				return
			}
		}
	})
}

// nodeColumns says which columns a listing has and how wide they are.
type nodeColumns struct {
	used, levels, digits int
	sized, owned         bool
	indent               int // of the call chain
}

// columns goes over all nodes to see what columns they need.
func columns(s *heap.Snapshot, nodes iter.Seq[*heap.Node]) nodeColumns {
	c := nodeColumns{levels: 1, digits: 8}
	for node := range nodes {
		c.used++
		c.levels = max(c.levels, len(node.Stack))
		if node.Addr >= 1<<32 || slices.ContainsFunc(node.Stack, func(a heap.Addr) bool { return a >= 1<<32 }) {
			c.digits = 16
		}
		c.sized = c.sized || leak.Bytes(node) != 0
		c.owned = c.owned || s.OwnerName(node.Owner) != ""
	}
	return c
}

// write writes a listing; s has what there is to say besides the nodes.
func (n *NodesText) write(s *heap.Snapshot, nodes iter.Seq[*heap.Node]) {
	t := n.t
	if s.Pool != "" {
		t.printf(" %s\n", plain.Clean(s.Pool))
	}
	c := columns(s, nodes)
	t.printf("%s (%s): %s\n", plain.Clean(s.Label), plain.Clean(s.Source), plain.Plural(c.used, "node"))
	title := fmt.Sprintf("%-*s", c.digits+3, "node")
	if c.sized {
		title += fmt.Sprintf("  %10s  %10s", "size", "total")
	}
	for i := range c.levels {
		title += fmt.Sprintf("  %-*s", c.digits+2, fmt.Sprintf("LR[%d]", i))
	}
	if c.owned {
		title += "  owner     "
	}
	c.indent = len(title) + 2
	if n.sym != nil {
		title += "  call chain"
	}
	t.printf("%s\n", t.paint(bold, strings.TrimRight(title, " ")))
	for node := range nodes {
		if n.node(s, node, &c) != nil {
			return // nobody reads on; the writer keeps the error
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

// node writes a row. It is what takes the time where there are millions.
func (n *NodesText) node(s *heap.Snapshot, node *heap.Node, c *nodeColumns) error {
	b := appendHex(n.row[:0], node.Addr, c.digits)
	b = append(b, ':')
	if c.sized {
		b = appendRight(append(b, "  "...), room(node), 10)
		b = appendRight(append(b, "  "...), node.Total, 10)
	}
	for i := range c.levels {
		var lr heap.Addr
		if i < len(node.Stack) {
			lr = node.Stack[i]
		}
		b = appendHex(append(b, "  "...), lr, c.digits)
	}
	if c.owned {
		b = fmt.Appendf(b, "  %-10s", plain.Clean(s.OwnerName(node.Owner)))
	}
	n.row = b
	t := n.t
	if n.sym == nil || len(node.Stack) == 0 {
		_, err := t.Write(append(b, '\n'))
		return err
	}
	if _, err := t.Write(b); err != nil {
		return err
	}
	chain, indent := chainOf("", leak.Resolve(n.sym, node.Stack)), c.indent
	if t.Width > 0 && !t.fits(chain, indent) {
		t.printf("\n%*s", belowIndent, "")
		indent = belowIndent
	} else {
		t.WriteString("  ")
	}
	t.wrap(chain, indent)
	return nil
}

// appendRight appends a number, or what stands for an unknown one, aligned to the
// right.
func appendRight(b []byte, n uint64, width int) []byte {
	from := len(b)
	if b = append(b, '?'); n != 0 {
		b = strconv.AppendUint(b[:from], n, 10)
	}
	digits := len(b) - from
	for range width - digits {
		b = append(b, ' ')
	}
	if digits < width {
		copy(b[from+width-digits:], b[from:from+digits])
		for i := range width - digits {
			b[from+i] = ' '
		}
	}
	return b
}

// appendHex appends an address of at least so many digits.
func appendHex(b []byte, a heap.Addr, digits int) []byte {
	b = append(b, "0x"...)
	for n := (bits.Len64(uint64(a)) + 3) / 4; n < digits; n++ {
		b = append(b, '0')
	}
	if a == 0 {
		return b
	}
	return strconv.AppendUint(b, uint64(a), 16)
}
