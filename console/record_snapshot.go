package console

import (
	"fmt"
	"slices"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// A nodeOrder stands for a live node while a snapshot is put in order.
type nodeOrder struct {
	addr heap.Addr
	live int // position in records.live
}

// node returns a live node in the words of package heap.
func (r *records) node(n recordNode) heap.Node {
	addr := heap.Addr(r.addr(n.addr))
	return heap.Node{
		Addr: addr, Payload: addr, Size: uint64(max(0, r.size(n.size))), Owner: n.task,
		Birth: n.tick, Serial: n.serial, Stack: r.chains.stack(int(n.lr)),
	}
}

// snapshot delivers the live set.
func (r *records) snapshot() {
	r.since = 0
	r.total.walked += len(r.live)
	r.chains.split()
	nameless, old, sizeless, rootless := 0, 0, 0, 0
	r.sorted = r.sorted[:0]
	for i := range r.live {
		n := &r.live[i]
		addr := r.addr(n.addr)
		switch addr {
		case noAddr:
			nameless++
			continue
		case 0:
			continue // an allocation that failed; its address came later
		}
		if n.epoch < r.epoch {
			old++
		}
		if r.size(n.size) < 0 {
			sizeless++
		}
		if !r.chains.has(int(n.lr)) {
			rootless++
		}
		r.sorted = append(r.sorted, nodeOrder{heap.Addr(addr), i})
	}
	slices.SortFunc(r.sorted, func(a, b nodeOrder) int {
		if a.addr != b.addr {
			return compare(a.addr, b.addr)
		}
		return compare(r.live[b.live].serial, r.live[a.live].serial)
	})
	s := &heap.Snapshot{Tick: r.last, Nodes: make([]heap.Node, 0, len(r.sorted))}
	for i, o := range r.sorted {
		if i == 0 || o.addr != r.sorted[i-1].addr {
			s.Nodes = append(s.Nodes, r.node(r.live[o.live]))
		}
	}
	r.total.sizeless = max(r.total.sizeless, sizeless)
	r.total.rootless = max(r.total.rootless, rootless)
	var partial []string
	if r.lost > 0 {
		partial = append(partial, plain.Plural(r.lost, "event")+" of the record missing so far")
	}
	if r.overruns > 0 {
		partial = append(partial, "the device could not print all events in time")
	}
	if r.nameless > 0 {
		partial = append(partial, plain.Plural(r.nameless, "event")+" ignored: the device's table of addresses was full")
	}
	if nameless > 0 {
		partial = append(partial, plain.Plural(nameless, "node")+" left out: the log lacks their addresses")
	}
	if old > 0 {
		partial = append(partial, fmt.Sprintf("%s from before recording was switched off may have been freed meanwhile", plain.Plural(old, "node")))
	}
	if r.cut {
		partial = append(partial, "cut in the middle of an event or a table entry")
	}
	s.Partial = strings.Join(partial, "; ")
	r.count++
	s.Label = fmt.Sprintf("record %d", r.count)
	r.deliver(s)
}

func compare[T ~uint64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// notes says what a person should know about the recordings.
func (r *records) notes() []string {
	t := &r.total
	var notes []string
	note := func(n int, one, rest string) {
		if n > 0 {
			notes = append(notes, fmt.Sprintf("%s: event stream: %s%s", r.name, plain.Plural(n, one), rest))
		}
	}
	note(t.midway, "recording", " whose beginning the log lacks: what was allocated before is not in the live set")
	note(t.lost, "event", " missing")
	note(t.overruns, "time", " the device could not print all events in time")
	for i, table := range []string{"address", "size", "call stack"} {
		note(t.missing[i], "line", " of the "+table+" table missing")
	}
	note(t.sizeless, "live node", " without a size: the log lacks it")
	note(t.rootless, "live node", " without a call stack: the log lacks it")
	note(t.unknown, "free", " of nodes whose allocation was not recorded")
	note(t.twice, "event", " contradicting the live set: nodes resized in place, or lost events")
	note(t.back, "time", " the clock went back: garbled digits, or a restart that the log does not show")
	note(t.failed, "allocation", " failed")
	note(t.refused, "time", " the live set was asked for, by marks, ticks or commands, too often for its size: it came later")
	note(t.guessed, "event", " whose action had to be concluded from the live set")
	note(r.chains.doubtful()+t.chains, "call stack", " printed without separators that can be read in several ways, left out")
	return notes
}
