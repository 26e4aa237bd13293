package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image"
	"github.com/heapwright/heapwright/internal/plain"
	"github.com/heapwright/heapwright/leak"
	"github.com/heapwright/heapwright/reach"
	"github.com/heapwright/heapwright/report"
)

// reachability is what is known of who reaches the nodes of a dump.
type reachability struct {
	result *reach.Result // nil: it cannot be told
	why    string        // why it cannot, in a clause
	roots  *reach.Roots
	// gaps says which roots are not known, so that what looks lost may not be;
	// empty: they are all there.
	gaps      string
	unaligned bool
	// variable names the variable of the program at an address, "" if none is.
	variable func(heap.Addr) string
}

// reachability looks for the nodes of a dump that nothing leads to.
func (in *input) reachability(d *dump, unaligned bool) (*reachability, error) {
	r := &reachability{unaligned: unaligned, variable: in.variable}
	err := d.do(func() (err error) {
		e := in.rootEvidence(d)
		if r.roots, err = reach.FindRoots(e); err != nil {
			return err
		}
		var pools []reach.Pool
		for _, p := range d.pools {
			pools = append(pools, reach.Pool{Name: d.poolName(p), Span: p.About().Span, Walk: func(visit func(*heap.Node) bool) { p.Walk(visit, nil) }})
		}
		x := explainer{d: d}
		size, order := x.pointers()
		d.progress.doing("looking for pointers in")
		r.result, err = reach.Analyse(d.ctx, d.image, pools, r.roots.List, reach.Options{
			PointerSize: size, Order: order, Unaligned: unaligned,
			Progress: func(done, total uint64) {
				d.progress.size.Store(int64(total))
				d.progress.read.Store(int64(done))
			},
		})
		r.gaps = r.missing(d, &e)
		return err
	})
	if errors.Is(err, reach.ErrNoRoots) {
		return &reachability{why: strings.TrimPrefix(err.Error(), d.name+": "), unaligned: unaligned}, nil
	}
	return r, err
}

// rootEvidence is what a dump and the symbols tell of where pointers are.
func (in *input) rootEvidence(d *dump) reach.Evidence {
	e := reach.Evidence{Memory: d.image}
	for _, p := range d.pools {
		e.Pools = append(e.Pools, p.About().Span)
	}
	if in.program != nil {
		e.Sections = in.program.Data()
	}
	for _, t := range d.image.Registers() {
		e.Threads = append(e.Threads, reach.Thread{
			Name: fmt.Sprintf("thread %d", t.ID), SP: t.SP, Registers: t.Regs,
			RegisterName: func(i int) string { return image.RegisterName(d.image.Machine(), i) },
		})
	}
	if !strings.Contains(d.image.Format(), "core") {
		return e
	}
	for _, s := range d.image.Segments() {
		if s.Writable {
			e.Segments = append(e.Segments, heap.Section{Span: heap.Span{Start: s.Addr, End: s.Addr + heap.Addr(len(s.Bytes))}, Name: segmentName(d, &s)})
		}
	}
	return e
}

// segmentName is what a piece of a core is called: the file that was mapped there.
func segmentName(d *dump, s *image.Segment) string {
	files := d.image.Mappings()
	if len(files) > 0 && !slices.ContainsFunc(files, func(m heap.Mapping) bool { return s.Addr >= m.Start && s.Addr < m.Limit }) {
		return "memory of no file" // else it has the name of the core
	}
	return s.Name
}

// fewReached is one in how many nodes has to be reached for roots to be believed:
// of a heap that a leak has filled, most nodes may be lost.
const fewReached = 50

// missing says which roots are not known. A register more or less is not worth
// mentioning: see leak.Unreferenced.
func (r *reachability) missing(d *dump, e *reach.Evidence) string {
	switch {
	case r.result == nil:
		return ""
	case r.roots.Partial != "":
		return r.roots.Partial
	case r.result.Partial != "":
		return r.result.Partial
	case d.image.Partial() != "":
		return "the dump is not complete: " + d.image.Partial()
	case d.undumped() > 0:
		return plain.Plural(int(min(d.undumped(), math.MaxInt32)), "byte") + " that the program could write to were not dumped, such as memory that it shared"
	case len(e.Sections) == 0 && len(e.Segments) == 0:
		return "where the program's variables are is not known: give its ELF file with --symbols"
	case r.result.Reachable.Nodes*fewReached < r.result.Used.Nodes:
		return "hardly any node is reached, as if these were not the program's variables"
	}
	return ""
}

// notes are what there is to say about the search.
func (r *reachability) notes() []string {
	if r.result == nil {
		return nil
	}
	var all []string
	for _, n := range r.roots.Notes {
		all = append(all, "unreferenced nodes: "+n)
	}
	for _, n := range r.result.Notes {
		all = append(all, "unreferenced nodes: "+n)
	}
	return all
}

