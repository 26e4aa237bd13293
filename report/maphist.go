package report

import (
	"fmt"
	"strings"
)

// histogram draws how many nodes there are of which length, used ones above
// free ones: a column for each power of two.
func (t *text) histogram(m *Map) {
	first, last := m.sizeRange()
	if last < first {
		return
	}
	const label, cell = 6, 6
	if t.Width > 0 { // what does not fit is left out at the small end, where nodes matter less
		first = max(first, last+1-max(1, (t.Width-label)/cell))
	}
	height := 1
	if t.Height <= 0 || t.Height > screenHeight+4 {
		height = 3
	}
	t.bars("used", m.Used[first:last+1], height)
	axis := fmt.Sprintf("%-*s", label, "bytes")
	for i := first; i <= last; i++ {
		axis += fmt.Sprintf("%*s", cell, short(sizeFrom(i)))
	}
	t.WriteString(t.paint(faint, axis) + "\n")
	t.bars("free", m.Free[first:last+1], height)
}

// bars draws counts as columns, with the numbers below.
func (t *text) bars(name string, counts []MapCount, height int) {
	levels := blocks
	if t.ASCII {
		levels = ascii
	}
	var most uint64
	for _, c := range counts {
		most = max(most, c.Nodes)
	}
	if most == 0 {
		t.printf("%-6s%6s\n", name, "none")
		return
	}
	full := len(levels)
	for row := height - 1; row >= 0; row-- {
		line := strings.Repeat(" ", 6)
		for _, c := range counts {
			tall := int((float64(c.Nodes)/float64(most))*float64(height*full) + .999)
			glyph := " "
			if n := min(full, tall-row*full); n > 0 {
				glyph = string(levels[n-1])
			}
			line += "   " + strings.Repeat(glyph, 3)
		}
		if line = strings.TrimRight(line, " "); line != "" {
			t.WriteString(line + "\n")
		}
	}
	line := fmt.Sprintf("%-6s", name)
	for _, c := range counts {
		cell := "."
		if c.Nodes > 0 {
			cell = count(c.Nodes)
		}
		line += fmt.Sprintf("%6s", cell)
	}
	t.WriteString(line + "\n")
}

// short writes a number in at most five characters: 1023, 1K, 512K, 3M.
func short(n uint64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprint(n)
	}
	i := 0
	for n >>= 10; n >= 1024; n >>= 10 {
		i++
	}
	return fmt.Sprintf("%d%c", n, units[i])
}

// count writes a number of nodes in at most five characters.
func count(n uint64) string {
	const units = "kMGTPE"
	if n < 100_000 {
		return fmt.Sprint(n)
	}
	i := 0
	for n /= 1000; n >= 10_000; n /= 1000 {
		i++
	}
	return fmt.Sprintf("%d%c", n, units[i])
}
