package console

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// What ESP-IDF prints about a damaged heap, with heap poisoning. Sources:
// components/heap/multi_heap_poisoning.c, the panic handler, and the
// documentation of fatal errors.
//
//	CORRUPT HEAP: Bad tail at 0x3ffe270a. Expected 0xbaad5678 got 0xbaac5678
//	CORRUPT HEAP: Bad head at 0x3fcaa9d0. Expected 0xabba1234 got 0x3fc995d4
//	CORRUPT HEAP: Invalid data at 0x3c0675a0. Expected 0xfefefefe got 0x4d684d68
//	assert failed: multi_heap_free multi_heap_poisoning.c:259 (head != NULL)
//	Backtrace: 0x4008e6c0:0x3ffc1780 0x4008e8b7:0x3ffc17a0 |<-CORRUPTED
//
// The head is a guard word and the size that was asked for, 8 bytes in front
// of the payload; the tail a guard word right behind it. Invalid data is free
// memory, which comprehensive poisoning fills with 0xfe. All devices are
// little-endian.
//
// A backtrace is pairs of program counter and stack pointer, innermost first.
// One with CORRUPTED behind it ends where the device could not go on.
// The device prints return addresses less 3, so that they lie within the call;
// a Stack holds return addresses. RISC-V devices print no backtrace.
const (
	espidfHeadSize  = 8
	espidfFreeWord  = 0xfefefefe
	espidfReach     = 60  // lines behind a report in which its backtrace is looked for
	espidfMaxMemory = 256 // bytes that a finding shows
)

// espidfReports turns those lines into findings.
type espidfReports struct {
	name string // of the log
	emit func(*heap.Finding)
	boot *int // restarts so far

	open  *heap.Finding // to be completed
	at    int           // the line it was read in last
	got   uint64        // instead of the guard word
	wrong int           // words of free memory that are wrong
	next  heap.Addr     // behind the last of them
}

var espidfCorrupt = []byte("CORRUPT HEAP: ")

func (e *espidfReports) line(line []byte, number int) bool {
	if e.open == nil {
		if i := bytes.Index(line, espidfCorrupt); i >= 0 {
			e.begin(line[i+len(espidfCorrupt):], number)
			return true
		}
		return false
	}
	if number-e.at > espidfReach {
		e.end()
		return e.line(line, number)
	}
	if i := bytes.Index(line, espidfCorrupt); i >= 0 {
		e.begin(line[i+len(espidfCorrupt):], number)
		return true
	}
	if _, after, ok := bytes.Cut(line, []byte("Backtrace:")); ok {
		e.open.Stack, e.open.Frames = espidfBacktrace(after)
		e.end()
		return true
	}
	if i := bytes.Index(line, []byte("assert")); i >= 0 {
		return e.assertion(line[i:])
	}
	if bytes.Contains(line, []byte("Rebooting...")) {
		e.end()
		return true
	}
	return false
}

// end hands out the finding that is being completed.
func (e *espidfReports) end() {
	f := e.open
	if f == nil {
		return
	}
	e.open = nil
	if f.Kind == heap.HeaderDamaged && f.Subject != nil && e.got == espidfFreeWord && f.Op == "free" {
		f.Kind, f.Pointer, f.Span, f.Reach = heap.DoubleFree, f.Subject.Payload, heap.Span{}, ""
		f.Detail = "the guard word in front of it holds the pattern of free memory"
		f.Cause = "the memory was freed before and then freed again"
		f.Unseen = []string{"who freed the memory first: the device does not record it"}
	}
	if f.Kind == heap.FreeDamaged && e.wrong > 1 {
		f.Detail = fmt.Sprintf("%d words of free memory do not hold the fill pattern", e.wrong)
	}
	e.emit(f)
}

