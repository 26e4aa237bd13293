package report

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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
	size, total, owner   int // 0: there is no such column
	indent               int // of the call chain
}

// columns goes over all nodes to see what columns they need.
func columns(s *heap.Snapshot, nodes iter.Seq[*heap.Node]) nodeColumns {
	c := nodeColumns{levels: 1, digits: 8}
	var size, total uint64
	var known bool // of the last node's owner, how wide it is
	var owner heap.Owner
	for node := range nodes {
		c.used++
		c.levels = max(c.levels, len(node.Stack))
		if node.Addr >= 1<<32 || slices.ContainsFunc(node.Stack, func(a heap.Addr) bool { return a >= 1<<32 }) {
			c.digits = 16
		}
		size, total = max(size, room(node)), max(total, node.Total)
		if !known || owner != node.Owner {
			known, owner = true, node.Owner
			c.owner = max(c.owner, utf8.RuneCountInString(plain.Clean(s.OwnerName(owner))))
		}
	}
	if max(size, total) != 0 {
		c.size, c.total = max(len("size"), decimals(size)), max(len("total"), decimals(total))
	}
	if c.owner != 0 {
		c.owner = max(c.owner, len("owner"))
	}
	return c
}

// decimals is how many digits a number has.
func decimals(n uint64) int { return len(strconv.FormatUint(n, 10)) }

// write writes a listing; s has what there is to say besides the nodes.
func (n *NodesText) write(s *heap.Snapshot, nodes iter.Seq[*heap.Node]) {
	t := n.t
	if s.Pool != "" {
		t.printf(" %s\n", plain.Clean(s.Pool))
	}
	c := columns(s, nodes)
	t.printf("%s (%s): %s\n", plain.Clean(s.Label), plain.Clean(s.Source), plain.Plural(c.used, "node"))
	title := fmt.Sprintf("%-*s", c.digits+3, "node")
	if c.size != 0 {
		title += fmt.Sprintf("  %*s  %*s", c.size, "size", c.total, "total")
	}
	for i := range c.levels {
		title += fmt.Sprintf("  %-*s", c.digits+2, fmt.Sprintf("LR[%d]", i))
	}
	if c.owner != 0 {
		title += fmt.Sprintf("  %-*s", c.owner, "owner")
	}
	c.indent = len(title) + 2
	const chain = "  call chain"
	if n.sym != nil && (t.Width <= 0 || len(title)+len(chain) < t.Width) {
		title += chain // else it is below
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
	if c.size != 0 {
		b = appendRight(append(b, "  "...), room(node), c.size)
		b = appendRight(append(b, "  "...), node.Total, c.total)
	}
	for i := range c.levels {
		var lr heap.Addr
		if i < len(node.Stack) {
			lr = node.Stack[i]
		}
		b = appendHex(append(b, "  "...), lr, c.digits)
	}
	if c.owner != 0 {
		b = fmt.Appendf(b, "  %-*s", c.owner, plain.Clean(s.OwnerName(node.Owner)))
	}
	n.row = b
	t := n.t
	bare := bytes.TrimRight(b, " ") // a line that fills the screen wraps with blanks at its end
	if n.sym == nil || len(node.Stack) == 0 {
		_, err := t.Write(append(bare, '\n'))
		return err
	}
	chain, indent := chainOf("", leak.Resolve(n.sym, node.Stack)), c.indent
	if t.Width > 0 && !t.fits(chain, indent) {
		b = fmt.Appendf(bare, "\n%*s", belowIndent, "")
		indent = belowIndent
	} else {
		b = append(b, "  "...)
	}
	n.row = b
	if _, err := t.Write(b); err != nil {
		return err
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
