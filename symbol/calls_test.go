package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
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
	const nop, nop64, nopV = 0xe1a00000, 0xd503201f, 0x00000013
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
		{"JAL ra", elf.EM_RISCV, words(nopV, 0x008000ef, nopV), 0x8008, 1, 1},
		{"JAL t0", elf.EM_RISCV, words(nopV, 0x008002ef, nopV), 0x8008, 1, 1},
		{"JALR ra, a5", elf.EM_RISCV, words(nopV, 0x000780e7, nopV), 0x8008, 1, 1},
		{"C.JALR a5", elf.EM_RISCV, words(nopV, 0x97820001, nopV), 0x8008, 1, 1},
		{"C.JALR a5 between words", elf.EM_RISCV, words(nopV, 0x00019782, nopV), 0x8006, 1, 1},
		{"C.JAL of 32 bits", elf.EM_RISCV, words(nopV, 0x20110001, nopV), 0x8008, 1, 1},
		{"CM.JALT", elf.EM_RISCV, words(nopV, 0xa0820001, nopV), 0x8008, 1, 1},
		{"CM.JT", elf.EM_RISCV, words(nopV, 0xa0020001, nopV), 0x8008, 0, 1},
		{"J", elf.EM_RISCV, words(nopV, 0x0080006f, nopV), 0x8008, 0, 1},
		{"JR a5", elf.EM_RISCV, words(nopV, 0x00078067, nopV), 0x8008, 0, 1},
		{"C.JR ra", elf.EM_RISCV, words(nopV, 0x80820001, nopV), 0x8008, 0, 1},
		{"C.EBREAK", elf.EM_RISCV, words(nopV, 0x90020001, nopV), 0x8008, 0, 1},
		{"odd", elf.EM_RISCV, words(nopV, 0x008000ef, nopV), 0x8009, 0, 1},
		{"CALL8", elf.EM_XTENSA, []byte{0xf0, 0x20, 0, 0x25, 1, 0, 0xf0, 0x20, 0}, 0x8006, 1, 1},
		{"CALL8, window in the address", elf.EM_XTENSA, []byte{0xf0, 0x20, 0, 0x25, 1, 0, 0xf0, 0x20, 0}, 0x80008006, 1, 1},
		{"CALL0", elf.EM_XTENSA, []byte{0xf0, 0x20, 0, 0x05, 1, 0, 0xf0, 0x20, 0}, 0x8006, 1, 1},
		{"CALLX8 a2", elf.EM_XTENSA, []byte{0xf0, 0x20, 0, 0xe0, 2, 0, 0xf0, 0x20, 0}, 0x8006, 1, 1},
		{"the call itself", elf.EM_XTENSA, []byte{0xf0, 0x20, 0, 0xf0, 0x20, 0, 0x25, 1, 0}, 0x8006, 1, 1},
		{"J", elf.EM_XTENSA, []byte{0xf0, 0x20, 0, 0x06, 1, 0, 0xf0, 0x20, 0}, 0x8006, 0, 1},
		{"RETW", elf.EM_XTENSA, []byte{0xf0, 0x20, 0, 0x90, 0, 0, 0xf0, 0x20, 0}, 0x8006, 0, 1},
		{"CALL", elf.EM_X86_64, []byte{0x90, 0x90, 0xe8, 1, 2, 3, 4, 0x90}, 0x8007, 1, 1},
		{"CALL rax", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0xd0, 0x90}, 0x8004, 1, 1},
		{"CALL r8", elf.EM_X86_64, []byte{0x90, 0x41, 0xff, 0xd0, 0x90}, 0x8004, 1, 1},
		{"CALL [rax+8]", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0x50, 8, 0x90}, 0x8005, 1, 1},
		{"CALL [rip+4]", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0x15, 4, 0, 0, 0, 0x90}, 0x8008, 1, 1},
		{"CALL [rax+rcx*8]", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0x14, 0xc8, 0x90}, 0x8005, 1, 1},
		{"CALL [rax+rcx*8+256]", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0x94, 0xc8, 0, 1, 0, 0, 0x90}, 0x8009, 1, 1},
		{"CALL [rcx*8+256]", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0x14, 0xcd, 0, 1, 0, 0, 0x90}, 0x8009, 1, 1},
		{"CALL at the end", elf.EM_386, []byte{0x90, 0x90, 0xe8, 1, 2, 3, 4}, 0x8007, 1, 1},
		{"the call itself", elf.EM_X86_64, []byte{0x90, 0x90, 0x41, 0xff, 0xd0, 0x90}, 0x8002, 1, 1},
		{"JMP", elf.EM_X86_64, []byte{0x90, 0x90, 0xe9, 1, 2, 3, 4, 0x90}, 0x8007, 0, 1},
		{"JMP rax", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0xe0, 0x90}, 0x8004, 0, 1},
		{"PUSH [rax]", elf.EM_X86_64, []byte{0x90, 0x90, 0xff, 0x30, 0x90}, 0x8004, 0, 1},
		{"another machine", elf.EM_MIPS, words(nop64, 0x94000010, nop64), 0x8008, 0, 0},
	} {
		class := elf.ELFCLASS64
		if c.machine == elf.EM_ARM || c.machine == elf.EM_RISCV || c.machine == elf.EM_XTENSA || c.machine == elf.EM_386 {
			class = elf.ELFCLASS32
		}
		path := filepath.Join(t.TempDir(), "a.elf")
		if err := os.WriteFile(path, withCode(class, c.machine, c.code), 0o600); err != nil {
			t.Fatal(err)
		}
		tab, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		calls, checked := tab.Calls([]heap.Stack{{c.lr, 0}, {c.lr}})
		if calls != c.calls || checked != c.checked {
			t.Errorf("%v, %s: %d calls of %d, want %d of %d", c.machine, c.why, calls, checked, c.calls, c.checked)
		}
	}
}

