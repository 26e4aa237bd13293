package symbol

import (
	"encoding/binary"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A builder of sections, little-endian.
type bytesOf struct{ strings.Builder }

func (b *bytesOf) u8(v ...byte) { b.Write(v) }
func (b *bytesOf) u16(v uint16) { b.Write(binary.LittleEndian.AppendUint16(nil, v)) }
func (b *bytesOf) u32(v uint32) { b.Write(binary.LittleEndian.AppendUint32(nil, v)) }

// unit appends a unit of DWARF 4 with 32-bit addresses.
func (b *bytesOf) unit(abbrev uint32, entries string) {
	b.u32(uint32(7 + len(entries)))
	b.u16(4)
	b.u32(abbrev)
	b.u8(4)
	b.WriteString(entries)
}

var anywhere = textSpans{spans: spans{{start: 0x1000, end: 0x10000000}}}

// measured returns the bytes that f allocates.
func measured(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Thousands of units each of which has its table of abbreviations one byte
// further: read naively, the work is the product of both sections.
func TestOverlappingAbbreviations(t *testing.T) {
	var abbrev, info bytesOf
	for range 8000 { // code 1, compile unit, no children, name: flag
		abbrev.u8(1, tagCompileUnit, 0, atName, formFlagPresent, 0, 0)
	}
	abbrev.u8(0)
	for i := range uint32(8000) {
		info.unit(7*i, "\x01")
	}
	d := &dwarfData{info: info.String(), abbrev: abbrev.String(), text: anywhere}
	if n := measured(func() { readDWARF(d) }); n > 64<<20 {
		t.Errorf("%d KB of debug information took %d MB", (len(d.info)+len(d.abbrev))>>10, n>>20)
	}
}

// Thousands of functions that all have the same long list of ranges.
func TestSharedRanges(t *testing.T) {
	var abbrev, info, ranges bytesOf
	abbrev.u8(1, tagCompileUnit, 1, atLowPC, formAddr, atHighPC, formData4, 0, 0)
	abbrev.u8(2, tagSubprogram, 0, atRanges, formSecOffset, 0, 0, 0)
	var entries bytesOf
	entries.u8(1)
	entries.u32(0x1000)
	entries.u32(0x100000)
	for range 20000 {
		entries.u8(2)
		entries.u32(0)
	}
	info.unit(0, entries.String())
	for i := range uint32(20000) {
		ranges.u32(8 * i)
		ranges.u32(8*i + 4)
	}
	d := readDWARF(&dwarfData{info: info.String(), abbrev: abbrev.String(), ranges: ranges.String(), text: anywhere})
	if d == nil {
		t.Fatal("not read")
	}
	if n := measured(func() { d.find(0x2000) }); n > 64<<20 {
		t.Errorf("%d KB of debug information took %d MB", (len(d.info)+len(d.ranges))>>10, n>>20)
	}
}

// Entries that nest without end, and functions that are inlined into each other
// without end.
func TestDeepNesting(t *testing.T) {
	var abbrev, info bytesOf
	abbrev.u8(1, tagCompileUnit, 1, atLowPC, formAddr, atHighPC, formData4, 0, 0)
	abbrev.u8(2, tagInlinedSubroutine, 1, atLowPC, formAddr, atHighPC, formData4, 0, 0, 0)
	var entries bytesOf
	entries.u8(1)
	entries.u32(0x1000)
	entries.u32(0x100000)
	for range 100000 {
		entries.u8(2)
		entries.u32(0x1000)
		entries.u32(0x100)
	}
	info.unit(0, entries.String())
	d := readDWARF(&dwarfData{info: info.String(), abbrev: abbrev.String(), text: anywhere})
	tab := &Table{debug: d}
	if n := len(tab.Frames(0x1011)); n == 0 || n > maxInline {
		t.Errorf("%d frames", n)
	}
	if tab.Partial() == "" {
		t.Error("what nests too deep was left out, and nothing says so")
	}
}

// References to other entries that go round in circles.
func TestCircularNames(t *testing.T) {
	var abbrev, info bytesOf
	abbrev.u8(1, tagCompileUnit, 1, atLowPC, formAddr, atHighPC, formData4, 0, 0)
	abbrev.u8(2, tagSubprogram, 0, atLowPC, formAddr, atHighPC, formData4, atAbstractOrigin, formRef4, 0, 0, 0)
	var entries bytesOf
	entries.u8(1)
	entries.u32(0x1000)
	entries.u32(0x100000)
	at := uint32(11 + entries.Len())
	entries.u8(2)
	entries.u32(0x1000)
	entries.u32(0x100)
	entries.u32(at) // itself
	entries.u8(0)
	info.unit(0, entries.String())
	tab := &Table{debug: readDWARF(&dwarfData{info: info.String(), abbrev: abbrev.String(), text: anywhere})}
	if f := tab.Frames(0x1011); len(f) != 1 || f[0].Function != "" {
		t.Errorf("%+v", f)
	}
}

// A table of lines that announces more directories than there are bytes.
func TestClaimedDirectories(t *testing.T) {
	var line bytesOf
	var header bytesOf
	header.u8(1, 1, 1, 0xfb, 14, 13, 0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1)
	header.u8(0)                                  // no forms
	header.u8(0xff, 0xff, 0xff, 0xff, 0xff, 0x0f) // directories
	var body bytesOf
	body.u16(5)
	body.u8(4, 0)
	body.u32(uint32(header.Len()))
	body.WriteString(header.String())
	line.u32(uint32(body.Len()))
	line.WriteString(body.String())
	d := &dwarfData{line: line.String(), lines: map[uint64]*lineTable{}, text: anywhere}
	n := measured(func() {
		if _, err := d.lineTable(&unit{layout: layout{version: 5, asize: 4}}); err == nil {
			t.Error("no error")
		}
	})
	if n > 1<<20 {
		t.Errorf("%d bytes of lines took %d KB", len(d.line), n>>10)
	}
}

func TestFlattenLarge(t *testing.T) {
	var all []span
	const n = 20000
	for i := range int32(n) { // every one overlaps every other
		all = append(all, span{start: uint64(i), end: uint64(2*n - i), item: i, rank: i % 7})
	}
	flat := flatten(all)
	if len(flat) > 2*n {
		t.Errorf("%d pieces of %d", len(flat), n)
	}
}

// flatten against looking at every span for every byte.
func TestFlatten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []span
		for i := range rapid.IntRange(0, 12).Draw(t, "n") {
			start := rapid.Uint64Range(0, 30).Draw(t, "start")
			all = append(all, span{
				start: start, end: start + rapid.Uint64Range(1, 12).Draw(t, "length"),
				item: int32(i), rank: rapid.Int32Range(0, 3).Draw(t, "rank"),
			})
		}
		want := slices.Clone(all)
		flat := flatten(all)
		if len(flat) > 2*len(all) {
			t.Fatalf("%d pieces of %d", len(flat), len(all))
		}
		for i, s := range flat {
			if s.start >= s.end || i > 0 && s.start < flat[i-1].end {
				t.Fatalf("%+v behind %+v", s, flat[max(i, 1)-1])
			}
		}
		for pc := range uint64(50) {
			best := -1
			for i, s := range want {
				if pc >= s.start && pc < s.end && (best < 0 || s.counts(want[best])) {
					best = i
				}
			}
			got, ok := flat.find(pc)
			if ok != (best >= 0) || ok && got != best {
				t.Fatalf("%d is in %d (%v), want %d", pc, got, ok, best)
			}
		}
	})
}
