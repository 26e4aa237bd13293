package damage

import (
	"fmt"
	"slices"
	"sort"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// Places says what lies where in observed memory; its Where is one for
// Overwrite. A walk over the nodes fills it, ahead of the walk that judges them:
// a pointer can lead anywhere. The zero value knows nothing. Where may be called
// concurrently as long as nothing is added.
type Places struct {
	// Symbols names the functions that pointers lead to; nil: none are known.
	Symbols heap.Symbolizer
	// Variables names variables outside of nodes, as *symbol.Table does; nil:
	// none are known.
	Variables interface {
		VariableAt(heap.Addr) (name string, at heap.Span, ok bool)
	}
	// Owners names the owners of nodes.
	Owners map[heap.Owner]string

	nodes []placed
	spans []namedSpan
}

// maxPlaced bounds the nodes that are known, which take 32 bytes each.
const maxPlaced = 1 << 21

// placed is a node.
type placed struct {
	start, payload, end heap.Addr
	owner               heap.Owner
	state               heap.State
}

type namedSpan struct {
	heap.Span
	name string
}

// AddNode notes where a node lies. Nodes must come in ascending order of
// address, as a walk gives them; what does not, what has no length, and the
// nodes behind the first two million are left out.
func (p *Places) AddNode(n *heap.Node) {
	end := n.Addr + heap.Addr(n.Total)
	if end <= n.Addr || len(p.nodes) == maxPlaced || len(p.nodes) > 0 && n.Addr < p.nodes[len(p.nodes)-1].end {
		return
	}
	p.nodes = append(p.nodes, placed{n.Addr, n.Payload, end, n.Owner, n.State})
}

// Add names memory, as a noun that fits behind "into": "the pool's head". Where
// several such pieces overlap the shortest counts; nodes count before them.
func (p *Places) Add(s heap.Span, name string) {
	i, _ := slices.BinarySearchFunc(p.spans, s.Len(), func(o namedSpan, n uint64) int {
		if o.Len() <= n {
			return -1
		}
		return 1
	})
	p.spans = slices.Insert(p.spans, i, namedSpan{s, name})
}

// Where names what lies at an address: "the payload of node 0x1000 of task net",
// "the head of node 0x1000", "the free node 0x1000", what Add was told, "the
// variable g_list", "code: function main"; "" if nothing is known to lie there.
func (p *Places) Where(a heap.Addr) string {
	if i := sort.Search(len(p.nodes), func(i int) bool { return p.nodes[i].start > a }) - 1; i >= 0 && a < p.nodes[i].end {
		return p.node(&p.nodes[i], a)
	}
	for i := range p.spans {
		if s := &p.spans[i]; a >= s.Start && a < s.End {
			return s.name
		}
	}
	if p.Variables != nil {
		if name, _, ok := p.Variables.VariableAt(a); ok {
			return "the variable " + plain.Clean(name)
		}
	}
	if p.Symbols == nil {
		return ""
	}
	// Symbolizers look up what is in front of an address, since they are made
	// for return addresses; a pointer may lead to the first byte of a function.
	const first = 4
	frames := p.Symbols.Frames(a + first)
	if name := frames[len(frames)-1].Function; name != "" {
		return "code: function " + plain.Clean(name)
	}
	return ""
}

// node names the part of a node that a lies in.
func (p *Places) node(n *placed, a heap.Addr) string {
	if n.state == heap.Free {
		return fmt.Sprintf("the free node %s", n.start)
	}
	part := "the payload of "
	switch {
	case n.payload < n.start || n.payload > n.end: // not known
		part = ""
	case a < n.payload:
		part = "the head of "
	}
	name := fmt.Sprintf("%snode %s", part, n.start)
	if owner := p.Owners[n.owner]; owner != "" {
		name += " of task " + plain.Clean(owner)
	}
	return name
}
