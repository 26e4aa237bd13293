package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
	"github.com/heapwright/heapwright/report"
)

const (
	// fewBytes and manyBytes bound how much of a node's payload is shown.
	fewBytes, manyBytes = 320, 1 << 14
	// aroundBytes is how much is shown on either side of an address in no node.
	aroundBytes = 32
	// fewPointers and manyPointers bound the pointers to a node that are shown.
	fewPointers, manyPointers = 8, 256
)

// An explainer explains addresses in a dump. It may be used once.
type explainer struct {
	d       *dump
	in      *input
	sym     heap.Symbolizer
	verbose bool
	reach   *reachability
	e       report.Explanation
	pool    layout.Pool
	end     heap.Addr // of the last node in front of the address
}

func (x *explainer) explain(addr heap.Addr) report.Explanation {
	x.e.Addr = addr
	for _, p := range x.d.pools {
		if s := p.About().Span; addr >= s.Start && addr < s.End {
			x.pool = p
		}
	}
	if x.pool == nil {
		x.outside()
		return x.e
	}
	about := x.pool.About()
	x.e.Pool = x.d.poolName(x.pool)
	x.e.Around = &heap.Snapshot{Tick: about.Tick, TickHz: about.TickHz, Owners: about.Owners}
	x.locate()
	x.describe()
	x.memory()
	x.e.Words = x.words()
	x.e.Standing = x.reach.standing(x.d, &x.e, x.sym, x.verbose)
	return x.e
}

// outside explains an address in no pool.
func (x *explainer) outside() {
	x.e.Where = "in no pool"
	if s := x.d.image.Segment(x.e.Addr); s == nil {
		x.e.Where += ", and not in the image either"
	} else if name := x.data(x.e.Addr); name != "" {
		x.e.Where += ", but in " + name
	}
	var nearest *layout.About
	for _, p := range x.d.pools {
		if a := p.About(); nearest == nil || distance(a.Span, x.e.Addr) < distance(nearest.Span, x.e.Addr) {
			nearest = a
		}
	}
	if nearest != nil {
		side := "above"
		if x.e.Addr < nearest.Span.Start {
			side = "below"
		}
		unit := "bytes"
		if distance(nearest.Span, x.e.Addr) == 1 {
			unit = "byte"
		}
		x.e.Where += fmt.Sprintf("; %d %s %s the pool [%s, %s)", distance(nearest.Span, x.e.Addr), unit, side, nearest.Span.Start, nearest.Span.End)
	}
	x.aroundAddress()
	x.e.Words = x.words()
}

// distance is how many bytes lie between a span and an address outside it.
func distance(s heap.Span, a heap.Addr) uint64 {
	if a < s.Start {
		return uint64(s.Start - a)
	}
	return uint64(a-s.End) + 1
}

// data names the variable, or the section of the program, that an address lies
// in, "" if neither is known.
func (x *explainer) data(a heap.Addr) string {
	if x.in.program == nil {
		return ""
	}
	for _, s := range x.in.program.Data() {
		if a < s.Start || a >= s.End {
			continue
		}
		if name := x.in.variable(a); name != "" {
			return name + " in " + s.Name
		}
		return s.Name
	}
	return ""
}

// locate finds the node that the address lies in, its neighbours, and what is
// wrong with them.
func (x *explainer) locate() {
	var before, node, behind *heap.Node
	var findings []heap.Finding
	addr := x.e.Addr
	keep := func(n *heap.Node) *heap.Node {
		c := *n
		c.Stack = slices.Clone(n.Stack)
		return &c
	}
	var ahead heap.Node // in front of the address, so far; its stack has room of its own
	var stack heap.Stack
	seen := false
	x.pool.Walk(func(n *heap.Node) bool {
		switch {
		case n.Addr > addr:
			if behind == nil {
				behind = keep(n)
			}
		case contains(n, addr):
			node = keep(n)
			if seen {
				before = keep(&ahead)
			}
		default:
			seen = true
			stack = append(stack[:0], n.Stack...)
			ahead = *n
			ahead.Stack = stack
			x.end = n.Addr + heap.Addr(n.Total)
		}
		return true
	}, func(f *heap.Finding) {
		if len(findings) < maxFindings {
			findings = append(findings, *f)
		}
	})
	if node == nil {
		x.e.Nearest = true
		switch {
		case seen && (behind == nil || addr-x.end <= behind.Addr-addr):
			node = keep(&ahead)
		case behind != nil:
			node, behind = behind, nil
		}
	}
	x.e.Node, x.e.Before, x.e.Behind = node, before, behind
	if node != nil {
		x.concerning(findings)
	}
}

