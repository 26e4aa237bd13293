package image

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// Random memory, written in each format, is read back as it was.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var segments []Segment
		addr := uint64(0)
		for i := range rapid.IntRange(1, 8).Draw(t, "segments") {
			gap := rapid.SampledFrom([]uint64{0, 1, 16, 0x8000, 0x10000, 0x1234567}).Draw(t, "gap")
			b := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(t, "bytes")
			segments = append(segments, Segment{Addr: heap.Addr(addr + gap), Bytes: b, Name: fmt.Sprint(i), Writable: true})
			addr += gap + uint64(len(b))
		}
		width := rapid.IntRange(1, 250).Draw(t, "width")
		core := coreFile{wide: rapid.Bool().Draw(t, "wide"), machine: elf.EM_ARM}
		for _, s := range segments {
			core.loads = append(core.loads, chunk{addr: uint64(s.Addr), data: s.Bytes, flags: elf.PF_R | elf.PF_W})
		}
		// Records have no borders where memory has none.
		spans, _, _ := join(slices.Clone(segments), DefaultMaxBytes)
		var joined []Segment
		for _, s := range spans {
			joined = append(joined, Segment{Addr: s.Addr, Bytes: s.Bytes, Writable: true})
		}
		shuffled := rapid.Permutation(segments).Draw(t, "order")
		for name, c := range map[string]struct {
			b    []byte
			want []Segment
		}{
			"core":      {core.encode(), segments},
			"Intel HEX": {intelHex(segments, width), joined},
			"S-records": {sRecords(segments, width), joined},
			"shuffled":  {sRecords(shuffled, width), nil},
		} {
			for _, b := range [][]byte{c.b, packed(c.b)} {
				m, err := Read("x", bytes.NewReader(b), Options{})
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if m.Partial() != "" || len(m.Notes()) > 0 {
					t.Fatalf("%s: %q, %q", name, m.Partial(), m.Notes())
				}
				if c.want != nil && !same(m.Segments(), c.want) {
					t.Fatalf("%s: other segments", name)
				}
				if !slices.EqualFunc(m.Spans(), spans, func(a, b heap.Memory) bool {
					return a.Addr == b.Addr && bytes.Equal(a.Bytes, b.Bytes)
				}) {
					t.Fatalf("%s: other memory", name)
				}
			}
		}
	})
}

// sound checks what must hold of every image.
func sound(t *testing.T, b []byte, o Options) {
	m, err := Read("fuzz", bytes.NewReader(b), o)
	if err != nil {
		if m != nil {
			t.Fatal("an image and an error")
		}
		return
	}
	segments, spans := m.Segments(), m.Spans()
	var inSegments, inSpans uint64
	for i, s := range segments {
		if len(s.Bytes) == 0 || s.limit() < s.Addr || i > 0 && segments[i-1].limit() > s.Addr {
			t.Fatalf("segment %d: %d bytes at %s", i, len(s.Bytes), s.Addr)
		}
		if v := m.View(s.Addr, uint64(len(s.Bytes))); v == nil || &v[0] != &s.Bytes[0] {
			t.Fatalf("segment %d is not to be seen", i)
		}
		inSegments += uint64(len(s.Bytes))
	}
	for i, s := range spans {
		limit := s.Addr + heap.Addr(len(s.Bytes))
		if i > 0 && spans[i-1].Addr+heap.Addr(len(spans[i-1].Bytes)) > s.Addr {
			t.Fatalf("span %d at %s", i, s.Addr)
		}
		if (i+1 == len(spans) || spans[i+1].Addr != limit) && m.View(limit, 1) != nil || m.View(s.Addr, uint64(len(s.Bytes))+1<<40) != nil {
			t.Fatalf("more than span %d is seen", i)
		}
		inSpans += uint64(len(s.Bytes))
	}
	if inSegments != inSpans || inSpans != m.Size() || inSpans == 0 {
		t.Fatalf("%d bytes in segments, %d in spans, %d in all", inSegments, inSpans, m.Size())
	}
	for _, r := range m.Registers() {
		if len(r.Regs) == 0 || !slices.Contains(r.Regs, uint64(r.SP)) || !slices.Contains(r.Regs, uint64(r.PC)) {
			t.Fatalf("thread %+v", r)
		}
	}
	for i, p := range m.Mappings() {
		if p.Start > p.Limit || i > 0 && m.Mappings()[i-1].Start > p.Start {
			t.Fatalf("mapping %+v", p)
		}
	}
	if !m.Based() && m.Rebase(0x1000) != nil {
		t.Fatal("cannot be moved")
	}
}

// fuzzOptions keeps what one input can take small.
var fuzzOptions = Options{MaxBytes: 1 << 20}

func FuzzCore(f *testing.F) {
	for _, wide := range []bool{false, true} {
		for _, machine := range []elf.Machine{elf.EM_ARM, elf.EM_X86_64, elf.EM_AARCH64, elf.EM_RISCV} {
			c := coreFile{wide: wide, machine: machine, xnum: wide}
			c.thread(5, make([]uint64, registerSets[struct {
				machine elf.Machine
				wide    bool
			}{machine, wide}].count))
			c.files(0x1000, heap.Mapping{Start: 0x1000, Limit: 0x2000, File: "a"})
			c.loads = []chunk{{addr: 0x1000, data: []byte("abcdefgh"), undumped: 5}, {addr: 0x1008, data: []byte("ij"), physical: 7}}
			f.Add(c.encode())
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 18 {
			copy(b, elf.ELFMAG)
			b[16], b[17] = byte(elf.ET_CORE), 0 // for the other byte order it is another file
		}
		sound(t, b, fuzzOptions)
	})
}

func FuzzIntelHex(f *testing.F) {
	f.Add([]byte(":10010000214601360121470136007EFE09D2190140\r\n:020000040800F2\r\n:00000001FF\r\n"))
	f.Add(intelHex([]Segment{{Addr: 0x8000fff0, Bytes: bytes.Repeat([]byte("abc"), 30)}}, 32))
	f.Add([]byte(hexRecord(hexSegment, 0, 0x12, 0x34) + hexRecord(hexData, 0xffff, 1, 2, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		sound(t, append([]byte(":00000001FF\n"), b...), fuzzOptions)
		sound(t, b, fuzzOptions)
	})
}

func FuzzSRecords(f *testing.F) {
	f.Add([]byte("S00F000068656C6C6F202020202000003C\r\nS11F00007C0802A6900100049421FFF07C6C1B787C8C23783C6000003863000026\r\nS5030001FB\r\nS9030000FC\r\n"))
	f.Add(sRecords([]Segment{{Addr: 0x8000fff0, Bytes: bytes.Repeat([]byte("abc"), 30)}}, 32))
	f.Fuzz(func(t *testing.T, b []byte) {
		sound(t, append([]byte("S9030000FC\n"), b...), fuzzOptions)
		sound(t, b, fuzzOptions)
	})
}

// FuzzFile takes files as they come, packed ones above all.
func FuzzFile(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "both-clean.bin.gz"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:2000])
	f.Add(packed([]byte("abc")))
	f.Add(packed(sRecords([]Segment{{Addr: 5, Bytes: []byte("abc")}}, 32)))
	f.Add(append(packed([]byte(strings.Repeat("a", 5000))), packed([]byte("abc"))...))
	f.Add([]byte("KDUMP   "))
	f.Fuzz(func(t *testing.T, b []byte) { sound(t, b, fuzzOptions) })
}
