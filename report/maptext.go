package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// What a cell is drawn as that no group has the most of.
const (
	letterFree    = '.'
	letterUnknown = '?'
	letterPool    = '#'
	letterDamaged = '!'
	letterOther   = '+'
)

// letters are those of the groups in the legend. A small one says that the
// group has less than half of the cell.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Colours of the letters, as black on them; those behind have none.
var mapColors = []string{
	"\x1b[30;42m", "\x1b[30;43m", "\x1b[30;46m", "\x1b[30;45m", "\x1b[97;44m",
	"\x1b[30;102m", "\x1b[30;103m", "\x1b[30;106m", "\x1b[30;105m", "\x1b[30;104m",
}

const mapDamaged = "\x1b[97;41m"

// MapCells returns how many cells a map that MapText writes should have.
func MapCells(o Options) int {
	columns, rows := mapShape(o)
	return columns * rows
}

// addressColumns is room for an address of 64 bits where that matters less than
// on narrow screens.
const addressColumns = 12

// mapShape returns the columns and rows of the drawing: on a screen of 24 lines
// it leaves room for the legend and the figures.
func mapShape(o Options) (columns, rows int) {
	width, height := o.Width, o.Height
	if width <= 0 {
		width = 80
	}
	if height <= 0 {
		height = screenHeight
	}
	columns = min(256, max(16, (width-addressColumns)&^7))
	return columns, min(64, max(4, height*2/5-3))
}

// MapText draws pools: what fills each cell, who has the most, how fragmented
// the free memory is, and a histogram of sizes. maps were made with MapCells
// cells for the same options.
func MapText(w io.Writer, maps []*Map, notes []string, o Options) error {
	t := newText(w, o)
	for i, m := range maps {
		if i > 0 {
			t.WriteByte('\n')
		}
		t.drawing(m)
	}
	t.notes(notes)
	return t.Flush()
}

func (t *text) drawing(m *Map) {
	shown := min(len(m.Groups), t.legendSize())
	t.paragraph(t.paint(bold, "pool "+plain.Clean(m.About.Label()))+plain.Clean(fmt.Sprintf(": %d bytes, %d a cell, drawn by %s", m.About.Span.Len(), m.CellSize, m.By)), 2)
	t.cells(m, shown)
	t.key(m, shown)
	t.legend(m, shown)
	t.figures(m)
	t.histogram(m)
}

// legendSize is how many groups have letters.
func (t *text) legendSize() int {
	if t.Top > 0 {
		return min(t.Top, len(letters))
	}
	if t.Top == 0 || t.Height <= 0 {
		return len(letters)
	}
	// Besides the legend there are the title, the cells and what is behind them,
	// the key, the title of the legend and its rest, the figures, the histogram.
	_, rows := mapShape(t.Options)
	return min(len(letters), max(3, t.Height-rows-7-2*t.barHeight()-3))
}

// cells draws the cells, a row of them a line.
func (t *text) cells(m *Map, shown int) {
	columns, _ := mapShape(t.Options)
	width := max(len(m.cellAddr(0).String()), len(m.cellAddr(len(m.Cells)).String()))
	for from := 0; from < len(m.Cells); from += columns {
		t.printf("%*s ", width, m.cellAddr(from))
		last, run := "", []byte(nil)
		for i := from; i < min(from+columns, len(m.Cells)); i++ {
			letter, color := m.letter(&m.Cells[i], shown)
			if color != last {
				t.WriteString(t.paint(last, string(run)))
				last, run = color, run[:0]
			}
			run = append(run, letter)
		}
		t.WriteString(t.paint(last, string(run)) + "\n")
	}
	if m.Drawn != m.About.Span {
		t.printf("%*s %s\n", width, m.Drawn.End, t.paint(faint, m.tail()))
	}
}

// tail says what is behind the cells.
func (m *Map) tail() string {
	return fmt.Sprintf("... free up to the end, %d bytes", m.About.Span.End-m.Drawn.End)
}

