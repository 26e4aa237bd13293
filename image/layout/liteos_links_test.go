package layout

import (
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// TestMisleadingLinks: one link of a free list that leads to another place where
// a link may lead is found where it is, and restored, by the list's other
// direction.
func TestMisleadingLinks(t *testing.T) {
	for _, l := range everyKind {
		o := l.Offsets()
		for _, off := range []int{0, o.Word} {
			for _, target := range []int{1, 3} { // nodes; one is used, one free and in another list
				h := fiveOf(l)
				h.Nodes[3].Size = 1000
				h.Nodes[4].Free, h.Nodes[4].Size = true, 90
				findings := patchesTell(t, h, func(pool []byte, starts []heap.Addr) {
					putWord(pool[starts[2]-h.Addr+heap.Addr(o.Own+off):], o.Word, uint64(starts[target]+heap.Addr(o.Own)))
				})
				if len(findings) != 1 || findings[0].Kind != heap.HeaderDamaged || !findings[0].Recovered || findings[0].Subject == nil || findings[0].Subject.State != heap.Free {
					t.Errorf("%s: link at %d to node %d: %v", l, off, target, findings)
					continue
				}
				if f := findings[0]; o.Own == 0 && off == 0 && (f.Culprit == nil || f.Culprit.Addr != f.Previous.Addr) {
					t.Errorf("%s: the first word behind a buffer: culprit %v", l, f.Culprit)
				}
				// The same in the head of the list.
				list := listOf(uint64(o.Head) + 100)
				findings = patchesTell(t, h, func(pool []byte, starts []heap.Addr) {
					putWord(pool[o.Lists+2*o.Word*list+off:], o.Word, uint64(starts[target]+heap.Addr(o.Own)))
				})
				if len(findings) != 1 || findings[0].Kind != heap.FreeIndexWrong || !findings[0].Recovered || findings[0].Span.Len() != uint64(o.Word) {
					t.Errorf("%s: link at %d of the head to node %d: %v", l, off, target, findings)
				}
			}
		}
	}
}

// TestBesideLRs: a call stack that lies beside damage is shown with a word of
// caution, and not at all if it cannot be one.
func TestBesideLRs(t *testing.T) {
	h := four(LiteOS{LeakCheck: true, LRs: 3}, false)
	o := h.Layout.Offsets()
	findings := patchesTell(t, h, func(pool []byte, starts []heap.Addr) {
		putWord(pool[starts[1]-h.Addr+heap.Addr(o.Prev):], 4, 0x5a5a5a5a)
	})
	if len(findings) != 1 || len(findings[0].Subject.Stack) != 3 || !strings.Contains(findings[0].Detail, "nothing tells whether it is whole") {
		t.Errorf("%v", findings)
	}
	findings = patchesTell(t, h, func(pool []byte, starts []heap.Addr) {
		clear(pool[starts[1]-h.Addr:][:o.LR+4])
	})
	if len(findings) != 1 || len(findings[0].Subject.Stack) != 0 || !strings.Contains(findings[0].Detail, "its call stack was overwritten too") {
		t.Errorf("%v", findings)
	}
}

// TestCircleOfLinks: a link that leads into a circle does not keep the other
// direction, and the other lists, from being read.
func TestCircleOfLinks(t *testing.T) {
	for _, l := range []LiteOS{{}, {LeakCheck: true, LRs: 3, Bits64: true}} {
		h := fiveOf(l)
		o := l.Offsets()
		findings := patchesTell(t, h, func(pool []byte, starts []heap.Addr) {
			own := pool[starts[2]-h.Addr+heap.Addr(o.Own):]
			circle := starts[4] + heap.Addr(o.Head)
			putWord(pool[circle-h.Addr:], o.Word, uint64(circle))
			putWord(pool[circle-h.Addr+heap.Addr(o.Word):], o.Word, uint64(circle))
			putWord(own, o.Word, 0x6620656d) // text
			putWord(own[o.Word:], o.Word, uint64(circle))
		})
		if len(findings) == 0 || findings[0].Kind != heap.HeaderDamaged || findings[0].Culprit == nil || !findings[0].Recovered {
			t.Errorf("%s: %v", l, findings)
		}
	}
}
