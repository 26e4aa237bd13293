package layout

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// fieldsText returns the fields of the node at addr, a line each.
func fieldsText(t *testing.T, p *LiteOSPool, addr heap.Addr) string {
	t.Helper()
	var b strings.Builder
	nodes, _, _ := walked(p)
	for i := range nodes {
		if nodes[i].Addr != addr {
			continue
		}
		at := addr
		for _, f := range p.Fields(&nodes[i]) {
			if f.Start < at || f.End <= f.Start {
				t.Errorf("%s at [%s, %s) begins in front of %s", f.Name, f.Start, f.End, at)
			}
			at = f.End
			b.WriteString(f.Start.String() + " " + f.Name + ": " + f.Value)
			if f.Wrong != "" {
				b.WriteString(" WRONG " + f.Wrong)
			}
			b.WriteByte('\n')
		}
		return b.String()
	}
	t.Fatalf("no node at %s", addr)
	return ""
}

func TestFields(t *testing.T) {
	const clean = `0xb6948 backup: magic: 0xfff48a93
0xb694c backup: task id: 0
0xb6950 backup: previous node: 0xb6948
0xb6954 backup: gap size: 0
0xb6958 backup: checksum: 0xa1525134
0xb6968 backup: size and flags: 0x80000c00: 3072 bytes, used
0xb696c magic: 0xfff49693
0xb6970 task id: 0
0xb6974 previous node: 0xb5d48
0xb6978 gap size: 0
0xb697c checksum: 0xa1527934
0xb6980 LR[0]: 0x41414141
0xb6984 LR[1]: 0x41414141
0xb6988 LR[2]: 0x41414141
0xb698c size and flags: 0x80000c00: 3072 bytes, used
`
	const damaged = `0xb6948 backup: magic: 0x41414141 WRONG it should be 0xfff48a93
0xb694c backup: task id: 1094795585 WRONG it should be 0
0xb6950 backup: previous node: 0x41414141 WRONG it should be 0xb6948
0xb6954 backup: gap size: 1094795585 WRONG it should be 0
0xb6958 backup: checksum: 0x41414141 WRONG it should be 0xa1525134; the fields give 0x9fecffae
0xb6968 backup: size and flags: 0x41414141: 21053761 bytes, aligned WRONG it should be 0x80000c00: 3072 bytes, used
0xb696c magic: 0x41414141 WRONG it should be 0xfff49693
0xb6970 task id: 1094795585 WRONG it should be 0
0xb6974 previous node: 0x41414141 WRONG it should be 0xb5d48
0xb6978 gap size: 1094795585 WRONG it should be 0
0xb697c checksum: 0x41414141 WRONG it should be 0xa1527934; the fields give 0x9fecffae
0xb6980 LR[0]: 0x41414141
0xb6984 LR[1]: 0x41414141
0xb6988 LR[2]: 0x41414141
0xb698c size and flags: 0x41414141: 21053761 bytes, aligned WRONG it should be 0x80000c00: 3072 bytes, used
`
	p := open(t, "both-overflow-header", 0x578c0)
	if d := cmp.Diff(damaged, fieldsText(t, p, 0xb6948)); d != "" {
		t.Error(d)
	}
	_, _, s := walked(p)
	if d := cmp.Diff(clean, fieldsText(t, openAt(patched(p, s.Patches), p.Addr), 0xb6948)); d != "" {
		t.Error(d)
	}
}

// TestFieldsOfOthers: free nodes, aligned ones, sizes asked for, modules, words
// of 8 bytes.
func TestFieldsOfOthers(t *testing.T) {
	l := LiteOS{Bits64: true, LeakCheck: true, LRs: 1, HeadBackup: true, RecordInfo: true, MulModule: true}
	h := &LiteOSHeap{Layout: l, Addr: 0x40000, Nodes: []LiteOSNode{
		{Size: 100, Gap: 28, Task: 3, Module: 7, Stack: heap.Stack{0x20000}},
		{Size: 64, Free: true},
		{Size: 8, Task: 4},
	}}
	pool, starts, err := h.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p := openAs(Bytes{h.Addr, pool}, h.Addr, l)
	for i, want := range [][]string{
		{"backup: list prev: 0x40040 (free list 3)\n", " task id: 3, module 7\n", "gap size: 28\n", "size asked for: 100 bytes\n", "LR[0]: 0x20000\n", ", used, aligned\n", " gap word: 0x4000001c: moved by 28 bytes\n"},
		{"backup: task id: 4, module 0\n", " list next: 0x40040 (free list 3)\n", " bytes, free\n"},
	} {
		text := fieldsText(t, p, starts[i])
		for _, s := range want {
			if !strings.Contains(text, s) {
				t.Errorf("node %d lacks %q:\n%s", i, s, text)
			}
		}
		if strings.Contains(text, "WRONG") {
			t.Errorf("node %d: %s", i, text)
		}
	}
	o := l.Offsets()
	at := int(starts[0] - h.Addr)
	binary.LittleEndian.PutUint32(pool[at+o.Head+28-4:], 5)
	binary.LittleEndian.PutUint32(pool[at+o.Own+o.Orig:], 5000)
	text := fieldsText(t, p, starts[0])
	for _, s := range []string{"gap word: 0x5 WRONG it should be 0x4000001c: the payload is moved by 28 bytes\n", "size asked for: 5000 bytes WRONG there is room for 128 bytes\n"} {
		if !strings.Contains(text, s) {
			t.Errorf("lacks %q:\n%s", s, text)
		}
	}
}
