package console

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
)

// RT-Thread, memtrace and memheaptrace, with RT_USING_MEMTRACE. Sources:
// src/mem.c and src/memheap.c of RT-Thread 3.x to 5.x and the listing in its
// documentation. OneOS prints the same.
//
//	msh />memtrace
//	memory heap address:
//	name    : heap                     <- from 4.1 on
//	heap_ptr: 0x20004818
//	...
//	--memory item information --       <- memheaptrace: --memory used information --
//	[0x20004818 -   128] NONE
//	[0x200048a8 -    2K] NONE
//	[0x200050b8 -    12] main
//	[0x200050d4 -   428]               <- free
//	[0x20005290 -    16] main: ***     <- damaged; memheaptrace stops there:
//	[0x60001000 - incorrect magic: 0x41414141
//	msh />
//
// The address is the start of the node. The number is the length of its
// payload: bytes below 1024, then K, cut off, then M (memheaptrace: 12.3M).
// Behind it stand the first four characters of the name of the thread that
// allocated it, NONE before there were threads, and blanks in a free node,
// which is left out. Free or not, nodes follow each other without gaps: the
// next row gives the exact length of the one before.
//
// With the end of the heap, which small memory prints in front, that also gives
// the totals.
//
// There is no call stack. Owner is made of the four characters, so that it is
// the same in every listing; Owners names it.
var rtthread = dialect{
	name:     "RT-Thread memtrace",
	sample:   "--memory item information --",
	keys:     []string{"memory item information --", "memory used information --", "name    : ", "heap_end: 0x"},
	boot:     []string{"- RT -     Thread Operating System"},
	header:   rtthreadHeader,
	row:      rtthreadRow,
	stray:    rtthreadStray,
	prompt:   rtthreadPrompt,
	fragment: func(line []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(line), []byte("[0x")) },
}

// rtthreadLayout remembers the row in front, to be measured by the next one.
type rtthreadLayout struct {
	addr heap.Addr
	min  uint64 // of its payload's length
	max  uint64
	used bool   // it is the node added last
	head uint64 // length of a header; 0: not known yet

	first, end heap.Addr     // of the heap; end 0: unknown
	stats      rtthreadStats // of the rows but the last
	gaps       bool          // rows are missing: there are no totals
}

func rtthreadHeader(line []byte, l *listing) bool {
	line = bytes.TrimSpace(line)
	if !bytes.HasSuffix(line, []byte("--memory item information --")) && !bytes.HasSuffix(line, []byte("--memory used information --")) {
		return false
	}
	y := new(rtthreadLayout)
	for title := range bytes.Lines(l.title) {
		if _, name, ok := bytes.Cut(title, []byte("name    : ")); ok {
			l.pool = nameOf(name)
			y.end = 0
		}
		if _, end, ok := bytes.Cut(title, []byte("heap_end: ")); ok {
			y.end, _ = parseHex(end, 0)
		}
	}
	l.layout = y
	return true
}

var rtthreadStart = []byte("[0x")

// rtthreadValues are what a row says.
type rtthreadValues struct {
	addr     heap.Addr
	width    int
	min, max uint64 // of the payload's length
	name     []byte // without blanks; empty: free
	damaged  bool
	end      int // of the row in the line
}

func rtthreadRow(line []byte, l *listing) bool {
	found := false
	for i := 0; ; {
		j := bytes.Index(line[i:], rtthreadStart)
		if j < 0 {
			return found || rtthreadBroken(line, l)
		}
		i += j
		v, ok := rtthreadRowAt(line, i)
		if !ok {
			i += len(rtthreadStart)
			continue
		}
		v.add(l)
		found = true
		i = v.end
	}
}

// rtthreadBroken reads "[0x60001000 - incorrect magic: 0x41414141", with which
// memheaptrace gives up.
func rtthreadBroken(line []byte, l *listing) bool {
	_, row, _ := bytes.Cut(line, rtthreadStart[:1])
	addr, end := parseHex(row, 0)
	if end == 0 || !bytes.HasPrefix(row[end:], []byte(" - incorrect magic: ")) {
		return false
	}
	v := rtthreadValues{addr: addr}
	l.found = append(l.found, v.finding())
	l.remark("the device stopped at a damaged node")
	l.continued()
	return true
}

// rtthreadRowAt reads "[0x200050b8 -    12] main: ***" at line[i:].
func rtthreadRowAt(line []byte, i int) (v rtthreadValues, ok bool) {
	addr, end := parseHex(line, i+1)
	if end == i+1 || !bytes.HasPrefix(line[end:], []byte(" - ")) {
		return v, false
	}
	v.addr, v.width = addr, end-i-1
	i = skipSpace(line, end+len(" - "))
	if v.min, v.max, i = rtthreadLength(line, i); i == 0 || i == len(line) || line[i] != ']' {
		return v, false
	}
	i++
	// "] main", "]     " and, where blanks were trimmed, "]" or "] id".
	name := line[i:]
	if j := bytes.Index(name, rtthreadStart); j >= 0 {
		name = name[:j]
	}
	v.end = i + len(name)
	name = bytes.TrimPrefix(name, []byte(" "))
	rest := name
	if len(name) > 4 {
		name, rest = name[:4], name[4:]
		v.damaged = bytes.HasPrefix(rest, []byte(": ***"))
	}
	v.name = bytes.Trim(name, " \t\r\x00")
	return v, true
}