// letter returns what a cell is drawn as, and its colour.
func (m *Map) letter(c *MapCell, shown int) (byte, string) {
	if c.Findings > 0 {
		return letterDamaged, mapDamaged
	}
	switch c.kind() {
	case kindFree:
		return letterFree, faint
	case kindUnknown:
		return letterUnknown, red
	case kindPool:
		return letterPool, ""
	}
	if c.Group < 0 || c.Group >= shown {
		return letterOther, ""
	}
	letter, color := letters[c.Group], ""
	if c.Group < len(mapColors) {
		color = mapColors[c.Group]
	}
	if c.GroupBytes*2 < c.Used+c.Free+c.Unknown+c.Pool {
		letter += 'a' - 'A'
	}
	return letter, color
}

// key explains the characters that are no letters, those that there are.
func (t *text) key(m *Map, shown int) {
	there, small := map[byte]bool{}, false
	for i := range m.Cells {
		l, _ := m.letter(&m.Cells[i], shown)
		there[l] = true
		small = small || l >= 'a' && l <= 'z'
	}
	var words []string
	for _, k := range []struct {
		letter byte
		what   string
	}{
		{letterFree, "free"},
		{letterOther, "other used"},
		{letterPool, "the pool's own"},
		{letterDamaged, "damage here"},
		{letterUnknown, "not understood"},
	} {
		if there[k.letter] {
			words = append(words, string(rune(k.letter))+" "+k.what)
		}
	}
	if small {
		words = append(words, "a b c: less than half of the cell")
	}
	t.paragraph(strings.Join(words, "  "), 2)
}

// legend lists the groups that have letters.
func (t *text) legend(m *Map, shown int) {
	total := m.Stats.Used
	t.WriteString(t.paint(bold, fmt.Sprintf("  %9s %5s %7s  %s", "bytes", "%used", "nodes", m.legendTitle())) + "\n")
	line := func(letter, color string, c MapCount, what string) {
		head := fmt.Sprintf(" %9s %5.1f %7d  ", size(float64(c.Bytes)), 100*float64(c.Bytes)/float64(max(1, total)), c.Nodes)
		if room := t.Width - 1 - len(head); t.Width > 0 && !t.Verbose {
			what = cut(what, max(8, room))
		}
		t.WriteString(t.paint(color, letter) + head + what + "\n")
	}
	for i := range shown {
		color := ""
		if i < len(mapColors) {
			color = mapColors[i]
		}
		g := &m.Groups[i]
		frames := g.Frames
		if at := leak.Interesting(frames, nil); at > 0 && at < len(frames) && !t.Verbose {
			frames = frames[at:]
		}
		if !t.Verbose {
			frames = withoutDirectories(frames)
		}
		line(string(letters[i]), color, g.MapCount, strings.Join(chainOf("", frames), " <- "))
	}
	var rest MapCount
	for _, g := range m.Groups[shown:] {
		rest.join(g.MapCount)
	}
	if n := len(m.Groups) - shown; n > 0 {
		what := plain.Plural(n, "other "+groupNoun(m.By))
		if shown < len(letters) {
			what += "; --top 0 shows more"
		}
		line(string(rune(letterOther)), "", rest, what)
	}
}

// legendTitle says what the names in the legend are.
func (m *Map) legendTitle() string {
	if m.By == ByOwner {
		return "owner"
	}
	return "allocated by, innermost first"
}

func groupNoun(by MapBy) string {
	if by == ByOwner {
		return "owner"
	}
	return "call site"
}

// cut shortens a line of text to so many columns.
func cut(s string, columns int) string {
	if utf8.RuneCountInString(s) <= columns {
		return s
	}
	return string([]rune(s)[:max(0, columns-3)]) + "..."
}

// totals says how much is used and free, and how fragmented that is.
func (m *Map) totals() string {
	st := &m.Stats
	s := fmt.Sprintf("used %d bytes in %s", st.Used, plain.Plural(int(st.UsedNodes), "node"))
	if m.Sum.Used > 0 {
		s += fmt.Sprintf(" (%.0f%% headers)", 100*float64(m.Sum.Headers)/float64(m.Sum.Used))
	}
	return s + fmt.Sprintf("; free %d in %d, the largest %d: fragmentation %.0f%%", st.Free, st.FreeNodes, st.LargestFree, 100*st.Fragmentation())
}

// figures writes totals and fragmentation.
func (t *text) figures(m *Map) {
	s := m.totals()
	if m.Findings > 0 {
		s += "; " + t.paint(red, plain.Plural(m.Findings, "finding"))
	}
	if m.Partial != "" {
		s += "; partial: " + plain.Clean(m.Partial)
	}
	t.paragraph(s+".", 2)
}
