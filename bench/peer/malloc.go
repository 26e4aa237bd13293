// Package peer gives the benchmarks the allocators to compare with.
package peer

// #include <stdlib.h>
import "C"

import "unsafe"

// Malloc is the C library's malloc through cgo.
func Malloc(n int) unsafe.Pointer { return C.malloc(C.size_t(n)) }

// Free is the C library's free through cgo.
func Free(p unsafe.Pointer) { C.free(p) }
