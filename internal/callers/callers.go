// Package callers captures the call stack of its caller fast enough to do it at
// every allocation: on amd64 and arm64 an assembly walk along the frame
// pointers, elsewhere runtime.Callers.
//
// # Levels
//
// A level is a physical frame: functions that the compiler inlined into each
// other are one level, and Frames takes them apart again. Level 0 is the
// function that calls Record or Walk, level 1 its caller. What is recorded of a
// level is a return address: where execution goes on in it.
//
//	func Alloc()          Record(dst, 3, 1)     skip
//	  level 0 ──────────►   left out              1
//	  level 1 ──────────►   dst[0]             ┐
//	  level 2 ──────────►   dst[1]             │  n
//	  (stack ends)          dst[2] = 0         ┘
//
// # Slots
//
// A level is kept in 32 bits, a slot, as the distance of its return address
// from Anchor:
//
//	bits 31..30   bits 29..0
//	00 or 11      distance         pc - Anchor as two's complement, within ±1 GiB; 0: no such level
//	10            place            the pc is at this place of a process-wide table of far addresses
//	10            all ones         lost: the pc is too far away and the table has no place for it
//	01            -                never stored
//
// Far addresses are those of plugins and of shared objects. The table takes
// some thousands of them and is never emptied. Distances of a 32-bit process
// wrap around, and so nearly always fit.
//
// # Limits of frame pointers
//
// The walk ends where C code called back into Go. It misses the caller of a
// function without a frame that died of a memory fault, just as the runtime's
// own execution tracer does. Build with the tag noframepointer to use
// runtime.Callers on every platform.
package callers

import (
	"math"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/heapwright/heapwright/heap"
)

// anchor is a function for Anchor to point into.
//
//go:noinline
func anchor() {}

// anchorPC is one byte into anchor: no return address can be there, so no
// distance is 0.
var anchorPC = entry(anchor) + 1

// entry returns the address of a function's first instruction: a func value
// points to a word that holds it.
func entry(f func()) uintptr { return **(**uintptr)(unsafe.Pointer(&f)) }

// Anchor returns the address that slots are relative to: one byte past the
// start of the function anchor of this package. It is constant in a process;
// in an executable it is that symbol's value plus one.
func Anchor() uintptr { return anchorPC }

// Kinds of slots, by their two topmost bits.
const (
	reach   = 1 << 30 // distances are in [-reach, reach)
	farKind = 0b10 << 30
	farMask = 0b11 << 30
	lost    = farKind | (1<<30 - 1)
)

// The table of far addresses is open-addressed: an address hashes to a place
// and takes the first free one of farProbes places from there, wrapping around.
// Places are taken by compare-and-swap and never given back. The assembly
// fills it too, so it must agree on all of this.
const (
	farBits   = 12
	farProbes = 64
	farHash   = 0x9E3779B97F4A7C15 // multiplicative; the topmost bits are the place
)

var farTable [1 << farBits]uintptr

// slotOf returns the slot for a return address.
func slotOf(pc uintptr) uint32 {
	d := pc - anchorPC
	if d+reach < 2*reach {
		return uint32(d)
	}
	place := uint64(pc) * farHash >> (64 - farBits)
	for range farProbes {
		p := &farTable[place]
		if atomic.LoadUintptr(p) == pc || atomic.CompareAndSwapUintptr(p, 0, pc) || atomic.LoadUintptr(p) == pc {
			return farKind | uint32(place)
		}
		place = (place + 1) % (1 << farBits)
	}
	return lost
}

// Address returns the return address that slot stands for. It reports false
// for the slot of an absent level, of an address that was lost, and for what
// Record cannot have stored.
func Address(slot uint32) (pc uintptr, ok bool) {
	switch {
	case slot == 0:
		return 0, false
	case slot+reach < 2*reach:
		return anchorPC + uintptr(int32(slot)), true
	case slot&farMask == farKind && slot&^farMask < uint32(len(farTable)):
		pc = atomic.LoadUintptr(&farTable[slot&^farMask])
		return pc, pc != 0
	}
	return 0, false
}

// Walk stores the return addresses of up to len(dst) levels in dst, the first
// skip levels left out, and returns how many there were. It is safe for
// concurrent use and does not allocate where FramePointers is true.
//
//go:noinline
func Walk(dst []uintptr, skip int) int {
	if len(dst) == 0 {
		return 0
	}
	skip = min(max(skip, 0), math.MaxInt-1)
	return walk(unsafe.SliceData(dst), len(dst), skip+1) // level 0 of walk is this function
}

// Frames resolves return addresses, innermost level first, to functions and
// lines. A level with inlined functions gives several frames with the same
// Addr, all but the last marked Inlined; one that cannot be resolved gives a
// frame with nothing but Addr set. Addresses as runtime.Callers returns them,
// with extra ones for inlined functions, give the same frames.
func Frames(pcs []uintptr) []heap.Frame {
	frames := make([]heap.Frame, 0, len(pcs)+len(pcs)/2)
	fault := false // the level before is the runtime's handler of a memory fault
	for i := 0; i < len(pcs); {
		var inner []uintptr
		frames, inner = appendFrames(frames, pcs[i], fault)
		fault = frames[len(frames)-1].Function == "runtime.sigpanic"
		i++
		for _, pc := range inner {
			if i < len(pcs) && pcs[i] == pc {
				i++
			}
		}
	}
	return frames
}

// FramesOf resolves a single return address to its frames, innermost first,
// as Frames does. It never returns an empty slice.
func FramesOf(pc uintptr) []heap.Frame {
	frames, _ := appendFrames(nil, pc, false)
	return frames
}

// appendFrames appends the frames of one level to frames. It also returns the
// addresses by which runtime.Callers would denote all but the innermost.
//
// A return address is one past the call, and the call is what counts. Only the
// address below a fault is that of the faulting instruction itself.
func appendFrames(frames []heap.Frame, pc uintptr, fault bool) ([]heap.Frame, []uintptr) {
	lookup := pc
	if fault {
		lookup++
	}
	n := len(frames)
	var outer []uintptr
	// The 0 makes pc not the last address, whose inlined frames would not be
	// expanded.
	for it := runtime.CallersFrames([]uintptr{lookup, 0}); ; {
		f, more := it.Next()
		if f.PC != 0 {
			frames = append(frames, heap.Frame{
				Addr:     heap.Addr(pc),
				Function: f.Function,
				File:     f.File,
				Line:     f.Line,
				Inlined:  true,
			})
			outer = append(outer, f.PC+1)
		}
		if !more {
			break
		}
	}
	if len(frames) == n {
		return append(frames, heap.Frame{Addr: heap.Addr(pc)}), nil
	}
	frames[len(frames)-1].Inlined = false
	return frames, outer[1:]
}
