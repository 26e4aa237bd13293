package heap_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/heapwright/heapwright/heap"
)

func TestAddr(t *testing.T) {
	for text, want := range map[string]heap.Addr{"0x2b94c": 0x2b94c, "0": 0, "0xffffffffffffffff": ^heap.Addr(0), "16": 16} {
		var a heap.Addr
		if err := a.UnmarshalText([]byte(text)); err != nil || a != want {
			t.Errorf("%s is %v, %v", text, a, err)
		}
		if text[:1] == "0" && len(text) > 1 && a.String() != text {
			t.Errorf("%s prints as %s", text, a)
		}
	}
	for _, bad := range []string{"", "x", "0x", "-1", "0x10000000000000000"} {
		if new(heap.Addr).UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is an address", bad)
		}
	}
	b, err := json.Marshal(map[string]any{"a": heap.Stack{1, 0xff}, "s": heap.Span{Start: 16, End: 32}})
	if want := `{"a":["0x1","0xff"],"s":["0x10","0x20"]}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
}

func TestStack(t *testing.T) {
	stacks := []heap.Stack{nil, {0}, {1}, {1, 2}, {2, 1}, {1 << 32}, {1, 2, 3}}
	for i, s := range stacks {
		for j, u := range stacks {
			if s.Equal(u) != (i == j) || (s.Key() == u.Key()) != (i == j) {
				t.Errorf("%v and %v: equal %v, same key %v", s, u, s.Equal(u), s.Key() == u.Key())
			}
		}
	}
}

func TestFragmentation(t *testing.T) {
	for _, c := range []struct {
		free, largest uint64
		want          float64
	}{{0, 0, 0}, {100, 100, 0}, {100, 25, .75}, {100, 200, 0}} {
		if got := (heap.Stats{Free: c.free, LargestFree: c.largest}).Fragmentation(); got != c.want {
			t.Errorf("%d free, largest %d: %v", c.free, c.largest, got)
		}
	}
}

func TestOwnerName(t *testing.T) {
	s := heap.Snapshot{Owners: map[heap.Owner]string{3: "index"}}
	for o, want := range map[heap.Owner]string{0: "", 3: "index", 4: "4"} {
		if got := s.OwnerName(o); got != want {
			t.Errorf("owner %d is %q", o, got)
		}
	}
}

func TestFrame(t *testing.T) {
	for want, f := range map[string]heap.Frame{
		"0x10":       {Addr: 0x10},
		"main":       {Addr: 0x10, Function: "main"},
		"main (a:3)": {Addr: 0x10, Function: "main", File: "a", Line: 3},
		"0x10 (a:3)": {Addr: 0x10, File: "a", Line: 3},
	} {
		if f.String() != want {
			t.Errorf("%+v prints as %s", f, f)
		}
	}
}

func TestSummary(t *testing.T) {
	damaged := heap.Finding{
		Kind: heap.HeaderDamaged, Pool: "cache", Op: "free", Node: 0x100, Span: heap.Span{Start: 0x100, End: 0x140},
		Recovered: true, Repaired: true, Culprit: &heap.Node{Addr: 0x40}, CulpritReason: "overflow",
	}
	wild := heap.Finding{Kind: heap.InsideNode, Op: "free", Pointer: 0x88, Expected: 0x80, Detail: "8 bytes in"}
	for _, c := range []struct {
		f    heap.Finding
		want []string
	}{
		{damaged, []string{"header-damaged noticed by free in pool cache", "64 bytes overwritten at [0x100, 0x140), restored", "culprit: node 0x40 (overflow)"}},
		{wild, []string{"inside-node", "the pointer given is 0x88, the pointer should be 0x80", "8 bytes in"}},
		{heap.Finding{Kind: heap.DoubleFree, Op: "free", Node: 0x40}, []string{"double-free noticed by free: node 0x40"}},
	} {
		for _, w := range c.want {
			if got := c.f.Summary(); !strings.Contains(got, w) {
				t.Errorf("%q lacks %q", got, w)
			}
		}
	}
	damaged.Repaired = false
	if got := damaged.Summary(); !strings.Contains(got, "can be restored") {
		t.Errorf("a check claims a repair: %q", got)
	}
	for _, k := range []heap.Kind{heap.NilPointer, heap.OutsidePool, heap.OtherPool, heap.Unaligned, heap.InsideNode, heap.InsideFree, heap.DoubleFree, heap.InQuarantine, heap.InPoolControl} {
		if !k.WildPointer() {
			t.Errorf("%s is no wild pointer", k)
		}
	}
	for _, k := range []heap.Kind{heap.HeaderDamaged, heap.BackupDamaged, heap.BothDamaged, heap.LinkBroken, heap.FreeDamaged, heap.FreeIndexWrong, heap.TotalsWrong, heap.PoolHeadDamaged} {
		if k.WildPointer() {
			t.Errorf("%s is a wild pointer", k)
		}
	}
}

func TestAge(t *testing.T) {
	for _, c := range []struct {
		tick, hz, birth uint64
		want            time.Duration
		ok              bool
	}{
		{1100, 100, 100, 10 * time.Second, true},
		{100, 100, 100, 0, true},
		{100, 100, 101, 0, false},
		{100, 100, 0, 0, false},
		{100, 0, 1, 0, false},
		{1 << 63, 1, 1, 0, false}, // longer than a Duration
	} {
		s := &heap.Snapshot{Tick: c.tick, TickHz: c.hz}
		if got, ok := s.Age(&heap.Node{Birth: c.birth}); got != c.want || ok != c.ok {
			t.Errorf("%+v: %v, %v", c, got, ok)
		}
	}
}
