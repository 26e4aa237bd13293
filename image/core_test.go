package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/heapwright/heapwright/heap"
)

func TestCore(t *testing.T) {
	for name, c := range map[string]coreFile{
		"arm":       {machine: elf.EM_ARM},
		"arm, big":  {machine: elf.EM_ARM, order: binary.BigEndian},
		"386":       {machine: elf.EM_386},
		"riscv32":   {machine: elf.EM_RISCV},
		"riscv64":   {machine: elf.EM_RISCV, wide: true},
		"aarch64":   {machine: elf.EM_AARCH64, wide: true},
		"amd64":     {machine: elf.EM_X86_64, wide: true},
		"many":      {machine: elf.EM_X86_64, wide: true, xnum: true},
		"many, arm": {machine: elf.EM_ARM, xnum: true},
	} {
		t.Run(name, func(t *testing.T) {
			set := registerSets[struct {
				machine elf.Machine
				wide    bool
			}{c.machine, c.wide}]
			var threads []Thread
			for id := range 3 {
				regs := make([]uint64, set.count)
				for i := range regs {
					regs[i] = 0x80000000 + uint64(id*0x100+i)
				}
				c.thread(100+id, regs)
				threads = append(threads, Thread{ID: 100 + id, SP: heap.Addr(regs[set.sp]), PC: heap.Addr(regs[set.pc]), Regs: regs})
			}
			c.note("LINUX", ntPrstatus, []byte("not a thread"))
			c.note("CORE", 6, []byte("odd"))
			files := []heap.Mapping{
				{Start: 0x1000, Limit: 0x2000, Offset: 0x3000, File: "/bin/cam"},
				{Start: 0x8000, Limit: 0x9000, File: "/lib/a b"},
			}
			c.files(0x1000, files[1], files[0])
			c.loads = []chunk{
				{addr: 0x1ff0, flags: elf.PF_R | elf.PF_X, data: []byte("0123456789abcdef"), undumped: 16},
				{addr: 0x2000, flags: elf.PF_R | elf.PF_W, data: []byte("0123456789abcdef")},
				{addr: 0xfffffffc, flags: elf.PF_R | elf.PF_W, data: []byte("last")},
				{addr: 0x50, undumped: 0x1000},
			}
			m := must(t, c.encode(), Options{})
			var order binary.ByteOrder = binary.LittleEndian
			size := 4
			if c.order != nil {
				order = binary.BigEndian
			}
			if c.wide {
				size = 8
			}
			if m.Order() != order || m.PointerSize() != size || m.Machine() != c.machine || m.Partial() != "" || !m.Based() {
				t.Errorf("order %v, pointer %d, %v, partial %q", m.Order(), m.PointerSize(), m.Machine(), m.Partial())
			}
			if d := cmp.Diff(threads, m.Registers()); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(files, m.Mappings()); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff([]Segment{
				{Addr: 0x1ff0, Bytes: c.loads[0].data, Name: "/bin/cam"},
				{Addr: 0x2000, Bytes: c.loads[1].data, Name: "test", Writable: true},
				{Addr: 0xfffffffc, Bytes: c.loads[2].data, Name: "test", Writable: true},
			}, m.Segments(), cmpopts.IgnoreUnexported(Segment{})); d != "" {
				t.Error(d)
			}
			if len(m.Spans()) != 2 || string(m.View(0x1ffc, 8)) != "cdef0123" {
				t.Errorf("across segments: %q", m.View(0x1ffc, 8))
			}
			if n := m.Notes(); len(n) != 1 || !strings.Contains(n[0], "4112 more bytes") {
				t.Errorf("%q", n)
			}
		})
	}
}

