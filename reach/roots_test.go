package reach

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

func span(from, to heap.Addr) heap.Span { return heap.Span{Start: from, End: to} }

// 0x1000 .data 0x1100 .bss 0x1800 ........ 0x2000; the pool is in .bss
//
//	0x1200 pool 0x1600
func TestFindRoots(t *testing.T) {
	ram := pieces{{Addr: 0x1000, Bytes: make([]byte, 0x1000)}}
	pool := []heap.Span{span(0x1200, 0x1600)}
	sections := []heap.Section{{Span: span(0x1000, 0x1100), Name: ".data"}, {Span: span(0x1100, 0x1800), Name: ".bss"}}
	threads := []Thread{{Name: "thread 7", SP: 0x1f00, Registers: []uint64{1, 2}}}
	for _, c := range []struct {
		name    string
		e       Evidence
		want    []Root
		notes   []string // each in one
		partial []string
	}{
		{
			"nothing but memory",
			Evidence{Memory: ram, Pools: pool},
			[]Root{{Name: "memory outside the pools", Span: span(0x1000, 0x2000)}},
			[]string{"no program was given", "no registers are known", "3072 bytes of memory outside the pools are roots"},
			nil,
		},
		{
			"a program",
			Evidence{Memory: ram, Pools: pool, Sections: sections},
			[]Root{
				{Name: ".data", Span: span(0x1000, 0x1100)},
				{Name: ".bss", Span: span(0x1100, 0x1800)},
				{Name: "memory outside the pools", Span: span(0x1800, 0x2000)},
			},
			[]string{"1024 bytes of the program's data are roots: .data, .bss", "no registers are known", "2048 other bytes of memory", "stacks can be anywhere"},
			nil,
		},
		{
			"a program and registers",
			Evidence{Memory: ram, Pools: pool, Sections: sections, Threads: threads},
			[]Root{
				{Name: ".data", Span: span(0x1000, 0x1100)},
				{Name: ".bss", Span: span(0x1100, 0x1800)},
				{Name: "stack pointer of thread 7", Value: 0x1f00},
				{Name: "register 0 of thread 7", Value: 1},
				{Name: "register 1 of thread 7", Value: 2},
				{Name: "stack of thread 7", Span: span(0x1e80, 0x2000)},
			},
			[]string{"2 registers and 384 bytes of stacks of 1 thread are roots", "1664 bytes of memory belong to none of these and were not searched"},
			nil,
		},
		{
			"registers only: globals can be anywhere",
			Evidence{Memory: ram, Pools: pool, Threads: threads[:1]},
			[]Root{
				{Name: "stack pointer of thread 7", Value: 0x1f00},
				{Name: "register 0 of thread 7", Value: 1},
				{Name: "register 1 of thread 7", Value: 2},
				{Name: "stack of thread 7", Span: span(0x1000+0xe80, 0x2000)},
				{Name: "memory outside the pools", Span: span(0x1000, 0x1200)},
				{Name: "memory outside the pools", Span: span(0x1600, 0x1e80)},
			},
			[]string{"no program was given"},
			nil,
		},
		{
			"a stack in the pool, and one that is missing",
			Evidence{Memory: ram, Pools: pool, Sections: sections, Threads: []Thread{{Name: "a", SP: 0x1300}, {Name: "b", SP: 0x9000}}},
			[]Root{
				{Name: ".data", Span: span(0x1000, 0x1100)},
				{Name: ".bss", Span: span(0x1100, 0x1800)},
				{Name: "stack pointer of a", Value: 0x1300},
				{Name: "stack pointer of b", Value: 0x9000},
			},
			[]string{"0 registers and 0 bytes of stacks of 2 threads"},
			[]string{"the stacks of 1 of 2 threads are not in the memory (b)"},
		},
		{
			"a core",
			Evidence{Memory: ram, Pools: pool, Sections: sections[:1], Threads: threads, Segments: []heap.Section{
				{Span: span(0x1000, 0x1200), Name: "program"}, {Span: span(0x1200, 0x1700), Name: "[heap]"}, {Span: span(0x1e00, 0x2000), Name: "[stack]"},
			}},
			[]Root{
				{Name: ".data", Span: span(0x1000, 0x1100)},
				{Name: "stack pointer of thread 7", Value: 0x1f00},
				{Name: "register 0 of thread 7", Value: 1},
				{Name: "register 1 of thread 7", Value: 2},
				{Name: "stack of thread 7", Span: span(0x1e80, 0x2000)},
				{Name: "program", Span: span(0x1100, 0x1200)},
				{Name: "[heap]", Span: span(0x1200, 0x1700)},
				{Name: "[stack]", Span: span(0x1e00, 0x1e80)},
			},
			[]string{"640 bytes of writable segments are roots: program, [heap], [stack]", "1792 bytes of memory belong to none of these"},
			nil,
		},
		{
			"globals that are not there",
			Evidence{Memory: ram, Pools: pool, Sections: []heap.Section{{Span: span(0xf00, 0x1100), Name: ".data"}, {Span: span(0x3000, 0x3100), Name: ".noinit"}}},
			[]Root{
				{Name: ".data", Span: span(0xf00, 0x1100)},
				{Name: "memory outside the pools", Span: span(0x1100, 0x1200)},
				{Name: "memory outside the pools", Span: span(0x1600, 0x2000)},
			},
			[]string{"256 bytes of the program's data are roots: .data"},
			[]string{"512 of 768 bytes of the program's data are not in the memory (.data, .noinit)", "only from there counts as lost"},
		},
		{
			"a core of a program that was loaded elsewhere",
			Evidence{
				Memory: ram, Pools: pool,
				Sections: []heap.Section{{Span: span(0x3000, 0x3100), Name: ".bss"}},
				Segments: []heap.Section{{Span: span(0x1000, 0x1100), Name: "program"}},
			},
			[]Root{{Name: "program", Span: span(0x1000, 0x1100)}},
			[]string{"none of the program's data lies where its file says: the writable segments stand for it"},
			nil,
		},
		{
			"no globals at all",
			Evidence{Memory: ram, Pools: pool, Threads: threads, Sections: []heap.Section{{Span: span(0x3000, 0x3100), Name: ".bss"}}},
			[]Root{
				{Name: "stack pointer of thread 7", Value: 0x1f00},
				{Name: "register 0 of thread 7", Value: 1},
				{Name: "register 1 of thread 7", Value: 2},
				{Name: "stack of thread 7", Span: span(0x1e80, 0x2000)},
				{Name: "memory outside the pools", Span: span(0x1000, 0x1200)},
				{Name: "memory outside the pools", Span: span(0x1600, 0x1e80)},
			},
			[]string{"2688 bytes of memory outside the pools are roots"},
			[]string{"256 of 256 bytes of the program's data are not in the memory (.bss)"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := FindRoots(c.e)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, r.List); diff != "" {
				t.Error(diff)
			}
			notes := strings.Join(r.Notes, "\n")
			for _, w := range c.notes {
				if !strings.Contains(notes, w) {
					t.Errorf("notes %q lack %q", r.Notes, w)
				}
			}
			for _, w := range c.partial {
				if !strings.Contains(r.Partial, w) {
					t.Errorf("partial %q lacks %q", r.Partial, w)
				}
			}
			if (r.Partial == "") != (c.partial == nil) {
				t.Errorf("partial: %q", r.Partial)
			}
		})
	}
}

