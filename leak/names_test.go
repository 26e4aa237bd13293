package leak

import (
	"testing"

	"github.com/heapwright/heapwright/heap"
)

func TestUncloned(t *testing.T) {
	for name, want := range map[string]string{
		"grow":                             "grow",
		"grow.isra.0.part.1":               "grow",
		"grow [clone .isra.0]":             "grow",
		"grow(int) [clone .a] [clone .b]":  "grow(int)",
		"grow.cold [clone .constprop.0]":   "grow",
		" [clone .isra.0]":                 " [clone .isra.0]",
		"[no stack: main, 16 to 31 bytes]": "[no stack: main, 16 to 31 bytes]",
		"":                                 "",
	} {
		if got := uncloned(name); got != want {
			t.Errorf("%q is a clone of %q, want %q", name, got, want)
		}
	}
}

// A baseline knows a function again that the next build clones otherwise.
func TestBaselineOfClones(t *testing.T) {
	chain := func(name string) string { return functionChain([]heap.Frame{{Function: name}})[0] }
	if a, b := chain("Log::dup(int) [clone .isra.0]"), chain("Log::dup(int) [clone .part.3]"); a != b {
		t.Errorf("%q is not %q", a, b)
	}
}
