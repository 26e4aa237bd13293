package callers_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/heapwright/heapwright/internal/callers"
)

var benchFrames = []int{3, 5, 8, 16, 32}

// nested calls f below n frames.
//
//go:noinline
func nested(n int, f func()) {
	if n == 0 {
		f()
	} else {
		nested(n-1, f)
	}
	keep()
}

func BenchmarkRecord(b *testing.B) {
	for _, n := range benchFrames {
		b.Run(fmt.Sprintf("frames=%d", n), func(b *testing.B) {
			nested(40, func() {
				var slots [64]uint32
				for b.Loop() {
					callers.Record(&slots[0], n, 0)
				}
			})
		})
	}
}

// BenchmarkRecordFar is what the same costs when every address is too far away
// for its distance: in a plugin.
func BenchmarkRecordFar(b *testing.B) {
	defer callers.MoveAnchor(farAnchor)()
	for _, n := range benchFrames {
		b.Run(fmt.Sprintf("frames=%d", n), func(b *testing.B) {
			nested(40, func() {
				var slots [64]uint32
				for b.Loop() {
					callers.Record(&slots[0], n, 0)
				}
			})
		})
	}
}

func BenchmarkRuntimeCallers(b *testing.B) {
	for _, n := range benchFrames {
		b.Run(fmt.Sprintf("frames=%d", n), func(b *testing.B) {
			nested(40, func() {
				var pcs [64]uintptr
				for b.Loop() {
					runtime.Callers(1, pcs[:n])
				}
			})
		})
	}
}