func contains(n *heap.Node, a heap.Addr) bool {
	return a >= n.Addr && uint64(a-n.Addr) < max(1, n.Total)
}

// concerning keeps the findings that concern the node.
func (x *explainer) concerning(findings []heap.Finding) {
	n := x.e.Node
	is := func(m *heap.Node) bool { return m != nil && m.Addr == n.Addr }
	end := n.Addr + heap.Addr(n.Total)
	for i := range findings {
		f := &findings[i]
		inside := f.Span.Start < end && n.Addr < f.Span.End
		own := f.Node == n.Addr || is(f.Subject) || inside
		if own && !x.e.Nearest {
			x.e.Damaged = true
		}
		if own || is(f.Culprit) || is(f.Previous) {
			x.e.Findings = append(x.e.Findings, *f)
		}
	}
}

// describe says where in the node the address lies.
func (x *explainer) describe() {
	n, addr := x.e.Node, x.e.Addr
	span := x.pool.About().Span
	switch {
	case n == nil:
		x.e.Where = "in a pool in which no node was found"
	case x.e.Nearest && x.e.Behind == nil && addr < n.Addr:
		x.e.Where = fmt.Sprintf("in the head of the pool %s, %d bytes from its start", span.Start, addr-span.Start)
	case x.e.Nearest && x.e.Behind == nil:
		x.e.Where = fmt.Sprintf("behind the last node of the pool %s, where its end is marked", span.Start)
	case x.e.Nearest:
		x.e.Where = fmt.Sprintf("in a part of the pool %s that could not be interpreted, %d bytes behind the node %s", span.Start, addr-x.end, n.Addr)
	default:
		x.e.Fields = x.pool.Fields(n)
		x.e.Where = x.inNode()
	}
}

// inNode says where in its node the address lies.
func (x *explainer) inNode() string {
	n, addr := x.e.Node, x.e.Addr
	of := fmt.Sprintf("of the %s node %s", n.State, n.Addr)
	switch {
	case addr == n.Addr:
		return "at the start " + of
	case addr == n.Payload:
		return "where the payload begins, " + of
	}
	for _, f := range x.e.Fields {
		if addr >= f.Start && addr < f.End {
			return fmt.Sprintf("in the head, %q, %s", f.Name, of)
		}
	}
	switch {
	case n.Payload == 0 || addr < n.Payload:
		return fmt.Sprintf("%d bytes behind the start %s", addr-n.Addr, of)
	case n.Size != 0 && uint64(addr-n.Payload) >= n.Size:
		return fmt.Sprintf("in the padding behind the payload %s, which has %d bytes", of, n.Size)
	}
	return fmt.Sprintf("%d bytes into the payload %s", addr-n.Payload, of)
}

// memory takes what is shown of the node's memory.
func (x *explainer) memory() {
	n := x.e.Node
	if n == nil || x.e.Nearest {
		x.aroundAddress()
		return
	}
	shown := n.Total
	most := uint64(fewBytes)
	if x.verbose {
		most = manyBytes
	}
	if head := uint64(max(n.Payload, n.Addr) - n.Addr); shown > head+most {
		shown = head + most
		// The address itself is always there.
		shown = max(shown, min(n.Total, uint64(x.e.Addr-n.Addr)+aroundBytes))
		shown = min(shown, head+manyBytes)
	}
	b := x.d.image.View(n.Addr, shown)
	if b == nil {
		x.aroundAddress()
		return
	}
	x.e.Memory, x.e.More = heap.Memory{Addr: n.Addr, Bytes: slices.Clone(b)}, n.Total-shown
}

