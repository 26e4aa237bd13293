package console

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// invalid reports a free that the device refused.
func (r *records) invalid(e recordEvent, a *recordAddr) {
	r.chains.split()
	f := &heap.Finding{
		Op: "free", Source: fmt.Sprintf("%s:%d", r.name, e.line), Task: r.task(e.task),
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
	case a.live > 0:
		l := r.live[a.live-1]
		n := r.node(l)
		f.Kind, f.Node, f.Subject = heap.HeaderDamaged, n.Addr, &n
		f.Cause = "the node is live and the pointer is right, so its header was most likely overwritten"
		r.unless(f, "its free", e.unseen-l.unseen)
	case a.freed:
		f.Kind, f.FirstFree = heap.DoubleFree, r.chains.stack(int(a.lr))
		f.Cause = "freed before, and not allocated again since"
		r.unless(f, "its allocation", e.unseen-a.unseen)
	default:
		r.place(f, e)
	}
	owners := []heap.Owner{e.task}
	if f.Subject != nil {
		owners = append(owners, f.Subject.Owner)
	}
	for _, o := range owners {
		if name := r.task(o); name != "" {
			if f.Owners == nil {
				f.Owners = map[heap.Owner]string{}
			}
			f.Owners[o] = name
		}
	}
	r.emit(f)
}

// unless qualifies the cause of a finding: some event that would refute it can
// be one of the missing ones that nobody saw meanwhile.
func (r *records) unless(f *heap.Finding, event string, missing int) {
	if missing == 0 {
		return
	}
	events := plain.Plural(missing, "event")
	if r.overruns > 0 || r.epoch > 0 {
		events = "events" // nobody knows how many
	}
	f.Cause += fmt.Sprintf(", unless %s is among the %s missing", event, events)
	f.Partial = "the record lacks " + events + " that this depends on"
}

// place finds the live node that a wild pointer points into.
func (r *records) place(f *heap.Finding, e recordEvent) {
	if r.total.searched+len(r.live) > r.searchBudget {
		f.Kind = heap.InsideFree
		f.Partial = "too many invalid frees to look for the node of each"
		return
	}
	r.total.searched += len(r.live)
	for _, l := range r.live {
		start, size := heap.Addr(r.addr(l.addr)), r.size(l.size)
		if start != heap.Addr(noAddr) && size > 0 && f.Pointer > start && f.Pointer-start < heap.Addr(size) {
			n := r.node(l)
			f.Kind, f.Node, f.Subject, f.Expected = heap.InsideNode, n.Addr, &n, n.Addr
			f.Cause = plain.Plural(int(f.Pointer-start), "byte") + " into a live node"
			r.unless(f, "its free", e.unseen-l.unseen)
			return
		}
	}
	f.Kind = heap.InsideFree
	f.Cause = "no node that the record knows to be live contains it"
	r.unless(f, "an allocation there", e.unseen)
}
