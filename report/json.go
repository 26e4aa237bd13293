package report

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// jsonFrame is heap.Frame with every field present.
type jsonFrame struct {
	Addr     heap.Addr `json:"addr"`
	Function string    `json:"function"`
	File     string    `json:"file"`
	Line     int       `json:"line"`
	Inlined  bool      `json:"inlined"`
}

func jsonStack(frames []heap.Frame) []jsonFrame {
	stack := make([]jsonFrame, len(frames))
	for i, f := range frames {
		stack[i] = jsonFrame(f)
	}
	return stack
}

// doc writes a document piece by piece and keeps the first error.
type doc struct {
	w   *bufio.Writer
	err error
}

func (d *doc) raw(format string, args ...any) { fmt.Fprintf(d.w, format, args...) }

func (d *doc) value(v any) {
	b, err := json.Marshal(v)
	if err != nil && d.err == nil {
		d.err = err
	}
	d.w.Write(b)
}

// separate puts a comma behind all but the first of several values.
func (d *doc) separate(i int) {
	if i > 0 {
		d.w.WriteByte(',')
	}
	d.w.WriteByte('\n')
}

func (d *doc) end(notes []string) error {
	d.raw(",\n\"notes\":")
	if notes == nil {
		notes = []string{}
	}
	d.value(notes)
	d.raw("}\n")
	if err := d.w.Flush(); err != nil {
		return err
	}
	return d.err
}

// GrowthJSON writes the document for call sites over listings.
func GrowthJSON(w io.Writer, g *leak.Growth, notes []string, o Options) error {
	return growthJSON(w, g, append(GrowthNotes(g), notes...), o)
}

// GroupsJSON writes the same document for a single listing.
func GroupsJSON(w io.Writer, g *leak.Growth, notes []string, o Options) error {
	return growthJSON(w, g, append(listingNotes(g), notes...), o)
}

func growthJSON(w io.Writer, g *leak.Growth, notes []string, o Options) error {
	d := &doc{w: bufio.NewWriter(w)}
	d.raw("{\"listings\":%d,\n\"sites\":[", len(g.Listings))
	for i := range g.Sites[:o.shown(len(g.Sites), len(g.Sites))] {
		s := &g.Sites[i]
		d.separate(i)
		d.raw(`{"rank":%d,"pool":`, i+1)
		d.value(s.Pool)
		d.raw(`,"growth":%d,"nodes":`, s.Growth)
		d.counts(g, s, func(c leak.Count) string { return strconv.Itoa(c.Nodes) })
		d.raw(`,"bytes":`)
		if s.Sized {
			d.counts(g, s, func(c leak.Count) string { return strconv.FormatUint(c.Bytes, 10) })
		} else {
			d.raw("null")
		}
		d.raw(`,"leaked_nodes":%d,"stack":`, max(0, s.Growth))
		d.value(jsonStack(s.Frames))
		d.raw("}")
	}
	d.raw("],\n\"pools\":[")
	for i, p := range g.Pools {
		if i > 0 {
			d.raw(",")
		}
		d.value(struct {
			Pool     string `json:"pool"`
			First    int    `json:"first"`
			Last     int    `json:"last"`
			Complete int    `json:"complete"`
		}{p.Pool, p.First, p.Last, p.Complete})
	}
	partial := []int{}
	for i, l := range g.Listings {
		if isPartial(l) {
			partial = append(partial, i+1)
		}
	}
	d.raw("],\n\"partial_listings\":")
	d.value(partial)
	d.raw(",\n\"skipped\":%d", g.Skipped)
	return d.end(notes)
}

func (d *doc) counts(g *leak.Growth, s *leak.Site, format func(leak.Count) string) {
	for i := range g.Listings {
		d.w.WriteByte("[,"[min(i, 1)])
		if g.Has(i+1, s.Pool) {
			d.w.WriteString(format(s.At(i + 1)))
		} else {
			d.raw("null")
		}
	}
	d.raw("]")
}

