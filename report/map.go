package report

import (
	"cmp"
	"math/bits"
	"slices"

	"github.com/heapwright/heapwright/heap"
	pools "github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/leak"
)

// A MapBy is what the used nodes of a map are told apart by.
type MapBy string

// The ways to tell nodes apart.
const (
	BySite  MapBy = "site"  // the chain of functions that allocated them
	ByOwner MapBy = "owner" // the task, module or tag they belong to
)

// A Map is what a pool holds by address, in cells of equal length.
type Map struct {
	About *pools.About
	By    MapBy
	Stats heap.Stats
	// Drawn is what the cells cover, from the start of the pool on. Behind it is
	// nothing but a large free node, and the end of the pool.
	Drawn heap.Span
	// CellSize is the bytes of a cell; the last one may be shorter.
	CellSize uint64
	Cells    []MapCell
	// Groups are the used nodes told apart, the most bytes first.
	Groups []MapGroup
	// Sum is what the whole pool holds.
	Sum MapBytes
	// Used and Free count nodes by the bits of their lengths, headers included:
	// element i those from 1<<(i-1) to 1<<i - 1 bytes.
	Used, Free [65]MapCount
	// Findings is how many things are wrong with the pool.
	Findings int
	// Partial says what is missing; empty if nothing is.
	Partial string
}

// MapBytes is what memory is used for, in bytes.
type MapBytes struct {
	Used    uint64 `json:"used"`    // in used nodes
	Headers uint64 `json:"headers"` // of those, in heads and padding as far as that is known
	Free    uint64 `json:"free"`
	Unknown uint64 `json:"unknown"` // could not be interpreted
	Pool    uint64 `json:"pool"`    // the pool's own head and end
}

// add adds n bytes of a kind.
func (m *MapBytes) add(kind mapKind, n uint64) {
	switch kind {
	case kindUsed:
		m.Used += n
	case kindFree:
		m.Free += n
	case kindUnknown:
		m.Unknown += n
	default:
		m.Pool += n
	}
}

// A MapCell is one piece of a pool.
type MapCell struct {
	MapBytes
	// Group is the index in Map.Groups of the one with the most bytes in the
	// cell, GroupBytes these; -1: nothing is used.
	Group      int
	GroupBytes uint64
	// Findings is how many findings are about nodes that begin in the cell.
	Findings int
}

// A MapGroup is used nodes that have an allocating call chain or an owner in
// common.
type MapGroup struct {
	Frames []heap.Frame // of an owner, one with its name
	MapCount
}

// MapCount is a number of nodes and their bytes, headers included.
type MapCount struct {
	Nodes uint64 `json:"nodes"`
	Bytes uint64 `json:"bytes"`
}

func (c *MapCount) add(bytes uint64) {
	c.Nodes++
	c.Bytes += bytes
}

func (c *MapCount) join(other MapCount) {
	c.Nodes += other.Nodes
	c.Bytes += other.Bytes
}

// mapKind is what a piece of memory is.
type mapKind uint8

const (
	kindPool mapKind = iota
	kindUsed
	kindFree
	kindUnknown
)

// kind returns what fills most of a cell.
func (c *MapCell) kind() mapKind {
	kind, most := kindUnknown, c.Unknown
	for _, k := range []struct {
		mapKind
		n uint64
	}{{kindUsed, c.Used}, {kindFree, c.Free}, {kindPool, c.Pool}} {
		if k.n > most {
			kind, most = k.mapKind, k.n
		}
	}
	return kind
}

// A Mapper makes a Map of nodes that come in ascending order of address. What it
// keeps does not grow with the number of nodes.
type Mapper struct {
	m      Map
	at     heap.Addr // all in front is in a cell
	seen   bool      // a node
	finder *leak.Finder
	snap   heap.Snapshot // of no nodes: what names owners
	raw    map[string]int32
	sites  map[*leak.Site]int32
	owners map[heap.Owner]int32
	others int32 // the group of all that are too many; -1: there is none
	key    []byte

	cell    int
	inCell  []uint64 // bytes of each group in cell
	touched []int32  // the groups that have some
}

