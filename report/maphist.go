package report

import (
	"fmt"
	"slices"
	"strings"
)

const histogramLabel, histogramCell = 6, 5 // columns

// histogram draws how many nodes there are of which length, used ones above
// free ones: a column for each power of two of which there are some, or for
// several in a row where the screen is narrow.
func (t *text) histogram(m *Map) {
	var there []int
	for i := range m.Used {
		if m.Used[i].Nodes+m.Free[i].Nodes > 0 {
			there = append(there, i)
		}
	}
	if len(there) == 0 {
		return
	}
	each := 1 // powers of two a column
	if t.Width > 0 {
		room := max(1, (t.Width-histogramLabel)/histogramCell)
		each = (len(there) + room - 1) / room
	}
	height := t.barHeight()
	var used, free []MapCount
	axis := fmt.Sprintf("%-*s", histogramLabel, "bytes>")
	for column := range slices.Chunk(there, each) {
		axis += fmt.Sprintf("%*s", histogramCell, short(sizeFrom(column[0])))
		var u, f MapCount
		for _, i := range column {
			u.join(m.Used[i])
			f.join(m.Free[i])
		}
		used, free = append(used, u), append(free, f)
	}
	t.bars("used", used, height)
	t.WriteString(t.paint(faint, axis) + "\n")
	t.bars("free", free, height)
}

// barHeight is how many lines the columns of a histogram have.
func (o Options) barHeight() int {
	if o.Height > 0 && o.Height <= screenHeight+4 {
		return 1
	}
	return 3
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
		t.printf("%-*s%*s\n", histogramLabel, name, histogramCell, "none")
		return
	}
	full := len(levels)
	for row := height - 1; row >= 0; row-- {
		line := strings.Repeat(" ", histogramLabel)
		for _, c := range counts {
			tall := int((float64(c.Nodes)/float64(most))*float64(height*full) + .999)
			glyph := " "
			if n := min(full, tall-row*full); n > 0 {
				glyph = string(levels[n-1])
			}
			line += "  " + strings.Repeat(glyph, histogramCell-2)
		}
		if line = strings.TrimRight(line, " "); line != "" {
			t.WriteString(line + "\n")
		}
	}
	line := fmt.Sprintf("%-*s", histogramLabel, name)
	for _, c := range counts {
		cell := "."
		if c.Nodes > 0 {
			cell = count(c.Nodes)
		}
		line += fmt.Sprintf("%*s", histogramCell, cell)
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

// count writes a number of nodes in at most four characters.
func count(n uint64) string {
	const units = "kMGTPE"
	if n < 10_000 {
		return fmt.Sprint(n)
	}
	i := 0
	for n /= 1000; n >= 1000; n /= 1000 {
		i++
	}
	return fmt.Sprintf("%d%c", n, units[i])
}
