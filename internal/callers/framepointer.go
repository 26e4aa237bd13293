//go:build (amd64 || arm64) && !noframepointer

package callers

// FramePointers reports whether stacks are walked along frame pointers on this
// platform.
const FramePointers = true

// Record stores the return addresses of n levels as slots at dst, the first
// skip levels left out. Slots beyond the depth of the stack are set to 0. dst
// must point to 4*n writable bytes, in Go memory or not. Negative n and skip
// count as 0.
//
// It takes nanoseconds, never allocates, locks or grows the stack, and is safe
// for concurrent use, but not on a signal stack.
func Record(dst *uint32, n, skip int) { record(dst, n, skip) }

// record is what Record does if Record is inlined. Where the compiler did not
// inline Record, its frame comes first and is left out as well: record knows
// it by outOfLine, the return address of the call in Record's own body.
//
//go:noescape
func record(dst *uint32, n, skip int)

// walk stores the addresses of up to n levels at dst and returns their number.
// Level 0 is its caller.
//
//go:noescape
func walk(dst *uintptr, n, skip int) int

//lint:ignore U1000 the assembly reads it
var outOfLine uintptr

func init() {
	var slot uint32
	opaque(Record, &slot)
	outOfLine, _ = Address(slot)
}

// opaque calls f, and hides from the compiler which function that is.
//
//go:noinline
func opaque(f func(*uint32, int, int), slot *uint32) { f(slot, 1, 0) }
