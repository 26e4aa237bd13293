package report

import (
	"bufio"
	"io"

	"github.com/heapwright/heapwright/heap"
)

type jsonExplanation struct {
	Addr     heap.Addr     `json:"addr"`
	Where    string        `json:"where"`
	Pool     string        `json:"pool"`
	Node     *jsonNode     `json:"node"`
	Nearest  bool          `json:"nearest"`
	Damaged  bool          `json:"damaged"`
	Before   *jsonNode     `json:"before"`
	Behind   *jsonNode     `json:"behind"`
	Fields   []jsonField   `json:"fields"`
	Memory   *heap.Memory  `json:"memory"`
	More     uint64        `json:"more_bytes"`
	Words    []Word        `json:"words"`
	Standing *Standing     `json:"reachability"`
	Findings []jsonFinding `json:"findings"`
}

type jsonField struct {
	Name  string    `json:"name"`
	Span  heap.Span `json:"span"`
	Value string    `json:"value"`
	Wrong string    `json:"wrong"`
}

// ExplainJSON writes explanations for programs.
func ExplainJSON(w io.Writer, all []Explanation, sym heap.Symbolizer, notes []string, _ Options) error {
	d := &doc{w: bufio.NewWriter(w)}
	d.raw("{\"addresses\":[")
	for i := range all {
		d.separate(i)
		d.value(newJSONExplanation(&all[i], sym))
	}
	d.raw("]")
	return d.end(notes)
}

func newJSONExplanation(e *Explanation, sym heap.Symbolizer) jsonExplanation {
	node := func(n *heap.Node) *jsonNode {
		if n == nil {
			return nil
		}
		var owners map[heap.Owner]string
		if e.Around != nil {
			owners = e.Around.Owners
		}
		j := newJSONNode(n, owners, sym)
		j.State = n.State.String()
		return &j
	}
	j := jsonExplanation{
		Addr: e.Addr, Where: e.Where, Pool: e.Pool, Nearest: e.Nearest, Damaged: e.Damaged,
		Node: node(e.Node), Before: node(e.Before), Behind: node(e.Behind),
		Fields: []jsonField{}, More: e.More, Words: e.Words, Standing: e.Standing, Findings: []jsonFinding{},
	}
	if j.Words == nil {
		j.Words = []Word{}
	}
	if len(e.Memory.Bytes) > 0 {
		j.Memory = &e.Memory
	}
	if s := j.Standing; s != nil {
		copied := *s
		copied.Path, copied.Pointers = append([]string{}, s.Path...), append([]Word{}, s.Pointers...)
		j.Standing = &copied
	}
	for i := range e.Fields {
		f := &e.Fields[i]
		j.Fields = append(j.Fields, jsonField{f.Name, f.Span, f.Value, e.wrong(f)})
	}
	for i := range e.Findings {
		j.Findings = append(j.Findings, newJSONFinding(&e.Findings[i], sym))
	}
	return j
}
