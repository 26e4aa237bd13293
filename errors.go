package heapwright

import (
	"errors"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// Errors of the allocation functions, to be tested with errors.Is. After any of
// them the pool is as it was before the call.
var (
	ErrZeroSize     = errors.New("heapwright: size is zero")
	ErrNegativeSize = errors.New("heapwright: size is negative")
	ErrSizeOverflow = errors.New("heapwright: size overflows the address space")
	ErrTooLarge     = errors.New("heapwright: size exceeds the pool's maximum")
	ErrAlignment    = errors.New("heapwright: alignment is not a power of two from 8 bytes to 1 MiB")
	ErrExhausted    = errors.New("heapwright: pool exhausted")
	ErrClosed       = errors.New("heapwright: pool is closed")
	ErrReadOnly     = errors.New("heapwright: pool was opened for reading")
	ErrHasPointers  = errors.New("heapwright: type contains Go pointers")
	// ErrDamaged is returned when the pool was damaged again while it was
	// being repaired, and by operations on memory withdrawn after damage.
	ErrDamaged = errors.New("heapwright: memory is damaged")
	// ErrWildPointer matches every *WildPointerError.
	ErrWildPointer = errors.New("heapwright: wild pointer")
	// ErrDoubleFree matches the *WildPointerError of a double free.
	ErrDoubleFree = errors.New("heapwright: double free")
	// ErrStillUsed matches the *UsedNodesError of Close.
	ErrStillUsed = errors.New("heapwright: pool closed with used nodes")
)

// ExhaustedError says why an allocation found no memory. It matches
// ErrExhausted, and the operating system's error where that was the reason.
type ExhaustedError struct {
	Pool        string
	Asked       int    // bytes asked for
	LargestFree uint64 // bytes that the largest free node could serve; 0: none
	Waterline   uint64 // highest number of bytes ever used, headers included
	Size        uint64 // bytes under management
	MaxSize     uint64 // bytes the pool may grow to
	Cause       error  // why growing failed; nil if the maximum was reached
}

func (e *ExhaustedError) Error() string {
	s := fmt.Sprintf("heapwright: pool %s exhausted: asked for %d bytes, largest free node serves %d, waterline %d, size %d of at most %d",
		e.Pool, e.Asked, e.LargestFree, e.Waterline, e.Size, e.MaxSize)
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap returns ErrExhausted and the cause.
func (e *ExhaustedError) Unwrap() []error {
	if e.Cause == nil {
		return []error{ErrExhausted}
	}
	return []error{ErrExhausted, e.Cause}
}

// WildPointerError is returned by Free and Realloc for a pointer that they
// should not have been given. Nothing was changed.
type WildPointerError struct {
	Finding heap.Finding
}

func (e *WildPointerError) Error() string {
	s := "heapwright: " + e.Finding.Summary()
	if f := frames(e.Finding.FirstFree); len(f) > 0 {
		s += "; freed before in " + f[0].String()
	}
	return s
}

// Is matches ErrWildPointer, for a double free also ErrDoubleFree, and for
// memory withdrawn after damage also ErrDamaged.
func (e *WildPointerError) Is(target error) bool {
	switch target {
	case ErrWildPointer:
		return true
	case ErrDoubleFree:
		return e.Finding.Kind == heap.DoubleFree
	case ErrDamaged:
		return e.Finding.Kind == heap.InQuarantine
	}
	return false
}

// UsedNodesError is returned by Close when nodes were still used. The pool is
// closed all the same.
type UsedNodesError struct {
	Pool  string
	Nodes []heap.Node // all of them, in ascending order of address
	Bytes uint64      // their payload
}

func (e *UsedNodesError) Error() string {
	const most = 8
	s := fmt.Sprintf("heapwright: pool %s closed with %d used nodes (%d bytes)", e.Pool, len(e.Nodes), e.Bytes)
	for i := range e.Nodes {
		if i == most {
			return s + fmt.Sprintf("; and %d more", len(e.Nodes)-most)
		}
		n := &e.Nodes[i]
		s += fmt.Sprintf("; %d bytes at %s", n.Size, n.Payload)
		if f := frames(n.Stack); len(f) > 0 {
			s += " from " + f[0].String()
		}
	}
	return s
}

// Is matches ErrStillUsed.
func (e *UsedNodesError) Is(target error) bool { return target == ErrStillUsed }
