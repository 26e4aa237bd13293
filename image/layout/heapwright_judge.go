package layout

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/internal/survey"
)

// explain lets package damage say what the wrong bytes mean that f is about,
// where what should be there is known: in the head of s itself, or, if the
// backup of its header was overwritten, in that of the node before.
func (w *hwWalk) explain(f *heap.Finding, s, before, beforeThat *survey.Seen) {
	trail := w.trail
	w.trail = nil
	if f.Kind == heap.LinkBroken {
		return
	}
	head, front := s, before
	if f.Kind == heap.BackupDamaged {
		if s.Ref == survey.Front {
			return // the backup lies in the end node
		}
		head, front, trail = before, beforeThat, nil
	}
	o := w.overwrite(head, s, front)
	if o.Have == nil || head.Lost && oneBit(&o) {
		return
	}
	f.Memory = []heap.Memory{{Addr: o.At, Bytes: slices.Clone(o.Have)}}
	w.look(&o)
	o.Trail = trail
	if head == s {
		o.Subject = f.Subject
	}
	if head.Lost && o.Subject != nil { // which is not free, as far as is known
		used := *o.Subject
		used.State = heap.Used
		o.Subject = &used
	}
	if f.Previous != nil && f.Previous.Payload != 0 && !front.Lost {
		o.Previous = f.Previous
	}
	g := *f
	g.Culprit, g.CulpritReason = nil, ""
	t := o.Explain(&g)
	if t == nil {
		if o.CopyOf != nil && head == s {
			if name := o.CopyOf(0, len(o.Have)); name != "" {
				f.Reach = "a copy of " + name
			}
		}
		return
	}
	w.trail = t
	if front.Lost && trail == nil {
		g.Culprit, g.CulpritReason, g.Cause = f.Culprit, f.CulpritReason, "" // which knows who came before that
	}
	switch {
	case g.Culprit == nil || g.Culprit != o.Subject:
	case o.Subject.Payload == 0: // the pool's own: nobody writes to negative offsets of it
		g.Culprit, g.CulpritReason = nil, ""
		t.Culprit, t.Reason = nil, ""
		g.Cause = fmt.Sprintf("a stray write: %d bytes up to the end of a node of the pool's own hold %s; a write through a wild or stale pointer does that, or one to negative offsets of what lies behind", g.Span.Len(), g.Reach)
	case head == s:
		g.Culprit = f.Subject
	}
	*f = g
	if f.Kind == heap.BackupDamaged {
		w.trail = nil // the header of s is good
	}
}

// oneBit reports whether a single known bit of a lost head is wrong while its
// checksum says that what is not known is not all right either. Then the bit tells
// nothing.
func oneBit(o *damage.Overwrite) bool {
	wrong, known := 0, true
	for i, k := range o.Known {
		known = known && k
		if k {
			wrong += bits.OnesCount8(o.Have[i] ^ o.Want[i])
		}
	}
	return wrong == 1 && !known
}

// overwrite returns the head of a node as it is and as far as it is known to have
// been. s is head or the node behind it, and front the node in front of it.
func (w *hwWalk) overwrite(head, s, front *survey.Seen) damage.Overwrite {
	const ahead, behind = 64, 4096
	r, l := &w.region, &w.lay
	at := uint64(head.Ref) * node.Unit
	o := damage.Overwrite{At: r.Addr(head.Ref), Heads: "its head", Subject: r.Node(head)}
	o.Have = r.Bytes(at, at+uint64(l.Head))
	if len(o.Have) < int(l.Head) {
		o.Have = nil
		return o
	}
	o.Want, o.Known = slices.Clone(o.Have), make([]bool, len(o.Have))
	want := func(off uintptr, c unsafe.Pointer, n uintptr) {
		copy(o.Want[off:], unsafe.Slice((*byte)(c), n))
		for i := range n {
			o.Known[off+i] = true
		}
	}
	if l.Slot != 0 {
		next := r.Next(head)
		if head != s && s.HeaderOK {
			next = r.Ctrl(s.Ref)
		}
		if next != nil {
			want(0, next, l.Ctrl)
		}
	}
	switch c := r.Evidence(head); {
	case c != nil:
		want(l.Slot, c, l.Ctrl)
	default: // only the lengths are known, if they are
		b := node.Make(head.Size, head.Prev, 0, 0, 0).Lengths()
		if head.Exact {
			want(l.Slot, unsafe.Pointer(&b[0]), 4)
		}
		if !front.Lost || front.Exact {
			want(l.Slot+4, unsafe.Pointer(&b[4]), 4)
		}
		// If the checksum is right with these, all the rest was left alone.
		c := room(int(l.Ctrl))
		copy(c, o.Want[l.Slot:])
		if _, ok := l.Check(unsafe.Pointer(unsafe.SliceData(c)), head.Ref); ok && !r.Blind {
			want(l.Slot, unsafe.Pointer(unsafe.SliceData(c)), l.Ctrl)
		}
	}
	if front.Ref != 0 && front.Ref < head.Ref {
		o.Ahead = r.Bytes(max(uint64(front.Ref)*node.Unit+uint64(l.Head), at-ahead), at)
	}
	o.Behind = r.Bytes(at+uint64(l.Head), min((uint64(head.Ref)+uint64(head.Size))*node.Unit, at+uint64(l.Head)+behind))
	return o
}