// A cut core has what is there, and says how much is not.
func TestCoreCut(t *testing.T) {
	c := coreFile{wide: true, machine: elf.EM_X86_64, loads: []chunk{
		{addr: 0x1000, data: bytes.Repeat([]byte("a"), 100)},
		{addr: 0x3000, data: bytes.Repeat([]byte("b"), 100)},
	}}
	c.thread(1, make([]uint64, 27))
	c.thread(2, make([]uint64, 27))
	whole := c.encode()
	for n := 4; n < len(whole); n++ {
		m, err := Read("x", bytes.NewReader(whole[:n]), Options{})
		if err != nil {
			if n > len(whole)-200 {
				t.Fatalf("%d of %d bytes: %v", n, len(whole), err)
			}
			continue
		}
		lost := uint64(len(whole) - n)
		if got := m.Size(); got != 200-lost {
			t.Fatalf("%d of %d bytes: %d bytes of memory", n, len(whole), got)
		}
		if !strings.Contains(m.Partial(), "of 200 bytes of memory are missing") {
			t.Fatalf("%d of %d bytes: %q", n, len(whole), m.Partial())
		}
	}
	cut := slices.Clone(whole)
	binary.LittleEndian.PutUint16(cut[56:], 1000) // program headers
	if m := must(t, cut, Options{}); !strings.Contains(m.Partial(), "of 1000 program headers are missing") || m.View(0x3000, 100) == nil {
		t.Errorf("%q", m.Partial())
	}
}

func TestCoreNotes(t *testing.T) {
	odd := coreFile{wide: true, machine: elf.EM_X86_64}
	odd.thread(1, make([]uint64, 27))
	odd.thread(2, make([]uint64, 26))
	unknown := coreFile{machine: elf.EM_MIPS}
	unknown.thread(1, make([]uint64, 45))
	claims := coreFile{machine: elf.EM_ARM}
	claims.note("CORE", ntFile, []byte{0xff, 0xff, 0xff, 0xff, 0, 0x10, 0, 0})
	endless := coreFile{machine: elf.EM_ARM}
	endless.files(1, heap.Mapping{File: "a"})
	endless.notes = endless.notes[:len(endless.notes)-4]
	backwards := coreFile{machine: elf.EM_ARM}
	backwards.files(1, heap.Mapping{Start: 5, Limit: 4, File: "a"})
	wraps := coreFile{wide: true, machine: elf.EM_X86_64}
	wraps.note("CORE", ntFile, bytes.Repeat([]byte{1, 0, 0, 0, 0, 0, 0, 0x80}, 6))
	for want, c := range map[string]coreFile{
		"of 1 thread are in a form that is not known (EM_X86_64)": odd,
		"of 1 thread are in a form that is not known (EM_MIPS)":   unknown,
		"notes are cut or damaged":                                claims,
		"notes are cut or damaged: threads":                       endless,
		"notes are cut or damaged: threads or":                    backwards,
		"notes are cut or damaged: threads or names":              wraps,
	} {
		c.loads = []chunk{{addr: 1, data: []byte("abc")}}
		if m := must(t, c.encode(), Options{}); !strings.Contains(m.Partial(), want) || m.View(1, 3) == nil {
			t.Errorf("%q instead of %q", m.Partial(), want)
		}
	}
}

// QEMU's dump-guest-memory without paging has physical addresses only.
func TestCorePhysical(t *testing.T) {
	c := coreFile{loads: []chunk{{physical: 0x60000000, data: []byte("ram")}, {data: []byte("rom")}}}
	m := must(t, c.encode(), Options{})
	if string(m.View(0x60000000, 3)) != "ram" || string(m.View(0, 3)) != "rom" || len(m.Notes()) != 1 {
		t.Errorf("%v, %q", m.Segments(), m.Notes())
	}
	c.loads = []chunk{{addr: 1, physical: 0x60000000, data: []byte("ram")}, {physical: 0x1000, data: []byte("rom")}}
	if m := must(t, c.encode(), Options{}); string(m.View(1, 3)) != "ram" || len(m.Notes()) != 1 || !strings.Contains(m.Notes()[0], "2 bytes of memory are there more than once") {
		t.Errorf("%v, %q", m.Segments(), m.Notes())
	}
}

func TestCoreOverlap(t *testing.T) {
	c := coreFile{loads: []chunk{{addr: 0x14, data: []byte("first")}, {addr: 0x10, data: []byte("second...........")}}}
	m := must(t, c.encode(), Options{})
	if got := m.View(0x10, 17); string(got) != "secofirst........" {
		t.Errorf("%q", got)
	}
	if n := m.Notes(); len(n) != 1 || !strings.Contains(n[0], "5 bytes of memory are there more than once") {
		t.Errorf("%q", n)
	}
}

