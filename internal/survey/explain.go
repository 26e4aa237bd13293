package survey

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
)

// An Examiner says what is wrong with the nodes of one survey, one after the
// other.
type Examiner struct {
	r      *Region
	victim *heap.Finding // what was said about the node before, if its header was damaged
}

// Examiner returns one for a survey that begins.
func (r *Region) Examiner() Examiner { return Examiner{r: r} }

// Next takes what a survey gives to its visitor and says what is wrong with the
// node s; nil if that is nothing, or was said with the node before.
func (e *Examiner) Next(s, before, beforeThat *Seen) *heap.Finding {
	if s.Sound() {
		e.victim = nil
		return nil
	}
	f := e.r.explain(s, before, beforeThat, e.victim)
	e.victim = nil
	if f != nil && !s.HeaderOK {
		e.victim = f
	}
	if f != nil && (s.Ref == Front || s.Ref == e.r.End) {
		f.Detail = JoinText(f.Detail, "the node is the pool's own, at one of its ends")
	}
	return f
}

// explain says what is wrong with an unsound node. before and beforeThat are
// the nodes in front of it; victim is the finding about the node before, if
// that one's header was damaged.
func (r *Region) explain(s, before, beforeThat *Seen, victim *heap.Finding) *heap.Finding {
	f := &heap.Finding{Node: r.Addr(s.Ref), Subject: r.Node(s), Recovered: !s.Lost}
	switch {
	case s.Lost:
		f.Kind = heap.BothDamaged
		if r.Layout.Slot == 0 {
			f.Kind = heap.HeaderDamaged
		}
		r.explainLost(f, s)
		f.Previous = r.Node(before)
		blame(f, f.Previous, victim, "it lies in front of the damage; without a good copy more cannot be told")
	case !s.HeaderOK:
		f.Kind = heap.HeaderDamaged
		r.explainHeader(f, s, before, victim)
	case !s.BackupOK || s.Differ:
		if victim != nil {
			return nil // the same overwrite; told there
		}
		f.Kind = heap.BackupDamaged
		r.explainBackup(f, s, before, beforeThat)
	default:
		if before.Lost {
			return nil // follows from what was said about that one
		}
		f.Kind = heap.LinkBroken
		f.Detail = fmt.Sprintf("it says that the previous node is %d bytes long, which is %d", uint64(s.H.Prev())*node.Unit, uint64(s.Prev)*node.Unit)
		f.Previous = r.Node(before)
	}
	return f
}

// Next returns the control header of the node behind s if that is there and
// good; nil otherwise.
func (r *Region) Next(s *Seen) unsafe.Pointer {
	next := s.Ref + s.Size
	if s.Ref == r.End || !r.There(next) {
		return nil
	}
	if _, ok := r.Good(r.Ctrl(next), next); !ok {
		return nil
	}
	return r.Ctrl(next)
}

func end(s *Seen) uint64 { return (uint64(s.Ref) + uint64(s.Size)) * node.Unit }

// explainHeader: the header at s was overwritten, its backup is good.
func (r *Region) explainHeader(f *heap.Finding, s, before *Seen, victim *heap.Finding) {
	own, backup := r.Ctrl(s.Ref), r.Slot(s.Holder)
	f.Fields = r.fields(own, backup, s.Ref)
	f.Previous = r.Node(before)

	at := uint64(s.Ref) * node.Unit
	ctrl := uint64(r.Layout.Ctrl)
	first, last := differing(own, backup, r.Layout.Ctrl)
	from, to := at+uint64(r.Layout.Slot)+first, at+uint64(r.Layout.Slot)+last
	// In front of the header lies the backup of the next node's.
	passed := false
	if next := r.Next(s); next != nil {
		if a, b := differing(r.Slot(s.Ref), next, r.Layout.Slot); a < b {
			passed = true
			from = at + a
			f.Detail = "the backup of the next node's header, which lies in between, was overwritten as well"
		}
	}
	f.Span = r.span(from, to-from)
	f.Reach = r.pattern(from, to, end(s))
	switch {
	case passed && from < at+8:
		blame(f, f.Previous, victim, "overflow: the damage begins where its payload ends")
	case last == ctrl && first != 0 && f.Subject.Payload != 0: // the pool's own nodes have none
		f.Culprit = f.Subject
		f.CulpritReason = "underflow: the damage ends where its own payload begins and does not reach the header's start"
	default:
		blame(f, f.Previous, victim, "the node in front of the damage; but bytes between the two are intact, so it may have been a stray write")
	}
}

