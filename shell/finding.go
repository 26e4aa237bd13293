package shell

import (
	"fmt"
	"io"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// WriteFinding writes all that is known about a finding as text that fits into
// 80 columns, long names aside: the damaged header field by field next to its
// backup, the nodes concerned and who allocated them, and the call stacks. The
// node in front of the damage is left out where it is the culprit. sym resolves the
// stacks. around, which may be nil, is a snapshot of the same pool: it knows
// the names of owners and how long ago something happened. The error is the
// writer's.
func WriteFinding(w io.Writer, f *heap.Finding, sym heap.Symbolizer, around *heap.Snapshot) error {
	b := &findingText{sym: sym, around: around}
	wrap(b, plain.Clean(f.Summary()), "  ")
	b.fields(f.Fields)
	if f.Span.Len() > 0 || f.Reach != "" {
		text := ""
		if n := f.Span.Len(); n > 0 {
			text = fmt.Sprintf("%s from %s on", plain.Plural(int(n), "byte"), f.Span.Start)
			if f.Reach != "" {
				text += ": "
			}
		}
		b.item("overwritten")
		wrapAt(b, itemColumn, text+plain.Clean(f.Reach), strings.Repeat(" ", itemColumn))
	}
	b.node("node", f.Subject)
	if p, c := f.Previous, f.Culprit; p != nil && (c == nil || p.Addr != c.Addr) {
		b.node("in front of it", p)
	}
	b.node("culprit", f.Culprit)
	noticed := maxFrames
	if !f.Kind.WildPointer() {
		noticed = fewFrames
	}
	b.stack("noticed in", f.Stack, noticed)
	b.stack("first freed in", f.FirstFree, maxFrames)
	_, err := io.WriteString(w, b.String())
	return err
}

type findingText struct {
	strings.Builder
	sym    heap.Symbolizer
	around *heap.Snapshot
}

// itemColumn is where what item names begins.
const itemColumn = 18

func (b *findingText) item(name string) { fmt.Fprintf(b, "  %-14s  ", name) }

// fields writes the table of header fields; those that differ are marked.
func (b *findingText) fields(list []heap.Field) {
	if len(list) == 0 {
		return
	}
	width := len("header")
	for _, f := range list {
		width = max(width, len(f.Header))
	}
	fmt.Fprintf(b, "  %-14s  %-*s  backup\n", "field", width, "header")
	for _, f := range list {
		mark := " "
		if f.Differs {
			mark = "*"
		}
		line := fmt.Sprintf("%s %-14s  %-*s  %s", mark, plain.Clean(f.Name), width, plain.Clean(f.Header), plain.Clean(f.Backup))
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// node writes a node and its stack.
func (b *findingText) node(name string, n *heap.Node) {
	if n == nil {
		return
	}
	b.item(name)
	fmt.Fprintf(b, "%s %s", n.Addr, n.State)
	if n.Size != 0 {
		fmt.Fprintf(b, ", %d bytes at %s", n.Size, n.Payload)
	} else if n.Total != 0 {
		fmt.Fprintf(b, ", %d bytes with headers", n.Total)
	}
	if owner := b.owner(n.Owner); owner != "" {
		fmt.Fprintf(b, ", owner %s", owner)
	}
	what, age := "allocated in", "old"
	if n.State != heap.Used {
		what, age = "freed in", "since"
	}
	if ago := bornAgo(n, b.around); ago != "" {
		fmt.Fprintf(b, ", %s %s", ago, age)
	}
	b.WriteString("\n")
	b.stack(what, n.Stack, maxFrames)
}

func (b *findingText) owner(o heap.Owner) string {
	if b.around != nil {
		return plain.Clean(b.around.OwnerName(o))
	}
	return (&heap.Snapshot{}).OwnerName(o)
}

// fewFrames are enough of a stack that is there to tell when, not who: whoever
// notices damage has not done it.
const fewFrames = 2

func (b *findingText) stack(name string, s heap.Stack, most int) {
	if len(s) == 0 {
		return
	}
	var lines strings.Builder
	writeStack(&lines, strings.Repeat(" ", itemColumn), b.sym, s, most)
	b.item(name)
	b.WriteString(strings.TrimLeft(lines.String(), " "))
}
