// The program of TestPoolOfKilledProgram: it leaks at one site, keeps a cache at
// another and what it began with at a third, in a pool in the file that it is
// told. It says when it has done so, and waits to be killed.
package main

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/heapwright/heapwright"
)

func must(ptr unsafe.Pointer, err error) unsafe.Pointer {
	if err != nil {
		panic(err)
	}
	return ptr
}

//go:noinline
func start(p *heapwright.Pool) {
	for range 50 {
		must(p.Alloc(64))
	}
}

//go:noinline
func leak(p *heapwright.Pool) { must(p.Alloc(100)) }

var cache [32]unsafe.Pointer

//go:noinline
func remember(p *heapwright.Pool, i int) {
	slot := &cache[i%len(cache)]
	if *slot != nil {
		if err := p.Free(*slot); err != nil {
			panic(err)
		}
	}
	*slot = must(p.Alloc(200))
}

func main() {
	p, err := heapwright.New(heapwright.Config{LeakCheck: true, HeadBackup: true, File: os.Args[1], MaxSize: 4 << 20})
	if err != nil {
		panic(err)
	}
	start(p)
	for i := range 600 {
		if i%3 == 0 {
			leak(p)
		}
		remember(p, i)
		time.Sleep(time.Millisecond)
	}
	fmt.Println("done")
	time.Sleep(time.Minute)
}
