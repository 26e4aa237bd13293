package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// findings writes a report of each finding.
func (t *text) findings(findings []heap.Finding, sym heap.Symbolizer) {
	t.paragraph(findingsSummary(findings), 0)
	for i := range findings {
		t.WriteByte('\n')
		t.finding(fmt.Sprintf("%d. ", i+1), &findings[i], sym, nil)
	}
}

// findingsSummary counts findings by what they are about.
func findingsSummary(findings []heap.Finding) string {
	wild := 0
	for i := range findings {
		if findings[i].Kind.WildPointer() {
			wild++
		}
	}
	switch damage := len(findings) - wild; {
	case len(findings) == 0:
		return "No report of damage was recognised."
	case wild == 0:
		return plain.Plural(damage, "report") + " of damage."
	case damage == 0:
		return plain.Plural(wild, "report") + " of wrong pointers."
	default:
		return fmt.Sprintf("%s of damage, %d of wrong pointers.", plain.Plural(damage, "report"), wild)
	}
}

// FindingText writes all that is known about a finding: what most likely
// happened, the damaged header field by field next to its backup with a star
// where they differ, if asked for what a repair restores, what was overwritten, the nodes concerned and who
// allocated them, the call stacks, the memory that the report shows, and what
// whoever reported it could not see. The node in front of the damage is left
// out where it is the culprit.
//
// sym resolves the stacks. around, which may be nil, is a snapshot of the same
// heap: it knows the names of owners and how long ago something happened.
func FindingText(w io.Writer, f *heap.Finding, sym heap.Symbolizer, around *heap.Snapshot, o Options) error {
	t := newText(w, o)
	t.finding("", f, sym, around)
	return t.Flush()
}

func (t *text) finding(number string, f *heap.Finding, sym heap.Symbolizer, around *heap.Snapshot) {
	b := &findingText{t, f, sym, around}
	title, causeFirst := *f, f.Cause != "" && !f.Kind.WildPointer()
	if causeFirst { // what happened comes first; what that is concluded from, below
		title.Detail, title.Culprit = "", nil
	}
	t.WriteString(t.paint(bold, t.fill(0, number+plain.Clean(title.Summary()), 2)) + "\n")
	b.sentence("most likely", f.Cause)
	b.fields(f.Fields)
	if causeFirst {
		b.sentence("detail", f.Detail)
	}
	if t.Verbose {
		b.sentence("repair", f.Repair)
	}
	if f.Span.Len() > 0 || f.Reach != "" {
		text := ""
		if n := f.Span.Len(); n > 0 {
			text = fmt.Sprintf("%s from %s on", plain.Plural(int(n), "byte"), f.Span.Start)
			if f.Reach != "" {
				text += ": "
			}
		}
		b.sentence("overwritten", text+f.Reach)
	}
	b.node("node", f.Subject, "")
	if p, c := f.Previous, f.Culprit; p != nil && (c == nil || p.Addr != c.Addr) {
		b.node("in front of it", p, "")
	}
	reason := f.CulpritReason
	if !causeFirst { // the title has it
		reason = ""
	}
	b.node("culprit", f.Culprit, reason)
	b.sentence("task running", f.Task)
	noticed := maxFrames
	if !f.Kind.WildPointer() {
		noticed = fewFrames
	}
	b.stack("noticed in", f.Stack, noticed)
	b.stack("first freed in", f.FirstFree, maxFrames)
	b.memory(f.Memory)
	b.list("not seen", f.Unseen)
	b.sentence("incomplete", f.Partial)
	if _, _, ok := heap.SplitSource(f.Source); ok {
		b.sentence("reported at", f.Source)
	} else { // a dump
		b.sentence("found in", f.Source)
	}
}

// findingText writes the parts of a finding as items: a name, and what there is
// to say in a column of its own.
type findingText struct {
	*text
	f      *heap.Finding
	sym    heap.Symbolizer
	around *heap.Snapshot
}

// itemColumn is where what an item says begins.
const itemColumn = 18

func (b *findingText) item(name string) { b.printf("  %-14s  ", name) }

// sentence writes an item unless there is nothing to say.
func (b *findingText) sentence(name, s string) {
	if s != "" {
		b.item(name)
		b.paragraphAt(itemColumn, plain.Clean(s), itemColumn)
	}
}

