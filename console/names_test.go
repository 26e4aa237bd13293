package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// The functions that ESP-IDF's monitor adds to a log.
func TestNames(t *testing.T) {
	const log = `I (600000) app: dump
--- 0x400d2776: leak_some_memory at /build/main/blink.c:27
--- 0x400d27c1: deep at C:/my files/in line.c:5 (discriminator 3)
--- (inlined by) blink_task at /build/main/blink.c:52
0x400d3010: old_style at /build/main/old.c:9
 (inlined by) outer at /build/main/old.c:11
hello
 (inlined by) stranger at /build/x.c:1
--- 0x40008544: ets_printf in ROM
--- 0x400d4000: ?? ??:0
--- 0x400d4004: known at ??:?
--- 0x400d4008: std::vector<int>::push_back(int const&) at /build/v.cpp:?
--- 0x400d2776: another at /build/other.c:1
--- 0x400d400c: evil` + "\u202e\x07" + ` at /build/evil.c:1
0x400d5000: at /build/none.c:1
0x00056bac:  0x00011ea0  0x00021744
--- 0x400d5004 at /build/none.c:1
`
	r := allOf(t, strings.NewReader(log))
	frame := func(lr heap.Addr, function, file string, line int) heap.Frame {
		return heap.Frame{Addr: lr, Function: function, File: file, Line: line}
	}
	inlined := func(f heap.Frame) heap.Frame { f.Inlined = true; return f }
	for lr, want := range map[heap.Addr][]heap.Frame{
		0x400d2776:     {frame(0x400d2776, "leak_some_memory", "/build/main/blink.c", 27)},
		0x400d2776 + 3: {frame(0x400d2779, "leak_some_memory", "/build/main/blink.c", 27)}, // of a backtrace
		0x400d27c1:     {inlined(frame(0x400d27c1, "deep", "C:/my files/in line.c", 5)), frame(0x400d27c1, "blink_task", "/build/main/blink.c", 52)},
		0x400d3010:     {inlined(frame(0x400d3010, "old_style", "/build/main/old.c", 9)), frame(0x400d3010, "outer", "/build/main/old.c", 11)},
		0x40008544:     {frame(0x40008544, "ets_printf", "", 0)},
		0x400d4004:     {frame(0x400d4004, "known", "", 0)},
		0x400d4008:     {frame(0x400d4008, "std::vector<int>::push_back(int const&)", "/build/v.cpp", 0)},
		0x400d4000:     {{Addr: 0x400d4000}},
		0x400d5000:     {{Addr: 0x400d5000}},
		0x56bac:        {{Addr: 0x56bac}},
		1:              {{Addr: 1}},
	} {
		if d := cmp.Diff(want, r.Names.Frames(lr)); d != "" {
			t.Errorf("%s: %s", lr, d)
		}
	}
	if f := r.Names.Frames(0x400d400c)[0]; strings.ContainsAny(f.Function, "\x07\u202e") {
		t.Errorf("%q", f.Function)
	}
	if n := r.Names.Len(); n != 7 {
		t.Errorf("%d names", n)
	}
}

// However many names a log gives, the memory for them is bounded.
func TestNamesBounded(t *testing.T) {
	var log strings.Builder
	for i := range maxNames + 10 {
		fmt.Fprintf(&log, "--- %#x: f at f.c:1\n", 0x40000000+4*i)
	}
	for range maxInlined + 10 {
		log.WriteString("--- (inlined by) g at g.c:1\n")
	}
	fmt.Fprintf(&log, "--- 0x1: %s at f.c:1\n", strings.Repeat("f", 3000))
	n := new(Names)
	for i, line := range strings.Split(log.String(), "\n") {
		n.line([]byte(line), i+1)
	}
	if n.Len() != maxNames {
		t.Errorf("%d names", n.Len())
	}
	n = new(Names)
	n.line([]byte("--- 0x1: "+strings.Repeat("f", 3000)+" at f.c:1"), 1)
	for i := range maxInlined + 10 {
		n.line([]byte("--- (inlined by) g at g.c:1"), i+2)
	}
	if f := n.Frames(1); len(f) != maxInlined || len(f[0].Function) != maxPath {
		t.Errorf("%d frames, the first of %d bytes", len(f), len(f[0].Function))
	}
}
