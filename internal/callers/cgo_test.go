//go:build cgo

package callers_test

import (
	"strings"
	"testing"

	"github.com/heapwright/heapwright/internal/callers"
	"github.com/heapwright/heapwright/internal/callers/cgotest"
)

// TestCgoCallback: by frame pointers the walk must end at the C code, and up to
// there agree with the runtime, which sees through it.
func TestCgoCallback(t *testing.T) {
	var c captured
	cgotest.Call(func() { c = capture() })
	for name, got := range map[string][]string{"Record": c.record, "Walk": c.walk} {
		if len(got) > len(c.runtime) || len(got) < 2 {
			t.Fatalf("%s found %d frames, the runtime %d:\n%s", name, len(got), len(c.runtime), strings.Join(got, "\n"))
		}
		if want := c.runtime[:len(got)]; !equal(got, want) {
			t.Errorf("%s:\n%s\nwant:\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		beyond := strings.Contains(strings.Join(got, "\n"), "TestCgoCallback ")
		if callers.FramePointers && beyond {
			t.Errorf("%s did not end at the callback:\n%s", name, strings.Join(got, "\n"))
		}
	}
}

// TestCgoNested: down into C and back three times, with growing stacks between.
func TestCgoNested(t *testing.T) {
	var c captured
	var down func(int)
	down = func(n int) {
		if n == 0 {
			grow(30, func() { c = capture() })
			return
		}
		cgotest.Call(func() { down(n - 1) })
	}
	down(3)
	if got := c.record; len(got) < 30 || len(got) > len(c.runtime) || !equal(got, c.runtime[:len(got)]) {
		t.Errorf("Record:\n%s\nwant a prefix of:\n%s", strings.Join(got, "\n"), strings.Join(c.runtime, "\n"))
	}
}