func TestCallsWithoutCode(t *testing.T) {
	tab, err := Open("../console/testdata/leak-series.nm.txt")
	if err != nil {
		t.Fatal(err)
	}
	if calls, checked := tab.Calls([]heap.Stack{{0x2b94c}}); calls != 0 || checked != 0 || tab.ELF() {
		t.Errorf("%d of %d, ELF %v", calls, checked, tab.ELF())
	}
	tab, err = ReadELF(bytes.NewReader(elfFile(elf.ELFCLASS32, elf.EM_ARM, elfSymbols)))
	if err != nil || !tab.ELF() {
		t.Fatal(err, tab.ELF())
	}
	if calls, checked := tab.Calls([]heap.Stack{{0x8008}}); calls != 0 || checked != 0 {
		t.Errorf("%d of %d without bytes", calls, checked)
	}
}

// A device that records calls instead of return addresses is understood where
// code is at hand.
func TestCallAddress(t *testing.T) {
	code := make([]byte, 0x40)
	binary.LittleEndian.PutUint32(code[0x1e:], 0xf8a8f000) // BL, the last of read_sample
	binary.LittleEndian.PutUint32(code[0x21+3:], 0xf8a8f000)
	tab, err := ReadELF(bytes.NewReader(withCode(elf.ELFCLASS32, elf.EM_ARM, code)))
	if err != nil {
		t.Fatal(err)
	}
	for lr, want := range map[heap.Addr]string{0x801e: "read_sample", 0x8022: "helper", 0x8024: "helper", 0x8020: "read_sample"} {
		if got := name(tab, lr); got != want {
			t.Errorf("%v is in %q, want %q", lr, got, want)
		}
	}
}

var instruction = regexp.MustCompile(`^\s*([0-9a-f]+):\t(?:[0-9a-f]+ ?)+\s*\t([a-z0-9.]+)\s*(.*)`)

// isCallText reports whether a line of objdump is a call that keeps a return
// address.
func isCallText(name, args string) bool {
	switch strings.TrimSuffix(name, ".w") {
	case "bl", "blx", "blr", "call", "call0", "callx0":
		return true
	case "jal", "jalr", "c.jal", "c.jalr": // j and jr are other names
		return !strings.HasPrefix(args, "zero") && !strings.HasPrefix(args, "t1") && !strings.HasPrefix(args, "x0")
	}
	return false
}

// Every call that objdump shows is recognized, and few other instructions are.
func TestCallsOfFirmware(t *testing.T) {
	for _, g := range targets() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			objdump := tool(t, g.prefix+"objdump", g.binutils())
			file := g.build(t, t.TempDir(), "-O1 -g -fno-inline")
			tab := open(t, file)
			calls, others, mistaken := 0, 0, 0
			wasCall, shown := false, ""
			for line := range strings.Lines(string(execute(t, objdump, "-d", "--no-show-raw-insn", file))) {
				line = strings.Replace(line, ":\t", ":\t00 \t", 1)
				m := instruction.FindStringSubmatch(line)
				if m == nil {
					shown, wasCall = "", false
					continue
				}
				addr, err := strconv.ParseUint(m[1], 16, 64)
				if err != nil {
					t.Fatal(err)
				}
				if behind, _, ok := tab.code.call(addr); shown != "" && ok {
					switch {
					case wasCall && !behind:
						t.Errorf("%#x does not follow a call, but %s", addr, shown)
					case wasCall:
						calls++
					case behind:
						mistaken++
					default:
						others++
					}
				}
				wasCall, shown = isCallText(m[2], m[3]), strings.TrimSpace(line)
			}
			t.Logf("%d calls, %d of %d other places taken for one", calls, mistaken, mistaken+others)
			if g.name == "thumb-big-endian" {
				if calls+others+mistaken > 0 {
					t.Error("big-endian code was looked at")
				}
				return
			}
			if calls < 20 || mistaken*20 > others {
				t.Errorf("%d calls, %d of %d other places taken for one", calls, mistaken, mistaken+others)
			}
		})
	}
}
