package heapwright_test

import (
	"errors"
	"strings"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

//go:noinline
func freeHere(b *bed, p unsafe.Pointer) error { return b.Free(p) }

func TestWildPointers(t *testing.T) {
	other := newBed(t, heapwright.Config{Name: "other"})
	theirs := other.alloc(100)
	var local [64]byte

	for _, cfg := range []heapwright.Config{both, {LeakCheck: true}, {HeadBackup: true}, {}} {
		for _, c := range []struct {
			name   string
			kind   heap.Kind
			ptr    func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer
			expect func(x, y, z unsafe.Pointer) unsafe.Pointer // what it should have been
			freed  bool                                        // the first free's stack is known
		}{
			{name: "nil", kind: heap.NilPointer, ptr: func(*bed, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer) unsafe.Pointer { return nil }},
			{name: "stack", kind: heap.OutsidePool, ptr: func(*bed, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer) unsafe.Pointer {
				return unsafe.Pointer(&local)
			}},
			{name: "other pool", kind: heap.OtherPool, ptr: func(*bed, unsafe.Pointer, unsafe.Pointer, unsafe.Pointer) unsafe.Pointer { return theirs }},
			{name: "pool head", kind: heap.InPoolControl, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer {
				return unsafe.Pointer(unsafe.SliceData(b.region))
			}},
			{
				name: "unaligned", kind: heap.Unaligned, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer { return unsafe.Add(y, 3) },
				expect: func(x, y, z unsafe.Pointer) unsafe.Pointer { return y },
			},
			{
				name: "inside", kind: heap.InsideNode, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer { return unsafe.Add(y, 2000) },
				expect: func(x, y, z unsafe.Pointer) unsafe.Pointer { return y },
			},
			{
				name: "header", kind: heap.InsideNode, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer { return unsafe.Add(y, -16) },
				expect: func(x, y, z unsafe.Pointer) unsafe.Pointer { return y },
			},
			{name: "double free", kind: heap.DoubleFree, freed: true, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer {
				freeHere(b, y)
				return y
			}},
			{name: "double free, coalesced", kind: heap.DoubleFree, freed: true, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer {
				freeHere(b, y)
				b.Free(x)
				b.Free(z)
				return y
			}},
			{name: "inside a free node", kind: heap.InsideFree, freed: true, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer {
				freeHere(b, y)
				return unsafe.Add(y, 160)
			}},
			{name: "double free, handed out again", kind: heap.InsideNode, freed: true, ptr: func(b *bed, x, y, z unsafe.Pointer) unsafe.Pointer {
				freeHere(b, y)
				b.Free(x)
				if b.alloc(5000) != x {
					b.Fatal("x and y were not coalesced")
				}
				return y
			}, expect: func(x, y, z unsafe.Pointer) unsafe.Pointer { return x }},
		} {
			for _, op := range []string{"free", "realloc"} {
				b := newBed(t, cfg)
				x, y, z := b.three(3000)
				guard := b.alloc(16)
				ptr := c.ptr(b, x, y, z)
				stats := b.Stats()
				var err error
				if op == "free" {
					err = b.Free(ptr)
				} else {
					_, err = b.Realloc(ptr, 64)
				}
				var wild *heapwright.WildPointerError
				if !errors.As(err, &wild) || !errors.Is(err, heapwright.ErrWildPointer) {
					t.Fatalf("%s of %s: %v", op, c.name, err)
				}
				f := b.only(c.kind)
				if wild.Finding.Kind != f.Kind || f.Op != op || f.Pointer != addrOf(ptr) {
					t.Errorf("%s of %s: finding %s, error %v", op, c.name, f.Summary(), err)
				}
				if c.expect != nil && f.Expected != addrOf(c.expect(x, y, z)) {
					t.Errorf("%s of %s: expected %s, want %p", op, c.name, f.Expected, c.expect(x, y, z))
				}
				if fr := heapwright.Frames(f.Stack); len(fr) == 0 || !strings.HasSuffix(fr[0].Function, "TestWildPointers") {
					t.Errorf("%s of %s: stack %v", op, c.name, fr)
				}
				if fr := heapwright.Frames(f.FirstFree); c.freed && cfg.LeakCheck && (len(fr) == 0 || !strings.HasSuffix(fr[0].Function, "freeHere")) {
					t.Errorf("%s of %s: first free %v", op, c.name, fr)
				}
				if errors.Is(err, heapwright.ErrDoubleFree) != (c.kind == heap.DoubleFree) {
					t.Errorf("%s of %s: %v", op, c.name, err)
				}
				if b.Stats() != stats {
					t.Errorf("%s of %s changed the pool from %+v to %+v", op, c.name, stats, b.Stats())
				}
				b.sound()
				b.Free(guard)
			}
		}
	}
}
