package damage_test

import (
	"fmt"
	"log"
	"strings"

	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/damage"
)

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