// explainBackup: the header at s is good, its backup, which begins the node
// before, was overwritten. In front of that lies the payload of the node
// before that.
func (r *Region) explainBackup(f *heap.Finding, s, before, beforeThat *Seen) {
	own, backup := r.Ctrl(s.Ref), r.Slot(s.Holder)
	f.Fields = r.fields(own, backup, s.Ref)
	first, last := differing(own, backup, r.Layout.Slot)
	at := uint64(s.Holder) * node.Unit
	f.Span = r.span(at+first, last-first)
	f.Reach = r.pattern(at+first, at+last, at+uint64(r.Layout.Slot))
	if s.Differ {
		f.Detail = "both carry a right checksum: one of them is from another time"
	}
	if s.Ref == Front { // its backup is in the end
		f.Detail = "the backup lies in the pool's end node"
		return
	}
	f.Detail = JoinText(f.Detail, fmt.Sprintf("the backup lies at the start of node %s", r.Addr(s.Holder)))
	f.Previous = r.Node(beforeThat)
	if first < 8 {
		blame(f, f.Previous, nil, "overflow: the damage begins where its payload ends")
	} else {
		blame(f, f.Previous, nil, "the node in front of the damage; but bytes between the two are intact, so it may have been a stray write")
	}
}

// explainLost: neither the header at s nor a backup is good.
func (r *Region) explainLost(f *heap.Finding, s *Seen) {
	own := r.Ctrl(s.Ref)
	var backup unsafe.Pointer
	if r.Layout.Slot != 0 && r.There(s.Holder) {
		backup = r.Slot(s.Holder)
	}
	f.Fields = r.fields(own, backup, s.Ref)
	at := uint64(s.Ref)*node.Unit + uint64(r.Layout.Slot)
	ctrl := uint64(r.Layout.Ctrl)
	f.Span = r.span(at, ctrl)
	f.Reach = r.pattern(at, at+ctrl, end(s))
	switch {
	case s.Ref == Front || s.Ref == r.End || r.FreeSize != nil && r.FreeSize(s.Ref) != 0:
		f.Recovered = true
		f.Detail = "what it was is known from outside the pool, except for its stack"
	case s.Exact:
		f.Detail = fmt.Sprintf("%d bytes, up to the next node, are withdrawn", uint64(s.Size)*node.Unit)
	default:
		f.Detail = fmt.Sprintf("%d bytes, up to the next header that is good, are withdrawn; they may have held several nodes", uint64(s.Size)*node.Unit)
	}
}

const inBetween = "the nodes in between were overwritten too: "

// blame names the culprit, who is not the node in front if that is a victim of
// the same overwrite.
func blame(f *heap.Finding, n *heap.Node, victim *heap.Finding, reason string) {
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

// Note says what is wrong with the note in the payload of the coalesced free
// node s.
func (r *Region) Note(s *Seen) *heap.Finding {
	f := &heap.Finding{Kind: heap.FreeDamaged, Node: r.Addr(s.Ref), Recovered: true, Subject: r.Node(s)}
	const size = 4
	at := uint64(s.Ref)*node.Unit + uint64(r.Layout.Head)
	f.Span = r.span(at, size)
	f.Reach = r.pattern(at, at+size, end(s))
	f.Culprit = f.Subject
	f.CulpritReason = "its memory was written to after it was freed"
	return f
}

// JoinText joins two parts of a sentence, either of which may be empty.
func JoinText(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + "; " + b
}
