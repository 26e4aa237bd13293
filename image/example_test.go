package image_test

import (
	"debug/elf"
	"encoding/binary"
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image"
)

// A LiteOS pool begins with its own address and its size.
func ExampleOpen() {
	base := heap.Addr(0x578c0)
	m, err := image.Open("testdata/both-clean.bin.gz", image.Options{Base: &base})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	fmt.Println(m.Format(), m.Based(), m.Partial() == "")
	head := m.View(base, 8)
	fmt.Println(heap.Addr(binary.LittleEndian.Uint32(head)), binary.LittleEndian.Uint32(head[4:]))
	fmt.Println(m.Size(), m.View(base, m.Size()+1) == nil)
	// Output:
	// raw, gzip true true
	// 0x578c0 16418624
	// 16418624 true
}

// What a core tells of a thread's registers is the root of what it can reach.
func ExampleRegisterName() {
	t := image.Thread{ID: 1, Regs: []uint64{4: 0x20001b04, 13: 0x20007f00, 15: 0x8001a10}}
	for i, v := range t.Regs {
		if v != 0 {
			fmt.Printf("%s of thread %d: %#x\n", image.RegisterName(elf.EM_ARM, i), t.ID, v)
		}
	}
	// Output:
	// r4 of thread 1: 0x20001b04
	// sp of thread 1: 0x20007f00
	// pc of thread 1: 0x8001a10
}
