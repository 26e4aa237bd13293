package console

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// invalid reports a free that the device refused.
func (r *records) invalid(e recordEvent, slot *recordSlot) {
	r.chains.split()
	owners := r.owners()
	f := &heap.Finding{
		Op: "free", Source: fmt.Sprintf("%s:%d", r.name, e.line), Task: owners[e.task], Owners: owners,
		Stack:  r.chains.stack(int(e.lr)),
		Unseen: []string{"the event stream says that the free was refused, not why"},
	}
	f.Detail = fmt.Sprintf("task %d, tick %d", e.task, e.tick)
	addr := r.addr(e.addr)
	f.Pointer = heap.Addr(addr)
	switch {
	case addr == noAddr:
		f.Kind, f.Pointer = heap.InsideFree, 0
		f.Partial = "the log lacks the pointer"
	case addr == 0:
		f.Kind = heap.NilPointer
	case slot.live > 0:
		n := r.node(r.live[slot.live-1])
		f.Kind, f.Node, f.Subject = heap.HeaderDamaged, n.Addr, &n
		f.Cause = "the node is live and the pointer is right, so its header was most likely overwritten"
	case slot.freed:
		f.Kind, f.FirstFree = heap.DoubleFree, r.chains.stack(int(slot.lr))
		f.Cause = "freed before, and not allocated again since"
	default:
		r.place(f)
	}
	r.emit(f)
}

// place finds the live node that a wild pointer points into.
func (r *records) place(f *heap.Finding) {
	if r.total.searched += len(r.live); r.total.searched > searchBudget {
		f.Kind = heap.InsideFree
		f.Partial = "too many invalid frees to look for the node of each"
		return
	}
	for _, l := range r.live {
		start, size := heap.Addr(r.addr(l.addr)), r.size(l.size)
		if start != heap.Addr(noAddr) && size > 0 && f.Pointer > start && f.Pointer-start < heap.Addr(size) {
			n := r.node(l)
			f.Kind, f.Node, f.Subject, f.Expected = heap.InsideNode, n.Addr, &n, n.Addr
			f.Cause = plain.Plural(int(f.Pointer-start), "byte") + " into a live node"
			return
		}
	}
	f.Kind = heap.InsideFree
	f.Cause = "no node that the record knows to be live contains it"
}
