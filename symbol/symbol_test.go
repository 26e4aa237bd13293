package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

func name(t *Table, lr heap.Addr) string { return t.Frames(lr)[0].Function }

func TestNM(t *testing.T) {
	tab, err := Open("../console/testdata/leak-series.nm.txt")
	if err != nil {
		t.Fatal(err)
	}
	if tab.Kind() != "nm text" {
		t.Error(tab.Kind())
	}
	for lr, want := range map[heap.Addr]string{
		0x2b94c:       "sensor_read_sample",
		0x2b9b4:       "sensor_process",
		0x2ba6c:       "sensor_task",
		0x2657c:       "malloc",
		0x123f0:       "OsTaskEntry",
		0x11340:       "secondary_cpu_start",
		0x11000:       "", // in front of the first function
		0x11001:       "", // the same with a Thumb bit
		0x11002:       "reset_vector",
		0x110c0:       "excstatck_loop_done", // returns behind its last byte
		0x110c4:       "cpu_start",
		0x11c04:       name(tab, 0x11c03), // a function's first byte is no place to return to
		0x56340:       "",                 // data
		0x10:          "",                 // an absolute symbol
		0:             "",
		1:             "",
		^heap.Addr(0): "",
	} {
		if got := name(tab, lr); got != want {
			t.Errorf("%s is in %q, want %q", lr, got, want)
		}
	}
	if got := name(tab, 0x11c04); got == "OsTaskScan" {
		t.Error("a return address at a function's start belongs to the one before")
	}
	if d := cmp.Diff([]heap.Frame{{Addr: 0x99999999}}, tab.Frames(0x99999999)); d != "" {
		t.Error("unknown address:", d)
	}
}

func TestChoice(t *testing.T) {
	for _, c := range []struct {
		why, nm string
		lr      heap.Addr
		want    string
	}{
		{"function over data and absolute", "00001000 A base\n00001000 00000010 T f\n00001000 R table\n", 0x1008, "f"},
		{"global over local", "00001000 00000010 t a_local\n00001000 00000010 T f\n", 0x1008, "f"},
		{"global over weak", "00001000 00000010 W a_weak\n00001000 00000010 T f\n", 0x1008, "f"},
		{"sized over linker label", "00001000 T _start_of_text\n00001000 00000010 t f\n", 0x1008, "f"},
		{"people's name over compiler's", "00001000 T __aeabi_memcpy\n00001000 T memcpy\n", 0x1008, "memcpy"},
		{"mapping symbols are none", "00001000 t $a\n00001000 00000010 t f\n00001004 t $d\n", 0x1008, "f"},
		{"unsized ends at the next", "00001000 T f\n00001010 T g\n", 0x1010, "f"},
		{"unsized ends at the next, behind", "00001000 T f\n00001010 T g\n", 0x1011, "f"},
		{"unsized ends at the next, inside", "00001000 T f\n00001010 T g\n", 0x1012, "g"},
		{"unsized ends at data", "00001000 T f\n00001010 R table\n", 0x1020, ""},
		{"unsized ends somewhere", "00001000 T f\n", 0x20000000, ""},
		{"sized ends there", "00001000 00000010 T f\n00002000 T g\n", 0x1012, ""},
		{"label inside a function", "00001000 00000100 T f\n00001010 t loop\n", 0x1020, "f"},
		{"nested", "00001000 00000100 T outer\n00001010 00000010 T inner\n", 0x1080, "outer"},
		{"nested, inside", "00001000 00000100 T outer\n00001010 00000010 T inner\n", 0x1018, "inner"},
		{"demangled", "00001000 00000010 T ns::f(int, char const*)\n", 0x1008, "ns::f(int, char const*)"},
		{"CRLF and 64 bits", "ffffffc000001000 0000000000000010 T f\r\n                 U memcpy\r\n", 0xffffffc000001008, "f"},
		{"incredible size", "00001000 00000010 T f\n00000100 ffffffff T all\n", 0x2000, ""},
	} {
		tab, err := ReadNM(strings.NewReader(c.nm))
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
		} else if got := name(tab, c.lr); got != c.want {
			t.Errorf("%s: %s is in %q, want %q", c.why, c.lr, got, c.want)
		}
	}
}

