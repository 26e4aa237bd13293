package report

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	pools "github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/symbol"
)

// checked is what a check of two pools found, one of them cut off.
func checked() (*Checked, *Document) {
	first := &pools.About{
		System: "liteos", Layout: "LiteOS 5.0 bestfit, 32-bit", Span: heap.Span{Start: 0x1000, End: 0x9000},
		Evidence: []string{"the word at 0x1000 points to itself", "26 list heads lie at 0x121c"},
	}
	second := &pools.About{System: "liteos", Layout: first.Layout, Name: "exc", Span: heap.Span{Start: 0x20000, End: 0x30000}, Evidence: first.Evidence}
	culprit := heap.Node{Addr: 0x1300, Payload: 0x131c, Total: 0x80, Owner: 7, Stack: heap.Stack{0x100, 0x200}}
	c := &Checked{
		Pools: []CheckedPool{
			{About: first, Source: "ram.bin", Name: "0x1000", Survey: pools.Survey{
				Stats: heap.Stats{Size: 0x8000, Used: 0x6000, Free: 0x2000, LargestFree: 0x1800, UsedNodes: 70, FreeNodes: 3, Waterline: 0x6100}, Findings: 2,
				Gaps: []pools.Gap{{Span: heap.Span{Start: 0x2000, End: 0x2100}, Why: "no header leads on"}},
			}},
			{About: second, Source: "ram.bin", Name: "exc", Survey: pools.Survey{Stats: heap.Stats{UsedNodes: 5, FreeNodes: 1}, Partial: "256 of its 65536 bytes are not in the dump"}},
		},
		Repair: &Repair{File: "new.bin", Patches: []pools.Patch{{Addr: 0x1380, New: []byte{1, 2, 3, 4}, Why: "the head of node 0x1380"}}, Lost: []string{"both-damaged: node 0x1900"}},
	}
	d := &Document{Symbols: symbol.None, Warnings: []string{"a warning"}, Notes: []string{"a note"}, Findings: []heap.Finding{
		{
			Kind: heap.HeaderDamaged, Pool: "0x1000", Op: "check", Node: 0x1380, Span: heap.Span{Start: 0x1380, End: 0x1384}, Recovered: true,
			Fields:  []heap.Field{{Name: "magic", Header: "0x41414141", Backup: "0xffffec7f", Differs: true}},
			Culprit: &culprit, CulpritReason: "overflow", Cause: "an overflow", Reach: "byte 'A' (0x41) repeated",
		},
		{Kind: heap.BothDamaged, Pool: "0x1000", Op: "check", Node: 0x1900, Subject: &heap.Node{Addr: 0x1900, Stack: heap.Stack{0x300}}},
	}}
	return c, d
}

func TestCheckText(t *testing.T) {
	var b strings.Builder
	c, d := checked()
	if err := CheckText(&b, c, d, Options{Width: 80}); err != nil {
		t.Fatal(err)
	}
	golden(t, "check.txt", b.String())
}

