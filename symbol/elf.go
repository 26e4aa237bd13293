package symbol

import (
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/heapwright/heapwright/heap"
)

// ReadELF reads an ELF executable or shared object: the functions in its symbol
// table (.symtab, or .dynsym where it was stripped) and its debug information.
// The file may be of any architecture, and hostile. Where debug information is
// damaged the rest is used, and Partial of the table says so.
//
// Formats: System V ABI; "ELF for the Arm Architecture" for the Thumb bit and
// mapping symbols; DWARF 2 to 5.
func ReadELF(r io.ReaderAt) (t *Table, err error) {
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("damaged ELF file: %v", p)
		}
	}()
	if err := checkSections(r); err != nil {
		return nil, fmt.Errorf("damaged ELF file: %w", err)
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("damaged ELF file: %w", err)
	}
	if f.Type == elf.ET_REL {
		return nil, errors.New("an object file, whose addresses are not final: use the linked program")
	}
	kind := "ELF .symtab"
	symbols, err := readSymbols(f, elf.SHT_SYMTAB)
	if errors.Is(err, elf.ErrNoSymbols) {
		kind = "ELF .dynsym"
		symbols, err = readSymbols(f, elf.SHT_DYNSYM)
	}
	none := errors.Is(err, elf.ErrNoSymbols)
	switch {
	case none:
	case errors.Is(err, errTooMany):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("damaged ELF file: %w", err)
	}
	text := textOf(f)
	text.known = !none && kind == "ELF .symtab"
	text.atZero, text.scoped = make(map[string]bool), make(map[uint64]string)
	for _, s := range symbols {
		if s.addr == 0 && s.rank > labelRank {
			text.atZero[s.name] = true
			text.atZero[withoutClone(s.name)] = true
			// Aliases are few; a file made to hurt has any number.
			if text.scoped[s.size] == "" && len(text.scoped) < 16 && mangled(s.name) {
				text.scoped[s.size] = readable(s.name)
			}
		}
	}
	t, err = newTable(symbols, kind)
	debug, debugErr := readDebug(f, text)
	switch {
	case err == nil:
	case !errors.Is(err, errNoFunctions):
		return nil, err
	case debug != nil:
		t.kind = "ELF .debug_info"
	case none:
		return nil, errors.New("the ELF file is stripped: use the one the linker wrote, or nm text of it")
	default:
		return nil, fmt.Errorf("%s has %w: use the file the linker wrote, or nm text of it", kind, err)
	}
	t.debug = debug
	if debugErr != nil {
		t.trouble = debugErr.Error()
	}
	t.code = readCode(f)
	t.mappings, t.data = mappings(f), writable(f)
	t.segments, t.movable = segmentsOf(f), f.Type == elf.ET_DYN
	return t, nil
}

// textOf returns where code lies in f.
func textOf(f *elf.File) *textSpans {
	var all []span
	add := func(addr, size uint64) {
		if addr+size > addr {
			all = append(all, span{start: addr, end: addr + size})
		}
	}
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_ALLOC != 0 && s.Flags&elf.SHF_EXECINSTR != 0 {
			add(s.Addr, s.Size)
		}
	}
	if len(all) == 0 { // no sections
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 {
				add(p.Vaddr, p.Memsz)
			}
		}
	}
	return &textSpans{spans: flatten(all)}
}

// readSymbols reads the symbol table of the given type. It is not
// elf.File.Symbols because that copies each name, up to where a NUL happens to
// come.
func readSymbols(f *elf.File, kind elf.SectionType) ([]symbol, error) {
	i := slices.IndexFunc(f.Sections, func(s *elf.Section) bool { return s.Type == kind })
	if i < 0 || int(f.Sections[i].Link) >= len(f.Sections) {
		return nil, elf.ErrNoSymbols
	}
	entry := 16
	if f.Class == elf.ELFCLASS64 {
		entry = 24
	}
	table, err := readSection(f.Sections[i], nil)
	if err != nil {
		return nil, fmt.Errorf("symbol table: %w", err)
	}
	names, err := readSection(f.Sections[f.Sections[i].Link], nil)
	if err != nil {
		return nil, fmt.Errorf("names of symbols: %w", err)
	}
	if len(table)/entry > maxSymbols {
		return nil, errTooMany
	}
	c := cursor{data: table, big: f.Data == elf.ELFDATA2MSB}
	symbols := make([]symbol, 0, len(table)/entry)
	for c.left() >= entry {
		var e elf.Symbol
		name := uint64(c.u32())
		if f.Class == elf.ELFCLASS64 {
			e.Info, e.Other, e.Section = c.u8(), c.u8(), elf.SectionIndex(c.u16())
			e.Value, e.Size = c.u64(), c.u64()
		} else {
			e.Value, e.Size = uint64(c.u32()), uint64(c.u32())
			e.Info, e.Other, e.Section = c.u8(), c.u8(), elf.SectionIndex(c.u16())
		}
		if e.Section == elf.SHN_UNDEF || int(e.Section) >= len(f.Sections) && e.Section != elf.SHN_ABS {
			continue
		}
		e.Name, _ = stringAt(names, name)
		if e.Section == elf.SHN_ABS {
			if e.Section = sectionAt(f, e.Value); e.Section == elf.SHN_UNDEF || elf.ST_TYPE(e.Info) != elf.STT_NOTYPE {
				continue // a number
			}
		}
		if s, ok := elfSymbol(f, &e); ok {
			symbols = append(symbols, s)
		}
	}
	return symbols, nil
}

