package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// Options say how a document is written.
type Options struct {
	// Width is the number of columns text should fit into; 0: no limit.
	Width int
	// Height is how many lines the screen has; 0: unknown. Call sites that are
	// not asked for fill it.
	Height int
	// Color allows ANSI colours in text.
	Color bool
	// Top is the number of call sites shown; 0: all; negative: all in JSON,
	// and in text as many as fit a screen.
	Top int
	// TopHint says how to see the rest, for example "--top 0 shows all".
	TopHint string
	// Verbose shows whole call stacks, one frame a line, every count and every
	// reason in text.
	Verbose bool
	// ASCII keeps what text draws to ASCII characters. Names are written as
	// they are.
	ASCII bool
	// Version of the program that writes, for formats that name it.
	Version string
	// Roots are directories, in the words of the debug information: the name
	// of a source file below one of them is written relative to it, the first
	// that fits.
	Roots []string
}

// screenful is how many call sites text shows unless asked for more: with what
// stands around them they fit into 24 rows.
const screenful = 15

const chainTitle = "call chain, innermost first"

// ANSI sequences.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	reset  = "\x1b[0m"
)

// text collects a text document.
type text struct {
	*bufio.Writer
	Options
}

func newText(w io.Writer, o Options) *text { return &text{bufio.NewWriter(w), o} }

func (t *text) printf(format string, args ...any) { fmt.Fprintf(t.Writer, format, args...) }

// paint returns s in a colour, if colours are allowed. Pad s before.
func (t *text) paint(color, s string) string {
	if !t.Color || color == "" || s == "" {
		return s
	}
	return color + s + reset
}

// A table is rows of right-aligned columns with a call chain behind them,
// which is wrapped at its arrows; or below them, where names and places are too
// long to stand behind.
type table struct {
	titles []string
	rows   []tableRow
}

type tableRow struct {
	cells []string
	color string // of the first cell
	chain []string
	// frames are those of the chain, for the whole stack.
	frames []heap.Frame
}

func (t *text) table(tab table) {
	widths := make([]int, len(tab.titles))
	for i, s := range tab.titles {
		widths[i] = len(s)
	}
	for _, r := range tab.rows {
		for i, s := range r.cells {
			widths[i] = max(widths[i], len(s))
		}
	}
	indent := 0
	for i, title := range tab.titles {
		t.WriteString(t.paint(bold, fmt.Sprintf("%*s", widths[i], title)))
		t.WriteString("  ")
		indent += widths[i] + 2
	}
	below := t.Verbose || t.Width > 0 && slices.ContainsFunc(tab.rows, func(r tableRow) bool { return !t.fits(r.chain, indent) })
	if below {
		t.printf("%s\n", t.paint(bold, "below: "+chainTitle))
	} else {
		t.printf("%s\n", t.paint(bold, chainTitle))
	}
	for _, r := range tab.rows {
		for i, s := range r.cells {
			s = fmt.Sprintf("%*s", widths[i], s)
			if i == 0 {
				s = t.paint(r.color, s)
			} else {
				s = "  " + s
			}
			t.WriteString(s)
		}
		switch {
		case t.Verbose && len(r.frames) > 0:
			t.printf("  %s\n%*s", r.chain[0], belowIndent, "")
			t.frames(belowIndent, r.frames, len(r.frames))
		case below:
			t.printf("\n%*s", belowIndent, "")
			t.wrap(r.chain, belowIndent)
		default:
			t.WriteString("  ")
			t.wrap(r.chain, indent)
		}
	}
}

// belowIndent is where a call chain starts that stands below its numbers.
const belowIndent = 4

// fits reports whether a call chain that starts in column indent needs no line
// that is too long.
func (t *text) fits(chain []string, indent int) bool {
	for i, s := range chain {
		n := indent + utf8.RuneCountInString(s)
		if i > 0 {
			n += 2
		}
		if i < len(chain)-1 {
			n += len(" <-")
		}
		if n > t.Width {
			return false
		}
	}
	return true
}

// wrap writes a call chain that starts in column indent and continues on
// further lines below itself where it would not fit. A name is never broken.
func (t *text) wrap(chain []string, indent int) {
	column := indent
	for i, s := range chain {
		n := utf8.RuneCountInString(s)
		arrow := ""
		if i < len(chain)-1 {
			arrow = " <-"
		}
		switch {
		case i == 0:
		case t.Width > 0 && column+1+n+len(arrow) > t.Width:
			t.printf("\n%*s", indent+2, "")
			column = indent + 2
		default:
			t.WriteByte(' ')
			column++
		}
		t.WriteString(s)
		t.WriteString(t.paint(faint, arrow))
		column += n + len(arrow)
	}
	t.WriteByte('\n')
}