func TestCheckJSON(t *testing.T) {
	var b strings.Builder
	c, d := checked()
	if err := CheckJSON(&b, c, d, Options{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "check.json", b.String())
	var got struct {
		Layout, Pool string
		Nodes        struct{ Used, Free int }
		Findings     []struct {
			Kind, Node string
			Fields     []heap.Field
			Span       *[2]string
			Culprit    *string
			Recovered  *bool
			Stack      []struct{ Addr string }
			StackOf    string `json:"stack_of"`
		}
	}
	if err := json.Unmarshal([]byte(b.String()), &got); err != nil {
		t.Fatal(err)
	}
	if got.Pool != "0x1000" || got.Nodes.Used != 75 || got.Nodes.Free != 4 || len(got.Findings) != 2 {
		t.Errorf("%+v", got)
	}
	if f := got.Findings[0]; *f.Culprit != "0x1300" || *f.Span != [2]string{"0x1380", "0x1384"} || f.StackOf != "culprit" || len(f.Stack) != 2 {
		t.Errorf("%+v", f)
	}
	if f := got.Findings[1]; f.Culprit != nil || f.Span != nil || f.Fields == nil || f.StackOf != "node" || f.Stack[0].Addr != "0x300" {
		t.Errorf("%+v", f)
	}
}

// A clean heap, and one that nothing is known of.
func TestCheckClean(t *testing.T) {
	c, _ := checked()
	c.Repair, c.Pools = nil, c.Pools[1:]
	var b strings.Builder
	if err := CheckText(&b, c, &Document{}, Options{}); err != nil || !strings.Contains(b.String(), "  partial         256 of") || !strings.Contains(b.String(), "No damage in what could be checked, which is not all.") {
		t.Errorf("%v\n%s", err, b.String())
	}
	c.Pools[0].Survey.Partial = ""
	b.Reset()
	if err := CheckText(&b, c, &Document{}, Options{}); err != nil || !strings.Contains(b.String(), "No damage found: every node was checked.") {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := CheckJSON(&b, &Checked{}, &Document{}, Options{}); err != nil || !json.Valid([]byte(b.String())) {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// poolNodes is a pool of so many nodes.
func poolNodes(n int) PoolNodes {
	return PoolNodes{
		About:    &pools.About{Layout: "LiteOS", Span: heap.Span{Start: 0x1000, End: 0x9000}},
		Snapshot: &heap.Snapshot{Label: "listing 1", Source: "ram.bin", Pool: "exc", Owners: map[heap.Owner]string{7: `the "net" task`}},
		Nodes: func(yield func(*heap.Node) bool) {
			node := heap.Node{Stack: make(heap.Stack, 1)}
			for i := range n {
				node.Addr, node.Payload, node.Total, node.Owner = heap.Addr(0x1000+64*i), heap.Addr(0x1010+64*i), 64, heap.Owner(7*(i%2))
				node.Stack[0] = heap.Addr(i % 3)
				if node.Size = 0; i == 1 {
					node.Size, node.Birth = 5, 9
				}
				if !yield(&node) {
					return
				}
			}
		},
	}
}

func TestPoolNodes(t *testing.T) {
	p := poolNodes(3)
	var b strings.Builder
	if err := PoolsJSON(&b, []PoolNodes{p}, symbol.None, []string{"a note"}); err != nil {
		t.Fatal(err)
	}
	golden(t, "poolnodes.json", b.String())
	if !json.Valid([]byte(b.String())) {
		t.Error("not JSON")
	}
	b.Reset()
	n := NewNodesText(&b, nil, Options{})
	if err := errors.Join(n.Pool(&p), n.Close(nil)); err != nil {
		t.Fatal(err)
	}
	golden(t, "poolnodes.txt", b.String())
}

// A reader that is gone ends the walk.
func TestPoolNodesUnread(t *testing.T) {
	for _, write := range []func(PoolNodes) error{
		func(p PoolNodes) error { return PoolsJSON(full{}, []PoolNodes{p}, symbol.None, nil) },
		func(p PoolNodes) error { return NewNodesText(full{}, nil, Options{}).Pool(&p) },
	} {
		p := poolNodes(1 << 20)
		all, walks := p.Nodes, 0
		p.Nodes = func(yield func(*heap.Node) bool) {
			n := 0
			walks++
			all(func(node *heap.Node) bool { n++; return yield(node) })
			if n == 1<<20 && walks > 1 {
				t.Error("written to the end")
			}
		}
		if err := write(p); !errors.Is(err, errFull) {
			t.Errorf("%v", err)
		}
	}
}

func BenchmarkPoolNodes(b *testing.B) {
	for _, format := range []string{"json", "text"} {
		b.Run("format="+format, func(b *testing.B) {
			p := poolNodes(b.N)
			b.ReportAllocs()
			if format == "json" {
				PoolsJSON(discard{}, []PoolNodes{p}, symbol.None, nil)
			} else {
				NewNodesText(discard{}, nil, Options{}).Pool(&p)
			}
		})
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
