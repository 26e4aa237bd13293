package symbol

import (
	"runtime"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

func TestProcess(t *testing.T) {
	var pcs [1]uintptr
	runtime.Callers(1, pcs[:])
	frames := Process.Frames(heap.Addr(pcs[0]))
	outer := frames[len(frames)-1]
	if !strings.HasSuffix(outer.Function, "symbol.TestProcess") || !strings.HasSuffix(outer.File, "process_test.go") || outer.Line == 0 || outer.Inlined {
		t.Errorf("%+v", frames)
	}
	for _, lr := range []heap.Addr{0, 1, ^heap.Addr(0)} {
		if f := Process.Frames(lr); len(f) != 1 || f[0] != (heap.Frame{Addr: lr}) {
			t.Errorf("%v: %+v", lr, f)
		}
	}
}
