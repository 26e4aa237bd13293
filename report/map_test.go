package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
	pools "github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/symbol"
)

const mapHead = 28 // bytes of a node's head

// mapNodes is a heap of 64 KiB: a site with many small nodes, one with a large
// one, a hole between nodes, and free memory at the end.
func mapNodes() (*pools.About, []heap.Node) {
	about := &pools.About{
		System: "liteos", Layout: "LiteOS 5.0 bestfit", Span: heap.Span{Start: 0x20000000, End: 0x20010000},
		Owners: map[heap.Owner]string{3: "net", 7: "log"},
	}
	var nodes []heap.Node
	at := about.Span.Start + 0x100
	add := func(state heap.State, total uint64, owner heap.Owner, stack ...heap.Addr) {
		nodes = append(nodes, heap.Node{Addr: at, Payload: at + mapHead, Total: total, State: state, Owner: owner, Stack: stack})
		at += heap.Addr(total)
	}
	for range 200 {
		add(heap.Used, 64, 3, 0x1010, 0x1110)
	}
	add(heap.Used, 0x2000, 7, 0x1010, 0x1210)
	at += 0x800 // not understood
	for i := range 40 {
		add(heap.Used, 100, heap.Owner(i%2), 0x1010, heap.Addr(0x1300+16*i))
		add(heap.Free, 28, 0, 0x1010)
	}
	add(heap.Quarantined, 0x400, 0)
	add(heap.Free, uint64(about.Span.End-at)-mapHead, 0)
	return about, nodes
}

func mapOf(about *pools.About, nodes []heap.Node, by MapBy, cells int, tail heap.Addr) *Map {
	m := NewMapper(about, by, cells, tail, symbol.None)
	st := heap.Stats{Size: about.Span.Len(), Used: about.Span.Len()}
	for i := range nodes {
		m.Node(&nodes[i])
		switch n := &nodes[i]; n.State {
		case heap.Free:
			st.FreeNodes++
			st.LargestFree = max(st.LargestFree, n.Total)
			st.Used -= n.Total
		case heap.Used:
			st.UsedNodes++
		}
	}
	st.Free = st.Size - st.Used
	m.Finding(&heap.Finding{Kind: heap.HeaderDamaged, Node: about.Span.Start + 0x3400})
	return m.Map(&pools.Survey{Stats: st})
}

func TestMapText(t *testing.T) {
	for _, c := range []struct {
		name string
		by   MapBy
		o    Options
	}{
		{"map-site", BySite, Options{Width: 80, Height: 24, Top: -1}},
		{"map-owner", ByOwner, Options{Width: 120, Height: 50, Top: -1, ASCII: true}},
		{"map-color", BySite, Options{Width: 80, Height: 24, Top: 2, Color: true}},
	} {
		about, nodes := mapNodes()
		m := mapOf(about, nodes, c.by, MapCells(c.o), 0)
		var b strings.Builder
		if err := MapText(&b, []*Map{m}, []string{"a note"}, c.o); err != nil {
			t.Fatal(err)
		}
		golden(t, c.name+".txt", b.String())
		if c.o.Color {
			continue
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > c.o.Width {
				t.Errorf("%s: %d columns: %s", c.name, n, line)
			}
		}
		if text, _, _ := strings.Cut(b.String(), "\nnote:"); c.o.Height == 24 && strings.Count(text, "\n") > 24 {
			t.Errorf("%s: %d lines", c.name, strings.Count(text, "\n"))
		}
	}
}

// A picture is XML, with a tooltip for each cell and no script.
func TestMapSVG(t *testing.T) {
	about, nodes := mapNodes()
	about.Name = `<&"pool` + "\x1b"
	m := mapOf(about, nodes, BySite, SVGMapCells, nodes[len(nodes)-1].Addr)
	var b bytes.Buffer
	if err := MapSVG(&b, []*Map{m, m}, []string{strings.Repeat("a long note & ", 40)}, Options{}); err != nil {
		t.Fatal(err)
	}
	titles := 0
	d := xml.NewDecoder(&b)
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			switch e.Name.Local {
			case "title":
				titles++
			case "svg", "rect", "text":
			default:
				t.Errorf("element %s", e.Name.Local)
			}
		}
	}
	if titles < 2*len(m.Cells) {
		t.Errorf("%d titles for %d cells", titles, len(m.Cells))
	}
}