type jsonInfo struct {
	Label   string `json:"label"`
	Source  string `json:"source"`
	Pool    string `json:"pool"`
	Partial string `json:"partial"`
	Nodes   int    `json:"nodes"`
}

// DiffJSON writes the document for two listings.
func DiffJSON(w io.Writer, diff *leak.Diff, notes []string, o Options) error {
	d := &doc{w: bufio.NewWriter(w)}
	side := func(l []leak.Info) []jsonInfo {
		all := make([]jsonInfo, len(l))
		for i, in := range l {
			all[i] = jsonInfo{in.Label, in.Source, in.Pool, in.Partial, in.Nodes}
		}
		return all
	}
	d.raw("{\"from\":")
	d.value(side(diff.From))
	d.raw(",\n\"to\":")
	d.value(side(diff.To))
	d.raw(",\n\"new\":%d,\"gone\":%d,\"kept\":%d,\"unknown\":%d", diff.New, diff.Gone, diff.Kept, diff.Unknown)
	d.bytes(diff.Sized, diff.NewBytes, diff.GoneBytes)
	d.raw(",\n\"sites\":[")
	for i := range diff.Changes[:o.shown(len(diff.Changes), len(diff.Changes))] {
		c := &diff.Changes[i]
		d.separate(i)
		d.raw(`{"rank":%d,"pool":`, i+1)
		d.value(c.Pool)
		d.raw(`,"growth":%d,"new":`, len(c.New)-len(c.Gone))
		d.value(addresses(c.New))
		d.raw(`,"gone":`)
		d.value(addresses(c.Gone))
		d.raw(`,"kept":%d`, c.Kept)
		d.bytes(c.Sized, c.NewBytes, c.GoneBytes)
		d.raw(`,"stack":`)
		d.value(jsonStack(c.Frames))
		d.raw("}")
	}
	d.raw("]")
	return d.end(append(diffNotes(diff), notes...))
}

// bytes writes what appeared and disappeared in bytes.
func (d *doc) bytes(sized bool, appeared, gone uint64) {
	if sized {
		d.raw(`,"new_bytes":%d,"gone_bytes":%d`, appeared, gone)
	} else {
		d.raw(`,"new_bytes":null,"gone_bytes":null`)
	}
}

func addresses(nodes []heap.Node) []heap.Addr {
	all := make([]heap.Addr, len(nodes))
	for i := range nodes {
		all[i] = nodes[i].Addr
	}
	return all
}

// NodesJSON writes listings node by node.
type NodesJSON struct {
	d     doc
	sym   heap.Symbolizer
	count int
}

// NewNodesJSON returns a writer of listings whose stacks sym resolves.
func NewNodesJSON(w io.Writer, sym heap.Symbolizer) *NodesJSON {
	n := &NodesJSON{d: doc{w: bufio.NewWriter(w)}, sym: sym}
	n.d.raw("{\"listings\":[")
	return n
}

// Listing writes one listing.
func (n *NodesJSON) Listing(l leak.Listing) error {
	for _, s := range l {
		n.d.separate(n.count)
		n.count++
		n.d.raw(`{"label":`)
		n.d.value(s.Label)
		n.d.raw(`,"source":`)
		n.d.value(s.Source)
		n.d.raw(`,"pool":`)
		n.d.value(s.Pool)
		n.d.raw(`,"partial":`)
		n.d.value(s.Partial)
		n.d.raw(`,"nodes":[`)
		k := 0
		for i := range s.Nodes {
			node := &s.Nodes[i]
			if node.State != heap.Used {
				continue
			}
			n.d.separate(k)
			k++
			n.d.value(newJSONNode(node, n.sym))
		}
		n.d.raw("]}")
	}
	return n.d.w.Flush()
}

// Close completes the document. It does not close the writer below.
func (n *NodesJSON) Close(notes []string) error {
	n.d.raw("]")
	return n.d.end(notes)
}
