package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// The shape of a map as SVG, in pixels where nothing else is said.
const (
	svgColumns, svgRows = 96, 24 // cells
	svgCell, svgCellTop = 10, 14 // width and height of a cell
	svgLeft, svgLine    = 92, 18 // of addresses; between lines of text
	svgGroups           = 12     // in the legend
	svgWidth            = svgLeft + svgColumns*svgCell + 16
	svgNames            = 118 // characters that fit behind the figures of the legend
	svgLineLength       = 140 // characters that fit into a line
	svgBar              = 44  // height of the histogram's columns
)

// SVGMapCells is how many cells a map should have that MapSVG writes.
const SVGMapCells = svgColumns * svgRows

// svgColors tell groups apart, also for most who do not see all colours; cells
// say in words what they are.
var svgColors = [svgGroups]string{
	"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377",
	"#994f00", "#8877cc", "#44aa99", "#dd8452", "#6b8e23", "#b07aa1",
}

// Colours of what is no group, or none in the legend.
const (
	svgFree    = "#eef1f4"
	svgOther   = "#9aa5b1"
	svgPool    = "#5b6570"
	svgUnknown = "#d8c4ea"
	svgDamaged = "#d00000"
)

// svg writes a drawing from top to bottom.
type svg struct {
	*bufio.Writer
	y int
}

func (s *svg) printf(format string, args ...any) { fmt.Fprintf(s.Writer, format, args...) }

// MapSVG draws pools as one SVG picture without scripts: a rectangle for each
// cell, whose tooltip says what it holds, the legend, and a histogram of sizes.
// maps should have SVGMapCells cells.
func MapSVG(w io.Writer, maps []*Map, notes []string, _ Options) error {
	height := svgLine
	for _, m := range maps {
		height += svgHeight(m)
	}
	var lines []string
	for _, n := range notes {
		lines = append(lines, strings.Split(plain.Wrap("note: "+plain.Clean(n), svgLineLength, 0, 6), "\n")...)
	}
	height += svgLine * len(lines)
	s := &svg{Writer: bufio.NewWriter(w), y: svgLine}
	s.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %[1]d %[2]d" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="12" fill="#1b1f23">`+"\n", svgWidth, height)
	s.printf("<title>heapwright: how the heap is used</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", svgWidth, height)
	for _, m := range maps {
		s.pool(m)
	}
	for _, line := range lines {
		s.text(8, "", line)
		s.y += svgLine
	}
	s.printf("</svg>\n")
	return s.Flush()
}

// svgHeight is how much room pool takes.
func svgHeight(m *Map) int {
	rows := (len(m.Cells) + svgColumns - 1) / svgColumns
	legend := min(len(m.Groups), svgGroups) + 6 // title, others, free, pool, unknown, damage
	lines := 1 + len(m.svgLayout()) + legend + 1
	if m.Partial != "" {
		lines++
	}
	if m.Drawn != m.About.Span {
		lines++
	}
	n := lines*svgLine + rows*svgCellTop + 2*svgLine
	if first, last := m.sizeRange(); last >= first {
		n += 2*(svgBar+2*svgLine) + svgLine
	}
	return n
}

// svgLayout returns the lines that say how the pool is laid out.
func (m *Map) svgLayout() []string {
	return strings.Split(plain.Wrap(plain.Clean(m.About.Layout), svgLineLength, 0, 2), "\n")
}

// text writes a line of text; attributes are those besides its place.
func (s *svg) text(x int, attributes, what string) {
	s.printf("<text x=\"%d\" y=\"%d\"%s xml:space=\"preserve\">%s</text>\n", x, s.y, attributes, escapeXML(plain.Clean(what)))
}

