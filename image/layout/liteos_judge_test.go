package layout

import (
	"bytes"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// four is a heap of buffers of 100 bytes, the third of which may be free.
func four(l LiteOS, free bool) *LiteOSHeap {
	stack := func(i int) heap.Stack { return heap.Stack{heap.Addr(0x20000 + 4*i), 0x3000, 0x4000}[:l.LRs] }
	return &LiteOSHeap{Layout: l, Addr: 0x40000, Nodes: []LiteOSNode{
		{Size: 100, Task: 1, Stack: stack(0)},
		{Size: 100, Task: 2, Stack: stack(1)},
		{Size: 100, Task: 3, Stack: stack(2), Free: free},
		{Size: 100, Task: 4, Stack: stack(3)},
		{Size: 100, Task: 5, Stack: stack(4)},
	}}
}

// TestCulprits: what was overwritten, how far, and by whom.
func TestCulprits(t *testing.T) {
	var (
		leak = LiteOS{LeakCheck: true, LRs: 3}
		both = LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}
		wide = LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, Bits64: true}
	)
	type want struct {
		node    int
		kind    heap.Kind
		culprit int // -1: nobody
		first   int // of the span, from the start of the node
		length  int
	}
	all := func(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }
	for _, d := range []struct {
		name  string
		l     LiteOS
		free  bool
		node  int // at whose start, plus off, data is written
		off   int
		data  []byte
		want  []want
		cause string
	}{
		{"one byte", both, false, 1, 0, all(0, 1), []want{{1, heap.BackupDamaged, 0, 0, 1}}, "at least 1 byte"},
		{"into the dead space of the backup", both, false, 1, 0, all('A', 28), []want{{1, heap.BackupDamaged, 0, 0, 28}}, "at least 28 bytes"},
		{"text over the head", both, false, 1, 0, []byte("a line of a log that is much longer than the buffer it was written to by far"), []want{{1, heap.HeaderDamaged, 0, 0, 72}}, "an overflow"},
		{"zeroes over the head", both, false, 1, 0, all(0, 72), []want{{1, heap.HeaderDamaged, 0, 0, 72}}, "zeroes"},
		{"wide head", wide, false, 1, 0, all(0xff, 144), []want{{1, heap.HeaderDamaged, 0, 0, 144}}, "an overflow"},
		{"no backups", leak, false, 1, 0, all('A', 28), []want{{1, heap.HeaderDamaged, 0, 0, 28}}, "an overflow"},
		{"no backups, one word", leak, false, 1, 0, all('A', 4), []want{{1, heap.HeaderDamaged, 0, 0, 4}}, "an overflow"},
		{"double stomp", both, false, 1, 0, all('A', 172+72), []want{{1, heap.HeaderDamaged, 0, 0, 72}, {2, heap.BothDamaged, 0, 0, 72}}, "one overflow went through several nodes"},
		{"underflow", both, false, 2, 72 - 4, all('U', 4), []want{{2, heap.HeaderDamaged, 2, 72 - 4, 4}}, "an underflow"},
		{"underflow up to a call stack", both, false, 2, 72 - 6, all('U', 6), []want{{2, heap.HeaderDamaged, 2, 72 - 6, 6}}, "an underflow"},
		{"underflow of one zero", both, false, 2, 72 - 1, all(0, 1), []want{{2, heap.HeaderDamaged, 2, 72 - 1, 1}}, "an underflow"},
		{"stray", both, false, 2, 36 + 12, all('S', 6), []want{{2, heap.HeaderDamaged, -1, 36 + 12, 6}}, "a stray write"},
		{"written after free", both, true, 3, 0, all('F', 72), []want{{3, heap.HeaderDamaged, 2, 0, 72}}, "after it had been freed"},
		{"flipped bit", both, false, 2, 36 + 13, []byte{1 << 6}, []want{{2, heap.HeaderDamaged, -1, 36 + 13, 1}}, "single bit"},
	} {
		t.Run(d.name, func(t *testing.T) {
			h := four(d.l, d.free)
			pool, starts, err := h.Encode()
			if err != nil {
				t.Fatal(err)
			}
			copy(pool[starts[d.node]-h.Addr+heap.Addr(d.off):], d.data)
			p := openAt(Bytes{h.Addr, pool}, h.Addr)
			nodes, findings, s := walked(p)
			if len(findings) != len(d.want) {
				t.Fatalf("%d findings, want %d: %v", len(findings), len(d.want), findings)
			}
			if len(nodes) != len(h.Nodes) || len(s.Gaps) != 0 {
				t.Errorf("%d nodes of %d are listed; gaps %v", len(nodes), len(h.Nodes), s.Gaps)
			}
			for i, w := range d.want {
				f := findings[i]
				start := starts[w.node] + heap.Addr(w.first)
				span := heap.Span{Start: start, End: start + heap.Addr(w.length)}
				if f.Kind != w.kind || f.Node != starts[w.node] || f.Span != span {
					t.Errorf("finding %d: %s at %s, span %s to %s, want %s at %s, %s to %s", i, f.Kind, f.Node, f.Span.Start, f.Span.End, w.kind, starts[w.node], span.Start, span.End)
				}
				if got := culprit(f, starts); got != w.culprit {
					t.Errorf("finding %d: culprit %d, want %d (%s)", i, got, w.culprit, f.CulpritReason)
				}
				if f.Subject == nil {
					t.Fatalf("finding %d: nothing is said of the node", i)
				}
				o := d.l.Offsets()
				lr := starts[w.node] + heap.Addr(o.Own+o.LR)
				if gone := span.Start < lr+heap.Addr(o.LRs*o.Word) && span.End > lr; gone != (len(f.Subject.Stack) == 0) {
					t.Errorf("finding %d: stack %v, overwritten %v", i, f.Subject.Stack, gone)
				}
				if f.Culprit != nil && d.l.LRs > 0 && f.Culprit.State == heap.Used && f.Culprit.Addr != f.Node && len(f.Culprit.Stack) == 0 {
					t.Errorf("finding %d: nobody allocated the culprit", i)
				}
			}
			if last := findings[len(findings)-1]; !strings.Contains(last.Cause, d.cause) {
				t.Errorf("cause %q lacks %q", last.Cause, d.cause)
			}
		})
	}
}

