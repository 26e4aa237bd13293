package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	pools "github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
)

// A CheckedPool is a pool whose nodes were all looked at.
type CheckedPool struct {
	About  *pools.About
	Survey pools.Survey
	Source string // the dump
	// Name is what findings and nodes call the pool; empty: it is the only one.
	Name string
}

// A Repair is a copy of a dump with what could be restored.
type Repair struct {
	File    string
	Patches []pools.Patch
	// Lost are the findings after which something is not as it was.
	Lost []string
}

// Checked is what checks of dumps found, beside the findings in Document.
type Checked struct {
	Pools  []CheckedPool
	Repair *Repair // nil: none was asked for
}

// stats returns the totals of all pools.
func (c *Checked) stats() (s heap.Stats) {
	for i := range c.Pools {
		p := &c.Pools[i].Survey.Stats
		s.Size += p.Size
		s.Used += p.Used
		s.Free += p.Free
		s.UsedNodes += p.UsedNodes
		s.FreeNodes += p.FreeNodes
		s.Waterline += p.Waterline
		s.LargestFree = max(s.LargestFree, p.LargestFree)
	}
	return s
}

// Partial says of each pool that could not be checked to its end why; empty: all
// were.
func (c *Checked) Partial() string {
	var all []string
	for i := range c.Pools {
		p := &c.Pools[i]
		why := p.Survey.Partial
		if why == "" && len(p.Survey.Gaps) > 0 {
			why = plain.Plural(len(p.Survey.Gaps), "range") + " could not be interpreted"
		}
		if why != "" && len(c.Pools) > 1 {
			why = p.About.Label() + ": " + why
		}
		if why != "" {
			all = append(all, why)
		}
	}
	return strings.Join(all, "; ")
}

// CheckText writes for people what checks of dumps found: each pool with its
// layout, why that is believed and its totals, each finding, what could not be
// interpreted, and what was repaired.
func CheckText(w io.Writer, c *Checked, d *Document, o Options) error {
	d = d.relative(o)
	t := newText(w, o)
	for i := range c.Pools {
		if i > 0 {
			t.WriteByte('\n')
		}
		t.checked(&c.Pools[i], len(d.Findings) > 0)
	}
	if len(c.Pools) > 0 {
		t.WriteByte('\n')
	}
	t.verdict(c, d.Findings)
	for i := range d.Findings {
		t.WriteByte('\n')
		t.finding(fmt.Sprintf("%d. ", i+1), &d.Findings[i], d.Symbols, nil)
	}
	t.gaps(c)
	t.repair(c.Repair)
	t.remarks(d.Warnings, d.Notes)
	return t.Flush()
}

// checked writes what is known of a pool; found says that anything is wrong with
// one of them.
func (t *text) checked(p *CheckedPool, found bool) {
	a, s := p.About, &p.Survey.Stats
	title := fmt.Sprintf("%s: pool at %s, %s", p.Source, a.Span.Start, plain.Plural(int(a.Span.Len()), "byte"))
	if a.Name != "" {
		title += ", " + a.Name
	}
	t.WriteString(t.paint(bold, t.fill(0, plain.Clean(title), 2)) + "\n")
	b := &findingText{text: t}
	b.sentence("layout", a.Layout)
	b.sentence("evidence", t.evidence(a, found))
	b.sentence("nodes", fmt.Sprintf("%d used, %d free", s.UsedNodes, s.FreeNodes))
	bytes := fmt.Sprintf("%d used", s.Used)
	if s.Waterline != 0 {
		bytes += fmt.Sprintf(" (at most %d so far)", s.Waterline)
	}
	bytes += fmt.Sprintf(", %d free", s.Free)
	if s.LargestFree != 0 {
		bytes += fmt.Sprintf(", largest free node %d", s.LargestFree)
	}
	b.sentence("bytes", bytes)
	b.sentence("partial", p.Survey.Partial)
}

