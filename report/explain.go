package report

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
	pools "github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/internal/plain"
)

// An Explanation is what is known about an address and the node it lies in.
type Explanation struct {
	Addr heap.Addr
	// Where says in a clause what lies there: "28 bytes into the payload of the
	// used node 0x57dcc".
	Where string
	// Pool is the pool's name, where the source has several.
	Pool string
	// Node is the node that the address lies in; nil: in none. Nearest says
	// that it does not lie in Node, which is the nearest one.
	Node    *heap.Node
	Nearest bool
	// Fields are the parts of the node's head.
	Fields []pools.Field
	// Before and Behind are the neighbours; nil: there is none, or it is not
	// known.
	Before, Behind *heap.Node
	// Findings are those that concern the node; Damaged says that the node
	// itself is damaged, and not merely next to damage.
	Findings []heap.Finding
	Damaged  bool
	// Memory is the node's memory, or its beginning, or what lies around an
	// address in no node; More is how many bytes of it are left out.
	Memory heap.Memory
	More   uint64
	// Words says what words in Memory point to, in ascending order of address.
	Words []Word
	// Standing is what is known of who reaches the node; nil: nothing was
	// looked for.
	Standing *Standing
	// Around names owners and tells how old nodes are; it has no nodes.
	Around *heap.Snapshot
}

// A Word is a pointer in memory.
type Word struct {
	Addr  heap.Addr `json:"addr"`
	Value heap.Addr `json:"value"`
	Text  string    `json:"text"` // what it points to
}

// A Standing is who reaches a node.
type Standing struct {
	// State is in words: "reachable", "unreferenced", "lost indirectly";
	// empty: it cannot be told.
	State string `json:"state"`
	// Why says why it cannot be told, or what State means.
	Why string `json:"why,omitempty"`
	// Path leads from a root to the node, a step each.
	Path []string `json:"path"`
	// Pointers are words that point into the node, whether they keep it alive
	// or not; More says that there are others.
	Pointers []Word `json:"pointers"`
	More     bool   `json:"more_pointers"`
}

// ExplainText writes explanations for people.
func ExplainText(w io.Writer, all []Explanation, sym heap.Symbolizer, notes []string, o Options) error {
	t := newText(w, o)
	for i := range all {
		if i > 0 {
			t.WriteByte('\n')
		}
		t.explanation(&all[i], sym)
	}
	t.notes(notes)
	return t.Flush()
}

func (t *text) explanation(e *Explanation, sym heap.Symbolizer) {
	b := &findingText{t, &heap.Finding{}, sym, e.Around}
	t.WriteString(t.paint(bold, t.fill(0, plain.Clean(e.Addr.String()+" lies "+e.Where), 2)) + "\n")
	b.sentence("pool", e.Pool)
	name := "node"
	if e.Nearest {
		name = "nearest node"
	}
	b.node(name, e.Node, "")
	b.standing(e.Standing)
	b.node("in front of it", e.Before, "")
	b.node("behind it", e.Behind, "")
	if len(e.Fields) > 0 {
		b.head(e)
	}
	b.payload(e)
	for i := range e.Findings {
		t.WriteByte('\n')
		t.finding("", &e.Findings[i], sym, e.Around)
	}
}

func (b *findingText) heading(s string) { b.WriteString("  " + b.paint(bold, s) + "\n") }

// standing writes who reaches the node.
func (b *findingText) standing(s *Standing) {
	if s == nil {
		return
	}
	state := cmp.Or(s.State, "unknown")
	if s.Why != "" {
		state += ": " + s.Why
	}
	b.sentence("reachability", state)
	for i, step := range s.Path {
		name, arrow := "", "-> " // in ASCII: it is read over serial lines
		if i == 0 {
			name, arrow = "reached from", ""
		}
		b.sentence(name, arrow+step)
	}
	for i, p := range s.Pointers {
		name := ""
		if i == 0 {
			name = "pointed to by"
		}
		b.sentence(name, p.Text)
	}
	if s.More {
		b.sentence("", "and more")
	}
}

// fieldBytes is how many bytes of a field are shown.
const fieldBytes = 8

// head writes the head of a node, a field a line, those that are wrong marked;
// "backup: magic" stands below a line "backup".
func (b *findingText) head(e *Explanation) {
	wide, part := 0, ""
	for _, f := range e.Fields {
		_, name := fieldName(f.Name)
		wide = max(wide, len(name))
	}
	for _, f := range e.Fields {
		of, name := fieldName(f.Name)
		if of != part {
			part = of
			b.heading(cmp.Or(of, "header"))
		}
		raw := e.bytes(f.Span)
		hex := fmt.Sprintf("% x", raw[:min(len(raw), fieldBytes)])
		line := fmt.Sprintf("  %s: %-*s  %-*s  %s", f.Start, 3*4-1, hex, wide, name, plain.Clean(f.Value))
		color, below := "", ""
		switch why := plain.Clean(e.wrong(&f)); {
		case why != "":
			color = red
			if line = "*" + line[1:]; b.Width > 0 && utf8.RuneCountInString(line+"  "+why) > b.Width {
				below = why
			} else {
				line += "  " + why
			}
		case e.word(f.Start) != "":
			line += "  -> " + plain.Clean(e.word(f.Start))
		}
		b.WriteString(b.paint(color, b.fillLine(line)) + "\n")
		if below != "" {
			b.printf("%*s%s\n", belowIndent, "", b.paint(color, b.fill(belowIndent, below, belowIndent)))
		}
	}
}

