// Command heapwright finds memory leaks and heap damage in the logs and dumps
// of devices, and in Go programs that use its memory manager.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:]))
}