// elfFile builds an executable with a text section at 0x8000, a data section
// at 0x20000000 and the given symbols.
func elfFile(class elf.Class, machine elf.Machine, symbols []elf.Symbol) []byte {
	names := []byte("\x00")
	var table bytes.Buffer
	put := func(v any) { binary.Write(&table, binary.LittleEndian, v) }
	if class == elf.ELFCLASS32 {
		put(elf.Sym32{})
	} else {
		put(elf.Sym64{})
	}
	for _, s := range symbols {
		n := uint32(len(names))
		names = append(append(names, s.Name...), 0)
		if class == elf.ELFCLASS32 {
			put(elf.Sym32{Name: n, Value: uint32(s.Value), Size: uint32(s.Size), Info: s.Info, Shndx: uint16(s.Section)})
		} else {
			put(elf.Sym64{Name: n, Value: s.Value, Size: s.Size, Info: s.Info, Shndx: uint16(s.Section)})
		}
	}
	sections := "\x00.text\x00.data\x00.symtab\x00.strtab\x00.shstrtab\x00"
	at := func(s string) uint32 { return uint32(strings.Index(sections, s)) }
	head, entry, sym := 64, 64, 24
	if class == elf.ELFCLASS32 {
		head, entry, sym = 52, 40, 16
	}
	body := append(append(append([]byte{}, table.Bytes()...), names...), sections...)
	type sh struct {
		name, kind          uint32
		flags, addr         uint64
		offset, size        int
		link, info, entsize int
	}
	all := []sh{
		{},
		{at(".text"), uint32(elf.SHT_NOBITS), uint64(elf.SHF_ALLOC | elf.SHF_EXECINSTR), 0x8000, head, 0x1000, 0, 0, 0},
		{at(".data"), uint32(elf.SHT_NOBITS), uint64(elf.SHF_ALLOC | elf.SHF_WRITE), 0x20000000, head, 0x1000, 0, 0, 0},
		{at(".symtab"), uint32(elf.SHT_SYMTAB), 0, 0, head, table.Len(), 4, 1, sym},
		{at(".strtab"), uint32(elf.SHT_STRTAB), 0, 0, head + table.Len(), len(names), 0, 0, 0},
		{at(".shstrtab"), uint32(elf.SHT_STRTAB), 0, 0, head + table.Len() + len(names), len(sections), 0, 0, 0},
	}
	ident := [16]byte{0x7f, 'E', 'L', 'F', byte(class), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)}
	var out bytes.Buffer
	if class == elf.ELFCLASS32 {
		binary.Write(&out, binary.LittleEndian, elf.Header32{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1,
			Shoff: uint32(head + len(body)), Ehsize: uint16(head), Shentsize: uint16(entry), Shnum: uint16(len(all)), Shstrndx: 5,
		})
	} else {
		binary.Write(&out, binary.LittleEndian, elf.Header64{
			Ident: ident, Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1,
			Shoff: uint64(head + len(body)), Ehsize: uint16(head), Shentsize: uint16(entry), Shnum: uint16(len(all)), Shstrndx: 5,
		})
	}
	out.Write(body)
	for _, s := range all {
		if class == elf.ELFCLASS32 {
			binary.Write(&out, binary.LittleEndian, elf.Section32{
				Name: s.name, Type: s.kind, Flags: uint32(s.flags), Addr: uint32(s.addr), Off: uint32(s.offset),
				Size: uint32(s.size), Link: uint32(s.link), Info: uint32(s.info), Entsize: uint32(s.entsize),
			})
		} else {
			binary.Write(&out, binary.LittleEndian, elf.Section64{
				Name: s.name, Type: s.kind, Flags: s.flags, Addr: s.addr, Off: uint64(s.offset),
				Size: uint64(s.size), Link: uint32(s.link), Info: uint32(s.info), Entsize: uint64(s.entsize),
			})
		}
	}
	return out.Bytes()
}

var elfSymbols = []elf.Symbol{
	{Name: "$t", Value: 0x8000, Section: 1, Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_NOTYPE)},
	{Name: "read_sample", Value: 0x8001, Size: 0x20, Section: 1, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC)},
	{Name: "helper", Value: 0x8021, Size: 0x10, Section: 1, Info: elf.ST_INFO(elf.STB_LOCAL, elf.STT_FUNC)},
	{Name: "vectors", Value: 0x8100, Section: 1, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_NOTYPE)},
	{Name: "blob", Value: 0x8200, Size: 4, Section: 1, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_OBJECT)},
	{Name: "last", Value: 0x8ff0, Section: 1, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_NOTYPE)},
	{Name: "buffer", Value: 0x20000000, Size: 64, Section: 2, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_OBJECT)},
	{Name: "printf", Section: elf.SHN_UNDEF, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC)},
}

func TestELF(t *testing.T) {
	for _, c := range []struct {
		class   elf.Class
		machine elf.Machine
	}{{elf.ELFCLASS32, elf.EM_ARM}, {elf.ELFCLASS64, elf.EM_AARCH64}} {
		path := filepath.Join(t.TempDir(), "a.elf")
		if err := os.WriteFile(path, elfFile(c.class, c.machine, elfSymbols), 0o600); err != nil {
			t.Fatal(err)
		}
		tab, err := Open(path)
		if err != nil {
			t.Fatal(c.machine, err)
		}
		for lr, want := range map[heap.Addr]string{
			0x8007:     "read_sample", // with the Thumb bit
			0x8008:     "read_sample",
			0x8021:     "read_sample", // a call as the last instruction
			0x8027:     "helper",
			0x8040:     "", // behind a function that says its size
			0x8104:     "vectors",
			0x8202:     "", // an object
			0x9000:     "last",
			0x9004:     "", // behind the section
			0x20000008: "",
			4:          "",
		} {
			if got := name(tab, lr); got != want {
				t.Errorf("%v: %s is in %q, want %q", c.machine, lr, got, want)
			}
		}
	}
}

