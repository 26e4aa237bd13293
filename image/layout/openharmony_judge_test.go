package layout

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// TestTLSFFaults: what is said about faults that are known.
func TestTLSFFaults(t *testing.T) {
	m := TLSF{Integrity: true, LeakCheck: true, LRs: 3, Waterline: true, MulPool: true}
	a := m
	a.A = true
	plain := TLSF{Waterline: true}
	grows := a
	grows.Expand = true
	type want struct {
		kind    heap.Kind
		node    int // its number; -1: the pool
		culprit int // its number; -1: cannot be told
		span    [2]int
		text    string // in the summary, the reach or the cause
	}
	for _, c := range []struct {
		name   string
		l      TLSF
		at     func(o *TLSFOffsets, starts []heap.Addr) heap.Addr
		data   []byte
		want   []want
		repair bool // leaves a heap with which nothing is wrong
		lost   bool // but does not bring back the call stack, or may not
	}{
		{
			"overflow of the whole header", m, func(_ *TLSFOffsets, s []heap.Addr) heap.Addr { return s[2] },
			bytes.Repeat([]byte{'A'}, 24),
			[]want{{heap.HeaderDamaged, 2, 1, [2]int{0, 24}, "'A' (0x41) repeated"}},
			true,
			true,
		},
		{
			"overflow of the magic only", m, func(_ *TLSFOffsets, s []heap.Addr) heap.Addr { return s[2] },
			[]byte("AAAA"),
			[]want{{heap.HeaderDamaged, 2, 1, [2]int{0, 4}, "overflow"}},
			true,
			true,
		},
		{
			"overflow, LiteOS-A", a, func(_ *TLSFOffsets, s []heap.Addr) heap.Addr { return s[2] },
			bytes.Repeat([]byte{'A'}, 24),
			[]want{{heap.HeaderDamaged, 2, 1, [2]int{0, 24}, "an overflow"}},
			true,
			true,
		},
		{
			"overflow without magics", plain, func(_ *TLSFOffsets, s []heap.Addr) heap.Addr { return s[2] },
			bytes.Repeat([]byte{'A'}, 8),
			[]want{{heap.HeaderDamaged, 2, 1, [2]int{0, 8}, "an overflow"}},
			true,
			false,
		},
		{
			"link only", m, func(o *TLSFOffsets, s []heap.Addr) heap.Addr { return s[2] + heap.Addr(o.Prev) },
			[]byte{1, 2, 3, 4},
			[]want{{heap.LinkBroken, 2, -1, [2]int{16, 20}, "does not name"}},
			true,
			true,
		},
		{
			"underflow", m, func(o *TLSFOffsets, s []heap.Addr) heap.Addr { return s[2] + heap.Addr(o.Size) },
			[]byte{0xee, 0xee, 0xee, 0xee},
			[]want{{heap.HeaderDamaged, 2, 2, [2]int{20, 24}, "underflow"}},
			true,
			false,
		},
		{
			"write after free", m, func(o *TLSFOffsets, s []heap.Addr) heap.Addr { return s[3] + heap.Addr(o.Links) },
			bytes.Repeat([]byte{0xbb}, 8),
			[]want{{heap.FreeDamaged, 3, 3, [2]int{24, 32}, "write after free"}},
			true,
			false,
		},
		{
			"write after free of zeroes where a link was", plain, func(o *TLSFOffsets, s []heap.Addr) heap.Addr { return s[3] + heap.Addr(o.Links+o.Word) },
			[]byte{0x10, 0, 0, 0x20},
			[]want{{heap.FreeDamaged, 3, 3, [2]int{12, 16}, "write after free"}},
			true,
			false,
		},
		{
			"end node", m, func(_ *TLSFOffsets, s []heap.Addr) heap.Addr { return s[12] },
			bytes.Repeat([]byte{'A'}, 24),
			[]want{{heap.HeaderDamaged, 12, 11, [2]int{0, 24}, "memory in front of the node was written"}},
			true,
			false,
		},
		{
			"double stomp", m, func(_ *TLSFOffsets, s []heap.Addr) heap.Addr { return s[5] },
			bytes.Repeat([]byte{'A'}, 104+8),
			[]want{
				{heap.HeaderDamaged, 5, 4, [2]int{0, 24}, "an overflow"},
				{heap.HeaderDamaged, 6, 4, [2]int{0, 8}, "only another victim"},
			},
			true,
			true,
		},
		{
			"pool size", m, func(o *TLSFOffsets, s []heap.Addr) heap.Addr { return 0x20000000 + heap.Addr(o.PoolSize) },
			[]byte{1, 2, 3, 4},
			[]want{{heap.PoolHeadDamaged, -1, -1, [2]int{4, 8}, "total size"}},
			true,
			false,
		},
		{
			"bytes in use", m, func(o *TLSFOffsets, s []heap.Addr) heap.Addr { return 0x20000000 + heap.Addr(o.Used) },
			[]byte{1},
			[]want{{heap.TotalsWrong, -1, -1, [2]int{}, "a recount gives"}},
			false,
			false,
		},
		{
			"first node of a list", m, func(o *TLSFOffsets, s []heap.Addr) heap.Addr {
				return 0x20000000 + heap.Addr(o.Lists+4*tlsfList(64))
			},
			[]byte{1, 2, 3, 4},
			[]want{{heap.FreeIndexWrong, -1, -1, [2]int{48 + 4*15, 52 + 4*15}, "first node of free list 15"}},
			true,
			false,
		},
		{
			"bitmap", m, func(o *TLSFOffsets, s []heap.Addr) heap.Addr { return 0x20000000 + heap.Addr(o.Bitmap) },
			[]byte{0xff},
			[]want{{heap.FreeIndexWrong, -1, -1, [2]int{20, 21}, "bitmap, free lists 0 to 7"}},
			true,
			false,
		},
		{
			"end node of a pool that can grow", grows, func(_ *TLSFOffsets, s []heap.Addr) heap.Addr { return s[12] },
			[]byte("AAAA"),
			[]want{{heap.HeaderDamaged, 12, 11, [2]int{0, 4}, "memory in front of the node was written"}},
			true,
			false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := tlsfSmallHeap(c.l)
			pool, starts, err := h.Encode()
			if err != nil {
				t.Fatal(err)
			}
			o := c.l.Offsets()
			all := append(slices.Clone(starts), h.Addr+heap.Addr(len(pool))-heap.Addr(o.Head))
			at := c.at(&o, all)
			copy(pool[at-h.Addr:], c.data)
			p, err := openTLSF(Bytes{h.Addr, pool}, h.Addr, &c.l, c.l.A)
			if err != nil {
				t.Fatal(err)
			}
			nodes, findings, s := poolWalked(p)
			if len(nodes) != len(h.Nodes) || s.Partial != "" {
				t.Errorf("%d nodes, %s", len(nodes), s.Partial)
			}
			if len(findings) != len(c.want) {
				t.Fatalf("%d findings: %v", len(findings), findings)
			}
			for i, w := range c.want {
				f := &findings[i]
				node := h.Addr
				if w.node >= 0 {
					node = all[w.node]
				}
				if f.Kind != w.kind || f.Node != node {
					t.Errorf("finding %d: %v, want %s at %s", i, f, w.kind, node)
				}
				if w.span[1] > 0 && (f.Span != heap.Span{Start: node + heap.Addr(w.span[0]), End: node + heap.Addr(w.span[1])}) {
					t.Errorf("finding %d: span [%s, %s), want %v of %s", i, f.Span.Start, f.Span.End, w.span, node)
				}
				switch {
				case w.culprit < 0 && f.Culprit != nil:
					t.Errorf("finding %d: culprit %s (%s)", i, f.Culprit.Addr, f.CulpritReason)
				case w.culprit >= 0 && (f.Culprit == nil || f.Culprit.Addr != all[w.culprit]):
					t.Errorf("finding %d: culprit %v, want %s: %s", i, f.Culprit, all[w.culprit], f.Cause)
				}
				text := f.Summary() + f.Reach + f.Cause
				for _, fd := range f.Fields {
					text += fd.Name
				}
				if !strings.Contains(text, w.text) {
					t.Errorf("finding %d lacks %q: %s; %s; %s", i, w.text, f.Summary(), f.Reach, f.Cause)
				}
				if f.Recovered != (c.repair && !c.lost) {
					t.Errorf("finding %d: recovered: %v: %v", i, f.Recovered, f)
				}
			}
			if !c.repair {
				return
			}
			again, err := openTLSF(patchedTLSF(p, pool, s.Patches), h.Addr, &c.l, c.l.A)
			if err != nil {
				t.Fatal(err)
			}
			if _, left, _ := poolWalked(again); len(left) > 0 {
				t.Errorf("after the repair: %v", left)
			}
		})
	}
}
