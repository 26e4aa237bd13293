package symbol

import (
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/callers"
)

// Process resolves return addresses of the running Go program.
var Process heap.Symbolizer = process{}

type process struct{}

func (process) Frames(lr heap.Addr) []heap.Frame {
	if a := uintptr(lr); heap.Addr(a) == lr {
		if f := callers.FramesOf(a); len(f) > 0 {
			return f
		}
	}
	return []heap.Frame{{Addr: lr}}
}