// mend notes what gives the unsound node s a good header and backup, if that is
// certain. before is the node in front of it.
func (w *hwWalk) mend(s, before *survey.Seen) {
	r, l := &w.region, &w.lay
	if r.Blind || len(w.survey.Patches) >= maxFindings {
		return
	}
	header := make([]byte, l.Ctrl)
	to := unsafe.Pointer(unsafe.SliceData(header))
	c := r.Evidence(s)
	bound := s.Ref == survey.Front || s.Ref == r.End
	switch {
	case c != nil:
		copy(header, unsafe.Slice((*byte)(c), l.Ctrl))
		if !s.LinkOK && !before.Lost {
			l.Seal(to, s.Ref, s.H.WithPrev(s.Prev))
		}
	case bound && w.endAt && (!before.Lost || before.Exact):
		l.Seal(to, s.Ref, node.Make(s.Size, s.Prev, node.Bound, 0, 0))
	default:
		return
	}
	name := fmt.Sprintf("header of node %s", r.Addr(s.Ref))
	w.patch(uint64(s.Ref)*node.Unit+uint64(l.Slot), header, "the "+name)
	if l.Slot != 0 && r.There(s.Holder) {
		w.patch(uint64(s.Holder)*node.Unit, header, "the backup of the "+name)
	}
}

// patch notes that the bytes at off in the pool are to be want, if they are not.
func (w *hwWalk) patch(off uint64, want []byte, why string) {
	have := w.region.Bytes(off, off+uint64(len(want)))
	if len(have) < len(want) || bytes.Equal(have, want) {
		return
	}
	first, last := differ(have, want)
	w.survey.Patches = append(w.survey.Patches, Patch{
		Addr: w.about.Span.Start + heap.Addr(off) + heap.Addr(first), New: slices.Clone(want[first:last]), Why: why,
	})
}

// differ returns the range of bytes [first, last) in which a and b, which are of
// the same length, differ.
func differ(a, b []byte) (first, last int) {
	for last = len(a); last > 0 && a[last-1] == b[last-1]; {
		last--
	}
	for first < last && a[first] == b[first] {
		first++
	}
	return first, last
}

// checkHead reports a damaged pool head, and what of it is certain.
func (w *hwWalk) checkHead() {
	if w.broken == nil {
		return
	}
	a := &w.about
	f := &heap.Finding{
		Kind: heap.PoolHeadDamaged, Node: a.Span.Start,
		Span:   heap.Span{Start: a.Span.Start, End: a.Span.Start + node.HeadSize},
		Memory: []heap.Memory{{Addr: a.Span.Start, Bytes: slices.Clone(w.memory[:node.HeadSize])}},
	}
	switch {
	case w.region.Blind:
		f.Detail = "it holds the key of the checksums, which fits no node: nothing can be verified, and nothing restored"
	case !w.endAt:
		f.Detail = "the key of the checksums in it is right, and so the nodes could be verified; but where the pool ends cannot be told"
	case w.restored == nil:
		f.Detail = "the key of the checksums in it is right, and so the nodes could be verified; but whether the pool's name, its time of creation and the address that call stacks are relative to are right cannot be told"
	default:
		f.Recovered = true
		if first, last := differ(w.memory[:node.HeadSize], w.restored); first < last {
			f.Span = heap.Span{Start: a.Span.Start + heap.Addr(first), End: a.Span.Start + heap.Addr(last)}
		}
		f.Detail = "with what the nodes tell put right, its checksum is right"
		w.patch(0, w.restored, "the pool head")
	}
	w.say(f)
}