func (s *svg) pool(m *Map) {
	s.text(8, ` font-weight="bold" font-size="14"`, fmt.Sprintf("pool %s: %d bytes, %d a cell, drawn by %s", m.About.Label(), m.About.Span.Len(), m.CellSize, m.By))
	s.y += svgLine
	for _, line := range m.svgLayout() {
		s.text(8, ` fill="#5b6570"`, line)
		s.y += svgLine
	}
	for from := 0; from < len(m.Cells); from += svgColumns {
		s.printf("<text x=\"%d\" y=\"%d\" text-anchor=\"end\" font-size=\"11\" fill=\"#5b6570\">%s</text>\n", svgLeft-6, s.y, m.cellAddr(from))
		for i := from; i < min(from+svgColumns, len(m.Cells)); i++ {
			s.cell(m, i, svgLeft+(i-from)*svgCell, s.y-svgCellTop+4)
		}
		s.y += svgCellTop
	}
	if m.Drawn != m.About.Span {
		s.printf("<text x=\"%d\" y=\"%d\" text-anchor=\"end\" font-size=\"11\" fill=\"#5b6570\">%s</text>\n", svgLeft-6, s.y, m.Drawn.End)
		s.text(svgLeft, ` fill="#5b6570"`, m.tail())
		s.y += svgLine
	}
	s.y += svgLine / 2
	s.legend(m)
	s.figures(m)
	s.histogram(m)
	s.y += svgLine
}

func (s *svg) cell(m *Map, i, x, y int) {
	c := &m.Cells[i]
	color, opacity := m.svgColor(c), ""
	if c.kind() == kindUsed && c.Group >= 0 && c.GroupBytes*2 < c.Used+c.Free+c.Unknown+c.Pool {
		opacity = ` fill-opacity=".6"`
	}
	edge := ""
	if c.Findings > 0 {
		edge = ` stroke="` + svgDamaged + `" stroke-width="2"`
	}
	s.printf(`<rect x="%d" y="%d" width="%d" height="%d" fill="%s"%s%s><title>%s</title></rect>`+"\n",
		x, y, svgCell-1, svgCellTop-1, color, opacity, edge, escapeXML(plain.Clean(m.tooltip(i))))
}

func (m *Map) svgColor(c *MapCell) string {
	switch c.kind() {
	case kindFree:
		return svgFree
	case kindUnknown:
		return svgUnknown
	case kindPool:
		return svgPool
	}
	if c.Group < 0 || c.Group >= svgGroups {
		return svgOther
	}
	return svgColors[c.Group]
}

// tooltip says what a cell holds.
func (m *Map) tooltip(i int) string {
	c := &m.Cells[i]
	var parts []string
	for _, k := range []struct {
		n    uint64
		what string
	}{{c.Used, "used"}, {c.Free, "free"}, {c.Unknown, "not understood"}, {c.Pool, "of the pool itself"}} {
		if k.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", k.n, k.what))
		}
	}
	s := fmt.Sprintf("%s: %s bytes", m.cellAddr(i), strings.Join(parts, ", "))
	if c.Group >= 0 && c.Group < len(m.Groups) {
		s += fmt.Sprintf("; %d by %s", c.GroupBytes, m.Groups[c.Group].name(3))
	}
	if c.Findings > 0 {
		s += "; " + plain.Plural(c.Findings, "finding") + " here"
	}
	return s
}

// name is the call chain of a group, so many levels of it.
func (g *MapGroup) name(levels int) string {
	frames := g.Frames
	if at := leak.Interesting(frames, nil); at > 0 && at < len(frames) {
		frames = frames[at:]
	}
	chain := chainOf("", withoutDirectories(frames))
	return strings.Join(chain[:min(len(chain), levels)], " <- ")
}

