package report

import (
	"bufio"
	"io"

	"github.com/heapwright/heapwright/heap"
)

// MapJSON writes maps of pools for programs.
func MapJSON(w io.Writer, maps []*Map, notes []string, _ Options) error {
	d := &doc{w: bufio.NewWriter(w)}
	d.raw("{\"pools\":[")
	for i, m := range maps {
		d.separate(i)
		d.mapped(m)
	}
	d.raw("]")
	return d.end(notes)
}

type jsonMapCell struct {
	Addr heap.Addr `json:"addr"`
	MapBytes
	Group      *int   `json:"group"`
	GroupBytes uint64 `json:"group_bytes"`
	Findings   int    `json:"findings"`
}

type jsonMapSizes struct {
	From uint64   `json:"from"`
	Used MapCount `json:"used"`
	Free MapCount `json:"free"`
}

func (d *doc) mapped(m *Map) {
	d.raw(`{"pool":`)
	d.value(m.About.Span.Start)
	d.raw(`,"name":`)
	d.value(m.About.Label())
	d.raw(`,"layout":`)
	d.value(m.About.Layout)
	d.raw(",\"by\":%q,\n\"stats\":", m.By)
	d.value(m.Stats)
	d.raw(`,"fragmentation":%.4g,"findings":%d,"partial":`, m.Stats.Fragmentation(), m.Findings)
	d.value(m.Partial)
	d.raw(",\n\"bytes\":")
	d.value(m.Sum)
	d.raw(",\"cell_size\":%d,\n\"groups\":[", m.CellSize)
	for i := range m.Groups {
		g := &m.Groups[i]
		d.separate(i)
		d.raw(`{"nodes":%d,"bytes":%d,"stack":`, g.Nodes, g.Bytes)
		d.value(jsonStack(g.Frames))
		d.raw("}")
	}
	d.raw("],\n\"sizes\":[")
	first, last := m.sizeRange()
	for i := first; i <= last; i++ {
		if i > first {
			d.raw(",")
		}
		d.value(jsonMapSizes{sizeFrom(i), m.Used[i], m.Free[i]})
	}
	d.raw("],\n\"cells\":[")
	for i := range m.Cells {
		c := &m.Cells[i]
		j := jsonMapCell{Addr: m.cellAddr(i), MapBytes: c.MapBytes, GroupBytes: c.GroupBytes, Findings: c.Findings}
		if c.Group >= 0 {
			j.Group = &c.Group
		}
		d.separate(i)
		d.value(j)
	}
	d.raw("]}")
}

// cellAddr returns where a cell begins.
func (m *Map) cellAddr(i int) heap.Addr {
	return m.About.Span.Start + heap.Addr(uint64(i)*m.CellSize)
}

// sizeRange returns the first and the last element of Used and Free that there
// are nodes in; last < first if there are none.
func (m *Map) sizeRange() (first, last int) {
	first, last = len(m.Used), -1
	for i := range m.Used {
		if m.Used[i].Nodes+m.Free[i].Nodes > 0 {
			first, last = min(first, i), i
		}
	}
	return first, last
}

// sizeFrom returns the least length that element i of Used and Free counts.
func sizeFrom(i int) uint64 {
	if i == 0 {
		return 0
	}
	return 1 << (i - 1)
}