func TestMapJSON(t *testing.T) {
	about, nodes := mapNodes()
	m := mapOf(about, nodes, BySite, 100, 0)
	var b bytes.Buffer
	if err := MapJSON(&b, []*Map{m}, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Pools []struct {
			Bytes MapBytes
			Cells []struct {
				Addr heap.Addr
				MapBytes
				Group *int
			}
			Groups []MapCount
		}
	}
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	p := doc.Pools[0]
	var sum MapBytes
	for _, c := range p.Cells {
		sum.Used += c.Used
		sum.Headers += c.Headers
		sum.Free += c.Free
		sum.Unknown += c.Unknown
		sum.Pool += c.Pool
	}
	if sum != p.Bytes || sum.Used+sum.Free+sum.Unknown+sum.Pool != about.Span.Len() {
		t.Errorf("cells hold %+v, the pool %+v", sum, p.Bytes)
	}
	if len(p.Groups) != 42 || p.Groups[0].Bytes != 200*64 || *p.Cells[30].Group != 1 {
		t.Errorf("%d groups, %+v; cell 30 is of group %d", len(p.Groups), p.Groups[0], *p.Cells[30].Group)
	}
}

// Whatever nodes come, each byte of the pool is counted once.
func TestMapCountsEachByteOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.OneOf(rapid.Uint64Range(0xf00, 0x3100), rapid.Uint64())
		about := &pools.About{Span: heap.Span{Start: 0x1000, End: 0x1000 + heap.Addr(rapid.Uint64Range(1, 0x2000).Draw(t, "size"))}}
		cells := rapid.IntRange(-1, 300).Draw(t, "cells")
		m := NewMapper(about, rapid.SampledFrom([]MapBy{BySite, ByOwner}).Draw(t, "by"), cells, heap.Addr(addr.Draw(t, "tail")), symbol.None)
		for i := range rapid.IntRange(0, 50).Draw(t, "nodes") {
			m.Node(&heap.Node{
				Addr: heap.Addr(addr.Draw(t, fmt.Sprint("addr", i))), Payload: heap.Addr(addr.Draw(t, "payload")), Total: addr.Draw(t, "total"),
				Size: addr.Draw(t, "size"), State: heap.State(rapid.IntRange(0, 3).Draw(t, "state")), Owner: heap.Owner(i % 3), Stack: heap.Stack{heap.Addr(i % 5)},
			})
		}
		m.Finding(&heap.Finding{Node: heap.Addr(addr.Draw(t, "finding"))})
		g := pools.Gap{Span: heap.Span{Start: heap.Addr(addr.Draw(t, "gap")), End: heap.Addr(addr.Draw(t, "gap end"))}}
		drawn := m.Map(&pools.Survey{Gaps: []pools.Gap{g}})
		var cellSum uint64
		for i := range drawn.Cells {
			c := &drawn.Cells[i]
			n := c.Used + c.Free + c.Unknown + c.Pool
			if n > drawn.CellSize {
				t.Fatalf("cell %d of %d bytes holds %d", i, drawn.CellSize, n)
			}
			cellSum += n
		}
		all := drawn.Sum.Used + drawn.Sum.Free + drawn.Sum.Unknown + drawn.Sum.Pool
		if all != about.Span.Len() || cellSum != drawn.Drawn.Len() || cells > 0 && len(drawn.Cells) > cells {
			t.Fatalf("%d bytes counted of %d, %d in cells of %d", all, about.Span.Len(), cellSum, drawn.Drawn.Len())
		}
		for _, write := range []func(io.Writer, []*Map, []string, Options) error{MapText, MapSVG, MapJSON} {
			if err := write(io.Discard, []*Map{drawn}, nil, Options{Width: 40, Height: 10, Top: -1}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Many nodes of a few hundred call sites.
func BenchmarkMapper(b *testing.B) {
	const nodes = 1 << 20
	about := &pools.About{Span: heap.Span{Start: 0x1000, End: 0x1000 + 64*nodes}}
	for b.Loop() {
		m := NewMapper(about, BySite, 1024, 0, symbol.None)
		n := heap.Node{Total: 64, Stack: heap.Stack{0x1010, 0, 0x1210}}
		for i := range heap.Addr(nodes) {
			n.Addr = about.Span.Start + 64*i
			n.Payload = n.Addr + mapHead
			n.Stack[1] = i * 7919 % 509
			m.Node(&n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*nodes), "ns/node")
}

// On a narrow screen a column stands for several powers of two: no node is left
// out of the histogram.
func TestNarrowHistogramCountsAll(t *testing.T) {
	m := &Map{}
	for i := 4; i < 24; i++ {
		m.Used[i].Nodes, m.Free[i].Nodes = 1, 2
	}
	for _, width := range []int{12, 40, 80, 120} {
		text := write(t, func(w io.Writer) error {
			b := newText(w, Options{Width: width})
			b.histogram(m)
			return b.Flush()
		})
		for name, want := range map[string]int{"used": 20, "free": 40} {
			sum := 0
			for line := range strings.Lines(text) {
				if rest, ok := strings.CutPrefix(line, name); ok {
					for _, n := range strings.Fields(rest) {
						k, err := strconv.Atoi(n)
						if err != nil {
							t.Fatal(err)
						}
						sum += k
					}
				}
			}
			if sum != want {
				t.Errorf("width %d: %d %s nodes, want %d:\n%s", width, sum, name, want, text)
			}
		}
	}
}