// begin reads what stands behind "CORRUPT HEAP: ".
func (e *espidfReports) begin(text []byte, number int) {
	where, rest, _ := bytes.Cut(text, []byte(" at "))
	at, i := parseHex(rest, 0)
	expected, got, size := espidfWords(rest[i:])
	if e.open != nil && e.open.Kind == heap.FreeDamaged && size > 0 && string(where) == "Invalid data" && at == e.next {
		e.more(at, got, size)
		e.at = number
		return
	}
	e.end()
	f := &heap.Finding{Op: "check", Boot: *e.boot, Source: fmt.Sprintf("%s:%d", e.name, number), Stack: heap.Stack{}}
	e.open, e.at, e.got, e.wrong, e.next = f, number, got, 1, at+heap.Addr(size)
	if size == 0 || i == 0 {
		f.Kind = heap.LinkBroken
		f.Detail = "the device says: " + plain.Clean(strings.ToValidUTF8(string(bytes.TrimSpace(text)), "?"))
		if i > 0 {
			f.Node = at
		}
		return
	}
	var have, want [8]byte
	binary.LittleEndian.PutUint64(have[:], got)
	binary.LittleEndian.PutUint64(want[:], expected)
	first, last := 0, size
	for first < size-1 && have[first] == want[first] {
		first++
	}
	for last > first+1 && have[last-1] == want[last-1] {
		last--
	}
	f.Memory = []heap.Memory{{Addr: at, Bytes: append([]byte(nil), have[:size]...)}}
	f.Span = heap.Span{Start: at + heap.Addr(first), End: at + heap.Addr(last)}
	is := fmt.Sprintf("should be 0x%0*x and is 0x%0*x", 2*size, expected, 2*size, got)
	switch string(where) {
	case "Bad head":
		f.Kind, f.Node = heap.HeaderDamaged, at
		f.Subject = &heap.Node{Addr: at, Payload: at + espidfHeadSize, Stack: heap.Stack{}}
		f.Detail = "the guard word in front of the payload " + is
		f.Cause = "somebody wrote past the end of the memory in front of this node, or in front of the start of its own"
		f.Unseen = []string{"which memory is in front of the node, and who allocated either: the device does not say it"}
	case "Bad tail":
		f.Kind = heap.HeaderDamaged
		f.Detail = fmt.Sprintf("the guard word at %s, behind a payload, %s", at, is)
		f.Reach = fmt.Sprintf("%d bytes past the end of the payload at least", last)
		f.Cause = "the user of the memory that ends there wrote past its end"
		f.Unseen = []string{"where that memory begins, and who allocated it: the device does not say it"}
	default:
		f.Kind = heap.FreeDamaged
		f.Detail = "a word of free memory " + is
		f.Cause = "somebody wrote to memory after freeing it, or far past the end of the memory in front of it"
		f.Unseen = []string{"who had the memory before: the device does not record it"}
	}
}

// more adds the next word of free memory to the open finding.
func (e *espidfReports) more(at heap.Addr, got uint64, size int) {
	f := e.open
	e.wrong++
	e.next = at + heap.Addr(size)
	f.Span.End = e.next
	if m := &f.Memory[0]; len(m.Bytes) < espidfMaxMemory && at == m.Addr+heap.Addr(len(m.Bytes)) {
		var have [8]byte
		binary.LittleEndian.PutUint64(have[:], got)
		m.Bytes = append(m.Bytes, have[:size]...)
	}
}

// espidfWords reads ". Expected 0xbaad5678 got 0xbaac5678" and returns the
// words and their size in bytes, 0 if they are not there.
func espidfWords(b []byte) (expected, got uint64, size int) {
	const before, between = ". Expected ", " got "
	if !bytes.HasPrefix(b, []byte(before)) {
		return 0, 0, 0
	}
	x, i := parseHex(b, len(before))
	if !bytes.HasPrefix(b[i:], []byte(between)) {
		return 0, 0, 0
	}
	y, j := parseHex(b, i+len(between))
	size = (j - i - len(between) - len("0x")) / 2
	if i-len(before) != j-i-len(between) || size < 1 || size > 8 {
		return 0, 0, 0
	}
	return uint64(x), uint64(y), size
}

// espidfOps are the operations of the functions that check.
var espidfOps = []struct{ function, op string }{
	{"multi_heap_free", "free"},
	{"multi_heap_realloc", "realloc"},
	{"multi_heap_malloc", "alloc"},
	{"multi_heap_aligned_free", "free"},
	{"multi_heap_get_allocated_size", "size"},
}

// assertion reads "assert failed: FUNCTION FILE:LINE (CONDITION)", and what it
// looked like before 4.4: "assertion "X" failed: file F, line N, function: FUNCTION".
func (e *espidfReports) assertion(line []byte) bool {
	if !bytes.Contains(line, []byte(" failed: ")) {
		return false
	}
	for _, o := range espidfOps {
		if bytes.Contains(line, []byte(o.function)) {
			e.open.Op = o.op
		}
	}
	return true
}

// espidfBacktrace reads pairs "PC:SP".
func espidfBacktrace(b []byte) (stack heap.Stack, frames []heap.Addr) {
	stack = heap.Stack{}
	for i := skipSpace(b, 0); len(stack) < maxLevels; i = skipSpace(b, i) {
		pc, j := parseHex(b, i)
		if j == i || j == len(b) || b[j] != ':' {
			break
		}
		var sp heap.Addr
		if sp, i = parseHex(b, j+1); i == j+1 {
			break
		}
		stack = append(stack, pc+3)
		frames = append(frames, sp)
	}
	return stack, frames
}
