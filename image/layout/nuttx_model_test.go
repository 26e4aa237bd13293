package layout

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// A chainModel is an encoded heap and what is known about it.
type chainModel struct {
	name   string
	addr   heap.Addr
	image  []byte
	starts []heap.Addr // of nodes; the end node's is the last
	nodes  []heap.Node // as a walk should give them
	// own lists the bytes of each node's header, checked those of its bits that
	// can be proven wrong.
	own     []heap.Span
	checked []byte // as long as image
	// weak: only its own header tells where a node ends.
	weak bool
	open func(Bytes) (Pool, error)
}

func (m *chainModel) mark(at heap.Addr, off, n int, mask byte) {
	for i := range n {
		m.checked[int(at-m.addr)+off+i] |= mask
	}
}

// chainFault draws one of the ways in which programs damage heaps.
func (m *chainModel) fault(t *rapid.T) fault {
	first, end := m.starts[0], m.addr+heap.Addr(len(m.image))
	with := func(n int) []byte {
		switch rapid.SampledFrom([]string{"'A'", "zeroes", "0xff", "text", "random"}).Draw(t, "with") {
		case "'A'":
			return bytes.Repeat([]byte{'A'}, n)
		case "zeroes":
			return make([]byte, n)
		case "0xff":
			return bytes.Repeat([]byte{0xff}, n)
		case "text":
			return bytes.Repeat([]byte("hello world, "), n/13+1)[:n]
		}
		return rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "bytes")
	}
	cut := func(what string, at heap.Addr, b []byte) fault {
		return fault{what, at, b[:min(len(b), int(end-at))]}
	}
	i := rapid.IntRange(0, len(m.starts)-1).Draw(t, "node")
	head := int(m.own[i].Len())
	switch rapid.SampledFrom([]string{"overflow", "double stomp", "underflow", "bit flip", "wild"}).Draw(t, "fault") {
	case "overflow":
		return cut("overflow", m.own[i].Start, with(rapid.IntRange(1, head+8).Draw(t, "length")))
	case "double stomp":
		to := m.starts[min(i+rapid.IntRange(1, 3).Draw(t, "stomped"), len(m.starts)-1)]
		return cut("double stomp", m.own[i].Start, with(int(max(to, m.own[i].Start)-m.own[i].Start)+rapid.IntRange(1, head).Draw(t, "length")))
	case "underflow":
		n := rapid.IntRange(1, head).Draw(t, "length")
		return cut("underflow", m.own[i].End-heap.Addr(n), with(n))
	case "bit flip":
		at := first + heap.Addr(rapid.IntRange(0, int(end-first)-1).Draw(t, "where"))
		return cut("bit flip", at, []byte{m.image[at-m.addr] ^ 1<<rapid.IntRange(0, 7).Draw(t, "bit")})
	}
	at := first + heap.Addr(rapid.IntRange(0, int(end-first)-1).Draw(t, "where"))
	return cut("wild write", at, with(rapid.IntRange(1, 64).Draw(t, "length")))
}

// clean checks that the heap is found in the middle of other memory, read as it
// was encoded and without findings.
func (m *chainModel) clean(t *rapid.T, system string, find func(heap.RAM, *Hints) ([]Pool, []string)) {
	margin := rapid.IntRange(0, 100).Draw(t, "margin") * 8
	ram := Bytes{Addr: m.addr - heap.Addr(min(margin, int(m.addr)-8))}
	ram.Data = append(append(make([]byte, m.addr-ram.Addr), m.image...), make([]byte, margin)...)
	given, err := m.open(ram)
	if err != nil {
		t.Fatalf("%s: %v", m.name, err)
	}
	pools, _ := find(ram, &Hints{})
	if len(pools) != 1 {
		t.Fatalf("%s: found %d pools", m.name, len(pools))
	}
	for _, p := range append(pools, given) {
		a := p.About()
		nodes, findings, s := walkedChain(p)
		if len(findings) > 0 || len(s.Gaps) > 0 || s.Partial != "" {
			t.Fatalf("%s taken for %s: findings %v, gaps %v, %s", m.name, a.Layout, findings, s.Gaps, s.Partial)
		}
		if a.System != system || len(a.Evidence) == 0 || a.Sound != a.Seen {
			t.Fatalf("%s: %+v", m.name, a)
		}
		want := slices.Clone(m.nodes)
		if p != given && a.Layout != given.About().Layout && (len(a.Doubts) > 0 || len(m.nodes) < 24) {
			for i := range nodes { // where nodes begin and end is the same
				nodes[i] = heap.Node{Addr: nodes[i].Addr, Total: nodes[i].Total, State: nodes[i].State}
				want[i] = heap.Node{Addr: want[i].Addr, Total: want[i].Total, State: want[i].State}
			}
		}
		if d := cmp.Diff(want, nodes, cmp.Comparer(sameStack)); d != "" {
			t.Fatalf("%s taken for %s: %s", m.name, a.Layout, d)
		}
		for i := range nodes {
			at := nodes[i].Addr
			for _, f := range p.Fields(&nodes[i]) {
				if f.Start < at || f.End <= f.Start || f.Wrong != "" {
					t.Fatalf("%s: field %+v behind %s", m.name, f, at)
				}
				at = f.End
			}
		}
	}
}

