package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"debug/elf"
	"io"
	"os"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image"
)

// coreHead is how much of a core is looked at for its program headers, which lie
// at its start.
const coreHead = 1 << 20

// undumped returns how many bytes a program could write to that neither its core
// nor another piece of the dump has, such as memory that it shared with others:
// pointers may be there. Of a core that is read from a pipe it is not known.
func (d *dump) undumped() (n uint64) {
	if d.name == heap.Stdin {
		return 0
	}
	for _, path := range inputFiles([]string{d.name}) {
		for _, s := range leftOut(path) {
			if n += d.lacks(s); n > 1<<62 {
				return n // whatever a damaged core says, it does not come round to 0
			}
		}
	}
	return n
}

// leftOut returns what of a core's writable segments is not in its file.
func leftOut(path string) (all []heap.Span) {
	if special(path) {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var r io.Reader = bufio.NewReader(f)
	if head, _ := r.(*bufio.Reader).Peek(16); image.Recognise(head) == image.Gzip {
		if r, err = gzip.NewReader(r); err != nil {
			return nil
		}
	}
	head, _ := io.ReadAll(io.LimitReader(r, coreHead)) // a short one will do
	core, err := elf.NewFile(bytes.NewReader(head))
	if err != nil || core.Type != elf.ET_CORE {
		return nil
	}
	for _, p := range core.Progs {
		from, to := p.Vaddr+p.Filesz, p.Vaddr+p.Memsz
		if p.Type == elf.PT_LOAD && p.Flags&elf.PF_W != 0 && from >= p.Vaddr && to > from {
			all = append(all, heap.Span{Start: heap.Addr(from), End: heap.Addr(to)})
		}
	}
	return all
}
