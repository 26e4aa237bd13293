package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image/layout"
)

// The RAM of a small device whose program is known: functions, variables, and a
// heap of which it is known what is lost.
//
//	0x20000000  g_queue     the first of the queue's items, each of which points to the next
//	0x20000010  g_middle    points into the middle of a buffer
//	0x20000021  g_packed    six pointers at odd addresses
//	0x20001000  the pool
const (
	ramBase, ramPool = 0x20000000, 0x20001000
	ramSize          = 1 << 16
	ramPacked        = 6
)

// ramSymbols is the program as nm -n -S prints it.
const ramSymbols = `00001000 00000100 T malloc
00001100 00000100 T queue_push
00001200 00000100 T log_dup
00001300 00000100 T log_line
00001400 00000100 T log_text
00001500 00000100 T packet_copy
00001600 00000100 T buffer_init
00001700 00000100 T main
20000000 00000010 D g_queue
20000010 00000010 B g_middle
20000020 00000020 B g_packed
`

// wholeRAM writes such a RAM, and the program's symbols: ram N FILE SYMBOLS.
// In each of N rounds it queues an item, and duplicates a line for the log that
// points to its text, and forgets that: N nodes are lost directly, N through
// them.
func wholeRAM(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: ram N FILE SYMBOLS")
	}
	rounds, err := strconv.Atoi(args[0])
	ts.Check(err)
	ram, err := encodeRAM(rounds)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), ram, 0o666))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(ramSymbols), 0o666))
}

// wordAt is a word to be written.
type wordAt struct{ at, value heap.Addr }

func encodeRAM(rounds int) ([]byte, error) {
	h := layout.LiteOSHeap{Layout: layout.LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true, MulPool: true}, Addr: ramPool}
	var names []string
	add := func(name string, size uint64, stack ...heap.Addr) {
		names = append(names, name)
		h.Nodes = append(h.Nodes, layout.LiteOSNode{Size: size, Task: 3, Stack: stack})
	}
	const malloc, main = 0x1010, 0x1710
	for range ramPacked {
		add("packed", 24, malloc, 0x1510, main)
	}
	add("middle", 200, malloc, 0x1610, main)
	for range rounds {
		add("item", 32, malloc, 0x1110, main)
		add("line", 40, malloc, 0x1210, 0x1310)
		add("text", 100, malloc, 0x1410, 0x1210)
	}
	free := func(size uint64) { h.Nodes = append(h.Nodes, layout.LiteOSNode{Free: true, Size: size}) }
	free(0)
	pool, _, err := h.Encode()
	if err != nil {
		return nil, err
	}
	if len(pool) > ramSize {
		return nil, fmt.Errorf("%d rounds take %d bytes", rounds, len(pool))
	}
	h.Nodes = h.Nodes[:len(h.Nodes)-1]
	free(uint64(ramSize - len(pool)))
	pool, starts, err := h.Encode()
	if err != nil {
		return nil, err
	}
	ram := append(make([]byte, ramPool-ramBase), pool...)
	for _, w := range ramWords(names, starts, heap.Addr(h.Layout.Offsets().Head)) {
		binary.LittleEndian.PutUint32(ram[w.at-ramBase:], uint32(w.value))
	}
	return ram, nil
}

// ramWords are the pointers in the RAM.
func ramWords(names []string, starts []heap.Addr, head heap.Addr) (words []wordAt) {
	queue, packed := heap.Addr(ramBase), heap.Addr(ramBase+0x21)
	for i, name := range names {
		payload := starts[i] + head
		switch name {
		case "packed":
			words = append(words, wordAt{packed, payload})
			packed += 4
		case "middle":
			words = append(words, wordAt{ramBase + 0x10, payload + 64})
		case "item":
			words = append(words, wordAt{queue, payload})
			queue = payload
		case "line":
			words = append(words, wordAt{payload + 4, starts[i+1] + head})
		}
	}
	return words
}