// verdict writes the answer in a line.
func (t *text) verdict(c *Checked, findings []heap.Finding) {
	all := 0
	for i := range c.Pools {
		all += c.Pools[i].Survey.Findings
	}
	switch partial := c.Partial(); {
	case max(all, len(findings)) > 0:
		s := fmt.Sprintf("%s.", plain.Plural(max(all, len(findings)), "finding"))
		if kinds := kindsOf(findings); len(kinds) > 1 {
			s = s[:len(s)-1] + ": " + strings.Join(kinds, ", ") + "."
		}
		t.paragraph(t.paint(red, s), 0)
	case partial != "":
		s := t.paint(yellow, "No damage in what could be checked, which is not all")
		if len(c.Pools) != 1 || c.Pools[0].Survey.Partial != partial { // else it stands above
			s += ": " + plain.Clean(partial)
		}
		t.paragraph(s+".", 0)
	default:
		t.paragraph(t.paint(green, "No damage found")+": every node was checked.", 0)
	}
}

// kindsOf counts findings by kind, in the order of their names.
func kindsOf(findings []heap.Finding) []string {
	counts := map[string]int{}
	for i := range findings {
		counts[string(findings[i].Kind)]++
	}
	var all []string
	for kind, n := range counts {
		all = append(all, fmt.Sprintf("%s %d", plain.Clean(kind), n))
	}
	slices.Sort(all)
	return all
}

// fewGaps is how many gaps text shows unless asked for all.
const fewGaps = 8

// gaps writes which ranges could not be interpreted.
func (t *text) gaps(c *Checked) {
	var all []pools.Gap
	for i := range c.Pools {
		all = append(all, c.Pools[i].Survey.Gaps...)
	}
	if len(all) == 0 {
		return
	}
	t.WriteByte('\n')
	t.paragraph("Could not be interpreted:", 0)
	shown := all
	if !t.Verbose {
		shown = all[:min(len(all), fewGaps)]
	}
	for _, g := range shown {
		t.indented(g.String())
	}
	if n := len(all) - len(shown); n > 0 {
		t.printf("  %s; --verbose shows them\n", plain.Plural(n, "more range"))
	}
}

// evidence says why a pool is believed to be laid out so: at length only if
// nothing was found, or all is asked for, for findings are to be on the screen.
func (t *text) evidence(a *pools.About, found bool) string {
	all := a.Evidence
	if found && !t.Verbose && len(all) > 2 && a.Seen > 0 {
		return fmt.Sprintf("%s; %s; --verbose shows %d more", Fit(a), all[0], len(all)-1)
	}
	return strings.Join(all, "; ")
}

// Fit says how many of the nodes that were looked at first fit the layout.
func Fit(a *pools.About) string {
	switch {
	case a.Seen == 1 && a.Sound == 1:
		return "the first node fits"
	case a.Sound == a.Seen:
		return fmt.Sprintf("the first %s fit", plain.Plural(a.Seen, "node"))
	}
	return fmt.Sprintf("%d of the first %s fit", a.Sound, plain.Plural(a.Seen, "node"))
}

// indented writes a line of a list.
func (t *text) indented(s string) {
	t.WriteString("  ")
	t.paragraphAt(2, plain.Clean(s), 4)
}

// repair writes what a repaired copy differs in.
func (t *text) repair(r *Repair) {
	if r == nil {
		return
	}
	t.WriteByte('\n')
	how := "nothing in it had to be restored."
	switch n := len(r.Patches); {
	case n > 0:
		how = plain.Plural(n, "place") + " restored:"
	case len(r.Lost) > 0:
		how = "nothing in it could be restored."
	}
	t.paragraph(fmt.Sprintf("%s is a copy of the dump; %s", plain.Clean(r.File), how), 0)
	for _, p := range r.Patches {
		t.indented(fmt.Sprintf("%s at %s: %s", plain.Plural(len(p.New), "byte"), p.Addr, p.Why))
	}
	if len(r.Lost) > 0 {
		t.paragraph("Not restored:", 0)
	}
	for _, s := range r.Lost {
		t.indented(s)
	}
}