func culprit(f heap.Finding, starts []heap.Addr) int {
	for i, at := range starts {
		if f.Culprit != nil && f.Culprit.Addr == at {
			return i
		}
	}
	return -1
}

// patchesTell applies the patches of a walk over what fault makes of a heap and
// reports those that write something else than was there.
func patchesTell(t *testing.T, h *LiteOSHeap, fault func(pool []byte, starts []heap.Addr)) []heap.Finding {
	t.Helper()
	clean, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(clean)
	fault(bad, starts)
	found, _ := pools(Bytes{h.Addr, bad}, Hints{At: h.Addr})
	if len(found) != 1 || !sameNodes(found[0].Layout, h.Layout) || found[0].Layout.TaskStat != h.Layout.TaskStat {
		t.Fatalf("opened %+v", found)
	}
	_, findings, s := walked(found[0])
	for _, p := range s.Patches {
		if want := clean[p.Addr-h.Addr:][:len(p.New)]; !bytes.Equal(p.New, want) {
			t.Errorf("%s: patch at %s writes %x, there was %x\n%v", h.Layout, p.Addr, p.New, want, findings)
		}
	}
	return findings
}

var everyKind = []LiteOS{
	{},
	{LeakCheck: true, LRs: 3},
	{HeadBackup: true},
	{LeakCheck: true, LRs: 3, HeadBackup: true},
	{LeakCheck: true, LRs: 3, HeadBackup: true, Bits64: true},
	{LeakCheck: true, LRs: 3, Bits64: true, TaskStat: true, Tasks: 64},
	{TaskStat: true, Tasks: 64, MulPool: true},
}

func fiveOf(l LiteOS) *LiteOSHeap {
	h := four(LiteOS{LRs: 3}, true)
	h.Layout = l
	for i := range h.Nodes {
		h.Nodes[i].Stack = h.Nodes[i].Stack[:l.LRs]
	}
	return h
}

// TestBehindSeveral: what one write through several nodes leaves intact in the
// node behind them, its link to a node that is gone among it, stays as it is.
func TestBehindSeveral(t *testing.T) {
	for _, l := range everyKind {
		h := fiveOf(l)
		for _, b := range []byte{0, 'A', 0xff} {
			patchesTell(t, h, func(pool []byte, starts []heap.Addr) {
				copy(pool[starts[1]-h.Addr:starts[4]-h.Addr], bytes.Repeat([]byte{b}, len(pool)))
				if l.HeadBackup {
					copy(pool[starts[4]-h.Addr:], bytes.Repeat([]byte{b}, l.Offsets().Own))
				}
				pool[starts[4]-h.Addr+heap.Addr(l.Offsets().Own)] ^= 0x10
			})
		}
	}
}

// TestDamagedListHead: a damaged head of a list moves nothing.
func TestDamagedListHead(t *testing.T) {
	for _, l := range everyKind {
		o := l.Offsets()
		for list := range freeLists {
			findings := patchesTell(t, fiveOf(l), func(pool []byte, _ []heap.Addr) {
				putWord(pool[o.Lists+2*o.Word*list:], o.Word, 0x41414141)
			})
			for _, f := range findings {
				if f.Kind != heap.FreeIndexWrong {
					t.Errorf("%s, list %d: %v", l, list, f)
				}
			}
			if len(findings) == 0 {
				t.Errorf("%s, list %d: nothing is found", l, list)
			}
		}
	}
}

// TestSizeOfAligned: the flags lie in the word of the size. Without backups the
// word in front of the payload tells of them.
func TestSizeOfAligned(t *testing.T) {
	for _, l := range everyKind {
		h := fiveOf(l)
		h.Nodes[1].Gap = 24
		o := l.Offsets()
		for _, size := range []uint32{uint32(o.Head), 0x100, 0x12c, 0x41414140} {
			patchesTell(t, h, func(pool []byte, starts []heap.Addr) {
				putWord(pool[starts[1]-h.Addr+heap.Addr(o.Own+o.Size):], 4, uint64(size|usedBit&^alignBit))
			})
		}
	}
}