// fieldName splits the name of a field into what it is a part of, and its own.
func fieldName(name string) (part, own string) {
	name = plain.Clean(name)
	if i := strings.LastIndex(name, ": "); i >= 0 {
		return name[:i], name[i+2:]
	}
	return "", name
}

// fillLine cuts a line where the screen ends.
func (b *findingText) fillLine(line string) string {
	if b.Width <= 0 || b.Verbose {
		return line
	}
	return cut(line, b.Width)
}

// wrong says what is wrong with a field.
func (e *Explanation) wrong(f *pools.Field) string {
	if f.Wrong != "" {
		return f.Wrong
	}
	for i := range e.Findings {
		if s := e.Findings[i].Span; s.Start < f.End && f.Start < s.End {
			return "overwritten"
		}
	}
	return ""
}

// bytes returns the memory in a span, nil where it is not shown.
func (e *Explanation) bytes(s heap.Span) []byte {
	if s.Start < e.Memory.Addr || s.End < s.Start {
		return nil
	}
	from, to := uint64(s.Start-e.Memory.Addr), uint64(s.End-e.Memory.Addr)
	if to > uint64(len(e.Memory.Bytes)) {
		return nil
	}
	return e.Memory.Bytes[from:to]
}

// word says what the word at an address points to.
func (e *Explanation) word(at heap.Addr) string {
	for _, w := range e.Words {
		if w.Addr == at {
			return w.Text
		}
	}
	return ""
}

// payload writes what is behind the fields, sixteen bytes a line where there is
// room, with what words point to below.
func (b *findingText) payload(e *Explanation) {
	at := e.Memory.Addr
	if n := len(e.Fields); n > 0 {
		at = e.Fields[n-1].End
	}
	rest := e.bytes(heap.Span{Start: at, End: e.Memory.Addr + heap.Addr(len(e.Memory.Bytes))})
	if len(rest) == 0 {
		return
	}
	title := "memory"
	if e.Node != nil && !e.Nearest {
		title = "payload"
		if e.Node.State == heap.Free {
			title = "free memory"
		}
	}
	b.heading(title)
	each := 16
	if b.Width > 0 && len("  : ")+len(at.String())+4*each+1 > b.Width {
		each = 8
	}
	words := e.Words
	for len(words) > 0 && words[0].Addr < at {
		words = words[1:]
	}
	rows := rowWriter{b: b, each: each, addr: e.Addr}
	for start := at; len(rest) > 0; {
		row := rest[:min(each, len(rest))]
		rest = rest[len(row):]
		end := at + heap.Addr(len(row))
		own := words
		for len(words) > 0 && words[0].Addr < end {
			words = words[1:]
		}
		near := e.Addr+nearBytes >= at && e.Addr <= end+nearBytes
		if b.Verbose || near || at-start < shownBytes {
			rows.row(at, row, own[:len(own)-len(words)])
		} else {
			rows.skip()
		}
		at = end
	}
	rows.end()
	if e.More > 0 {
		b.printf("  %d more bytes", e.More)
		if !b.Verbose {
			b.WriteString("; -v shows more")
		}
		b.WriteString("\n")
	}
}

const (
	// shownBytes is how much of a payload is shown unless all is asked for, and
	// nearBytes how much on either side of the address.
	shownBytes, nearBytes = 256, 48
)

// rowWriter writes rows of memory. Those that are like the one before are
// counted, unless the address lies there.
type rowWriter struct {
	b       *findingText
	each    int
	addr    heap.Addr
	last    []byte
	alike   int
	skipped bool
}

func (w *rowWriter) row(at heap.Addr, row []byte, words []Word) {
	here := w.addr >= at && w.addr < at+heap.Addr(len(row))
	if bytes.Equal(row, w.last) && len(words) == 0 && !here && !w.skipped {
		w.alike++
		return
	}
	w.end()
	w.last, w.skipped = row, false
	mark := " "
	if here {
		mark = ">"
	}
	w.b.printf("%s %s: %-*s  %s\n", mark, at, 3*w.each-1, fmt.Sprintf("% x", row), characters(row))
	for _, word := range words {
		w.b.WriteString(w.b.fillLine(fmt.Sprintf("    %s -> %s", word.Value, plain.Clean(word.Text))) + "\n")
	}
}

// skip leaves a row out.
func (w *rowWriter) skip() {
	if !w.skipped {
		w.end()
		w.b.WriteString("  ...\n")
	}
	w.skipped = true
}

// end says how many rows were alike.
func (w *rowWriter) end() {
	if w.alike > 0 {
		w.b.printf("  the same %s\n", plain.Plural(w.alike, "more time"))
	}
	w.alike = 0
}
