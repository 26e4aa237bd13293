package survey

import (
	"fmt"
	"strconv"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// Node describes a node as it was seen; nil for one that was not.
func (r *Region) Node(s *Seen) *heap.Node {
	if s.Ref == 0 {
		return nil
	}
	n := new(heap.Node)
	r.Fill(n, s)
	if c := r.Evidence(s); c != nil {
		n.Stack = heap.Stack(r.AppendStack(nil, c))
	}
	return n
}

// Fill makes n the node s, without its stack.
func (r *Region) Fill(n *heap.Node, s *Seen) {
	*n = heap.Node{Addr: r.Addr(s.Ref), Total: uint64(s.Size) * node.Unit, State: heap.Quarantined}
	c := r.Evidence(s)
	if c == nil {
		if s.Ref != Front && s.Ref != r.End {
			n.Payload = n.Addr + heap.Addr(r.Layout.Head)
		}
		return
	}
	n.Owner = heap.Owner(s.H.Owner())
	switch s.H.State() {
	case node.Used:
		n.State = heap.Used
		n.Size = uint64(s.H.Size())*node.Unit - uint64(r.Layout.Head) - uint64(s.H.Slack())
	case node.Free, node.Quick:
		n.State = heap.Free
	case node.Bound:
		n.State = heap.Used // the pool's own: it has no payload
		return
	}
	n.Payload = n.Addr + heap.Addr(r.Layout.Head)
	if r.Layout.Stacks {
		n.Birth = uint64(*node.Birth(c))
	}
}

// AppendStack appends the return addresses in the control header at c.
func (r *Region) AppendStack(s []heap.Addr, c unsafe.Pointer) []heap.Addr {
	for i := range r.Layout.LRs {
		v := *node.LR(c, i)
		if v == 0 {
			break
		}
		s = append(s, r.LR(v))
	}
	return s
}

// span is a range of the pool as addresses.
func (r *Region) span(off, n uint64) heap.Span {
	at := heap.Addr(r.Origin + off)
	return heap.Span{Start: at, End: at + heap.Addr(n)}
}

// differing returns the range of bytes [first, last) in which a and b, n bytes
// each, differ.
func differing(a, b unsafe.Pointer, n uintptr) (first, last uint64) {
	x, y := unsafe.Slice((*byte)(a), n), unsafe.Slice((*byte)(b), n)
	for i := range x {
		if x[i] != y[i] {
			if last == 0 {
				first = uint64(i)
			}
			last = uint64(i) + 1
		}
	}
	return first, last
}

// pattern describes the overwriting bytes in [from, to) of the pool, and how
// far they go on up to limit.
func (r *Region) pattern(from, to, limit uint64) string {
	b := r.Bytes(from, max(limit, to))
	n := min(int(to-from), len(b))
	if n == 0 {
		return ""
	}
	if b[0] == 0 {
		b = b[:n] // behind it zeroes say nothing, and there may be many
	}
	run := 1
	for run < len(b) && b[run] == b[0] {
		run++
	}
	if run < n {
		text := true
		for _, c := range b[:n] {
			text = text && (c >= ' ' && c <= '~' || c == '\n' || c == '\t')
		}
		if text {
			return "text " + strconv.Quote(string(b[:min(n, 64)]))
		}
		return fmt.Sprintf("bytes % x", b[:min(n, 16)])
	}
	s := fmt.Sprintf("byte 0x%02x", b[0])
	if b[0] > ' ' && b[0] <= '~' {
		s += fmt.Sprintf(" (%q)", b[0])
	}
	s += " repeated"
	if run > n {
		s += fmt.Sprintf(", and %d times more behind it", run-n)
	}
	return s
}

// Value is a field of a control header.
type Value struct {
	Name      string
	Off, Size int    // in bytes from the start of the header
	Raw       uint32 // what tells it from another
	Text      string // as one reads it
}

// Values returns the fields of the control header, or backup of one, at c, as
// that of the node at ref.
func (r *Region) Values(c unsafe.Pointer, ref uint32) []Value {
	var list []Value
	add := func(name string, off, size int, v uint32, text string) {
		list = append(list, Value{name, off, size, v, text})
	}
	bytes := func(units uint32) string { return strconv.FormatUint(uint64(units)*node.Unit, 10) }
	h := node.Read(c)
	add("size", 0, 4, h.Size(), bytes(h.Size()))
	add("previous size", 4, 4, h.Prev(), bytes(h.Prev()))
	add("state", 10, 2, uint32(h.State()), h.State().String())
	add("owner", 8, 2, uint32(h.Owner()), strconv.Itoa(int(h.Owner())))
	add("slack", 10, 2, h.Slack(), strconv.Itoa(int(h.Slack())))
	sum := fmt.Sprintf("0x%08x", h.Sum())
	if want := r.Layout.SumAt(c, ref); want != h.Sum() && !r.Blind {
		sum += fmt.Sprintf(" [0x%08x]", want) // stored [recomputed], as LiteOS prints it
	}
	add("checksum", 12, 4, h.Sum(), sum)
	if r.Layout.Stacks {
		add("birth", 16, 4, *node.Birth(c), strconv.FormatUint(uint64(*node.Birth(c)), 10))
	}
	for i := range r.Layout.LRs {
		v := *node.LR(c, i)
		var at heap.Addr
		if v != 0 {
			at = r.LR(v)
		}
		text := at.String()
		if v != 0 && at == 0 {
			text = fmt.Sprintf("no address (0x%08x)", v)
		}
		add(fmt.Sprintf("LR[%d]", i), 20+4*i, 4, v, text)
	}
	return list
}

// fields compares two control headers of the node at ref; backup may be nil.
func (r *Region) fields(own, backup unsafe.Pointer, ref uint32) []heap.Field {
	var list []heap.Field
	for _, v := range r.Values(own, ref) {
		list = append(list, heap.Field{Name: v.Name, Header: v.Text})
	}
	if backup == nil {
		return list
	}
	mine := r.Values(own, ref)
	for i, v := range r.Values(backup, ref) {
		list[i].Backup = v.Text
		list[i].Differs = mine[i].Raw != v.Raw
	}
	return list
}