// rtthreadLength reads "428", "2K", "3M" or "12.3M" at line[i:] and returns the
// lengths it can stand for, or end 0.
func rtthreadLength(line []byte, i int) (shortest, longest uint64, end int) {
	v, end := parseDec(line, i)
	if end == i || end == len(line) || v > 1<<40 {
		return 0, 0, 0
	}
	tenths := uint64(0)
	if line[end] == '.' {
		d, j := parseDec(line, end+1)
		if j != end+2 || j == len(line) || line[j] != 'M' {
			return 0, 0, 0
		}
		tenths, end = d, j
		return v<<20 + tenths<<20/10, v<<20 + (tenths+1)<<20/10, end + 1
	}
	switch line[end] {
	case 'K':
		return v << 10, v<<10 + 1<<10 - 1, end + 1
	case 'M':
		return v << 20, v<<20 + 1<<20 - 1, end + 1
	}
	return v, v, end
}

// rtthreadMaxHead bounds the length of a header, in bytes. It is 12 to 16 on
// 32-bit devices, up to 56 for memheap on 64-bit ones.
const rtthreadMaxHead = 64

// add measures the row in front and adds the node unless it is free.
func (v *rtthreadValues) add(l *listing) {
	y := l.layout.(*rtthreadLayout)
	if y.addr == 0 {
		y.first = v.addr
	} else if length := y.measure(v.addr); y.used {
		l.last().Total = length
	}
	if y.gaps {
		l.remark("there are gaps between the nodes: rows are missing")
	}
	y.addr, y.min, y.max, y.used = v.addr, v.min, v.max, len(v.name) > 0
	if v.damaged {
		l.found = append(l.found, v.finding())
	}
	if y.used {
		owner := rtthreadOwner(v.name)
		l.name(owner, v.name)
		l.add(v.addr, 0, v.width).Owner = owner
	} else {
		l.continued()
	}
	l.stats = y.totals()
}

// measure returns the length of the row in front, which ends where the next
// one begins, 0 if it cannot be told.
func (y *rtthreadLayout) measure(next heap.Addr) (length uint64) {
	length = uint64(next - y.addr)
	switch {
	case next > y.addr && length > y.min && length <= y.max+rtthreadMaxHead:
		if y.min == y.max {
			y.head = length - y.min
		}
		y.stats.count(y.used, length)
		return length
	case y.min == y.max && y.head > 0:
		length = y.min + y.head
	default:
		length = 0
	}
	y.gaps = true
	return length
}

// totals counts the row in front as the last one, which ends with the heap.
func (y *rtthreadLayout) totals() heap.Stats {
	length := uint64(y.end - y.addr)
	if y.gaps || y.end <= y.addr || length <= y.min || length > y.max+rtthreadMaxHead {
		return heap.Stats{}
	}
	s := y.stats
	s.count(y.used, length)
	return heap.Stats{
		Size: uint64(y.end - y.first), Used: s.used, Free: s.free, LargestFree: s.largest, UsedNodes: s.usedNodes, FreeNodes: s.freeNodes,
	}
}

// rtthreadStats adds up nodes.
type rtthreadStats struct{ used, free, largest, usedNodes, freeNodes uint64 }

func (s *rtthreadStats) count(used bool, length uint64) {
	if used {
		s.used += length
		s.usedNodes++
		return
	}
	s.free += length
	s.freeNodes++
	s.largest = max(s.largest, length)
}

func rtthreadOwner(name []byte) (o heap.Owner) {
	for i, c := range name {
		o |= heap.Owner(c) << (8 * i)
	}
	return o
}

func (v *rtthreadValues) finding() *heap.Finding {
	f := &heap.Finding{
		Kind: heap.HeaderDamaged, Op: "memtrace", Node: v.addr, Stack: heap.Stack{},
		Subject: &heap.Node{Addr: v.addr, Stack: heap.Stack{}},
		Detail:  "the mark in its header is not the one of a node",
		Cause:   "somebody wrote past the end of the memory in front of this node",
		Unseen:  []string{"what else is overwritten: the device compares one word of the header"},
	}
	if len(v.name) > 0 {
		owner := rtthreadOwner(v.name)
		f.Subject.Owner = owner
		f.Owners = map[heap.Owner]string{owner: nameOf(v.name)}
		f.Detail = fmt.Sprintf("%s; as far as it can be believed, thread %q allocated it", f.Detail, f.Owners[owner])
	}
	return f
}

// rtthreadStray looks for rows that begin the line.
func rtthreadStray(line []byte) bool {
	if !bytes.HasPrefix(line, rtthreadStart) {
		return false
	}
	_, ok := rtthreadRowAt(line, 0)
	return ok
}

// rtthreadPrompt recognises "msh >", "msh /dir>" and "finsh >".
func rtthreadPrompt(line []byte) bool {
	i := bytes.Index(line, []byte("sh "))
	if i < 0 {
		return false
	}
	name := line[:i]
	if !bytes.HasSuffix(name, []byte("m")) && !bytes.HasSuffix(name, []byte("fin")) {
		return false
	}
	path := line[i+len("sh "):]
	if len(path) > 0 && path[0] == '/' {
		for i := range path {
			if isSpace(path[i]) {
				return false
			}
			if path[i] == '>' {
				return true
			}
		}
		return false
	}
	return len(path) > 0 && path[0] == '>'
}
