package image_test

import (
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