func TestOpenErrors(t *testing.T) {
	good := elfFile(elf.ELFCLASS32, elf.EM_ARM, elfSymbols)
	object := bytes.Clone(good)
	binary.LittleEndian.PutUint16(object[16:], uint16(elf.ET_REL))
	for _, c := range []struct {
		name, want string
		content    []byte
		unknown    bool
	}{
		{"log", "neither", []byte("node  LR[0]\n0x1: 0x2\n"), true},
		{"empty", "neither", nil, true},
		{"binary", "neither", bytes.Repeat([]byte{1, 2, 3}, 1<<20), true},
		{"data only", "no function in it", []byte("20000000 00000004 B counter\n"), false},
		{"stripped", "no function in it", elfFile(elf.ELFCLASS64, elf.EM_X86_64, nil), false},
		{"object file", "an object file", object, false},
		{"cut ELF", "damaged ELF file", good[:len(good)-60], false},
		{"cut magic", "damaged ELF file", good[:4], false},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
		if errors.Is(err, ErrUnknownFormat) != c.unknown {
			t.Errorf("%s: unknown format: %v", c.name, !c.unknown)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Error(err)
	}
}

func TestCoverage(t *testing.T) {
	tab, err := ReadNM(strings.NewReader("00001000 00000010 T f\n"))
	if err != nil {
		t.Fatal(err)
	}
	stacks := []heap.Stack{{0x1004, 0x2000}, {0x1008, 0x1004, 0}}
	if r, n := Coverage(tab, stacks); r != 2 || n != 3 {
		t.Errorf("%d of %d", r, n)
	}
	if r, n := Coverage(None, stacks); r != 0 || n != 3 {
		t.Errorf("%d of %d without symbols", r, n)
	}
}

func check(t *testing.T, tab *Table) {
	t.Helper()
	for i, f := range tab.functions {
		if f.end <= f.start || f.name == "" || i > 0 && f.start <= tab.functions[i-1].start {
			t.Fatalf("function %d of %d: %+v", i, len(tab.functions), f)
		}
		if got := tab.find(f.start); got == nil || got.start != f.start {
			t.Fatalf("the start of %+v is found in %+v", f, got)
		}
	}
	for _, lr := range []heap.Addr{0, 1, 2, 0x1004, 0x8008, ^heap.Addr(0)} {
		if n := len(tab.Frames(lr)); n == 0 || n > 1 && tab.debug == nil || n > maxInline {
			t.Fatal(lr, n)
		}
	}
	checkData(t, tab)
	for _, v := range tab.variables[:min(len(tab.variables), 1000)] {
		if s, ok := tab.Variable(v.name); ok && s.End < s.Start {
			t.Fatalf("%s: %+v", v.name, s)
		}
		if _, s, ok := tab.VariableAt(heap.Addr(v.addr)); ok && (s.Start > heap.Addr(v.addr) || s.End <= heap.Addr(v.addr)) {
			t.Fatalf("%+v at %#x", s, v.addr)
		}
	}
	tab.Struct("none")
	if tab.debug == nil || tab.debug.types == nil {
		return
	}
	names := slices.Sorted(maps.Keys(tab.debug.types.names))
	for _, name := range names[:min(len(names), 100)] {
		if s, ok := tab.Struct(name); ok {
			checkOrder(t, &s)
		}
	}
}

func FuzzNM(f *testing.F) {
	real, err := os.ReadFile("../console/testdata/leak-series.nm.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(real[:2000])
	f.Add([]byte("00001000 A base\n00001000 00000010 T f\n         U memcpy\nffffffffffffffff ffffffffffffffff t $d.x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if tab, err := ReadNM(bytes.NewReader(b)); err == nil {
			check(t, tab)
		}
	})
}

func FuzzELF(f *testing.F) {
	f.Add(elfFile(elf.ELFCLASS32, elf.EM_ARM, elfSymbols))
	f.Add(elfFile(elf.ELFCLASS64, elf.EM_AARCH64, elfSymbols))
	for _, content := range seeds(f) {
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if tab, err := ReadELF(bytes.NewReader(b)); err == nil {
			check(t, tab)
			resolveAll(b)
		}
	})
}

func BenchmarkFrames(b *testing.B) {
	tab, err := Open("../console/testdata/leak-series.nm.txt")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		tab.Frames(0x2b94c)
	}
}
