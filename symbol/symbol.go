// Package symbol turns the return addresses recorded in a heap's nodes into
// functions, files and lines.
//
// They come from a file that belongs to the observed program: its ELF file with
// or without debug information, what nm printed of it, or the map file of its
// linker. Every one ends up in the same sorted table of functions; debug
// information adds files, lines and inlined functions. Process resolves the
// addresses of the running Go program.
//
// Whoever reads memory asks the same file where variables lie, which memory the
// program could write to, and how its structures are laid out. A program that
// may be loaded anywhere is shifted (Table.Shifted) by what the mappings in a
// core show (Table.Bias).
package symbol

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/heapwright/heapwright/heap"
)

// None resolves nothing: every address becomes a frame that knows only its
// address.
var None heap.Symbolizer = none{}

type none struct{}

func (none) Frames(lr heap.Addr) []heap.Frame { return []heap.Frame{{Addr: lr}} }

// A Table resolves return addresses and says where variables lie and what
// structures look like. It implements heap.Symbolizer and heap.Program and may
// be used by several goroutines at a time. What it tells does not change; what it
// has to read for that it reads when it is first asked.
type Table struct {
	functions []function // in ascending order of start, disjoint but for nesting
	reach     []uint64   // reach[i] is the largest end in functions[:i+1]
	kind      string
	debug     *dwarfData // nil: no debug information
	code      *code      // nil: not an ELF file
	mappings  []heap.Mapping
	variables []variable // in ascending order of name
	byAddress []int32    // numbers in variables, in ascending order of address
	data      []heap.Section
	path      string    // of the file; empty: not known
	segments  []segment // of an ELF file, those that are loaded
	movable   bool
	trouble   string // what is missing
	names     nameCache
}

type function struct {
	start, end uint64 // [start, end)
	name       string // as the linker knows it
}

// ErrUnknownFormat says that a file is none of the formats that Open reads.
var ErrUnknownFormat = errors.New("neither an ELF file, nor the output of nm, nor a linker's map file")

// Open reads the symbols in the file at path, which its content shows to be an
// ELF file, nm text, or a map file of GNU ld or armlink. The error says what the
// file lacks and wraps ErrUnknownFormat where it is none of them.
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
	head, err := in.Peek(16 << 10)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var t *Table
	switch {
	case bytes.HasPrefix(head, []byte("\x7fELF")):
		t, err = ReadELF(f)
	case isGNUMap(head):
		t, err = ReadGNUMap(in)
	case isArmlinkMap(head):
		t, err = ReadArmlinkMap(in)
	default:
		t, err = ReadNM(in)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.path = path
	for i := range t.mappings {
		t.mappings[i].File = path
	}
	return t, nil
}

// Len returns the number of functions in the symbol table.
func (t *Table) Len() int { return len(t.functions) }

// ELF reports whether the table comes from an ELF file.
func (t *Table) ELF() bool { return t.code != nil }

// Kind says where the names of functions come from: "nm text", "GNU ld map",
// "armlink map", "ELF .symtab", "ELF .dynsym", or "ELF .debug_info" for a file
// that has debug information only.
func (t *Table) Kind() string { return t.kind }

// Lines reports whether files and lines are known. Without them frames have the
// names of functions only.
func (t *Table) Lines() bool { return t.debug != nil && t.debug.line != "" }

// Mappings returns the executable segments of an ELF file, in ascending order,
// at the addresses they were linked for. It returns nil for other files.
func (t *Table) Mappings() []heap.Mapping { return slices.Clone(t.mappings) }

// Partial says what of the file could not be read, as far as that has shown;
// "" if nothing. Debug information is read when it is first needed, so ask
// when all addresses have been resolved.
func (t *Table) Partial() string {
	var all []string
	if t.trouble != "" {
		all = append(all, t.trouble)
	}
	if t.debug != nil {
		if s := t.debug.partial(); s != "" {
			all = append(all, s)
		}
	}
	return strings.Join(all, "; ")
}

// Frames returns the function that holds the call which returns to lr, in
// front of it the functions that the compiler inlined there, innermost first.
// All but the last are marked Inlined; file and line of the outer ones are
// those of the call. Names of C++ and Rust are readable ones, without
// parameters; files have the full names that the compiler recorded.
//
// The call lies in front of the return address, which may already belong to
// the next function or line, so the byte before it is looked up. Bit 0 is
// cleared first: on Thumb it is set and no part of the address, and elsewhere
// the byte found is still one of the call instruction, which has at least two.
// Where code is at hand and there is no call in front of lr but one at it, lr
// is taken for the address of that call, which is what some devices record.
func (t *Table) Frames(lr heap.Addr) []heap.Frame {
	pc, ok := t.site(uint64(lr))
	if !ok {
		return []heap.Frame{{Addr: lr}}
	}
	var buf [8]heap.Frame
	frames := slices.Clone(t.lookup(pc, buf[:0]))
	for i := range frames {
		frames[i].Addr = lr
		frames[i].Function = t.names.readable(frames[i].Function)
	}
	return frames
}

// site returns an address inside the call instruction that recorded lr.
func (t *Table) site(lr uint64) (pc uint64, ok bool) {
	if t.code != nil {
		lr = t.code.clean(lr)
		if behind, at, ok := t.code.call(lr); ok && at && !behind {
			return lr, true
		}
	}
	lr &^= 1
	return lr - 1, lr > 0
}

// lookup appends the frames at pc, innermost first, with names as the linker
// knows them.
func (t *Table) lookup(pc uint64, frames []heap.Frame) []heap.Frame {
	var file string
	var line uint32
	if t.debug != nil {
		if data := t.debug.find(pc); data != nil {
			var buf [16]*funcEntry
			var number uint32
			var start uint64
			if number, line, start = data.lineAt(pc); line > 0 {
				file = data.lines.file(number)
			}
			chain := data.chain(pc, buf[:0])
			for i, f := range chain {
				name := f.name
				if i == len(chain)-1 && !mangled(name) {
					// Of a C++ function that other files do not see, such as a
					// lambda's, the debug information has the bare name.
					if s := t.find(pc); s != nil && (name == "" || mangled(s.name) && data.same(pc, s.start)) {
						name = s.name
					}
				}
				frames = append(frames, frame(name, file, line, i < len(chain)-1))
				if file, line = "", 0; f.callLine > 0 && data.lines != nil {
					file, line = data.lines.file(f.callFile), f.callLine
				}
			}
			if len(chain) > 0 {
				return frames
			}
			if line > 0 {
				return append(frames, frame(t.functionSince(pc, start), file, line, false))
			}
		}
	}
	return append(frames, frame(t.functionAt(pc), file, line, false))
}

// frame leaves out a line that has no file.
func frame(name, file string, line uint32, inlined bool) heap.Frame {
	if file == "" {
		line = 0
	}
	return heap.Frame{Function: name, File: file, Line: int(line), Inlined: inlined}
}

// functionAt returns the name that the symbol table has for pc, or "".
func (t *Table) functionAt(pc uint64) string {
	if f := t.find(pc); f != nil {
		return f.name
	}
	return ""
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

// functionSince is functionAt, but what follows a function up to the next one,
// which lines are told for, belongs to it too: padding and constants. start is
// where those lines begin.
func (t *Table) functionSince(pc, start uint64) string {
	if name := t.functionAt(pc); name != "" {
		return name
	}
	i := sort.Search(len(t.functions), func(i int) bool { return t.functions[i].start > pc }) - 1
	if i < 0 || t.functions[i].start < start {
		return ""
	}
	return t.functions[i].name
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
