package damage

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

func TestTraces(t *testing.T) {
	node := func(lr heap.Addr) *heap.Node { return &heap.Node{Stack: heap.Stack{lr}} }
	noticed, freed := heap.Stack{1}, heap.Stack{2}
	for _, d := range []struct {
		name string
		f    heap.Finding
		want []Trace
	}{
		{"damage", heap.Finding{Kind: heap.HeaderDamaged, Stack: noticed, Culprit: node(3), Previous: node(4), Subject: node(5)}, []Trace{
			{"culprit allocated in", heap.Stack{3}},
			{"node in front allocated in", heap.Stack{4}},
			{"damaged node allocated in", heap.Stack{5}},
			{"noticed in", noticed},
		}},
		{"a culprit whose stack is lost", heap.Finding{Kind: heap.BackupDamaged, Culprit: new(heap.Node), Subject: node(5)}, []Trace{
			{"damaged node allocated in", heap.Stack{5}},
		}},
		{"a double free", heap.Finding{Kind: heap.DoubleFree, Stack: noticed, FirstFree: freed, Subject: node(5)}, []Trace{
			{"noticed in", noticed},
			{"first freed in", freed},
			{"node allocated in", heap.Stack{5}},
		}},
		{"nothing", heap.Finding{Kind: heap.HeaderDamaged}, nil},
	} {
		if got := Traces(&d.f); !cmp.Equal(got, d.want) {
			t.Errorf("%s: %s", d.name, cmp.Diff(d.want, got))
		}
	}
}

func TestBlamed(t *testing.T) {
	for _, d := range []struct {
		functions []string
		want      int
	}{
		{[]string{"OsBackTrace", "OsMemFree", "LOS_MemFree", "free", "uart_close", "main"}, 4},
		{[]string{"malloc", "uart_open", "main"}, 1},
		{[]string{"uart_open", "free"}, 0},
		{[]string{"LOS_MemFree"}, 0},
		{nil, 0},
	} {
		var frames []heap.Frame
		for _, f := range d.functions {
			frames = append(frames, heap.Frame{Function: f})
		}
		if got := Blamed(frames); got != d.want {
			t.Errorf("%v: %d, want %d", d.functions, got, d.want)
		}
	}
}
