// Package symbol turns the return addresses recorded in a heap's nodes into
// function names.
//
// Names come from a file that belongs to the observed program: its ELF file or
// what nm printed of it. Both end up in the same sorted table of functions.
package symbol

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// None resolves nothing: every address becomes a frame that knows only its
// address.
var None heap.Symbolizer = none{}

type none struct{}

func (none) Frames(lr heap.Addr) []heap.Frame { return []heap.Frame{{Addr: lr}} }

// A Table resolves return addresses to functions. It implements
// heap.Symbolizer, does not change once made, and may be used by several
// goroutines at a time.
type Table struct {
	functions []function // in ascending order of start, disjoint but for nesting
	reach     []uint64   // reach[i] is the largest end in functions[:i+1]
	kind      string
}

type function struct {
	start, end uint64 // [start, end)
	name       string
}

// ErrUnknownFormat says that a file is neither of the formats that Open reads.
var ErrUnknownFormat = errors.New("neither an ELF file nor the output of nm")

// Open reads the symbols in the file at path, which its content shows to be an
// ELF file or nm text. The error says what the file lacks and wraps
// ErrUnknownFormat where it is neither.
func Open(path string) (*Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, err
	} else if st.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	in := bufio.NewReaderSize(f, 64<<10)
	magic, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var t *Table
	if bytes.Equal(magic, []byte("\x7fELF")) {
		t, err = ReadELF(f)
	} else {
		t, err = ReadNM(in)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// Len returns the number of functions.
func (t *Table) Len() int { return len(t.functions) }

// ELF reports whether the table comes from an ELF file.
func (t *Table) ELF() bool { return strings.HasPrefix(t.kind, "ELF ") }

// Kind says where the names come from: "nm text", "ELF .symtab" or
// "ELF .dynsym".
func (t *Table) Kind() string { return t.kind }

// Frames returns the function that holds the call which returns to lr. The
// call lies in front of the return address, which may already belong to the
// next function, so the byte before it is looked up. Bit 0 is cleared first:
// on Thumb it is set and no part of the address, and elsewhere the byte found
// is still one of the call instruction, which has at least two.
func (t *Table) Frames(lr heap.Addr) []heap.Frame {
	frame := heap.Frame{Addr: lr}
	if a := uint64(lr) &^ 1; a > 0 {
		if f := t.find(a - 1); f != nil {
			frame.Function = f.name
		}
	}
	return []heap.Frame{frame}
}

// find returns the innermost function that contains pc, nil if there is none.
func (t *Table) find(pc uint64) *function {
	i := sort.Search(len(t.functions), func(i int) bool { return t.functions[i].start > pc }) - 1
	// Functions hardly ever nest; the bound is for files made to hurt.
	for range 64 {
		if i < 0 || t.reach[i] <= pc {
			return nil
		}
		if pc < t.functions[i].end {
			return &t.functions[i]
		}
		i--
	}
	return nil
}

// Coverage returns how many different return addresses there are in stacks,
// and how many of them s resolves to a function. Symbols of the program that
// was observed resolve nearly all of them; less than half means that the file
// is another program's, or another build's.
func Coverage(s heap.Symbolizer, stacks []heap.Stack) (resolved, total int) {
	seen := make(map[heap.Addr]bool)
	for _, stack := range stacks {
		for _, lr := range stack {
			if lr == 0 || seen[lr] {
				continue
			}
			seen[lr] = true
			total++
			for _, f := range s.Frames(lr) {
				if f.Function != "" {
					resolved++
					break
				}
			}
		}
	}
	return resolved, total
}