// aroundAddress takes the memory around the address, as much as there is.
func (x *explainer) aroundAddress() {
	for n := heap.Addr(aroundBytes); n >= 4; n /= 2 {
		from := (x.e.Addr &^ 3) - min(n, x.e.Addr&^3)
		if b := x.d.image.View(from, uint64(2*n)); b != nil {
			x.e.Memory = heap.Memory{Addr: from, Bytes: slices.Clone(b)}
			return
		}
	}
}

// words says what the words in the memory that is shown point to.
func (x *explainer) words() []report.Word {
	size, order := x.pointers()
	var words []report.Word
	m := &x.e.Memory
	at := (m.Addr + heap.Addr(size) - 1) / heap.Addr(size) * heap.Addr(size)
	for off := int(at - m.Addr); off+size <= len(m.Bytes); off += size {
		v := uint64(order.Uint32(m.Bytes[off:]))
		if size == 8 {
			v = order.Uint64(m.Bytes[off:])
		}
		words = append(words, report.Word{Addr: m.Addr + heap.Addr(off), Value: heap.Addr(v)})
	}
	x.name(words)
	return slices.DeleteFunc(words, func(w report.Word) bool { return w.Text == "" })
}

// pointers returns the size of a pointer and the order of its bytes.
func (x *explainer) pointers() (size int, order binary.ByteOrder) {
	order = x.d.image.Order()
	if order == nil {
		order = binary.LittleEndian
	}
	for _, n := range []int{x.d.image.PointerSize(), x.d.pools[0].About().PointerSize, 4} {
		if n == 4 || n == 8 {
			return n, order
		}
	}
	return 4, order
}

// name says what words point to: nodes, sections of the program, functions.
func (x *explainer) name(words []report.Word) {
	order := make([]int, len(words))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return words[order[a]].Value < words[order[b]].Value })
	for _, p := range x.d.pools {
		span := p.About().Span
		from := sort.Search(len(order), func(i int) bool { return words[order[i]].Value >= span.Start })
		to := sort.Search(len(order), func(i int) bool { return words[order[i]].Value >= span.End })
		x.nameNodes(p, words, order[from:to])
	}
	for i := range words {
		w := &words[i]
		if w.Text != "" || w.Value < 1<<12 {
			continue
		}
		if s := x.data(w.Value); s != "" {
			w.Text = s
		} else if f := x.code(w.Value + 2); f != "" { // the byte behind the first
			w.Text = "code of " + f
		}
	}
}

// code names the function that a return address in the memory lies in, "" if that
// is not known.
func (x *explainer) code(lr heap.Addr) string {
	if x.in.loaded != nil {
		return x.in.loaded.Frames(lr)[0].Function
	}
	return x.sym.Frames(lr)[0].Function
}

// nameNodes names the nodes of a pool that words point to; order holds the
// indices of those words, ascending by value.
func (x *explainer) nameNodes(p layout.Pool, words []report.Word, order []int) {
	if len(order) == 0 {
		return
	}
	p.Walk(func(n *heap.Node) bool {
		for len(order) > 0 && words[order[0]].Value < n.Addr {
			words[order[0]].Text = "the pool's own memory"
			order = order[1:]
		}
		for len(order) > 0 && contains(n, words[order[0]].Value) {
			words[order[0]].Text = x.target(n, words[order[0]].Value)
			order = order[1:]
		}
		return len(order) > 0
	}, nil)
	for _, i := range order {
		words[i].Text = "the pool's own memory"
	}
}

// target says which part of a node an address is.
func (x *explainer) target(n *heap.Node, a heap.Addr) string {
	s := fmt.Sprintf("%s node %s", n.State, n.Addr)
	switch {
	case x.e.Node != nil && n.Addr == x.e.Node.Addr:
		s = "this node"
	case n.State == heap.Used && len(n.Stack) > 0:
		if frames := leakFrames(x.sym, n.Stack); frames != "" {
			s += " of " + frames
		}
	}
	switch {
	case a == n.Payload:
		return s
	case a == n.Addr:
		return s + ", its start"
	case a > n.Payload:
		return fmt.Sprintf("%s, payload+%d", s, a-n.Payload)
	}
	return fmt.Sprintf("%s, head+%d", s, a-n.Addr)
}