func (s *svg) legend(m *Map) {
	row := func(bytes, share, what string) {
		s.text(svgLeft+20, "", fmt.Sprintf("%10s %6s  %s", bytes, share, cut(what, svgNames)))
		s.y += svgLine
	}
	box := func(color, edge string) {
		s.printf("<rect x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" fill=\"%s\"%s/>\n", svgLeft, s.y-10, color, edge)
	}
	line := func(color, edge string, bytes uint64, what string) {
		box(color, edge)
		row(size(float64(bytes)), "", what)
	}
	group := func(color string, bytes uint64, what string) {
		box(color, "")
		row(size(float64(bytes)), fmt.Sprintf("%.1f", 100*float64(bytes)/float64(max(1, m.Stats.Used))), what)
	}
	row("bytes", "%used", m.legendTitle())
	shown := min(len(m.Groups), svgGroups)
	for i := range shown {
		g := &m.Groups[i]
		group(svgColors[i], g.Bytes, fmt.Sprintf("%s, %s", plain.Plural(int(g.Nodes), "node"), g.name(len(g.Frames)+1)))
	}
	var rest uint64
	for _, g := range m.Groups[shown:] {
		rest += g.Bytes
	}
	if n := len(m.Groups) - shown; n > 0 {
		group(svgOther, rest, plain.Plural(n, "other "+groupNoun(m.By)))
	}
	line(svgFree, ` stroke="#c5ccd3"`, m.Sum.Free, "free")
	line(svgPool, "", m.Sum.Pool, "the pool's own head and end")
	if m.Sum.Unknown > 0 {
		line(svgUnknown, "", m.Sum.Unknown, "not understood")
	}
	if m.Findings > 0 {
		s.printf("<rect x=\"%d\" y=\"%d\" width=\"10\" height=\"10\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", svgLeft+1, s.y-9, svgDamaged)
		s.text(svgLeft+20, "", "damage begins in the cell: "+plain.Plural(m.Findings, "finding"))
		s.y += svgLine
	}
}

func (s *svg) figures(m *Map) {
	s.text(svgLeft, "", m.totals())
	s.y += svgLine
	if m.Partial != "" {
		s.text(svgLeft, ` fill="`+svgDamaged+`"`, cut("partial: "+m.Partial, svgLineLength-12))
		s.y += svgLine
	}
}

// histogram draws how many nodes there are of which length.
func (s *svg) histogram(m *Map) {
	first, last := m.sizeRange()
	if last < first {
		return
	}
	s.y += svgLine / 2
	wide := min(72, svgColumns*svgCell/(last-first+1))
	for _, h := range []struct {
		name, color string
		counts      *[65]MapCount
	}{{"used nodes", "#4477aa", &m.Used}, {"free nodes", "#9aa5b1", &m.Free}} {
		s.bars(h.name, h.color, h.counts[first:last+1], first, wide)
	}
}

func (s *svg) bars(name, color string, counts []MapCount, first, wide int) {
	var most uint64
	for _, c := range counts {
		most = max(most, c.Nodes)
	}
	s.y += svgBar
	s.printf("<text x=\"%d\" y=\"%d\" text-anchor=\"end\" font-size=\"11\">%s</text>\n", svgLeft-6, s.y, name)
	s.printf("<text x=\"%d\" y=\"%d\" text-anchor=\"end\" font-size=\"10\" fill=\"#5b6570\">bytes, from</text>\n", svgLeft-6, s.y+12)
	for i, c := range counts {
		x := svgLeft + i*wide
		if c.Nodes > 0 {
			tall := max(1, int(float64(svgBar-12)*float64(c.Nodes)/float64(most)))
			s.printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"%s\"><title>%s of %d bytes or more, %d bytes in all</title></rect>\n",
				x, s.y-tall, wide-4, tall, color, plain.Plural(int(c.Nodes), "node"), sizeFrom(first+i), c.Bytes)
			s.printf("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-size=\"10\">%s</text>\n", x+(wide-4)/2, s.y-tall-3, count(c.Nodes))
		}
		s.printf("<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-size=\"10\" fill=\"#5b6570\">%s</text>\n", x+(wide-4)/2, s.y+12, short(sizeFrom(first+i)))
	}
	s.y += 2 * svgLine
}