// damaged checks that after any fault the walk ends, says so if it can be told,
// and lists every node that was not hit.
func (m *chainModel) damaged(t *rapid.T) {
	f := m.fault(t)
	bad := slices.Clone(m.image)
	copy(bad[f.at-m.addr:], f.data)
	p, err := m.open(Bytes{m.addr, bad})
	if err != nil {
		if m.few() {
			return // too little is left of it
		}
		t.Fatalf("%s: %s: %v", m.name, f, err)
	}
	provable := false
	hit := make([]bool, len(m.starts)+1)
	for i := range bad {
		diff := bad[i] ^ m.image[i]
		provable = provable || diff&m.checked[i] != 0
		for k, s := range m.own {
			if at := m.addr + heap.Addr(i); diff != 0 && at >= s.Start && at < s.End {
				hit[k] = true
			}
		}
	}
	nodes, findings, s := walkedChain(p)
	context := func() string {
		return fmt.Sprintf("%s taken for %s\nfault %s, nodes hit %v\nfindings %v\ngaps %v\nstarts %v\ngot %v", m.name, p.About().Layout, f, hit, findings, s.Gaps, m.starts, nodes)
	}
	if provable && len(findings) == 0 {
		t.Fatalf("nothing is found\n%s", context())
	}
	if !slices.Contains(hit, true) && len(findings) > 0 {
		t.Fatalf("something is found where nothing is wrong\n%s", context())
	}
	byAddr := make(map[heap.Addr]heap.Node)
	for i, n := range nodes {
		if i > 0 && n.Addr < nodes[i-1].Addr+heap.Addr(nodes[i-1].Total) {
			t.Fatalf("node %s lies in the one in front\n%s", n.Addr, context())
		}
		byAddr[n.Addr] = n
	}
	for i, want := range m.nodes {
		if hit[i] || m.weak && (i > 0 && hit[i-1] || hit[i+1] || m.swallowed(byAddr, hit, i)) {
			continue
		}
		got, ok := byAddr[want.Addr]
		if !ok {
			t.Fatalf("node %d at %s is missing\n%s", i, want.Addr, context())
		}
		if d := cmp.Diff(want, got, cmp.Comparer(sameStack)); d != "" {
			t.Fatalf("node %d: %s\n%s", i, d, context())
		}
	}
	m.repaired(t, p, bad, findings, s, context)
}

// swallowed reports whether node i lies in one that was hit and is now taken to
// be longer, or in payload that happens to look like a header that leads to the
// end of a node. Where only lengths link nodes nothing shows that.
func (m *chainModel) swallowed(got map[heap.Addr]heap.Node, hit []bool, i int) bool {
	for at, n := range got {
		if k, ok := slices.BinarySearch(m.starts, at); at < m.starts[i] && at+heap.Addr(n.Total) > m.starts[i] && (!ok || hit[k]) {
			return true
		}
	}
	return false
}

// repaired checks that if all is said to be recoverable, the repair leaves
// nothing wrong, and that no patch makes anything wrong that was right.
func (m *chainModel) repaired(t *rapid.T, p Pool, bad []byte, findings []heap.Finding, s Survey, context func() string) {
	all := len(s.Gaps) == 0
	for _, f := range findings {
		all = all && f.Recovered
	}
	if !all || len(findings) == 0 {
		return
	}
	for _, patch := range s.Patches {
		copy(bad[patch.Addr-m.addr:], patch.New)
	}
	again, err := m.open(Bytes{m.addr, bad})
	if err != nil {
		t.Fatalf("after the repair: %v\n%s", err, context())
	}
	if _, left, _ := walkedChain(again); len(left) > 0 {
		t.Fatalf("left after the repair: %v\n%s", left, context())
	}
}

// few reports whether there is too little of the heap to recognize it damaged.
func (m *chainModel) few() bool { return len(m.nodes) < 6 }

func walkedChain(p Pool) (nodes []heap.Node, findings []heap.Finding, s Survey) {
	s = p.Walk(func(n *heap.Node) bool {
		c := *n
		c.Stack = slices.Clone(n.Stack)
		nodes = append(nodes, c)
		return true
	}, func(f *heap.Finding) { findings = append(findings, *f) })
	return nodes, findings, s
}