func TestNoRoots(t *testing.T) {
	for name, mem := range map[string]pieces{
		"nothing":  nil,
		"the pool": {{Addr: 0x1000, Bytes: make([]byte, 64)}},
		"a part":   {{Addr: 0x1010, Bytes: make([]byte, 8)}, {Addr: 0x1020}},
	} {
		_, err := FindRoots(Evidence{Memory: mem, Pools: []heap.Span{span(0x1000, 0x1040)}, Threads: []Thread{{SP: 0x1010}}})
		if !errors.Is(err, ErrNoRoots) || err.Error() != "the memory holds nothing outside the pool: unreferenced nodes cannot be told; dump the whole RAM" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What lies at the end of the address space is a root but for its last byte.
func TestEndOfAddressSpace(t *testing.T) {
	top := ^heap.Addr(63)
	r, err := FindRoots(Evidence{Memory: pieces{{Addr: top, Bytes: make([]byte, 64)}}, Pools: []heap.Span{span(0, 16)}})
	want := []Root{{Name: "memory outside the pools", Span: span(top, ^heap.Addr(0))}}
	if err != nil || !cmp.Equal(r.List, want) {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestManyNames(t *testing.T) {
	e := Evidence{Memory: pieces{{Addr: 0, Bytes: make([]byte, 4096)}}, Pools: []heap.Span{span(0, 16)}}
	for i := range 20 {
		e.Sections = append(e.Sections, heap.Section{Span: span(heap.Addr(i+1)*32, heap.Addr(i+1)*32+8), Name: fmt.Sprintf(".s%d", i/2)})
	}
	r, err := FindRoots(e)
	if err != nil || !strings.Contains(r.Notes[0], ".s0, .s1, .s2, .s3, .s4, .s5, .s6, .s7 and 2 more") {
		t.Errorf("%q, %v", r.Notes, err)
	}
}
