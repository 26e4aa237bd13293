package console

import (
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// A badNode is a header, or a backup, with a wrong checksum.
type badNode struct {
	line      int
	function  string
	kind      heap.Kind
	header    ctlHeader
	backup    *ctlHeader
	previous  *details
	list      bool // listed by LOS_MemBadNodeShow, which restores nothing
	next      bool // found behind a node that was being restored
	end       bool // the pool's end node
	first     bool // the pool's first node
	laundered bool // right checksum, wrong magic
	nextBad   bool // the node behind is bad, so that the operation was given up
	noPrev    bool // the device found no node in front of it
}

// details are those of a node in front.
type details struct {
	header  ctlHeader
	addr    heap.Addr
	hasAddr bool
	free    bool
	task    string
	gone    string
	current bool // the node just restored, not one in front
	stars   int
}

// bare reports whether nothing follows the damaged header. That is all there is
// where the device finds no way to the node in front.
func (n *badNode) bare() bool {
	return n.kind == heap.HeaderDamaged && n.header.whole() && n.function != "" && n.backup == nil &&
		n.previous == nil && !n.list && !n.next && !n.end && !n.laundered
}

// missing says which parts the report of a node lacks.
func (n *badNode) missing() string {
	var parts []string
	if n.function == "" && !n.list {
		parts = append(parts, "the line that says who found it")
	}
	switch {
	case n.header.fields == 0:
		parts = append(parts, "the damaged header")
	case !n.header.whole():
		parts = append(parts, "the rest of the damaged header")
	}
	if n.bare() {
		return "neither the backup nor the node in front is shown: the device found none, or the text was lost"
	}
	if n.backup != nil && !n.backup.whole() {
		parts = append(parts, "the rest of the backup")
	}
	front := n.previous == nil && !n.noPrev
	switch {
	case n.laundered, n.end:
	case n.list, n.next, n.kind == heap.BackupDamaged:
		if front {
			parts = append(parts, "the node in front")
		}
	case n.backup == nil:
		parts = append(parts, "the backup")
	case front:
		parts = append(parts, "the node in front")
	}
	if n.previous != nil {
		parts = append(parts, n.previous.missing())
	}
	return missingText(parts...)
}

// missing says which part the details of a node lack.
func (d *details) missing() string {
	switch {
	case !d.header.whole():
		return "the rest of the header of the node in front"
	case !d.hasAddr:
		return "the address of the node in front"
	case d.header.used() && d.task == "" && d.gone == "":
		return "who allocated the node in front"
	}
	return ""
}

// contradiction says that addresses in the report do not fit each other; "" if
// they do, as far as can be told.
func (n *badNode) contradiction(lay *liteosLayout) string {
	const lost = "the addresses in the report contradict each other: digits of it are lost, or more headers are damaged"
	h, d := &n.header, n.previous
	if h.at%4 != 0 {
		return lost
	}
	if b := n.backup; b != nil && b.good() && (b.used() && b.prev != 0 && uint32(b.prev) != ^uint32(h.at) || d != nil && d.hasAddr && b.pre != uint64(d.addr)) {
		return lost
	}
	if d == nil || !d.hasAddr || !d.header.good() || h.at == 0 || n.first {
		return ""
	}
	if lay == nil {
		return lost // what lies between the node in front and its header fits no layout
	}
	start := h.at
	if n.kind != heap.BackupDamaged {
		start -= heap.Addr(lay.slot)
	}
	if d.addr+heap.Addr(lay.slot) != d.header.at || d.addr+heap.Addr(d.header.total()) != start && !n.end {
		return lost
	}
	return ""
}

// finding returns what is known about a damaged node.
func (n *badNode) finding(r *liteosReports) *heap.Finding {
	f := r.finding(n.kind, n.line)
	f.Op = operation(n.function)
	lay := r.layout
	f.Partial = sentences(n.missing(), n.contradiction(lay))
	if n.kind == heap.BackupDamaged {
		n.backupFinding(f, lay)
	} else {
		n.headerFinding(f, lay)
	}
	if d := n.previous; d != nil {
		n.front(f, d, lay)
	}
	switch {
	case n.end:
		f.Detail = sentences(f.Detail, "it is the pool's end node")
	case n.first:
		f.Detail = sentences(f.Detail, "it is the pool's first node, whose backup lies in the end node")
	}
	if n.nextBad {
		f.Detail = sentences(f.Detail, "the node behind is broken too, so the operation was given up")
	}
	if n.next {
		f.Detail = sentences(f.Detail, "noticed while the node in front of it was being restored; its backup is not shown, nothing was put right")
	}
	if n.noPrev {
		f.Detail = sentences(f.Detail, "the device could not find the node in front of it")
	}
	if n.laundered {
		f.Detail = sentences(f.Detail, "its checksum is right, but its magic belongs to no node here: the device computed a new checksum over a damaged header")
	}
	return f
}

func (n *badNode) headerFinding(f *heap.Finding, lay *liteosLayout) {
	h := &n.header
	f.Node = h.at
	if lay != nil && h.at >= heap.Addr(lay.slot) {
		f.Node = h.at - heap.Addr(lay.slot)
	} else if h.at != 0 {
		f.Detail = "how nodes are laid out is not known: the address is that of the control header"
	}
	f.Memory = h.memory(h.at, lay)
	f.Fields = compareHeaders(h, n.backup, lay)
	if n.backup == nil {
		n.contradictions(f, lay)
		return
	}
	if !n.backup.good() {
		if n.backup.whole() {
			f.Kind = heap.BothDamaged
			f.Detail = sentences(f.Detail, "the device restored the header from a backup whose checksum is wrong")
			if b, d := n.backup, n.previous; b.used() && uint32(b.prev) == ^uint32(h.at) || d != nil && d.hasAddr && b.pre == uint64(d.addr) {
				f.Partial = sentences(f.Partial, "only the checksum of the backup is wrong, what it covers fits: a digit of it may be lost")
			}
		}
		return
	}
	f.Recovered, f.Repaired = true, !n.nextBad
	f.Subject = n.backup.node(f.Node, lay)
	if lay == nil || !h.whole() {
		return
	}
	was := n.backup.memory(h.at, lay)
	for i, m := range f.Memory {
		for k, c := range m.Bytes {
			if c == was[i].Bytes[k] {
				continue
			}
			at := m.Addr + heap.Addr(k)
			if f.Span.Len() == 0 {
				f.Span.Start = at
			}
			f.Span.End = at + 1
		}
	}
}

// contradictions marks the fields of a header without a backup that are wrong
// whatever the node was: a first word that is neither its magic nor a pointer,
// and a link to another node than the one in front.
func (n *badNode) contradictions(f *heap.Finding, lay *liteosLayout) {
	h := &n.header
	if !h.whole() || lay == nil || n.end {
		return
	}
	wrong := [3]bool{0: uint32(h.prev) != ^uint32(h.at) && h.prev%4 != 0 || n.laundered}
	if d := n.previous; d != nil && d.hasAddr && d.addr < h.at {
		wrong[2] = h.pre != uint64(d.addr)
	}
	for i, is := range wrong {
		if !is || i >= len(f.Fields) {
			continue
		}
		f.Fields[i].Differs = true
		start := h.at + heap.Addr(i*lay.word)
		if f.Span.Len() == 0 {
			f.Span.Start = start
		}
		f.Span.End = start + heap.Addr(lay.word)
	}
}

func (n *badNode) backupFinding(f *heap.Finding, lay *liteosLayout) {
	h := &n.header
	f.Node = h.at
	f.Fields = compareHeaders(nil, h, lay)
	f.Memory = h.memory(h.at, lay)
	f.Detail = "the backup lies at the start of the node and is that of the next node's header"
	if !n.end && n.header.fields > 0 {
		f.Recovered, f.Repaired = !n.nextBad, !n.nextBad
	}
}

// front stores what is known about the node in front.
func (n *badNode) front(f *heap.Finding, d *details, lay *liteosLayout) {
	if n.header.at != 0 && d.hasAddr && d.addr > n.header.at {
		f.Detail = sentences(f.Detail, "it is the pool's first node: in front of it lies the pool's head")
		return
	}
	addr := d.addr
	if !d.hasAddr {
		if lay == nil || d.header.at < heap.Addr(lay.slot) {
			return
		}
		addr = d.header.at - heap.Addr(lay.slot)
	}
	p := &heap.Node{Addr: addr}
	if d.header.whole() {
		p = d.header.node(addr, lay)
		if !d.header.good() {
			f.Detail = sentences(f.Detail, "the header of the node in front is damaged too")
		} else if !d.header.magic() {
			f.Detail = sentences(f.Detail, "the magic of the node in front is wrong although its checksum is right: the device computed a new checksum over a damaged header")
		}
	} else if d.free {
		p.State = heap.Free
	}
	p.Stack = heap.Stack{}
	f.Previous = p
	if d.task != "" && p.State == heap.Used {
		f.Owners = map[heap.Owner]string{p.Owner: d.task}
	}
	if d.gone != "" {
		f.Detail = sentences(f.Detail, fmt.Sprintf("the task that allocated the node in front, ID %s, does not exist", d.gone))
	}
}

// compareHeaders returns the fields of a header and of its backup side by side,
// in the order in which they lie in memory. Either may be nil.
func compareHeaders(h, backup *ctlHeader, lay *liteosLayout) []heap.Field {
	witness := backup
	if witness == nil {
		witness = h
	}
	prev, next := "prev/magic", "next/task id"
	switch {
	case !witness.good():
	case !witness.used():
		prev, next = "list prev", "list next"
	case lay != nil && lay.word == 8:
		prev, next = "magic, task id", "(unused)"
	default:
		prev, next = "magic", "task id"
	}
	var list []heap.Field
	add := func(name string, at int, value func(*ctlHeader) string) {
		f := heap.Field{Name: name}
		if h != nil && h.fields >= at {
			f.Header = value(h)
		}
		if backup != nil && backup.fields >= at {
			f.Backup = value(backup)
		}
		f.Differs = f.Header != "" && f.Backup != "" && f.Header != f.Backup
		if f.Header != "" || f.Backup != "" {
			list = append(list, f)
		}
	}
	add(prev, 4, func(h *ctlHeader) string { return fmt.Sprintf("%#x", h.prev) })
	add(next, 5, func(h *ctlHeader) string { return fmt.Sprintf("%#x", h.next) })
	add("previous node", 6, func(h *ctlHeader) string { return fmt.Sprintf("%#x", h.pre) })
	add("gap size", 7, func(h *ctlHeader) string { return fmt.Sprintf("%#x", h.gap) })
	add("checksum", 3, func(h *ctlHeader) string {
		if h.sum == h.recomputed {
			return fmt.Sprintf("%#x", h.sum)
		}
		return fmt.Sprintf("%#x [%#x]", h.sum, h.recomputed)
	})
	add("size and flags", 8, func(h *ctlHeader) string { return fmt.Sprintf("%#x", h.size) })
	return list
}
