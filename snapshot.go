package heapwright

import (
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/node"
)

// Snapshot returns the used nodes of the pool in ascending order of address,
// and its totals. It tolerates damage: a node whose header is bad is listed
// from its backup, and what cannot be read is said in Partial. The pool is
// locked meanwhile: for a million nodes something like 0.1 s (BenchmarkWalk in
// module bench).
func (p *Pool) Snapshot() (*heap.Snapshot, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == 0 {
		return nil, ErrClosed
	}
	return p.snapshot(), nil
}

func (p *Pool) snapshot() *heap.Snapshot {
	s := &heap.Snapshot{
		Source: "pool " + p.name,
		Pool:   p.name,
		Time:   time.Now(),
		Nodes:  make([]heap.Node, 0, p.usedNodes),
		Owners: map[heap.Owner]string{},
		Stats:  p.stats().Stats,
	}
	if p.lay.Stacks {
		s.TickHz = TickHz
		if !p.readOnly {
			s.Tick = uint64(p.tick())
		}
	}
	for i, o := range p.owners {
		if o.name != "" {
			s.Owners[heap.Owner(i)] = o.name
		}
	}
	// One array serves all stacks.
	stacks := make([]heap.Addr, 0, p.usedNodes*p.lay.LRs)
	var ranges, bytes uint64
	r := p.surveyed()
	r.Survey(func(n, _, _ *seen) bool {
		switch {
		case n.Lost && n.Ref != front && n.Ref != p.end:
			ranges++
			bytes += uint64(n.Size) * node.Unit
		case !n.Lost && n.H.State() == node.Used:
			var h heap.Node
			r.Fill(&h, n)
			from := len(stacks)
			stacks = r.AppendStack(stacks, r.Evidence(n))
			h.Stack = heap.Stack(stacks[from:len(stacks):len(stacks)])
			s.Nodes = append(s.Nodes, h)
		}
		return true
	})
	if ranges > 0 {
		s.Partial = fmt.Sprintf("%d damaged ranges with %d bytes could not be read", ranges, bytes)
	}
	return s
}

// Frames resolves a stack of this process, as Snapshot and findings have it, to
// functions and lines, innermost first, inlined functions included.
func Frames(s heap.Stack) []heap.Frame { return frames(s) }

func frames(s heap.Stack) []heap.Frame {
	var all []heap.Frame
	for _, a := range s {
		all = append(all, callers.FramesOf(uintptr(a))...)
	}
	return all
}

// callerStack returns the stack of the program at its call of the pool.
//
//go:noinline
func callerStack() heap.Stack {
	var pcs [64]uintptr
	n := callers.Walk(pcs[:], 1)
	var s heap.Stack
	for _, pc := range pcs[:n] {
		if s != nil || !inPool(pc) {
			s = append(s, heap.Addr(pc))
		}
	}
	return s
}

// inPool reports whether a return address lies in a function of this package
// through which findings pass on their way out.
func inPool(pc uintptr) bool {
	f := runtime.FuncForPC(pc - 1)
	if f == nil {
		return false
	}
	name, ok := strings.CutPrefix(f.Name(), packagePath+".")
	return ok && (strings.HasPrefix(name, "(*Pool).") || strings.HasPrefix(name, "AllocSlice[") || strings.HasPrefix(name, "FreeSlice[") || name == "Open" || name == "open")
}

const packagePath = "github.com/heapwright/heapwright"