// checkFinding is a finding as CheckJSON writes it. The first fields are always
// there.
type checkFinding struct {
	Kind          heap.Kind    `json:"kind"`
	Node          heap.Addr    `json:"node"`
	Fields        []heap.Field `json:"fields"`
	Span          *heap.Span   `json:"span"`
	Culprit       *heap.Addr   `json:"culprit"`
	CulpritReason string       `json:"culprit_reason"`
	Recovered     bool         `json:"recovered"`
	Stack         []jsonFrame  `json:"stack"`
	// StackOf says whose stack it is: "culprit", "node", "check" or "".
	StackOf string `json:"stack_of"`

	Summary     string        `json:"summary"`
	Source      string        `json:"source,omitempty"`
	Pool        string        `json:"pool,omitempty"`
	Op          string        `json:"op,omitempty"`
	Task        string        `json:"task,omitempty"`
	Boot        int           `json:"boot,omitempty"`
	Pointer     heap.Addr     `json:"pointer,omitempty"`
	Expected    heap.Addr     `json:"expected,omitempty"`
	Reach       string        `json:"reach,omitempty"`
	Cause       string        `json:"cause,omitempty"`
	Detail      string        `json:"detail,omitempty"`
	Repair      string        `json:"repair,omitempty"`
	Unseen      []string      `json:"unseen,omitempty"`
	Partial     string        `json:"partial,omitempty"`
	Subject     *jsonNode     `json:"subject,omitempty"`
	Previous    *jsonNode     `json:"previous,omitempty"`
	CulpritNode *jsonNode     `json:"culprit_node,omitempty"`
	FirstFree   []jsonFrame   `json:"first_free,omitempty"`
	Memory      []heap.Memory `json:"memory,omitempty"`
}

func newCheckFinding(f *heap.Finding, sym heap.Symbolizer) checkFinding {
	j := newJSONFinding(f, sym)
	c := checkFinding{
		Kind: f.Kind, Node: f.Node, Fields: f.Fields, CulpritReason: f.CulpritReason, Recovered: f.Recovered,
		Summary: j.Summary, Source: f.Source, Pool: f.Pool, Op: f.Op, Task: f.Task, Boot: f.Boot,
		Pointer: f.Pointer, Expected: f.Expected, Reach: f.Reach, Cause: f.Cause, Detail: f.Detail, Repair: f.Repair,
		Unseen: f.Unseen, Partial: f.Partial, Subject: j.Subject, Previous: j.Previous, CulpritNode: j.Culprit,
		FirstFree: j.FirstFree, Memory: f.Memory,
	}
	if c.Fields == nil {
		c.Fields = []heap.Field{}
	}
	if f.Span.Len() > 0 {
		c.Span = &f.Span
	}
	if f.Culprit != nil {
		c.Culprit = &f.Culprit.Addr
	}
	var stack heap.Stack
	switch {
	case f.Culprit != nil && len(f.Culprit.Stack) > 0:
		stack, c.StackOf = f.Culprit.Stack, "culprit"
	case f.Subject != nil && len(f.Subject.Stack) > 0:
		stack, c.StackOf = f.Subject.Stack, "node"
	case len(f.Stack) > 0:
		stack, c.StackOf = f.Stack, "check"
	}
	c.Stack = jsonStack(leak.Resolve(sym, stack))
	return c
}

type jsonCount struct {
	Used uint64 `json:"used"`
	Free uint64 `json:"free"`
}

type jsonGap struct {
	Pool string    `json:"pool,omitempty"`
	Span heap.Span `json:"span"`
	Why  string    `json:"why"`
}

