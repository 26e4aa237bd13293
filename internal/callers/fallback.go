//go:build !((amd64 || arm64) && !noframepointer)

package callers

import (
	"runtime"
	"unsafe"
)

// FramePointers reports whether stacks are walked along frame pointers on this
// platform.
const FramePointers = false

// Record stores the return addresses of n levels as slots at dst, the first
// skip levels left out. Slots beyond the depth of the stack are set to 0. dst
// must point to 4*n writable bytes, in Go memory or not. Negative n and skip
// count as 0.
//
// It is safe for concurrent use.
//
//go:noinline
func Record(dst *uint32, n, skip int) {
	if n <= 0 {
		return
	}
	slots := unsafe.Slice(dst, n)
	var buf [64]uintptr
	pcs := buf[:min(n, len(buf))]
	m := runtime.Callers(2+max(skip, 0), pcs)
	for i, pc := range pcs[:m] {
		slots[i] = slotOf(pc)
	}
	clear(slots[m:])
}

//go:noinline
func walk(dst *uintptr, n, skip int) int {
	return runtime.Callers(2+skip, unsafe.Slice(dst, n))
}