// NotesText writes notes as they stand at the end of every text document.
func NotesText(w io.Writer, notes []string, o Options) error {
	t := newText(w, o)
	t.notes(notes)
	return t.Flush()
}

// notes writes what the reader should know, at the end of a document.
func (t *text) notes(notes []string) { t.remarks(nil, notes) }

func (t *text) remarks(warnings, notes []string) {
	if len(warnings)+len(notes) > 0 {
		t.WriteByte('\n')
	}
	for _, w := range warnings {
		t.paragraph(t.paint(yellow, "warning:")+" "+plain.Clean(w), len("warning: "))
	}
	for _, n := range notes {
		t.paragraph("note: "+plain.Clean(n), 6)
	}
}

// paragraph writes s broken at blanks, with further lines indented.
func (t *text) paragraph(s string, indent int) { t.paragraphAt(0, s, indent) }

// paragraphAt is paragraph for text that begins in a column.
func (t *text) paragraphAt(column int, s string, indent int) {
	t.WriteString(t.fill(column, s, indent) + "\n")
}

// fill breaks text that begins in a column at blanks.
func (t *text) fill(column int, s string, indent int) string {
	return plain.Wrap(s, t.Width, column, indent)
}

// chainOf returns the levels of a call chain as text, the pool in front.
func chainOf(pool string, frames []heap.Frame) []string {
	var chain []string
	for _, f := range frames {
		chain = append(chain, plain.Clean(f.String()))
	}
	if len(chain) == 0 {
		chain = []string{"(no call stack)"}
	}
	if pool != "" {
		chain[0] = "[" + plain.Clean(pool) + "] " + chain[0]
	}
	return chain
}

// frames writes a stack that starts in a column, one frame a line, functions
// and places aligned, and not more than so many frames unless all is asked for.
func (t *text) frames(indent int, frames []heap.Frame, most int) {
	for n := len(frames); n > 1 && (frames[n-1].Function == "runtime.goexit" || frames[n-1].Function == "runtime.main"); n-- {
		frames = frames[:n-1] // every stack of a Go program ends there
	}
	more := 0
	if !t.Verbose {
		more = max(0, len(frames)-most)
		frames = frames[:len(frames)-more]
	}
	width, addr := 0, 0
	for _, f := range frames {
		if n := utf8.RuneCountInString(function(f)); n <= maxAligned {
			width = max(width, n)
		}
		addr = max(addr, len(f.Addr.String()))
	}
	for i, f := range frames {
		if i > 0 {
			t.printf("%*s", indent, "")
		}
		if t.Verbose {
			t.printf("%*s  ", addr, f.Addr)
		}
		line := function(f)
		if t.Verbose && f.Function == "" {
			line = "?" // its address stands in front
		}
		if f.File != "" {
			line = fmt.Sprintf("%-*s  %s:%d", width, line, plain.Clean(f.File), f.Line)
		}
		if f.Inlined {
			line += t.paint(faint, " (inlined)")
		}
		t.WriteString(line + "\n")
	}
	if more > 0 {
		t.printf("%*s%s\n", indent, "", plain.Plural(more, "more frame"))
	}
}

// maxAligned is how long a function's name may be for the places of the others
// to be aligned behind it.
const maxAligned = 48

// function returns the name of a frame's function, its address if it has none.
func function(f heap.Frame) string {
	if f.Function == "" {
		return f.Addr.String()
	}
	return plain.Clean(f.Function)
}

func signed(n int64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%+d", n)
}

// signColor is the colour of a change: more is bad.
func signColor(n int) string {
	switch {
	case n > 0:
		return red
	case n < 0:
		return green
	}
	return ""
}

// shown returns how many of n call sites to show as text, and as JSON.
func (o Options) shown(n, screen int) int {
	switch {
	case o.Top < 0:
		return min(n, screen)
	case o.Top == 0:
		return n
	}
	return min(n, o.Top)
}

func (o Options) hint() string {
	if o.TopHint == "" {
		return ""
	}
	return "; " + o.TopHint
}
