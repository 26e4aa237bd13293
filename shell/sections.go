package shell

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"errors"
	"os"
	"sync"
)

// sections are the sizes of a program's sections in memory, in bytes, by what
// they may be used for.
type sections struct {
	text   uint64 // executable
	data   uint64 // writable, with initial contents
	rodata uint64 // the rest of what is loaded
	bss    uint64 // writable, zero at the start
}

// program returns the sections of this program.
var program = sync.OnceValues(func() (sections, error) {
	path, err := os.Executable()
	if err != nil {
		return sections{}, err
	}
	return sectionsOf(path)
})

func sectionsOf(path string) (sections, error) {
	if f, err := elf.Open(path); err == nil {
		defer f.Close()
		return elfSections(f), nil
	}
	if f, err := macho.Open(path); err == nil {
		defer f.Close()
		return machoSections(f), nil
	}
	if f, err := pe.Open(path); err == nil {
		defer f.Close()
		return peSections(f), nil
	}
	return sections{}, errors.New("not an ELF, Mach-O or PE file")
}

func elfSections(f *elf.File) (s sections) {
	for _, sec := range f.Sections {
		switch {
		case sec.Flags&elf.SHF_ALLOC == 0:
		case sec.Flags&elf.SHF_EXECINSTR != 0:
			s.text += sec.Size
		case sec.Type == elf.SHT_NOBITS:
			s.bss += sec.Size
		case sec.Flags&elf.SHF_WRITE != 0:
			s.data += sec.Size
		default:
			s.rodata += sec.Size
		}
	}
	return s
}

// Kinds and attributes of Mach-O sections, from <mach-o/loader.h>.
const (
	machoTypeMask            = 0xff
	machoZerofill            = 0x01
	machoGBZerofill          = 0x0c
	machoThreadLocalZerofill = 0x12
	machoInstructions        = 0x80000000 | 0x00000400
)

func machoSections(f *macho.File) (s sections) {
	for _, sec := range f.Sections {
		switch kind := sec.Flags & machoTypeMask; {
		case sec.Seg == "__DWARF":
		case sec.Flags&machoInstructions != 0:
			s.text += sec.Size
		case kind == machoZerofill || kind == machoGBZerofill || kind == machoThreadLocalZerofill:
			s.bss += sec.Size
		case sec.Seg == "__DATA":
			s.data += sec.Size
		default:
			s.rodata += sec.Size
		}
	}
	return s
}

func peSections(f *pe.File) (s sections) {
	for _, sec := range f.Sections {
		// What the section has in memory beyond the file is zero. In the file
		// it is padded to whole blocks.
		inFile := uint64(min(sec.Size, sec.VirtualSize))
		zero := uint64(sec.VirtualSize) - inFile
		switch c := sec.Characteristics; {
		case c&pe.IMAGE_SCN_MEM_DISCARDABLE != 0:
		case c&(pe.IMAGE_SCN_CNT_CODE|pe.IMAGE_SCN_MEM_EXECUTE) != 0:
			s.text += inFile
		case c&pe.IMAGE_SCN_MEM_WRITE != 0:
			s.data += inFile
			s.bss += zero
		default:
			s.rodata += inFile
		}
	}
	return s
}
