package damage_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/damage"
	"github.com/heapwright/heapwright/heap"
)

// A dump shows the head of a node; the reader of the dump knows what should be
// there, and where pointers point.
func ExampleOverwrite() {
	front := &heap.Node{Addr: 0x20000000, Payload: 0x20000010, Size: 48, Total: 64}
	o := damage.Overwrite{
		At:       0x20000040,
		Have:     []byte{0x18, 0x00, 0x00, 0x20, 0x20, 0x00, 0x00, 0x20, 0x40, 0x00, 0x00, 0x80},
		Want:     []byte{0xbf, 0xff, 0xff, 0xdf, 0x00, 0x00, 0x01, 0x20, 0x40, 0x00, 0x00, 0x80},
		Known:    []bool{true, true, true, true, true, true, true, true, true, true, true, true},
		Previous: front,
		Subject:  &heap.Node{Addr: 0x20000040, Payload: 0x2000004c, Total: 64},
		Where: func(a heap.Addr) string {
			if a >= front.Payload && a < front.Payload+48 {
				return "the payload of node " + front.Addr.String()
			}
			return ""
		},
	}
	var f heap.Finding
	o.Explain(&f)
	fmt.Println(f.Cause)
	fmt.Println(f.Culprit.Addr, f.CulpritReason)
	// Output:
	// an overflow: the buffer of 48 bytes at 0x20000010 was written past its end with 2 pointers into the payload of node 0x20000000, by at least 7 bytes
	// 0x20000000 overflow: the damage begins where its payload ends
}

func ExampleTraces() {
	f := &heap.Finding{
		Kind:    heap.HeaderDamaged,
		Culprit: &heap.Node{Stack: heap.Stack{0x8128, 0x8200}},
		Stack:   heap.Stack{0x9000},
	}
	for _, t := range damage.Traces(f) {
		fmt.Println(t.Name, t.Stack)
	}
	// Output:
	// culprit allocated in [0x8128 0x8200]
	// noticed in [0x9000]
}

func ExampleBlamed() {
	frames := []heap.Frame{{Function: "OsMemFree"}, {Function: "LOS_MemFree"}, {Function: "uart_close"}, {Function: "main"}}
	fmt.Println(frames[damage.Blamed(frames)].Function)
	// Output:
	// uart_close
}

func ExampleExplainer() {
	const text = `
[ERR][OsMemFindSuitableFreeBlock]: the node information of current node is bad !!
node:0xb80f8 checksum=0x41414141[0x9fecffae] freeNodeInfo.pstPrev=0x41414141 freeNodeInfo.pstNext=0x41414141 preNode=0x41414141 gapSize=0x41414141 sizeAndFlag=0x41414141
[ERR]the backup node information of current node in previous node:
node:0xb74d4 checksum=0xdeab7937[0xdeab7937] freeNodeInfo.pstPrev=0x57b14 freeNodeInfo.pstNext=0x8c418 preNode=0xb74d4 gapSize=0x0 sizeAndFlag=0xc00
[ERR]the detailed information of previous node:
[ERR]************************************************
node:0xb74f8 checksum=0xa1525136[0xa1525136] freeNodeInfo.pstPrev=0xfff48b07 freeNodeInfo.pstNext=0xa preNode=0xb68d4 gapSize=0x0 sizeAndFlag=0x80000c00
[ERR]the address of node :0xb74d4
[ERR]allocated by task: net [ID = 0xa]
[ERR]************************************************
`
	e := damage.NewExplainer(nil)
	for item, err := range console.NewReader(strings.NewReader(text), "console.log").Items() {
		switch {
		case err != nil:
			log.Fatal(err)
		case item.Snapshot != nil:
			e.Add(item.Snapshot)
		default:
			e.Explain(item.Finding)
			fmt.Println(item.Finding.Cause)
		}
	}
	// Output:
	// an overflow: task net's buffer of at most 3000 bytes at 0xb751c was written past its end with 'A' (0x41), by at least 72 bytes if it left no gap
}

func ExamplePlaces() {
	var p damage.Places
	p.Add(heap.Span{Start: 0x20000000, End: 0x20000040}, "the pool's head")
	p.AddNode(&heap.Node{Addr: 0x20000040, Payload: 0x20000050, Total: 64})
	fmt.Println(p.Where(0x20000054))
	fmt.Println(p.Where(0x20000010))
	// Output:
	// the payload of node 0x20000040
	// the pool's head
}
