package heapwright

import (
	"fmt"
	"runtime"
	"strings"
	"time"
	"unsafe"

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
	p.survey(func(n *seen) bool {
		switch {
		case n.lost && n.ref != front && n.ref != p.end:
			ranges++
			bytes += uint64(n.size) * node.Unit
		case !n.lost && n.h.State() == node.Used:
			h := heap.Node{Addr: p.addr(n.ref), Total: uint64(n.size) * node.Unit}
			c := p.evidence(n)
			from := len(stacks)
			stacks = p.appendStack(stacks, c)
			h.Stack = heap.Stack(stacks[from:len(stacks):len(stacks)])
			p.describeFixed(&h, n.h, c)
			s.Nodes = append(s.Nodes, h)
		}
		return true
	})
	if ranges > 0 {
		s.Partial = fmt.Sprintf("%d damaged ranges with %d bytes could not be read", ranges, bytes)
	}
	return s
}

// describeFixed fills in everything but the stack, from a header and the place
// c of a good copy of it.
func (p *Pool) describeFixed(n *heap.Node, h node.Header, c unsafe.Pointer) {
	n.Owner = heap.Owner(h.Owner())
	switch h.State() {
	case node.Used:
		n.State = heap.Used
		n.Size = uint64(p.payloadOf(h))
	case node.Free, node.Quick:
		n.State = heap.Free
	case node.Bound:
		n.State = heap.Used // the pool's own: it has no payload
		return
	default:
		n.State = heap.Quarantined
	}
	n.Payload = n.Addr + heap.Addr(p.lay.Head)
	if p.lay.Stacks {
		n.Birth = uint64(*node.Birth(c))
	}
}

func (p *Pool) describeNode(n *heap.Node, h node.Header, c unsafe.Pointer) {
	p.describeFixed(n, h, c)
	n.Stack = heap.Stack(p.appendStack(nil, c))
}

// appendStack appends the return addresses in the control header at c.
func (p *Pool) appendStack(s []heap.Addr, c unsafe.Pointer) []heap.Addr {
	for i := range p.lay.LRs {
		v := *node.LR(c, i)
		if v == 0 {
			break
		}
		s = append(s, p.lr(v))
	}
	return s
}

// lr is the return address that an LR of a header stands for.
func (p *Pool) lr(v uint32) heap.Addr {
	if v == 0 {
		return 0
	}
	if p.foreign {
		return heap.Addr(callers.Rebase(v, p.anchor))
	}
	pc, _ := callers.Address(v)
	return heap.Addr(pc)
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
