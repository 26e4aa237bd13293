package heapwright

import (
	"fmt"
	"math/bits"
	"reflect"
	"sync"
	"unsafe"
)

// AllocBytes is Alloc for those who want a slice: length and capacity are n.
//
//go:noinline
func (p *Pool) AllocBytes(n int) ([]byte, error) {
	ptr, err := p.allocate(n, Options{})
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(ptr), n), nil
}

// ReallocBytes is Realloc for a slice from AllocBytes or ReallocBytes, whose
// start must not have been cut off.
//
//go:noinline
func (p *Pool) ReallocBytes(b []byte, n int) ([]byte, error) {
	ptr, err := p.reallocate(unsafe.Pointer(unsafe.SliceData(b)), n)
	if ptr == nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(ptr), n), err
}

// FreeBytes is Free for a slice from AllocBytes or ReallocBytes. Its length
// does not matter, but its start must not have been cut off.
//
//go:noinline
func (p *Pool) FreeBytes(b []byte) error {
	return p.release(unsafe.Pointer(unsafe.SliceData(b)))
}

// AllocSlice allocates a zeroed slice of n values of type T, which must not
// contain Go pointers (ErrHasPointers): the garbage collector does not look
// into a pool. Strings, slices, maps, channels, functions and interfaces are
// pointers.
//
//go:noinline
func AllocSlice[T any](p *Pool, n int) ([]T, error) {
	if err := pointerFree(reflect.TypeFor[T]()); err != nil {
		return nil, err
	}
	size := unsafe.Sizeof(*new(T))
	if n < 0 {
		return nil, ErrNegativeSize
	}
	hi, lo := bits.Mul(uint(size), uint(n))
	if hi != 0 || lo > uint(maxInt) {
		return nil, ErrSizeOverflow
	}
	ptr, err := p.allocate(int(lo), Options{Zero: true})
	if err != nil {
		return nil, err
	}
	return unsafe.Slice((*T)(ptr), n), nil
}

// FreeSlice frees a slice from AllocSlice, whose start must not have been cut
// off.
//
//go:noinline
func FreeSlice[T any](p *Pool, s []T) error {
	return p.release(unsafe.Pointer(unsafe.SliceData(s)))
}

var pointerFreeTypes sync.Map // reflect.Type → *error

// pointerFree returns an error that names the first Go pointer inside t.
func pointerFree(t reflect.Type) error {
	if v, ok := pointerFreeTypes.Load(t); ok {
		return *v.(*error)
	}
	var err error
	if path, kind := findPointer(t, t.String()); path != "" {
		err = fmt.Errorf("%w: %s is a %s", ErrHasPointers, path, kind)
	}
	pointerFreeTypes.Store(t, &err)
	return err
}

func findPointer(t reflect.Type, path string) (string, reflect.Kind) {
	switch k := t.Kind(); k {
	case reflect.Array:
		if t.Len() == 0 {
			return "", 0
		}
		return findPointer(t.Elem(), path+"[0]")
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if p, k := findPointer(f.Type, path+"."+f.Name); p != "" {
				return p, k
			}
		}
		return "", 0
	case reflect.Pointer, reflect.UnsafePointer, reflect.String, reflect.Slice, reflect.Map, reflect.Chan, reflect.Func, reflect.Interface:
		return path, k
	}
	return "", 0
}
