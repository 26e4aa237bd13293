//go:build !((amd64 || arm64) && !noframepointer)

package callers

import (
	"runtime"
	"sync/atomic"
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
// It is safe for concurrent use, but not on a signal stack.
//
//go:noinline
func Record(dst *uint32, n, skip int) {
	if n <= 0 {
		return
	}
	slots := unsafe.Slice(dst, n)
	skip = max(skip, 0)
	var buf [32]uintptr
	for len(slots) > 0 {
		asked := min(len(slots), len(buf))
		got := capture(buf[:asked], skip)
		for i, pc := range buf[:got] {
			slots[i] = slotOf(pc)
		}
		slots = slots[got:]
		skip += got
		if got < asked {
			clear(slots)
			return
		}
	}
}

//go:noinline
func walk(dst *uintptr, n, skip int) int { return capture(unsafe.Slice(dst, n), skip) }

// capture stores the levels of its caller's caller in dst, the first skip left
// out.
//
// runtime.Callers follows each physical frame by one address for every function
// that other functions were inlined into; these are dropped. It leaves out
// wrappers that the compiler generated, which the walk by frame pointers keeps.
//
//go:noinline
func capture(dst []uintptr, skip int) int {
	var buf [64]uintptr
	n, drop := 0, 0
	for from := 3; ; { // runtime.Callers, capture, its caller
		// Unwinding is what costs: ask for a few more than there are levels to
		// come, and for the rest only if too many of them were inlined.
		want := min(skip, len(buf)) + len(dst) - n
		chunk := buf[:min(want+want/4+2, len(buf))]
		m := runtime.Callers(from, chunk)
		from += m
		for _, pc := range buf[:m] {
			if drop > 0 {
				drop--
				continue
			}
			drop = inlinedInto(pc)
			if skip > 0 {
				skip--
				continue
			}
			if n == len(dst) {
				return n
			}
			dst[n] = pc
			n++
		}
		if m < len(chunk) {
			return n
		}
	}
}

// inlineCache remembers what inlinedInto found: address<<8 | result, the last
// one for each place. Addresses in the text have a byte to spare.
var inlineCache [1 << 10]atomic.Uint64

// inlinedInto returns the number of functions into which others were inlined
// at the call before pc.
func inlinedInto(pc uintptr) int {
	place := &inlineCache[uint64(pc)*farHash>>(64-10)]
	if c := place.Load(); c>>8 == uint64(pc) {
		return int(c & 0xFF)
	}
	_, outer := appendFrames(nil, pc, false)
	if len(outer) <= 0xFF {
		place.Store(uint64(pc)<<8 | uint64(len(outer)))
	}
	return len(outer)
}
