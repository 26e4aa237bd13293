package symbol

import (
	"io"
	"strconv"
	"strings"
)

// gnuMapLines are lines that begin the parts of a map of GNU ld in front of
// the one that matters. It starts with one of them.
var gnuMapLines = []string{
	"Archive member included to satisfy reference by file (symbol)",
	"Archive member included because of file (symbol)", // before 2.25
	"As-needed library included to satisfy reference by file (symbol)",
	"Merging program properties",
	"Allocating common symbols",
	"Discarded input sections",
	"There are no discarded input sections",
	"Memory Configuration",
	gnuMapStart,
}

const gnuMapStart = "Linker script and memory map"

func isGNUMap(head []byte) bool {
	return startsWithLine(head, func(line string) bool {
		for _, l := range gnuMapLines {
			if line == l {
				return true
			}
		}
		return false
	})
}

// ReadGNUMap reads the map that GNU ld writes with -Map (-Wl,-Map=FILE), in
// English. Format: the GNU linker's manual, option -M, and ldlang.c of
// binutils. Below "Linker script and memory map", every input section is a line
// with address, size and file, broken behind a long name; the global symbols in
// it follow, with their addresses:
//
//	.text           0x00008000     0x1234
//	 .text.sensor_read_sample
//	                0x00008128       0x74 sensor.o
//	                0x00008128                sensor_read_sample
//	 .text          0x0000819c       0x28 uart.o
//	                0x0000819c                uart_open
//
// A map does not name local functions. Where the compiler gave every function a
// section of its own (-ffunction-sections), the section's name tells it;
// otherwise an address in a local function gets the name of the global function
// in front of it in the same input section, or none.
//
// It returns an error that wraps ErrUnknownFormat if the text is no such map.
func ReadGNUMap(r io.Reader) (*Table, error) {
	var m gnuMap
	started := false
	err := textLines(r, func(line string) error {
		switch {
		case line == gnuMapStart:
			started = true
		case strings.HasPrefix(line, "Cross Reference Table"):
			started = false
		case started:
			m.line(line)
		}
		if len(m.symbols) > maxSymbols {
			return errTooMany
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	m.endSection()
	if !m.seen {
		return nil, ErrUnknownFormat
	}
	return newTable(m.symbols, "GNU ld map")
}

// gnuMap is the state of reading one.
type gnuMap struct {
	symbols []symbol
	seen    bool   // a section
	pending string // the name of a section whose address is on the next line
	section section
}

// section is the input section that is being read.
type section struct {
	name       string
	start, end uint64
	code       bool
	memory     uint8
	named      bool // a symbol has its start
}

func (m *gnuMap) line(line string) {
	name, rest := "", line
	if line[0] != ' ' && line[0] != '\t' || len(line) > 1 && line[0] == ' ' && line[1] != ' ' {
		// A section at the margin, an input section behind one blank.
		name, rest, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
	}
	fields := strings.Fields(rest)
	addr, ok := uint64(0), false
	if len(fields) > 0 {
		addr, ok = hexNumber(fields[0])
	}
	switch {
	case name != "" && len(fields) == 0: // the rest is on the next line
		m.endSection()
		m.pending = name
		return
	case !ok: // a pattern, LOAD, or what else the script says
		m.pending = ""
		return
	case name == "" && m.pending == "":
		if symbol := gnuSymbol(fields[1:]); symbol != "" {
			m.symbol(addr, symbol)
		}
		return
	}
	if name == "" {
		name = m.pending
	}
	m.pending = ""
	m.endSection()
	if len(fields) < 2 {
		return
	}
	size, ok := hexNumber(fields[1])
	if !ok || addr+size <= addr {
		return
	}
	m.seen = true
	if len(fields) < 3 || name[0] == '*' {
		return // an output section, or *fill*
	}
	m.section = section{name: name, start: addr, end: addr + size, code: isCodeSection(name), memory: memoryOf(name)}
}

// gnuSymbol returns the name on a line of which these are the words behind the
// address, "" if it says something else: an assignment of the script, or more
// about a section.
func gnuSymbol(words []string) string {
	if len(words) == 0 || words[0] == "." || strings.HasPrefix(words[0], "PROVIDE") || strings.HasPrefix(words[0], "ASSERT") {
		return ""
	}
	if _, number := hexNumber(words[0]); number {
		return ""
	}
	for _, w := range words {
		if w == "=" {
			return ""
		}
	}
	return strings.Join(words, " ") // demangled: geo::size(int, char)
}

func (m *gnuMap) symbol(addr uint64, name string) {
	s := symbol{addr: addr, name: strings.Clone(name)}
	if in := &m.section; in.code && addr >= in.start && addr < in.end && !isMapping(name) {
		s.rank, s.limit = globalRank, in.end
		in.named = in.named || addr == in.start
	} else if in.end > 0 && addr >= in.start && addr < in.end {
		s.object, s.memory = globalRank, in.memory
		in.named = in.named || addr == in.start
		if variableOfSection(in.name) != "" {
			s.size = in.end - addr
		}
	}
	if !isMapping(name) {
		m.symbols = append(m.symbols, s)
	}
}

// endSection adds what the input section tells by itself: where it ends, and
// the name of its function where the section has it.
func (m *gnuMap) endSection() {
	s := m.section
	m.section = section{}
	if s.end == 0 {
		return
	}
	if !s.code {
		piece := symbol{addr: s.start, size: s.end - s.start, name: s.name, memory: s.memory}
		if name := variableOfSection(s.name); name != "" && !s.named {
			piece.name, piece.object = strings.Clone(name), localRank
		}
		m.symbols = append(m.symbols, piece)
		return
	}
	if name := functionOfSection(s.name); !s.named {
		if name == "" {
			return
		}
		m.symbols = append(m.symbols, symbol{addr: s.start, size: s.end - s.start, name: strings.Clone(name), rank: localRank})
	}
}

// functionOfSection returns the function that -ffunction-sections put into a
// section of that name, "" if the name tells none.
func functionOfSection(name string) string {
	for _, prefix := range []string{".text.unlikely.", ".text.startup.", ".text.exit.", ".text.hot.", ".text.", ".gnu.linkonce.t."} {
		if f, ok := strings.CutPrefix(name, prefix); ok {
			switch f {
			case "unlikely", "startup", "exit", "hot":
				return ""
			}
			return f
		}
	}
	return ""
}

// variableOfSection returns the variable that -fdata-sections put into a section
// of that name, "" if the name tells none.
func variableOfSection(name string) string {
	for _, prefix := range []string{".data.rel.ro.local.", ".data.rel.ro.", ".data.rel.local.", ".data.rel.", ".data.", ".bss.", ".sdata.", ".sbss.", ".rodata.", ".noinit."} {
		if v, ok := strings.CutPrefix(name, prefix); ok {
			switch v {
			case "rel", "ro", "local", "cst4", "cst8", "cst16", "str1":
				return ""
			}
			return v
		}
	}
	return ""
}

// memoryOf returns the kind of memory that an input section of that name lies
// in.
func memoryOf(name string) uint8 {
	for _, prefix := range []string{".bss", ".sbss", ".noinit", "COMMON", ".zi"} {
		if strings.HasPrefix(name, prefix) {
			return zeroMemory
		}
	}
	if (strings.HasPrefix(name, ".data") || strings.HasPrefix(name, ".sdata")) && !strings.HasPrefix(name, ".data.rel.ro") {
		return dataMemory
	}
	return otherMemory
}

// isCodeSection reports whether an input section of that name can hold
// functions. Names of sections for code are a firmware's own (.ramfunc,
// .iram1.5), those for other things are the compilers'.
func isCodeSection(name string) bool {
	for _, prefix := range []string{
		".data", ".bss", ".rodata", ".sdata", ".sbss", ".srodata", ".tdata", ".tbss", ".debug", ".zdebug", ".comment",
		".note", ".ARM.", ".riscv.", ".xtensa.", ".xt.", ".eh_frame", ".gcc_except_table", ".gnu.", ".rel", ".init_array",
		".fini_array", ".preinit_array", ".ctors", ".dtors", ".got", ".dynamic", ".dynsym", ".dynstr", ".interp", ".stab",
		".literal", ".heap", ".stack", ".noinit", ".ldata", ".lrodata", ".lbss", "COMMON",
	} {
		if strings.HasPrefix(name, prefix) && !strings.HasPrefix(name, ".gnu.linkonce.t.") {
			return false
		}
	}
	return true
}

// hexNumber reads a number with 0x in front.
func hexNumber(s string) (uint64, bool) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	return n, err == nil
}
