package symbol

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"

	"github.com/heapwright/heapwright/heap"
)

// Calls looks in the ELF file at path at the instructions in front of the
// return addresses in stacks. It returns how many different addresses it looked
// at, those in code that the file holds, and how many of them follow a call. In
// the build that ran nearly all do; in another build of the same program most
// addresses lie in some function too, but few behind a call.
//
// Some devices record the address of the call instead of the one behind it.
// That counts as well, if it fits more of the addresses.
//
// It looks at nothing in files of other machines than little-endian ARM (A32
// and Thumb) and AArch64.
func Calls(path string, stacks []heap.Stack) (calls, checked int, err error) {
	defer func() {
		if p := recover(); p != nil {
			calls, checked, err = 0, 0, fmt.Errorf("%s: damaged ELF file: %v", path, p)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	e, err := elf.NewFile(f)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: damaged ELF file: %w", path, err)
	}
	var isCall func(c code, lr uint64) (behind, at bool)
	switch {
	case e.Data != elf.ELFDATA2LSB:
		return 0, 0, nil
	case e.Machine == elf.EM_ARM:
		isCall = armCall
	case e.Machine == elf.EM_AARCH64:
		isCall = arm64Call
	default:
		return 0, 0, nil
	}
	seen := make(map[heap.Addr]bool)
	behind, at := 0, 0
	for _, stack := range stacks {
		for _, lr := range stack {
			if lr == 0 || seen[lr] {
				continue
			}
			seen[lr] = true
			c := code{e}
			if _, ok := c.half(uint64(lr)&^1 - 2); !ok {
				continue
			}
			checked++
			b, a := isCall(c, uint64(lr))
			if b {
				behind++
			}
			if a {
				at++
			}
		}
	}
	return max(behind, at), checked, nil
}

// code reads instructions.
type code struct{ *elf.File }

// half returns the two bytes at addr, if they are code in the file.
func (c code) half(addr uint64) (uint16, bool) {
	for _, s := range c.Sections {
		if s.Type != elf.SHT_PROGBITS || s.Flags&elf.SHF_EXECINSTR == 0 || addr < s.Addr || addr-s.Addr >= s.Size || s.Size-(addr-s.Addr) < 2 {
			continue
		}
		var b [2]byte
		if _, err := s.ReadAt(b[:], int64(addr-s.Addr)); err != nil {
			return 0, false
		}
		return binary.LittleEndian.Uint16(b[:]), true
	}
	return 0, false
}

// word returns the four bytes at addr, 0 if they are no code in the file.
func (c code) word(addr uint64) uint32 {
	low, ok := c.half(addr)
	high, ok2 := c.half(addr + 2)
	if !ok || !ok2 {
		return 0
	}
	return uint32(high)<<16 | uint32(low)
}

// armCall reports whether the instruction in front of lr is a call, and whether
// the one at lr is. Bit 0 set is Thumb; clear can be either, since not every
// device keeps the bit. Encodings: Arm Architecture Reference Manual ARMv7-A/R,
// BL, BLX (immediate) and BLX (register).
func armCall(c code, lr uint64) (behind, at bool) {
	a := lr &^ 1
	if lr&1 == 0 && a%4 == 0 {
		// Before BLX: mov lr, pc; bx or ldr pc.
		behind = a32Call(c.word(a-4)) || c.word(a-8) == 0xe1a0e00f
		at = a32Call(c.word(a))
	}
	last, _ := c.half(a - 2)
	next, _ := c.half(a)
	behind = behind || thumbCall(c.word(a-4)) || thumbBLX(last)
	at = at || thumbCall(c.word(a)) || thumbBLX(next)
	return behind, at
}

func a32Call(w uint32) bool {
	if w>>28 == 0xf {
		return w&0xfe000000 == 0xfa000000 // BLX to Thumb
	}
	return w&0x0f000000 == 0x0b000000 || w&0x0ffffff0 == 0x012fff30 // BL, BLX register
}

// thumbCall recognizes BL and BLX; the first half is the low one.
func thumbCall(w uint32) bool {
	first, second := uint16(w), uint16(w>>16)
	return first&0xf800 == 0xf000 && (second&0xd000 == 0xd000 || second&0xd001 == 0xc000)
}

func thumbBLX(h uint16) bool { return h&0xff87 == 0x4780 }

// arm64Call knows BL, BLR, and BLRAA and its kin, which authenticate the
// address. Encodings: Arm Architecture Reference Manual for A-profile.
func arm64Call(c code, lr uint64) (behind, at bool) {
	call := func(w uint32) bool {
		return w>>26 == 0x25 || w&0xfffffc1f == 0xd63f0000 || w&0xfefff800 == 0xd63f0800
	}
	if lr%4 != 0 {
		return false, false
	}
	return call(c.word(lr - 4)), call(c.word(lr))
}