// Headers that lie cost neither a panic nor memory.
func TestCoreHostile(t *testing.T) {
	c := coreFile{wide: true, machine: elf.EM_X86_64, loads: []chunk{{addr: 0x1000, data: []byte("abcd")}}}
	good := c.encode()
	const load = 64 + 56 // the header of the chunk: type, flags, offset, virtual, physical, file size, memory size
	le := binary.LittleEndian
	for name, change := range map[string]func(b []byte){
		"size wraps":             func(b []byte) { le.PutUint64(b[load+32:], math.MaxUint64) },
		"offset wraps":           func(b []byte) { le.PutUint64(b[load+8:], math.MaxUint64) },
		"address wraps":          func(b []byte) { le.PutUint64(b[load+16:], math.MaxUint64-1) },
		"all wraps":              func(b []byte) { copy(b[load+8:], bytes.Repeat([]byte{0xff}, 48)) },
		"table behind the end":   func(b []byte) { le.PutUint64(b[32:], 1<<62) },
		"table wraps":            func(b []byte) { le.PutUint64(b[32:], math.MaxUint64) },
		"tiny headers":           func(b []byte) { le.PutUint16(b[54:], 1) },
		"headers of no size":     func(b []byte) { le.PutUint16(b[54:], 0) },
		"no headers":             func(b []byte) { le.PutUint16(b[56:], 0) },
		"number somewhere else":  func(b []byte) { le.PutUint16(b[56:], 0xffff); le.PutUint64(b[40:], math.MaxUint64) },
		"number in the notes":    func(b []byte) { le.PutUint16(b[56:], 0xffff); le.PutUint64(b[40:], 64) },
		"no class":               func(b []byte) { b[4] = 0 },
		"no byte order":          func(b []byte) { b[5] = 3 },
		"notes behind the end":   func(b []byte) { le.PutUint64(b[64+8:], 1<<63); le.PutUint64(b[64+32:], 1<<63) },
		"notes that are the all": func(b []byte) { le.PutUint64(b[64+8:], 0); le.PutUint64(b[64+32:], 1<<63) },
	} {
		b := slices.Clone(good)
		change(b)
		m, err := Read("x", bytes.NewReader(b), Options{})
		if err == nil && m.Partial() == "" && len(m.Notes()) == 0 {
			t.Errorf("%s: nothing wrong", name)
		}
		if err == nil && m.Size() > uint64(len(b)) {
			t.Errorf("%s: %d bytes of memory", name, m.Size())
		}
	}

	// Many headers of the same notes, and of the same memory.
	c = coreFile{machine: elf.EM_ARM}
	for i := range 60_000 {
		c.loads = append(c.loads, chunk{addr: uint64(i) * 0x10000})
	}
	for range 1000 {
		c.thread(1, make([]uint64, 18))
	}
	b := c.encode()
	for i := range 30_000 {
		copy(b[52+32*(2*i+1):], b[52:52+32]) // notes
		h := b[52+32*(2*i+2):]
		le.PutUint32(h[4:], 0)
		le.PutUint32(h[16:], uint32(len(b)))
	}
	m := must(t, b, Options{})
	if n := uint64(len(m.Registers())); n*160 > maxNotes {
		t.Errorf("%d threads", n)
	}
	if !strings.Contains(m.Partial(), "bytes of notes") {
		t.Errorf("%q", m.Partial())
	}
}

// TestCoreSharedBytes: a small file whose segments all have the same contents is
// not taken for gigabytes of memory.
func TestCoreSharedBytes(t *testing.T) {
	const count, each = 1000, 52 + 1000*32
	o := binary.LittleEndian
	b := append([]byte(elf.ELFMAG), byte(elf.ELFCLASS32), byte(elf.ELFDATA2LSB), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = o.AppendUint16(b, uint16(elf.ET_CORE))
	b = o.AppendUint16(b, uint16(elf.EM_ARM))
	for _, v := range []uint32{1, 0, 52, 0, 0} {
		b = o.AppendUint32(b, v)
	}
	for _, v := range []uint16{52, 32, count, 0, 0, 0} {
		b = o.AppendUint16(b, v)
	}
	for i := range uint32(count) {
		for _, v := range []uint32{uint32(elf.PT_LOAD), 0, i * each, 0, each, each, 6, 1} {
			b = o.AppendUint32(b, v)
		}
	}
	m := must(t, b, Options{})
	if m.Size() != 4*uint64(len(b)) || !strings.Contains(m.Partial(), "the same bytes of the file more than 4 times over") {
		t.Errorf("%d bytes of a file of %d, partial %q", m.Size(), len(b), m.Partial())
	}
}
