package console

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// What RT-Thread prints about a damaged heap: the commands memcheck and
// memheapcheck, and rt_free to version 4.0 and of memheap. Sources: src/mem.c
// and src/memheap.c of RT-Thread 3.1 to 5.x.
//
//	Memory block wrong:
//	   name: heap                          <- from 4.1 on
//	address: 0x20005300                    <- memheapcheck: item: 0x20005300
//	  magic: 0x4141                        <- from 4.1 on: pool: 0x41414141
//	   used: 16705                         <- to 4.0
//	  size: 1094795569
//
//	to free a bad data block:
//	mem: 0x20005300, used flag: 0, magic code: 0x1ea0
//
// The address is that of the node. The magic is 0x1ea0, memheap's 0x1ea01ea0
// with bit 0 set in a used node; from 4.1 on the word holds the address of the
// pool with bit 0 set in a used node.
const (
	rtthreadMagic    = 0x1ea0
	rtthreadHeapFree = 0x1ea01ea0
	// rtthreadReach is how many lines such a report can have.
	rtthreadReach = 8
)

// rtthreadReports turns those lines into findings.
type rtthreadReports struct {
	name string // of the log
	emit func(*heap.Finding)
	boot *int // restarts so far

	open *heap.Finding // to be completed
	at   int           // its line
}

var (
	rtthreadWrong = []byte("Memory block wrong:")
	rtthreadBad   = []byte("to free a bad data block:")
)

func (r *rtthreadReports) line(line []byte, number int) bool {
	wrong := bytes.Contains(line, rtthreadWrong)
	if wrong || bytes.Contains(line, rtthreadBad) {
		r.end()
		r.at = number
		r.open = &heap.Finding{
			Kind: heap.HeaderDamaged, Op: "check", Boot: *r.boot, Source: fmt.Sprintf("%s:%d", r.name, number), Stack: heap.Stack{},
			Detail: "its header is not that of a used node",
			Cause:  "somebody wrote past the end of the memory in front of this node",
			Unseen: []string{"who wrote and when: the device prints no call stack"},
		}
		if !wrong {
			r.open.Op = "free"
			r.open.Cause += ", or the pointer never came from an allocation"
		} else {
			r.open.Detail = "its header contradicts the heap"
		}
		return true
	}
	if r.open == nil {
		return false
	}
	if number-r.at > rtthreadReach {
		r.end()
		return false
	}
	return r.field(line)
}

// field reads a line of the open report.
func (r *rtthreadReports) field(line []byte) bool {
	f := r.open
	if _, rest, ok := bytes.Cut(line, []byte("mem: 0x")); ok && f.Op == "free" {
		r.freed(line[len(line)-len(rest)-len("0x"):])
		r.end()
		return true
	}
	key, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(": "))
	if i := bytes.LastIndexByte(key, ' '); i >= 0 {
		key = key[i+1:]
	}
	if !ok {
		return false
	}
	switch string(key) {
	case "name":
		f.Pool = nameOf(value)
	case "address", "item":
		f.Node, _ = parseHex(value, 0)
		f.Subject = &heap.Node{Addr: f.Node, Stack: heap.Stack{}}
		if string(key) == "item" {
			r.end()
		}
	case "magic", "pool", "used":
		f.Fields = append(f.Fields, heap.Field{Name: string(key), Header: nameOf(value)})
	case "size":
		f.Fields = append(f.Fields, heap.Field{Name: "size", Header: nameOf(value)})
		r.end()
	default:
		return false
	}
	return true
}

// freed reads "0x20005300, used flag: 0, magic code: 0x1ea0".
func (r *rtthreadReports) freed(b []byte) {
	f := r.open
	f.Node, _ = parseHex(b, 0)
	f.Subject = &heap.Node{Addr: f.Node, Stack: heap.Stack{}}
	_, used, flag := bytes.Cut(b, []byte("used flag: "))
	_, code, ok := bytes.Cut(b, []byte("magic code: "))
	magic, end := parseHex(code, 0)
	if !ok || end == 0 {
		f.Partial = "not in the log: the rest of the report"
		return
	}
	if flag {
		value, _, _ := bytes.Cut(used, []byte(","))
		f.Fields = append(f.Fields, heap.Field{Name: "used", Header: nameOf(value)})
	}
	f.Fields = append(f.Fields, heap.Field{Name: "magic", Header: nameOf(code[:end])})
	if flag && magic == rtthreadMagic && bytes.HasPrefix(used, []byte("0,")) || !flag && magic == rtthreadHeapFree {
		f.Kind = heap.DoubleFree
		f.Detail = "its header is whole and says that it is free"
		f.Cause = "the memory was freed before and then freed again"
	}
}

// end hands out the report that is being read.
func (r *rtthreadReports) end() {
	f := r.open
	r.open = nil
	if f == nil {
		return
	}
	if f.Node == 0 {
		f.Partial = "not in the log: the address of the node"
	}
	r.emit(f)
}
