package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
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
	d.w.Write(d.encode(v))
}

// encode encodes v without escaping what only HTML needs escaped, so that <-
// and operator<< stay readable.
func (d *doc) encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		if d.err == nil {
			d.err = err
		}
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
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

// JSON writes the document for programs; the package comment explains it.
func JSON(w io.Writer, d *Document, o Options) error {
	d = d.relative(o)
	out := &doc{w: bufio.NewWriter(w)}
	notes := slices.Concat(d.Warnings, d.Notes)
	out.raw("{")
	if d.Growth != nil {
		notes = slices.Concat(growthNotes(d.Growth), notes)
		out.growth(d.Growth, o)
		out.raw(",\n")
		out.lost(d.Growth.Unreferenced, o)
	}
	out.findings(d.Findings, d.Symbols)
	return out.end(notes)
}

// GroupsJSON writes the document for the call sites of a single listing, as
// GroupsText does.
func GroupsJSON(w io.Writer, g *leak.Growth, notes []string, o Options) error {
	g = byNodes(g)
	out := &doc{w: bufio.NewWriter(w)}
	out.raw("{")
	out.growth(g, o)
	return out.end(slices.Concat(listingNotes(g), notes))
}

// jsonSite is what stands in a site between its counts and its stack.
type jsonSite struct {
	LeakedNodes  int      `json:"leaked_nodes"`
	LeakedBytes  *uint64  `json:"leaked_bytes"`
	NodesPerHour *float64 `json:"nodes_per_hour"`
	BytesPerHour *float64 `json:"bytes_per_hour"`
	P            float64  `json:"p"`
	Baseline     bool     `json:"baseline"`
	Suppressed   string   `json:"suppressed"`
	Interesting  int      `json:"interesting"`
	Held         []string `json:"held,omitempty"`
}

func newJSONSite(s *leak.Site) jsonSite {
	j := jsonSite{
		LeakedNodes: s.LeakedNodes, NodesPerHour: rateOrNil(s.NodesPerHour), BytesPerHour: rateOrNil(s.BytesPerHour),
		P: significant(finite(s.P)), Baseline: s.Baseline, Suppressed: s.Suppressed, Interesting: s.Interesting, Held: s.Held,
	}
	if s.Sized {
		j.LeakedBytes = &s.LeakedBytes
	}
	return j
}

// rateOrNil returns nil for a rate that is unknown.
func rateOrNil(r float64) *float64 {
	if r = finite(r); r == 0 {
		return nil
	}
	return &r
}

// significant rounds a probability to the digits that mean something.
func significant(p float64) float64 {
	p, _ = strconv.ParseFloat(strconv.FormatFloat(p, 'g', 3, 64), 64)
	return p
}

// finite returns 0 for what JSON has no number for.
func finite(f float64) float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return f
}

// growth writes the fields of a growth, without a comma behind them.
func (d *doc) growth(g *leak.Growth, o Options) {
	v := newView(g)
	d.raw("\"listings\":%d,\n\"sites_total\":%d,\n\"sites\":[", len(g.Listings), len(g.Sites))
	for i := range g.Sites[:o.shown(len(g.Sites), len(g.Sites))] {
		s := &g.Sites[i]
		d.separate(i)
		d.raw(`{"rank":%d,"verdict":`, i+1)
		d.value(s.Verdict)
		d.raw(`,"reason":`)
		d.value(s.Reason)
		d.raw(`,"pool":`)
		d.value(s.Pool)
		d.raw(`,"growth":%d,"nodes":`, s.Growth)
		d.counts(v, s, func(c *leak.Count) string { return strconv.Itoa(c.Nodes) })
		d.raw(`,"bytes":`)
		if s.Sized {
			d.counts(v, s, func(c *leak.Count) string { return strconv.FormatUint(c.Bytes, 10) })
		} else {
			d.raw("null")
		}
		d.raw(",")
		d.fields(newJSONSite(s))
		d.raw(`,"stack":`)
		d.value(jsonStack(s.Frames))
		d.raw("}")
	}
	d.raw("],\n\"pools\":[")
	for i, p := range g.Pools {
		if i > 0 {
			d.raw(",")
		}
		d.value(newJSONPool(p))
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
}

type jsonPool struct {
	Pool       string   `json:"pool"`
	First      int      `json:"first"`
	Last       int      `json:"last"`
	Complete   int      `json:"complete"`
	Free       *uint64  `json:"free"`
	Exhaustion *float64 `json:"exhaustion_seconds"`
}

func newJSONPool(w leak.Window) jsonPool {
	p := jsonPool{Pool: w.Pool, First: w.First, Last: w.Last, Complete: w.Complete, Exhaustion: rateOrNil(w.Exhaustion.Seconds())}
	if w.Free != 0 {
		p.Free = &w.Free
	}
	return p
}

// fields writes the fields of a struct without its braces.
func (d *doc) fields(v any) {
	if b := d.encode(v); len(b) > 0 {
		d.w.Write(b[1 : len(b)-1])
	}
}

// counts writes a list with a count, or null, for each listing.
func (d *doc) counts(v *view, s *leak.Site, format func(*leak.Count) string) {
	d.raw("[")
	v.each(s, func(l listed, c *leak.Count) {
		if l.listing > 1 {
			d.w.WriteByte(',')
		}
		if c == nil {
			d.w.WriteString("null")
		} else {
			d.w.WriteString(format(c))
		}
	})
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
			n.d.value(newJSONNode(node, s.Owners, n.sym))
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
