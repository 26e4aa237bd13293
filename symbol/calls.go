package symbol

import (
	"debug/elf"

	"github.com/heapwright/heapwright/heap"
)

// Calls looks at the instructions in front of the return addresses in stacks.
// It returns how many different addresses it looked at, those in code that the
// file holds, and how many of them follow a call. In the build that ran nearly
// all do; in another build of the same program most addresses lie in some
// function too, but few behind a call.
//
// Some devices record the address of the call instead of the one behind it.
// That counts as well, if it fits more of the addresses.
//
// It looks at nothing in files that are not ELF, that are big-endian, or that
// are for other machines than ARM (A32 and Thumb), AArch64, RISC-V, Xtensa and
// x86.
func (t *Table) Calls(stacks []heap.Stack) (calls, checked int) {
	if t.code == nil {
		return 0, 0
	}
	seen := make(map[heap.Addr]bool)
	behind, at := 0, 0
	for _, stack := range stacks {
		for _, lr := range stack {
			if lr == 0 || seen[lr] {
				continue
			}
			seen[lr] = true
			b, a, ok := t.code.call(t.code.clean(uint64(lr)))
			if !ok {
				continue
			}
			checked++
			if b {
				behind++
			}
			if a {
				at++
			}
		}
	}
	return max(behind, at), checked
}

// code is the instructions of a program. Its methods are safe for concurrent
// use.
type code struct {
	machine elf.Machine
	wide    bool // 64-bit
	// isCall reports whether the instruction in front of lr is a call, and
	// whether the one at lr is. nil: the machine's calls are not known.
	isCall func(p piece, lr uint64) (behind, at bool)
	places spans    // memory to pieces
	starts []uint64 // of pieces
	pieces []string // the bytes
}

// readCode reads the sections of f that hold instructions.
func readCode(f *elf.File) *code {
	c := &code{machine: f.Machine, wide: f.Class == elf.ELFCLASS64}
	if f.Data != elf.ELFDATA2LSB {
		return c
	}
	switch f.Machine {
	case elf.EM_ARM:
		c.isCall = armCall
	case elf.EM_AARCH64:
		c.isCall = arm64Call
	case elf.EM_RISCV:
		c.isCall = riscvCall
	case elf.EM_XTENSA:
		c.isCall = xtensaCall
	case elf.EM_386, elf.EM_X86_64:
		c.isCall = x86Call
	default:
		return c
	}
	var all []span
	var total, end uint64
	for _, s := range f.Sections {
		if s.Type != elf.SHT_PROGBITS || s.Flags&elf.SHF_EXECINSTR == 0 || s.Flags&elf.SHF_COMPRESSED != 0 || s.Addr+s.Size < s.Addr {
			continue
		}
		total += s.FileSize
		if end = max(end, s.Offset+s.FileSize); total > end {
			break // sections of a sound file do not share bytes
		}
		b, err := readSection(s, nil)
		if err != nil {
			continue
		}
		all = append(all, span{start: s.Addr, end: s.Addr + uint64(len(b)), item: int32(len(c.pieces))})
		c.starts = append(c.starts, s.Addr)
		c.pieces = append(c.pieces, b)
	}
	c.places = flatten(all)
	return c
}

// clean returns the address that lr stands for. Xtensa's windowed calls keep
// the size of the window in the top two bits; the address has those of the
// code it lies in, 01 in all chips that are known.
func (c *code) clean(lr uint64) uint64 {
	if c.machine != elf.EM_XTENSA {
		return lr
	}
	if _, ok := c.places.find(lr - 1); ok {
		return lr
	}
	for top := range uint64(4) {
		a := lr&0x3fffffff | top<<30
		if _, ok := c.places.find(a - 1); ok {
			return a
		}
	}
	return lr
}

// call reports whether there is a call in front of lr, and whether there is one
// at it; ok is false if that cannot be told because no code is there.
func (c *code) call(lr uint64) (behind, at, ok bool) {
	if c.isCall == nil {
		return false, false, false
	}
	before := lr&^1 - 2
	i, found := c.places.find(before)
	if !found {
		return false, false, false
	}
	p := piece{c.pieces[i], c.starts[i], c.wide}
	if p.bytes(before, 2) == "" {
		return false, false, false
	}
	behind, at = c.isCall(p, lr)
	return behind, at, true
}

// piece is the bytes of one section with instructions.
type piece struct {
	content string
	start   uint64
	wide    bool // of a 64-bit machine
}

// bytes returns n bytes at addr, "" if they are not all in the piece.
func (p piece) bytes(addr uint64, n int) string {
	off := addr - p.start
	if off >= uint64(len(p.content)) || uint64(len(p.content))-off < uint64(n) {
		return ""
	}
	return p.content[off : off+uint64(n)]
}

// half returns the two bytes at addr as a number, 0 if they are no code.
func (p piece) half(addr uint64) uint16 {
	b := p.bytes(addr, 2)
	if b == "" {
		return 0
	}
	return uint16(b[0]) | uint16(b[1])<<8
}

// word returns the four bytes at addr as a number, 0 if they are no code.
func (p piece) word(addr uint64) uint32 {
	return uint32(p.half(addr+2))<<16 | uint32(p.half(addr))
}