// standing returns what is known of who reaches the node of an explanation.
func (r *reachability) standing(d *dump, e *report.Explanation, sym heap.Symbolizer, verbose bool) *report.Standing {
	n := e.Node
	if n == nil || e.Nearest {
		return nil
	}
	s := &report.Standing{Why: r.why}
	if r.result == nil {
		return s
	}
	s.State, s.Why = r.result.State(n.Addr).String(), ""
	switch r.result.State(n.Addr) {
	case reach.Reachable:
		s.Path = r.paths(d, []heap.Addr{n.Addr}, sym)[0]
	case reach.Unreferenced:
		h, _ := r.result.Head(n.Addr)
		s.Why = "no pointer that anything reaches leads to it"
		if h.Indirect.Nodes > 0 {
			s.Why += fmt.Sprintf("; with it %s of %d bytes", plain.Plural(int(h.Indirect.Nodes), "other node"), h.Indirect.Bytes)
		}
	case reach.Indirect:
		h, _ := r.result.Head(n.Addr)
		s.Why = fmt.Sprintf("only lost nodes lead to it; it is lost through %s", h.Addr)
	}
	if r.gaps != "" && (s.State == reach.Unreferenced.String() || s.State == reach.Indirect.String()) {
		s.Why += "; but " + r.gaps
	}
	most := fewPointers
	if verbose {
		most = manyPointers
	}
	// Each node has a few pointers to it in the heads of its neighbours, which
	// say nothing.
	const heads = 8
	pointers, more, _ := r.result.PointersTo(d.ctx, n.Addr, most+heads)
	pointers = slices.DeleteFunc(pointers, func(p reach.Pointer) bool { return p.Head || p.HolderState == reach.Allocator })
	names := nodeNames(d, holders(pointers), sym)
	s.More = more || len(pointers) > most
	for i := range pointers[:min(most, len(pointers))] {
		p := &pointers[i]
		s.Pointers = append(s.Pointers, report.Word{Addr: p.Word, Value: p.Value, Text: r.pointerText(p, names)})
	}
	return s
}

// maxSteps bounds the steps of a path that are named: those at its ends.
const maxSteps = 6

// paths returns for each address the chain of pointers from a root to the node
// that it lies in, a step each; nil where there is none.
func (r *reachability) paths(d *dump, addresses []heap.Addr, sym heap.Symbolizer) [][]string {
	all := make([][]reach.Pointer, len(addresses))
	left := make([]int, len(addresses)) // steps left out
	var nodes []heap.Addr
	for i, addr := range addresses {
		p := r.result.Path(addr)
		if left[i] = len(p) - maxSteps; left[i] > 0 {
			p = slices.Delete(p, maxSteps/2, len(p)-maxSteps/2)
		}
		all[i] = p
		nodes = append(nodes, holders(p)...)
	}
	names := nodeNames(d, nodes, sym)
	steps := make([][]string, len(addresses))
	for i, path := range all {
		for k := range path {
			if left[i] > 0 && k == maxSteps/2 {
				steps[i] = append(steps[i], plain.Plural(left[i], "more node"))
			}
			steps[i] = append(steps[i], r.holder(&path[k], names)+pointsTo(&path[k]))
		}
	}
	return steps
}

// holders returns the nodes that hold pointers.
func holders(pointers []reach.Pointer) (nodes []heap.Addr) {
	for i := range pointers {
		if pointers[i].Holder != 0 {
			nodes = append(nodes, pointers[i].Holder)
		}
	}
	return nodes
}

// nodeNames says who allocated the used nodes at some addresses, as far as
// functions have names.
func nodeNames(d *dump, addresses []heap.Addr, sym heap.Symbolizer) map[heap.Addr]string {
	names := make(map[heap.Addr]string, len(addresses))
	for _, a := range addresses {
		names[a] = ""
	}
	for _, p := range d.pools {
		if len(names) == 0 {
			break
		}
		p.Walk(func(n *heap.Node) bool {
			if _, ok := names[n.Addr]; ok && n.State == heap.Used {
				names[n.Addr] = leakFrames(sym, n.Stack)
			}
			return true
		}, nil)
	}
	return names
}

// holder says what holds a pointer.
func (r *reachability) holder(p *reach.Pointer, names map[heap.Addr]string) string {
	switch {
	case p.Root != "" && p.Word == 0:
		return p.Root
	case p.Root != "":
		if name := r.variable(p.Word); name != "" {
			return name + " in " + p.Root
		}
		return fmt.Sprintf("%s %s", p.Root, p.Word)
	case p.Holder == 0:
		return fmt.Sprintf("memory %s", p.Word)
	case p.HolderState == reach.Allocator:
		return fmt.Sprintf("the allocator's own %s", p.Word)
	case p.HolderState == reach.Quarantined:
		return fmt.Sprintf("damaged memory %s", p.Word)
	}
	s := fmt.Sprintf("node %s%+d", p.Holder, p.Offset)
	if name := names[p.Holder]; name != "" {
		s += " of " + name
	}
	return s
}

// pointsTo says where in its node a pointer points, where that is not the start
// of the payload.
func pointsTo(p *reach.Pointer) string {
	switch p.Kind {
	case reach.Inside:
		return fmt.Sprintf(", which points %d bytes into it", p.Into)
	case reach.ToHeader:
		return ", which points to its head"
	}
	return ""
}

// pointerText describes a pointer to a node.
func (r *reachability) pointerText(p *reach.Pointer, names map[heap.Addr]string) string {
	s := r.holder(p, names) + pointsTo(p)
	switch {
	case p.HolderState == reach.Free:
		s += " (a free node: no reference)"
	case !p.Live():
		s += " (no reference)"
	case p.Holder != 0 && p.HolderState != reach.Reachable:
		s += " (" + p.HolderState.String() + ")"
	}
	return s
}

// leakFrames names the function that allocated a node, and its caller.
func leakFrames(sym heap.Symbolizer, stack heap.Stack) string {
	frames := leak.Resolve(sym, stack)
	frames = frames[leak.Interesting(frames, nil):]
	var names []string
	for _, f := range frames[:min(2, len(frames))] {
		if f.Function == "" {
			return ""
		}
		names = append(names, f.Function)
	}
	return strings.Join(names, " <- ")
}