// maxGroups bounds the call chains that a map tells apart: those beyond are one
// group.
const maxGroups = 1 << 16

// NewMapper returns a mapper of the pool that about describes, with at most so
// many cells, at least one, up to the address tail if that is not 0 (see
// FreeTail). sym resolves call chains.
func NewMapper(about *pools.About, by MapBy, cells int, tail heap.Addr, sym heap.Symbolizer) *Mapper {
	drawn := about.Span
	if tail > drawn.Start && tail < drawn.End {
		drawn.End = tail
	}
	size := drawn.Len()
	cell := (size/uint64(max(1, cells)) + 16) &^ 15
	a := &Mapper{
		m:      Map{About: about, By: by, Drawn: drawn, CellSize: cell, Cells: make([]MapCell, (size+cell-1)/cell)},
		at:     about.Span.Start,
		finder: leak.NewFinder(nil, sym),
		snap:   heap.Snapshot{Owners: about.Owners},
		raw:    map[string]int32{}, sites: map[*leak.Site]int32{}, owners: map[heap.Owner]int32{},
		others: -1,
	}
	for i := range a.m.Cells {
		a.m.Cells[i].Group = -1
	}
	return a
}

// FreeTail returns where the last node of a pool begins if that is free and
// takes more than an eighth of the pool: there is nothing to see in it. Else it
// returns 0.
func FreeTail(p pools.Pool) heap.Addr {
	var last heap.Addr
	p.Walk(func(n *heap.Node) bool {
		if last = 0; n.State == heap.Free && n.Total > p.About().Span.Len()/8 {
			last = n.Addr
		}
		return true
	}, nil)
	return last
}

// Node adds a node. It does not keep it.
func (a *Mapper) Node(n *heap.Node) bool {
	between := kindUnknown
	if !a.seen {
		between, a.seen = kindPool, true
	}
	a.fill(n.Addr, between, -1)
	end := n.Addr + heap.Addr(n.Total)
	if end < n.Addr {
		end = a.m.About.Span.End
	}
	switch n.State {
	case heap.Used:
		g := a.group(n)
		a.m.Groups[g].add(n.Total)
		a.m.Used[bits.Len64(n.Total)].add(n.Total)
		a.headers(n)
		a.fill(end, kindUsed, g)
	case heap.Free:
		a.m.Free[bits.Len64(n.Total)].add(n.Total)
		a.fill(end, kindFree, -1)
	default:
		a.fill(end, kindUnknown, -1)
	}
	return true
}

// headers counts what a used node takes beyond what was asked for.
func (a *Mapper) headers(n *heap.Node) {
	var over uint64
	switch {
	case n.Size != 0 && n.Size <= n.Total:
		over = n.Total - n.Size
	case n.Payload > n.Addr:
		over = min(n.Total, uint64(n.Payload-n.Addr))
	}
	a.m.Sum.Headers += over
	if i := a.index(n.Addr); i >= 0 {
		// The whole of it counts where the node begins: it is there but for
		// padding.
		a.m.Cells[i].Headers += over
	}
}

// index returns the cell that an address lies in, -1 if there is none.
func (a *Mapper) index(at heap.Addr) int {
	if at < a.m.Drawn.Start || at >= a.m.Drawn.End {
		return -1
	}
	return int(uint64(at-a.m.Drawn.Start) / a.m.CellSize)
}

// fill counts all up to an address. It never goes back, so that nodes that
// overlap do not count twice.
func (a *Mapper) fill(to heap.Addr, kind mapKind, group int32) {
	to = min(to, a.m.About.Span.End)
	for a.at < to {
		i := a.index(a.at)
		if i < 0 { // behind what is drawn
			a.m.Sum.add(kind, uint64(to-a.at))
			a.at = to
			return
		}
		if i != a.cell {
			a.finishCell()
			a.cell = i
		}
		rest := a.m.CellSize - uint64(a.at-a.m.Drawn.Start)%a.m.CellSize
		n := min(rest, uint64(min(to, a.m.Drawn.End)-a.at))
		a.m.Cells[i].add(kind, n)
		a.m.Sum.add(kind, n)
		if group >= 0 {
			if a.inCell[group] == 0 {
				a.touched = append(a.touched, group)
			}
			a.inCell[group] += n
		}
		a.at += heap.Addr(n)
	}
}

