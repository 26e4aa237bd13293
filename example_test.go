package heapwright_test

import (
	"errors"
	"fmt"
	"log"
	"strings"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
)

func Example() {
	p, err := heapwright.New(heapwright.Config{Name: "cache"})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	b, err := p.AllocBytes(11)
	if err != nil {
		log.Fatal(err)
	}
	copy(b, "outside GC!")
	fmt.Println(string(b))

	s := p.Stats()
	fmt.Println(s.UsedNodes, "node,", s.Payload, "bytes")
	if err := p.FreeBytes(b); err != nil {
		log.Fatal(err)
	}
	// Output:
	// outside GC!
	// 1 node, 11 bytes
}

// With LeakCheck a pool tells where each used node was allocated.
func ExamplePool_Snapshot() {
	p, err := heapwright.New(heapwright.Config{LeakCheck: true})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	p.AllocBytes(100) // nobody frees this

	snap, err := p.Snapshot()
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range snap.Nodes {
		caller := heapwright.Frames(n.Stack)[0]
		fmt.Println(n.Size, "bytes from", caller.Function[strings.LastIndex(caller.Function, ".")+1:])
	}
	// Output: 100 bytes from ExamplePool_Snapshot
}

// With HeadBackup an overwritten control header is restored from its backup, and
// the finding names the node whose memory overflowed.
func ExampleConfig_onFinding() {
	p, err := heapwright.New(heapwright.Config{
		LeakCheck:  true,
		HeadBackup: true,
		OnFinding: func(f heap.Finding) {
			fmt.Println(f.Kind, "noticed by", f.Op)
			fmt.Println("overwritten with", f.Reach)
			fmt.Println("culprit:", f.Culprit.Size, "bytes,", f.CulpritReason)
			fmt.Println("restored:", f.Repaired && f.Recovered)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	a, _ := p.AllocBytes(3008)
	b, _ := p.AllocBytes(3008)
	tooLong := unsafe.Slice(unsafe.SliceData(a), 3008+64)
	copy(tooLong[3008:], strings.Repeat("A", 64)) // past the end of a

	if err := p.FreeBytes(b); err != nil { // works all the same
		log.Fatal(err)
	}
	p.FreeBytes(a)
	// Output:
	// header-damaged noticed by free
	// overwritten with byte 0x41 ('A') repeated
	// culprit: 3008 bytes, overflow: the damage begins where its payload ends
	// restored: true
}

// A wild pointer is reported at once and changes nothing.
func ExamplePool_Free() {
	p, err := heapwright.New(heapwright.Config{OnFinding: func(heap.Finding) {}})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	q, _ := p.Alloc(100)
	err = p.Free(unsafe.Add(q, 8))
	var wild *heapwright.WildPointerError
	fmt.Println(errors.As(err, &wild), wild.Finding.Kind, wild.Finding.Expected == heap.Addr(uintptr(q)))
	fmt.Println(p.Free(q))
	err = p.Free(q)
	fmt.Println(errors.Is(err, heapwright.ErrDoubleFree))
	// Output:
	// true unaligned-pointer true
	// <nil>
	// true
}

// Types without Go pointers can be allocated as such.
func ExampleAllocSlice() {
	p, err := heapwright.New(heapwright.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()

	type point struct{ X, Y int32 }
	points, err := heapwright.AllocSlice[point](p, 1000)
	if err != nil {
		log.Fatal(err)
	}
	points[999] = point{3, 4}
	fmt.Println(len(points), points[999], heapwright.FreeSlice(p, points))

	_, err = heapwright.AllocSlice[struct{ Name string }](p, 1)
	fmt.Println(err)
	// Output:
	// 1000 {3 4} <nil>
	// heapwright: type contains Go pointers: struct { Name string }.Name is a string
}
