package heapwright

import (
	"fmt"
	"strconv"
	"strings"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// examination is one survey with everything that it found wrong.
type examination struct {
	findings []heap.Finding
	unsound  []seen // nodes whose header or backup must be written anew
	totals   bool   // the totals or the free structures must be rebuilt
	head     bool   // the pool head must be written anew
}

func (e *examination) clean() bool { return len(e.findings) == 0 }

// examine surveys the pool and explains everything that is wrong with it. It
// changes nothing.
func (p *Pool) examine(op string) *examination {
	e := &examination{}
	add := func(f heap.Finding) {
		f.Pool, f.Op = p.name, op
		e.findings = append(e.findings, f)
	}
	if !node.HeadAt(p.base).Intact() {
		e.head = true
		add(heap.Finding{
			Kind:      heap.PoolHeadDamaged,
			Span:      p.span(0, node.HeadSize),
			Recovered: true,
			Detail:    "the pool head, which readers of dumps need, is not as it was written",
		})
	}

	var before, beforeThat seen // the two nodes in front of the current one
	var victim *heap.Finding    // what was said about the node before, if its header was damaged
	var used, usedNodes, free, freeNodes uint64
	lost := false
	p.survey(func(s *seen) bool {
		var mine *heap.Finding
		if !s.sound() {
			e.unsound = append(e.unsound, *s)
			lost = lost || s.lost
			if f, ok := p.explain(s, &before, &beforeThat, victim); ok {
				if s.ref == front || s.ref == p.end {
					f.Detail = joinText(f.Detail, "the node is the pool's own, at one of its ends")
				}
				add(f)
				if !s.headerOK {
					mine = &e.findings[len(e.findings)-1]
				}
			}
		}
		victim = mine
		beforeThat, before = before, *s
		if s.lost {
			return true
		}
		switch s.h.State() {
		case node.Used:
			used += uint64(s.size)
			usedNodes++
		case node.Free, node.Quick:
			free += uint64(s.size)
			freeNodes++
			if f, ok := p.explainFree(s); ok && !p.readOnly {
				e.totals = true
				if mine == nil || f.Kind != heap.FreeDamaged { // else the same overwrite
					add(f)
				}
			}
		}
		return true
	})
	if lost || p.readOnly {
		return e
	}
	if have := uint64(p.set.Len() + p.quick.Len()); have != freeNodes {
		e.totals = true
		add(heap.Finding{
			Kind: heap.FreeIndexWrong, Recovered: true,
			Detail: fmt.Sprintf("the free structures hold %d nodes, the pool has %d free ones", have, freeNodes),
		})
	}
	if used != uint64(p.used()) || usedNodes != uint64(p.usedNodes) {
		e.totals = true
		add(heap.Finding{
			Kind: heap.TotalsWrong, Recovered: true,
			Detail: fmt.Sprintf("the totals say %d used nodes with %d bytes, a recount gives %d with %d",
				p.usedNodes, uint64(p.used())*node.Unit, usedNodes, used*node.Unit),
		})
	}
	return e
}

// explainFree checks what the free structures know about a free node.
func (p *Pool) explainFree(s *seen) (heap.Finding, bool) {
	f := heap.Finding{Node: p.addr(s.ref), Recovered: true, Subject: p.nodeOf(s)}
	if s.h.State() == node.Quick {
		if p.quick.Has(s.ref, s.size) {
			return f, false
		}
		f.Kind = heap.FreeIndexWrong
		f.Detail = "a free node is missing from the quick lists"
		return f, true
	}
	note := p.note(s.ref)
	if p.set.Holds(*note, s.ref, s.size) {
		return f, false
	}
	if slot := p.set.Find(s.ref); slot == 0 || !p.set.Holds(slot, s.ref, s.size) {
		f.Kind = heap.FreeIndexWrong
		f.Detail = "a free node is missing from the ordered set"
		return f, true
	}
	f.Kind = heap.FreeDamaged
	at := uintptr(s.ref)*node.Unit + p.lay.Head
	f.Span = p.span(at, unsafe.Sizeof(*note))
	f.Reach = p.pattern(at, at+unsafe.Sizeof(*note), (uintptr(s.ref)+uintptr(s.size))*node.Unit)
	f.Culprit = f.Subject
	f.CulpritReason = "its memory was written to after it was freed"
	return f, true
}

// explain says what is wrong with an unsound node. before and beforeThat are
// the nodes in front of it; victim is the finding about the node before, if
// that one's header was damaged.
func (p *Pool) explain(s, before, beforeThat *seen, victim *heap.Finding) (heap.Finding, bool) {
	f := heap.Finding{Node: p.addr(s.ref), Subject: p.nodeOf(s), Recovered: !s.lost}
	switch {
	case s.lost:
		f.Kind = heap.BothDamaged
		if p.lay.Slot == 0 {
			f.Kind = heap.HeaderDamaged
		}
		p.explainLost(&f, s)
		f.Previous = p.nodeOf(before)
		p.blame(&f, f.Previous, victim, "it lies in front of the damage; without a good copy more cannot be told")
	case !s.headerOK:
		f.Kind = heap.HeaderDamaged
		p.explainHeader(&f, s, before, victim)
	case !s.backupOK || s.differ:
		if victim != nil {
			return f, false // the same overwrite; told there
		}
		f.Kind = heap.BackupDamaged
		p.explainBackup(&f, s, before, beforeThat)
	default:
		if before.lost {
			return f, false // follows from what was said about that one
		}
		f.Kind = heap.LinkBroken
		f.Detail = fmt.Sprintf("it says that the previous node is %d bytes long, which is %d", uint64(s.h.Prev())*node.Unit, uint64(s.prev)*node.Unit)
		f.Previous = p.nodeOf(before)
	}
	return f, true
}

// explainHeader: the header at s was overwritten, its backup is good.
func (p *Pool) explainHeader(f *heap.Finding, s, before *seen, victim *heap.Finding) {
	own, backup := p.ctrl(s.ref), p.slot(s.holder)
	f.Fields = p.fields(own, backup, s.ref)
	f.Previous = p.nodeOf(before)

	at := uintptr(s.ref) * node.Unit
	first, last := differing(own, backup, p.lay.Ctrl)
	from, to := at+p.lay.Slot+first, at+p.lay.Slot+last
	// In front of the header lies the backup of the next node's.
	passed := false
	if next := s.ref + s.size; s.ref != p.end {
		nh, ok := p.lay.Check(p.ctrl(next), next)
		if a, b := differing(p.slot(s.ref), p.ctrl(next), p.lay.Slot); ok && p.plausible(next, nh) && a < b {
			passed = true
			from = at + a
			f.Detail = "the backup of the next node's header, which lies in between, was overwritten as well"
		}
	}
	f.Span = p.span(from, to-from)
	f.Reach = p.pattern(from, to, (uintptr(s.ref)+uintptr(s.size))*node.Unit)
	switch {
	case passed && from < at+8:
		p.blame(f, f.Previous, victim, "overflow: the damage begins where its payload ends")
	case last == p.lay.Ctrl && first != 0:
		f.Culprit = f.Subject
		f.CulpritReason = "underflow: the damage ends where its own payload begins and does not reach the header's start"
	default:
		p.blame(f, f.Previous, victim, "the node in front of the damage; but bytes between the two are intact, so it may have been a stray write")
	}
}

// explainBackup: the header at s is good, its backup, which begins the node
// before, was overwritten. In front of that lies the payload of the node
// before that.
func (p *Pool) explainBackup(f *heap.Finding, s, before, beforeThat *seen) {
	own, backup := p.ctrl(s.ref), p.slot(s.holder)
	f.Fields = p.fields(own, backup, s.ref)
	first, last := differing(own, backup, p.lay.Slot)
	at := uintptr(s.holder) * node.Unit
	f.Span = p.span(at+first, last-first)
	f.Reach = p.pattern(at+first, at+last, at+p.lay.Slot)
	if s.differ {
		f.Detail = "both carry a right checksum: one of them is from another time"
	}
	if s.ref == front { // its backup is in the end
		f.Detail = "the backup lies in the pool's end node"
		return
	}
	f.Detail = joinText(f.Detail, fmt.Sprintf("the backup lies at the start of node %s", p.addr(s.holder)))
	f.Previous = p.nodeOf(beforeThat)
	if first < 8 {
		p.blame(f, f.Previous, nil, "overflow: the damage begins where its payload ends")
	} else {
		p.blame(f, f.Previous, nil, "the node in front of the damage; but bytes between the two are intact, so it may have been a stray write")
	}
}

// explainLost: neither the header at s nor a backup is good.
func (p *Pool) explainLost(f *heap.Finding, s *seen) {
	own := p.ctrl(s.ref)
	var backup unsafe.Pointer
	if p.lay.Slot != 0 {
		backup = p.slot(s.holder)
	}
	f.Fields = p.fields(own, backup, s.ref)
	at := uintptr(s.ref)*node.Unit + p.lay.Slot
	f.Span = p.span(at, p.lay.Ctrl)
	f.Reach = p.pattern(at, at+p.lay.Ctrl, (uintptr(s.ref)+uintptr(s.size))*node.Unit)
	switch {
	case s.ref == front || s.ref == p.end || p.freeSize(s.ref) != 0:
		f.Recovered = true
		f.Detail = "what it was is known from outside the pool, except for its stack"
	case s.exact:
		f.Detail = fmt.Sprintf("%d bytes, up to the next node, are withdrawn", uint64(s.size)*node.Unit)
	default:
		f.Detail = fmt.Sprintf("%d bytes, up to the next header that is good, are withdrawn; they may have held several nodes", uint64(s.size)*node.Unit)
	}
}

const inBetween = "the nodes in between were overwritten too: "

// blame names the culprit, who is not the node in front if that is a victim of
// the same overwrite.
func (p *Pool) blame(f *heap.Finding, n *heap.Node, victim *heap.Finding, reason string) {
	if victim != nil && victim.Culprit != nil {
		f.Culprit = victim.Culprit
		f.CulpritReason = victim.CulpritReason
		if !strings.HasPrefix(f.CulpritReason, inBetween) {
			f.CulpritReason = inBetween + f.CulpritReason
		}
		return
	}
	if n == nil || n.Payload == 0 {
		return // the front or the end: nobody's memory
	}
	f.Culprit, f.CulpritReason = n, reason
}

// differing returns the range of bytes [first, last) in which a and b, n bytes
// each, differ.
func differing(a, b unsafe.Pointer, n uintptr) (first, last uintptr) {
	x, y := unsafe.Slice((*byte)(a), n), unsafe.Slice((*byte)(b), n)
	for i := range x {
		if x[i] != y[i] {
			if last == 0 {
				first = uintptr(i)
			}
			last = uintptr(i) + 1
		}
	}
	return first, last
}

// pattern describes the overwriting bytes in [from, to) of the pool, and how
// far they go on up to limit.
func (p *Pool) pattern(from, to, limit uintptr) string {
	limit = max(limit, to)
	b := unsafe.Slice((*byte)(unsafe.Add(p.base, from)), limit-from)
	n := int(to - from)
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
	if run > n && b[0] != 0 {
		s += fmt.Sprintf(", and %d times more behind it", run-n)
	}
	return s
}

// fields compares two control headers of the node at ref; backup may be nil.
func (p *Pool) fields(own, backup unsafe.Pointer, ref uint32) []heap.Field {
	list, raw := p.fieldValues(own, ref)
	if backup == nil {
		return list
	}
	other, rawOther := p.fieldValues(backup, ref)
	for i := range list {
		list[i].Backup = other[i].Header
		list[i].Differs = raw[i] != rawOther[i]
	}
	return list
}

// fieldValues returns the fields of the control header at c, readable and raw.
func (p *Pool) fieldValues(c unsafe.Pointer, ref uint32) (list []heap.Field, raw []uint32) {
	add := func(name string, v uint32, text string) {
		list, raw = append(list, heap.Field{Name: name, Header: text}), append(raw, v)
	}
	bytes := func(units uint32) string { return strconv.FormatUint(uint64(units)*node.Unit, 10) }
	h := node.Read(c)
	add("size", h.Size(), bytes(h.Size()))
	add("previous size", h.Prev(), bytes(h.Prev()))
	add("state", uint32(h.State()), h.State().String())
	add("owner", uint32(h.Owner()), strconv.Itoa(int(h.Owner())))
	add("slack", h.Slack(), strconv.Itoa(int(h.Slack())))
	sum := fmt.Sprintf("0x%08x", h.Sum())
	if want := p.lay.SumAt(c, ref); want != h.Sum() {
		sum += fmt.Sprintf(" [0x%08x]", want) // stored [recomputed], as LiteOS prints it
	}
	add("checksum", h.Sum(), sum)
	if p.lay.Stacks {
		add("birth", *node.Birth(c), strconv.FormatUint(uint64(*node.Birth(c)), 10))
	}
	for i := range p.lay.LRs {
		v := *node.LR(c, i)
		text := p.lr(v).String()
		if v != 0 && p.lr(v) == 0 {
			text = fmt.Sprintf("no address (0x%08x)", v)
		}
		add(fmt.Sprintf("LR[%d]", i), v, text)
	}
	return list, raw
}

func joinText(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}