// finishCell decides which group has the most of a cell.
func (a *Mapper) finishCell() {
	for _, g := range a.touched {
		c := &a.m.Cells[a.cell]
		if n := a.inCell[g]; n > c.GroupBytes {
			c.Group, c.GroupBytes = int(g), n
		}
		a.inCell[g] = 0
	}
	a.touched = a.touched[:0]
}

// group returns the group of a used node.
func (a *Mapper) group(n *heap.Node) int32 {
	if a.m.By == ByOwner {
		g, ok := a.owners[n.Owner]
		if !ok {
			name := a.snap.OwnerName(n.Owner)
			if name == "" {
				name = "(no owner)"
			}
			g = a.newGroup([]heap.Frame{{Function: name}})
			a.owners[n.Owner] = g
		}
		return g
	}
	k := a.key[:0]
	for _, lr := range n.Stack {
		k = append(k, byte(lr), byte(lr>>8), byte(lr>>16), byte(lr>>24), byte(lr>>32), byte(lr>>40), byte(lr>>48), byte(lr>>56))
	}
	if len(n.Stack) == 0 {
		k = append(k, byte(n.Owner), byte(n.Owner>>8), byte(n.Owner>>16), byte(n.Owner>>24), byte(bits.Len64(leak.Bytes(n))))
	}
	a.key = k
	if g, ok := a.raw[string(k)]; ok {
		return g
	}
	if len(a.raw) == maxGroups {
		if a.others < 0 {
			a.others = a.newGroup([]heap.Frame{{Function: "(too many call chains to tell apart)"}})
		}
		return a.others
	}
	site := a.finder.Site(&a.snap, n)
	g, ok := a.sites[site]
	if !ok {
		g = a.newGroup(site.Frames)
		a.sites[site] = g
	}
	a.raw[string(k)] = g
	return g
}

func (a *Mapper) newGroup(frames []heap.Frame) int32 {
	a.m.Groups = append(a.m.Groups, MapGroup{Frames: frames})
	a.inCell = append(a.inCell, 0)
	return int32(len(a.m.Groups) - 1)
}

// Finding marks the cell in which the node of a finding begins.
func (a *Mapper) Finding(f *heap.Finding) {
	a.m.Findings++
	at := f.Node
	if at == 0 {
		at = f.Span.Start
	}
	if i := a.index(at); i >= 0 {
		a.m.Cells[i].Findings++
	}
}

// Map returns the map after the last node; survey is what the walk gave
// besides.
func (a *Mapper) Map(survey *pools.Survey) *Map {
	for _, g := range survey.Gaps {
		if g.End > a.at {
			a.fill(g.Start, kindPool, -1)
			a.fill(g.End, kindUnknown, -1)
		}
	}
	end := kindPool
	if !a.seen || survey.Stopped {
		end = kindUnknown
	}
	a.fill(a.m.About.Span.End, end, -1)
	a.finishCell()
	m := &a.m
	m.Stats, m.Partial, m.Findings = survey.Stats, survey.Partial, max(m.Findings, survey.Findings)
	order := make([]int, len(m.Groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(m.Groups[y].Bytes, m.Groups[x].Bytes) })
	sorted, rank := make([]MapGroup, len(order)), make([]int, len(order))
	for r, i := range order {
		sorted[r], rank[i] = m.Groups[i], r
	}
	m.Groups = sorted
	for i := range m.Cells {
		if c := &m.Cells[i]; c.Group >= 0 {
			c.Group = rank[c.Group]
		}
	}
	return m
}
