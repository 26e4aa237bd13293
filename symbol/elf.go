package symbol

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
)

// ReadELF reads the functions in the symbol table of an ELF executable or
// shared object: .symtab, or .dynsym where it was stripped. The file may be of
// any architecture and hostile: what debug/elf panics on is returned as an
// error. Format: System V ABI, and "ELF for the Arm Architecture" for the
// Thumb bit and mapping symbols.
func ReadELF(r io.ReaderAt) (t *Table, err error) {
	defer func() {
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("damaged ELF file: %v", p)
		}
	}()
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("damaged ELF file: %w", err)
	}
	if f.Type == elf.ET_REL {
		return nil, errors.New("an object file, whose addresses are not final: use the linked program")
	}
	kind := "ELF .symtab"
	entries, err := f.Symbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		kind = "ELF .dynsym"
		entries, err = f.DynamicSymbols()
	}
	if errors.Is(err, elf.ErrNoSymbols) {
		return nil, errors.New("the ELF file is stripped: use the one the linker wrote, or nm text of it")
	}
	if err != nil {
		return nil, fmt.Errorf("damaged ELF file: %w", err)
	}
	if len(entries) > maxSymbols {
		return nil, errTooMany
	}
	var symbols []symbol
	for _, e := range entries {
		if s, ok := elfSymbol(f, e); ok {
			symbols = append(symbols, s)
		}
	}
	t, err = newTable(symbols, kind)
	if errors.Is(err, errNoFunctions) {
		return nil, fmt.Errorf("%s has %w: use the file the linker wrote, or nm text of it", kind, err)
	}
	return t, err
}

func elfSymbol(f *elf.File, e elf.Symbol) (symbol, bool) {
	if e.Name == "" || isMapping(e.Name) || e.Section == elf.SHN_UNDEF || int(e.Section) >= len(f.Sections) {
		return symbol{}, false
	}
	section := f.Sections[e.Section]
	if section.Flags&elf.SHF_ALLOC == 0 {
		return symbol{}, false
	}
	s := symbol{addr: e.Value, size: e.Size, name: e.Name}
	if section.Flags&elf.SHF_EXECINSTR == 0 {
		return s, true
	}
	s.limit = section.Addr + section.Size
	switch elf.ST_TYPE(e.Info) {
	case elf.STT_FUNC, elf.STT_GNU_IFUNC, elf.STT_LOPROC: // LOPROC: STT_ARM_TFUNC
		if f.Machine == elf.EM_ARM {
			s.addr &^= 1
		}
		switch elf.ST_BIND(e.Info) {
		case elf.STB_LOCAL:
			s.rank = localRank
		case elf.STB_WEAK:
			s.rank = weakRank
		default:
			s.rank = globalRank
		}
	case elf.STT_NOTYPE:
		s.rank = labelRank
	}
	return s, true
}