// sectionAt returns the writable section that holds or ends at addr. Linker
// scripts give the ends of memory names that belong to no section.
func sectionAt(f *elf.File, addr uint64) elf.SectionIndex {
	const want = elf.SHF_ALLOC | elf.SHF_WRITE
	for i, s := range f.Sections[:min(len(f.Sections), maxScripted)] {
		if s.Flags&(want|elf.SHF_EXECINSTR) == want && addr >= s.Addr && addr-s.Addr <= s.Size && addr != 0 {
			return elf.SectionIndex(i)
		}
	}
	return elf.SHN_UNDEF
}

// maxScripted bounds the sections in which such names are looked for.
const maxScripted = 64

func elfSymbol(f *elf.File, e *elf.Symbol) (symbol, bool) {
	if e.Name == "" || isMapping(e.Name) {
		return symbol{}, false
	}
	section := f.Sections[e.Section]
	if section.Flags&elf.SHF_ALLOC == 0 {
		return symbol{}, false
	}
	s := symbol{addr: e.Value, size: e.Size, name: e.Name}
	if section.Flags&elf.SHF_EXECINSTR == 0 {
		switch elf.ST_TYPE(e.Info) {
		case elf.STT_OBJECT, elf.STT_COMMON, elf.STT_NOTYPE: // of an assembler or linker script
			s.object = int8(bindRank(e))
		}
		return s, true
	}
	s.limit = section.Addr + section.Size
	switch elf.ST_TYPE(e.Info) {
	case elf.STT_FUNC, elf.STT_GNU_IFUNC, elf.STT_LOPROC: // LOPROC: STT_ARM_TFUNC
		if f.Machine == elf.EM_ARM {
			s.addr &^= 1
		}
		s.rank = bindRank(e)
	case elf.STT_NOTYPE:
		s.rank = labelRank
	}
	return s, true
}

func bindRank(e *elf.Symbol) int {
	switch elf.ST_BIND(e.Info) {
	case elf.STB_LOCAL:
		return localRank
	case elf.STB_WEAK:
		return weakRank
	}
	return globalRank
}

// mappings returns the executable segments of f.
func mappings(f *elf.File) (all []heap.Mapping) {
	id := buildID(f)
	for _, p := range f.Progs {
		if p.Type != elf.PT_LOAD || p.Flags&elf.PF_X == 0 || p.Memsz == 0 || p.Vaddr+p.Memsz < p.Vaddr {
			continue
		}
		all = append(all, heap.Mapping{
			Start:   heap.Addr(p.Vaddr),
			Limit:   heap.Addr(p.Vaddr + p.Memsz),
			Offset:  p.Off,
			BuildID: id,
		})
	}
	slices.SortStableFunc(all, func(a, b heap.Mapping) int { return cmp.Compare(a.Start, b.Start) })
	return all
}

// maxNotes bounds the notes of a file in bytes.
const maxNotes = 64 << 10

// buildID returns the GNU build ID of f in hexadecimal, "" if it has none.
func buildID(f *elf.File) string {
	for _, s := range f.Sections {
		if s.Type == elf.SHT_NOTE && s.Flags&elf.SHF_COMPRESSED == 0 {
			if id := noteID(f, s.ReaderAt, s.FileSize); id != "" {
				return id
			}
		}
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_NOTE {
			if id := noteID(f, p.ReaderAt, p.Filesz); id != "" {
				return id
			}
		}
	}
	return ""
}

// noteID looks for NT_GNU_BUILD_ID among size bytes of notes: length of the
// name, length of the content, type, and the two, each padded to four bytes.
func noteID(f *elf.File, r io.ReaderAt, size uint64) string {
	b := make([]byte, min(size, maxNotes))
	if n, err := r.ReadAt(b, 0); n < len(b) && err != nil {
		return ""
	}
	c := cursor{data: string(b), big: f.Data == elf.ELFDATA2MSB}
	for c.left() >= 12 {
		nameSize, size, kind := uint64(c.u32()), uint64(c.u32()), c.u32()
		start := c.pos
		c.skip((nameSize + 3) &^ 3)
		content := c.pos
		c.skip(size)
		if c.bad {
			return ""
		}
		if kind == 3 && nameSize == 4 && c.data[start:start+4] == "GNU\x00" && size > 0 && size <= 64 {
			return fmt.Sprintf("%x", c.data[content:content+int(size)])
		}
		c.skip((4 - size%4) % 4)
	}
	return ""
}
