// The program of TestOwnProgram: it leaves a pool in the file that it is told,
// and prints where one node lies. With a second argument it waits to be killed.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/heapwright/heapwright"
)

func main() {
	p, err := heapwright.New(heapwright.Config{Name: "left", LeakCheck: true, HeadBackup: true, File: os.Args[1], MaxSize: 1 << 20})
	if err != nil {
		panic(err)
	}
	q, err := heapwright.New(heapwright.Config{Name: "anonymous", LeakCheck: true, HeadBackup: true, MaxSize: 8 << 20})
	if err != nil {
		panic(err)
	}
	fill(p, 1000)
	fill(q, 2000)
	if len(os.Args) > 2 {
		time.Sleep(time.Minute)
	}
}

//go:noinline
func fill(p *heapwright.Pool, n int) {
	for i := range n {
		ptr, err := p.Alloc(i + 1)
		if err != nil {
			panic(err)
		}
		if i == 0 {
			fmt.Println(p.Addr(), ptr)
		}
	}
}
