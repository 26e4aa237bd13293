package report

import (
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// jsonNode is heap.Node with its stack resolved.
type jsonNode struct {
	Addr      heap.Addr   `json:"addr"`
	Payload   heap.Addr   `json:"payload,omitempty"`
	Size      uint64      `json:"size,omitempty"`
	Total     uint64      `json:"total,omitempty"`
	State     string      `json:"state,omitempty"`
	Owner     *heap.Owner `json:"owner,omitempty"` // nil: unknown; 0 is a task of some systems
	OwnerName string      `json:"owner_name,omitempty"`
	Birth     uint64      `json:"birth,omitempty"`
	Stack     []jsonFrame `json:"stack"`
}

// newJSONNode returns a node; owners are the names of those that have one.
func newJSONNode(n *heap.Node, owners map[heap.Owner]string, sym heap.Symbolizer) jsonNode {
	j := jsonNode{
		Addr: n.Addr, Payload: n.Payload, Size: n.Size, Total: n.Total, Birth: n.Birth,
		Stack: jsonStack(leak.Resolve(sym, n.Stack)),
	}
	name, named := owners[n.Owner]
	if named || n.Owner != 0 {
		j.Owner, j.OwnerName = &n.Owner, name
	}
	return j
}

// jsonFinding is heap.Finding with its stacks resolved and what it says as a
// sentence in front.
type jsonFinding struct {
	Summary string `json:"summary"`
	heap.Finding
	// These stand in place of those of heap.Finding.
	Subject   *jsonNode   `json:"subject,omitempty"`
	Previous  *jsonNode   `json:"previous,omitempty"`
	Culprit   *jsonNode   `json:"culprit,omitempty"`
	Stack     []jsonFrame `json:"stack"`
	FirstFree []jsonFrame `json:"first_free,omitempty"`
}

func newJSONFinding(f *heap.Finding, sym heap.Symbolizer) jsonFinding {
	node := func(n *heap.Node) *jsonNode {
		if n == nil {
			return nil
		}
		j := newJSONNode(n, f.Owners, sym)
		j.State = n.State.String()
		return &j
	}
	return jsonFinding{
		Summary: f.Summary(), Finding: *f,
		Subject: node(f.Subject), Previous: node(f.Previous), Culprit: node(f.Culprit),
		Stack:     jsonStack(leak.Resolve(sym, f.Stack)),
		FirstFree: jsonStack(leak.Resolve(sym, f.FirstFree)),
	}
}

// findings writes the list of findings.
func (d *doc) findings(findings []heap.Finding, sym heap.Symbolizer) {
	d.raw("\"findings\":[")
	for i := range findings {
		d.separate(i)
		d.value(newJSONFinding(&findings[i], sym))
	}
	d.raw("]")
}