// list writes an item of several sentences, which are told apart by a dash.
func (b *findingText) list(name string, sentences []string) {
	if len(sentences) == 1 {
		b.sentence(name, sentences[0])
		return
	}
	for _, s := range sentences {
		b.item(name)
		b.paragraphAt(itemColumn, "- "+plain.Clean(s), itemColumn+2)
		name = ""
	}
}

// fields writes the table of header fields; those that differ are marked.
func (b *findingText) fields(list []heap.Field) {
	if len(list) == 0 {
		return
	}
	width := len("header")
	for _, f := range list {
		width = max(width, utf8.RuneCountInString(f.Header))
	}
	b.printf("  %-14s  %-*s  backup\n", "field", width, "header")
	for _, f := range list {
		mark := " "
		if f.Differs {
			mark = "*"
		}
		line := fmt.Sprintf("%s %-14s  %-*s  %s", mark, plain.Clean(f.Name), width, plain.Clean(f.Header), plain.Clean(f.Backup))
		if line = strings.TrimRight(line, " "); f.Differs {
			line = b.paint(red, line)
		}
		b.WriteString(line + "\n")
	}
}

// node writes a node, why it is shown if there is more to say than its name
// does, and its stack.
func (b *findingText) node(name string, n *heap.Node, why string) {
	if n == nil {
		return
	}
	b.item(name)
	b.printf("%s %s", n.Addr, n.State)
	if n.Size != 0 {
		b.printf(", %d bytes at %s", n.Size, n.Payload)
	} else if n.Total != 0 {
		b.printf(", %d bytes with headers", n.Total)
	}
	if owner := b.owner(n.Owner); owner != "" {
		b.printf(", owner %s", owner)
	}
	what, age := "allocated in", "old"
	if n.State != heap.Used {
		what, age = "freed in", "since"
	}
	if b.around != nil {
		if ago, ok := b.around.Age(n); ok {
			b.printf(", %s %s", plain.Duration(ago), age)
		}
	}
	b.WriteString("\n")
	b.sentence("reason", why)
	b.stack(what, n.Stack, maxFrames)
}

// owner returns the name of an owner as the finding, or else the snapshot,
// knows it.
func (b *findingText) owner(o heap.Owner) string {
	names := &heap.Snapshot{Owners: b.f.Owners}
	if _, ok := names.Owners[o]; !ok && b.around != nil {
		names = b.around
	}
	return plain.Clean(names.OwnerName(o))
}

const (
	// maxFrames bounds the stacks of findings unless all is asked for: the
	// outer end of a deep stack says little.
	maxFrames = 8
	// fewFrames are enough of a stack that is there to tell when, not who:
	// whoever notices damage has not done it.
	fewFrames = 2
)

func (b *findingText) stack(name string, s heap.Stack, most int) {
	if len(s) == 0 {
		return
	}
	b.item(name)
	b.frames(itemColumn, leak.Resolve(b.sym, s), most)
}

// fewBytes is about how much of a piece of memory is shown unless all is asked
// for.
const fewBytes = 128

// memory writes memory in hexadecimal and as characters, sixteen bytes a line
// where there is room.
func (b *findingText) memory(pieces []heap.Memory) {
	if len(pieces) > 0 {
		b.WriteString("  memory\n")
	}
	for _, m := range pieces {
		bytes, more := m.Bytes, 0
		if !b.Verbose && len(bytes) > fewBytes+fewBytes/4 {
			more = len(bytes) - fewBytes
			bytes = bytes[:fewBytes]
		}
		each := 16
		if b.Width > 0 && len("  : ")+len(m.Addr.String())+4*each+1 > b.Width {
			each = 8
		}
		at := m.Addr
		for row := range slices.Chunk(bytes, each) {
			b.printf("  %s: %-*s  %s\n", at, 3*each-1, fmt.Sprintf("% x", row), characters(row))
			at += heap.Addr(len(row))
		}
		if more > 0 {
			b.printf("  %s not shown\n", plain.Plural(more, "more byte"))
		}
	}
}

// characters shows bytes as the printable ASCII characters that they are.
func characters(bytes []byte) string {
	s := make([]byte, len(bytes))
	for i, c := range bytes {
		if s[i] = '.'; c >= ' ' && c <= '~' {
			s[i] = c
		}
	}
	return string(s)
}