// CheckJSON writes for programs what checks of dumps found:
//
//	{
//	  "layout": "LiteOS 5.0 bestfit, ...",  of the first pool
//	  "pool": "0x578c0",                    where the first pool begins
//	  "nodes": {"used":83,"free":13},       of all pools
//	  "findings": [{                        one a line
//	    "kind": "header-damaged",           see heap.Kind
//	    "node": "0xb6948",                  start of the node, its backup included
//	    "fields": [{"name":"magic","header":"0x41414141","backup":"0xfff49693","differs":true}],
//	    "span": ["0xb6948","0xb6990"],      overwritten; null if that is not known
//	    "culprit": "0xb5d48",               start of the culprit's node, or null
//	    "culprit_reason": "...",
//	    "recovered": true,                  nothing is lost
//	    "stack": [...],                     frames as everywhere
//	    "stack_of": "culprit",              who allocated the culprit, or else the "node"; in
//	                                        reports of devices "check": who noticed it
//	    "pool": "heap2",                    of several pools
//	    "source": "b.bin",                  of several dumps, and in reports of devices
//	    "summary": "...", "culprit_node": {...}, ...  as in findings of logs
//	  }],
//	  "findings_total": 1,                  more than there are findings if there are many
//	  "partial": "",                        why not all was checked
//	  "gaps": [{"span":[...],"why":"..."}], what could not be interpreted
//	  "stats": {...},                       see heap.Stats; sums, but the largest free node
//	  "evidence": [...], "doubts": [...],   why the first pool is believed to be laid out so
//	  "pools": [{"source":"","pool":"0x..","name":"","system":"","layout":"","size":0,"nodes":{},
//	             "stats":{},"evidence":[],"doubts":[],"findings_total":0,"partial":""}],
//	  "repair": {"file":"","restored":[{"addr":"0x..","bytes":"a5..","why":""}],"lost":[""]},
//	  "notes": []                           repair: only if it was asked for
//	}
func CheckJSON(w io.Writer, c *Checked, d *Document, o Options) error {
	d = d.relative(o)
	out := &doc{w: bufio.NewWriter(w)}
	stats, total := c.stats(), 0
	for i := range c.Pools {
		total += c.Pools[i].Survey.Findings
	}
	var first pools.About
	if len(c.Pools) > 0 {
		first = *c.Pools[0].About
	}
	out.raw("{\"layout\":")
	out.value(first.Layout)
	out.raw(",\n\"pool\":")
	out.value(first.Span.Start)
	out.raw(",\n\"nodes\":")
	out.value(jsonCount{stats.UsedNodes, stats.FreeNodes})
	out.raw(",\n\"findings\":[")
	for i := range d.Findings {
		out.separate(i)
		out.value(newCheckFinding(&d.Findings[i], d.Symbols))
	}
	out.raw("],\n\"findings_total\":%d,\n\"partial\":", max(total, len(d.Findings)))
	out.value(c.Partial())
	out.raw(",\n\"gaps\":")
	out.value(c.jsonGaps())
	out.raw(",\n\"stats\":")
	out.value(stats)
	out.raw(",\n\"evidence\":")
	out.value(orEmpty(first.Evidence))
	out.raw(",\n\"doubts\":")
	out.value(orEmpty(first.Doubts))
	out.raw(",\n\"pools\":[")
	for i := range c.Pools {
		out.separate(i)
		out.value(newJSONChecked(&c.Pools[i]))
	}
	out.raw("]")
	if c.Repair != nil {
		out.raw(",\n\"repair\":")
		out.value(newJSONRepair(c.Repair))
	}
	return out.end(slices.Concat(d.Warnings, d.Notes))
}

func (c *Checked) jsonGaps() []jsonGap {
	all := []jsonGap{}
	for i := range c.Pools {
		for _, g := range c.Pools[i].Survey.Gaps {
			all = append(all, jsonGap{c.Pools[i].Name, g.Span, g.Why})
		}
	}
	return all
}

type jsonChecked struct {
	Source   string     `json:"source"`
	Pool     heap.Addr  `json:"pool"`
	Name     string     `json:"name"`
	System   string     `json:"system"`
	Layout   string     `json:"layout"`
	Size     uint64     `json:"size"`
	Nodes    jsonCount  `json:"nodes"`
	Stats    heap.Stats `json:"stats"`
	Evidence []string   `json:"evidence"`
	Doubts   []string   `json:"doubts"`
	Findings int        `json:"findings_total"`
	Partial  string     `json:"partial"`
}

func newJSONChecked(p *CheckedPool) jsonChecked {
	a, s := p.About, &p.Survey
	return jsonChecked{
		Source: p.Source, Pool: a.Span.Start, Name: a.Name, System: a.System, Layout: a.Layout, Size: a.Span.Len(),
		Nodes: jsonCount{s.Stats.UsedNodes, s.Stats.FreeNodes}, Stats: s.Stats,
		Evidence: orEmpty(a.Evidence), Doubts: orEmpty(a.Doubts), Findings: s.Findings, Partial: s.Partial,
	}
}

type jsonRepair struct {
	File     string      `json:"file"`
	Restored []jsonPatch `json:"restored"`
	Lost     []string    `json:"lost"`
}

type jsonPatch struct {
	Addr  heap.Addr `json:"addr"`
	Bytes string    `json:"bytes"` // in hexadecimal
	Why   string    `json:"why"`
}

func newJSONRepair(r *Repair) jsonRepair {
	j := jsonRepair{File: r.File, Restored: []jsonPatch{}, Lost: orEmpty(r.Lost)}
	for _, p := range r.Patches {
		j.Restored = append(j.Restored, jsonPatch{p.Addr, fmt.Sprintf("%x", p.New), p.Why})
	}
	return j
}

// orEmpty returns a list that JSON does not write as null.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
