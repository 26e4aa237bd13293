package shell_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/shell"
)

// A program serves its console on a Unix socket. From a terminal,
//
//	socat READLINE UNIX-CONNECT:/run/cache/heap.sock
//
// opens a session. Whoever can open the socket can use the console, so it
// belongs in a directory that is the program's own.
func ExampleShell_Run() {
	pool, err := heapwright.New(heapwright.Config{Name: "cache", LeakCheck: true, HeadBackup: true})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()

	dir, err := os.MkdirTemp("", "heapwright")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "heap.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	defer listener.Close()
	console := shell.New(shell.Config{Pool: pool})
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go func() {
				defer conn.Close()
				if err := console.Run(conn); err != nil {
					log.Print(err)
				}
			}()
		}
	}()

	// In place of socat.
	conn, err := net.Dial("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprint(conn, "memcheck\nmark\nexit\n")
	io.Copy(os.Stdout, conn)
	// Output:
	// system memcheck over, all passed!
	//
	// mark "mark": 0 used nodes in pool cache
}

// A single command, for a log or a page.
func ExampleShell_Exec() {
	pool, err := heapwright.New(heapwright.Config{Name: "cache", HeadBackup: true})
	if err != nil {
		log.Fatal(err)
	}
	defer pool.Close()
	if err := shell.New(shell.Config{Pool: pool}).Exec("memcheck", os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output: system memcheck over, all passed!
}
