package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// withCode gives the text section of a file from elfFile, at 0x8000, content.
func withCode(class elf.Class, machine elf.Machine, code []byte) []byte {
	b := elfFile(class, machine, elfSymbols)
	le := binary.LittleEndian
	if class == elf.ELFCLASS32 {
		section := b[le.Uint32(b[32:])+40:]
		le.PutUint32(section[4:], uint32(elf.SHT_PROGBITS))
		le.PutUint32(section[16:], uint32(len(b)))
		le.PutUint32(section[20:], uint32(len(code)))
	} else {
		section := b[le.Uint64(b[40:])+64:]
		le.PutUint32(section[4:], uint32(elf.SHT_PROGBITS))
		le.PutUint64(section[24:], uint64(len(b)))
		le.PutUint64(section[32:], uint64(len(code)))
	}
	return append(b, code...)
}

func TestCalls(t *testing.T) {
	words := func(list ...uint32) (b []byte) {
		for _, w := range list {
			b = binary.LittleEndian.AppendUint32(b, w)
		}
		return b
	}
	const nop, nop64 = 0xe1a00000, 0xd503201f
	for _, c := range []struct {
		why            string
		machine        elf.Machine
		code           []byte
		lr             heap.Addr
		calls, checked int
	}{
		{"BL", elf.EM_ARM, words(nop, 0xeb000010, nop), 0x8008, 1, 1},
		{"conditional BL", elf.EM_ARM, words(nop, 0x1b000010, nop), 0x8008, 1, 1},
		{"BLX to Thumb", elf.EM_ARM, words(nop, 0xfb000010, nop), 0x8008, 1, 1},
		{"BLX r3", elf.EM_ARM, words(nop, 0xe12fff33, nop), 0x8008, 1, 1},
		{"mov lr, pc; bx r3", elf.EM_ARM, words(0xe1a0e00f, 0xe12fff13, nop), 0x8008, 1, 1},
		{"the call itself", elf.EM_ARM, words(nop, nop, 0xeb000010), 0x8008, 1, 1},
		{"B", elf.EM_ARM, words(nop, 0xea000010, nop), 0x8008, 0, 1},
		{"BX r3", elf.EM_ARM, words(nop, 0xe12fff13, nop), 0x8008, 0, 1},
		{"MRC", elf.EM_ARM, words(nop, 0xee110f10, nop), 0x8008, 0, 1},
		{"A32 BL, but Thumb", elf.EM_ARM, words(nop, 0xeb000010, nop), 0x8009, 0, 1},
		{"Thumb BL", elf.EM_ARM, words(0xbf00bf00, 0xf8a8f000, 0xbf00bf00), 0x8009, 1, 1},
		{"Thumb BL backwards", elf.EM_ARM, words(0xbf00bf00, 0xffa8f7ff, 0xbf00bf00), 0x8009, 1, 1},
		{"Thumb BL without the bit, between words", elf.EM_ARM, words(0xf000bf00, 0xbf00f8a8, 0xbf00bf00), 0x8006, 1, 1},
		{"Thumb BLX to A32", elf.EM_ARM, words(0xbf00bf00, 0xe8a8f000, 0xbf00bf00), 0x8009, 1, 1},
		{"Thumb BLX r3", elf.EM_ARM, words(0xbf00bf00, 0x4798bf00, 0xbf00bf00), 0x8009, 1, 1},
		{"Thumb B.W", elf.EM_ARM, words(0xbf00bf00, 0xb8a8f000, 0xbf00bf00), 0x8009, 0, 1},
		{"Thumb BX r3", elf.EM_ARM, words(0xbf00bf00, 0x4718bf00, 0xbf00bf00), 0x8009, 0, 1},
		{"behind the last instruction", elf.EM_ARM, words(nop, 0xeb000010), 0x8008, 1, 1},
		{"no code", elf.EM_ARM, words(nop, nop), 0x9000, 0, 0},
		{"in front of the code", elf.EM_ARM, words(nop, nop), 0x8000, 0, 0},
		{"nowhere", elf.EM_ARM, words(nop, nop), 1, 0, 0},
		{"BL", elf.EM_AARCH64, words(nop64, 0x94000010, nop64), 0x8008, 1, 1},
		{"BL backwards", elf.EM_AARCH64, words(nop64, 0x97fffff0, nop64), 0x8008, 1, 1},
		{"BLR x3", elf.EM_AARCH64, words(nop64, 0xd63f0060, nop64), 0x8008, 1, 1},
		{"BLRAA x3, sp", elf.EM_AARCH64, words(nop64, 0xd73f087f, nop64), 0x8008, 1, 1},
		{"B", elf.EM_AARCH64, words(nop64, 0x14000010, nop64), 0x8008, 0, 1},
		{"BR x3", elf.EM_AARCH64, words(nop64, 0xd61f0060, nop64), 0x8008, 0, 1},
		{"RET", elf.EM_AARCH64, words(nop64, 0xd65f03c0, nop64), 0x8008, 0, 1},
		{"another machine", elf.EM_MIPS, words(nop64, 0x94000010, nop64), 0x8008, 0, 0},
	} {
		class := elf.ELFCLASS64
		if c.machine == elf.EM_ARM {
			class = elf.ELFCLASS32
		}
		path := filepath.Join(t.TempDir(), "a.elf")
		if err := os.WriteFile(path, withCode(class, c.machine, c.code), 0o600); err != nil {
			t.Fatal(err)
		}
		calls, checked, err := Calls(path, []heap.Stack{{c.lr, 0}, {c.lr}})
		if err != nil || calls != c.calls || checked != c.checked {
			t.Errorf("%v, %s: %d calls of %d, %v; want %d of %d", c.machine, c.why, calls, checked, err, c.calls, c.checked)
		}
	}
}

func TestCallsErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.elf")
	if _, _, err := Calls(path, nil); err == nil {
		t.Error("no error without a file")
	}
	if err := os.WriteFile(path, []byte("\x7fELF"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Calls(path, nil); err == nil {
		t.Error("no error for a damaged file")
	}
	tab, err := ReadELF(bytes.NewReader(elfFile(elf.ELFCLASS32, elf.EM_ARM, elfSymbols)))
	if err != nil || !tab.ELF() {
		t.Errorf("%v, from an ELF file: %v", err, tab.ELF())
	}
}
