package layout

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// aProgram has a function of 64 bytes at 0x8000 and a variable at 0x9000.
type aProgram struct{ heap.Program }

func (aProgram) Struct(string) (heap.Struct, bool) { return heap.Struct{}, false }
func (aProgram) Variable(string) (heap.Span, bool) { return heap.Span{}, false }

func (aProgram) Frames(lr heap.Addr) []heap.Frame {
	if lr > 0x8000 && lr <= 0x8040 {
		return []heap.Frame{{Addr: lr, Function: "net_poll"}}
	}
	return []heap.Frame{{Addr: lr}}
}

func (aProgram) VariableAt(a heap.Addr) (string, heap.Span, bool) {
	at := heap.Span{Start: 0x9000, End: 0x9010}
	return "g_list", at, a >= at.Start && a < at.End
}

// TestOverwrittenWith: bytes that overwrite a head are told for what they are,
// with words of both sizes, with and without backups.
func TestOverwrittenWith(t *testing.T) {
	for _, l := range []LiteOS{
		{},
		{LeakCheck: true, LRs: 3},
		{LeakCheck: true, LRs: 3, HeadBackup: true},
		{LeakCheck: true, LRs: 3, HeadBackup: true, Bits64: true},
		{HeadBackup: true, RecordInfo: true},
		{Bits64: true},
	} {
		h := four(l, true)
		if l.LRs == 0 {
			for i := range h.Nodes {
				h.Nodes[i].Stack = nil
			}
		}
		clean, starts, err := h.Encode()
		if err != nil {
			t.Fatal(err)
		}
		o := l.Offsets()
		repeated := func(a heap.Addr) []byte {
			var b []byte
			for range o.Head / o.Word {
				b = binary.LittleEndian.AppendUint64(b, uint64(a))[:len(b)+o.Word]
			}
			return b
		}
		pointers := func(into heap.Addr, where string) func(*testing.T) {
			return func(t *testing.T) {
				b := repeated(into)
				checkReach(t, h, clean, starts[1], b, fmt.Sprintf("%d pointers into %s", o.Head/o.Word, where))
			}
		}
		for name, f := range map[string]func(*testing.T){
			"payload":  pointers(starts[4]+heap.Addr(o.Head)+8, fmt.Sprintf("the payload of node %s of task %d", starts[4], h.Nodes[4].Task)),
			"head":     pointers(starts[3]+heap.Addr(o.Own), fmt.Sprintf("the head of node %s of task %d", starts[3], h.Nodes[3].Task)),
			"free":     pointers(starts[2]+heap.Addr(o.Head)+8, fmt.Sprintf("the free node %s", starts[2])),
			"lists":    pointers(h.Addr+heap.Addr(o.Lists), "the pool's head"),
			"code":     pointers(0x8020, "code: function net_poll"),
			"variable": pointers(0x9008, "the variable g_list"),
			"end node": pointers(h.Addr+heap.Addr(len(clean)-o.Head), "the pool's end node"),
			"copy of a head": func(t *testing.T) {
				b := clean[starts[4]-h.Addr:][:o.Head]
				checkReach(t, h, clean, starts[1], b, fmt.Sprintf("a copy of the head of node %s", starts[4]))
			},
			"copy of the head of a free node": func(t *testing.T) {
				b := clean[starts[2]-h.Addr:][:o.Head]
				checkReach(t, h, clean, starts[4], b, fmt.Sprintf("a copy of the head of node %s", starts[2]))
			},
			"copy of a control header that is shifted": func(t *testing.T) {
				b := clean[starts[4]-h.Addr:][o.Own:o.Head]
				checkReach(t, h, clean, starts[1], b, fmt.Sprintf("a copy of the head of node %s", starts[4]))
			},
		} {
			t.Run(l.String()+"/"+name, f)
		}
	}
}

// checkReach writes b over the head at `at` and compares the beginning of what
// is said of it.
func checkReach(t *testing.T, h *LiteOSHeap, clean []byte, at heap.Addr, b []byte, want string) {
	t.Helper()
	bad := append([]byte(nil), clean...)
	copy(bad[at-h.Addr:], b)
	found, _ := pools(Bytes{Addr: h.Addr, Data: bad}, Hints{At: h.Addr, Program: aProgram{}})
	if len(found) != 1 {
		t.Fatal("not opened")
	}
	_, findings, _ := walked(found[0])
	for _, f := range findings {
		if f.Node == at {
			if f.Reach != want {
				t.Errorf("reach %q, want %q", f.Reach, want)
			}
			return
		}
	}
	t.Errorf("nothing is found at %s: %v", at, findings)
}
