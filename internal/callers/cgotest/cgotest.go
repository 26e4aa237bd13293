//go:build cgo

package cgotest

// #include <stdint.h>
// extern void heapwrightCallback(uintptr_t);
// static void throughC(uintptr_t handle) { heapwrightCallback(handle); }
import "C"

import "runtime/cgo"

// Call calls f from C.
//
//go:noinline
func Call(f func()) {
	h := cgo.NewHandle(f)
	defer h.Delete()
	C.throughC(C.uintptr_t(h))
}

//export heapwrightCallback
func heapwrightCallback(handle C.uintptr_t) { cgo.Handle(handle).Value().(func())() }
