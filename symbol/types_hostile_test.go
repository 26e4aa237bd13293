package symbol

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// typesOf reads debug information of one unit with these abbreviations and
// entries behind the root, the first of which is at offset firstType.
func typesOf(abbrevs func(*bytesOf), entries string) *Table {
	var abbrev, info bytesOf
	abbrev.u8(1, tagCompileUnit, 1, atLowPC, formAddr, atHighPC, formData4, 0, 0)
	abbrevs(&abbrev)
	abbrev.u8(0)
	var root bytesOf
	root.u8(1)
	root.u32(0x1000)
	root.u32(0x100)
	info.unit(0, root.String()+entries)
	return &Table{debug: readDWARF(&dwarfData{info: info.String(), abbrev: abbrev.String(), text: anywhere})}
}

// firstType is the offset of the first entry behind the root: 11 bytes of
// header, 9 of the root.
const firstType = 20

// structures declares 2, a structure of 16 bytes named in place, 3 a member
// with a name, and 4 one without.
func structures(b *bytesOf) {
	b.u8(2, tagStructureType, 1, atName, formString, atByteSize, formData1, 0, 0)
	b.u8(3, tagMember, 0, atName, formString, atDataMemberLocation, formData1, atType, formRef4, 0, 0)
	b.u8(4, tagMember, 0, atDataMemberLocation, formData1, atType, formRef4, 0, 0)
}

// A structure that holds itself, several times, without a name.
func TestStructInItself(t *testing.T) {
	var b bytesOf
	b.WriteString("\x02s\x00\x10")
	for range 8 {
		b.u8(4, 0)
		b.u32(firstType)
	}
	b.u8(0, 0)
	tab := typesOf(structures, b.String())
	if n := measured(func() {
		if s, ok := tab.Struct("s"); ok {
			t.Errorf("%d fields", len(s.Fields))
		}
	}); n > 64<<20 {
		t.Errorf("it took %d MB", n>>20)
	}
	if !strings.Contains(tab.Partial(), `"s"`) {
		t.Errorf("partial: %q", tab.Partial())
	}
}

// Members beyond the end of the structure, and names that grow with each level.
func TestStructTooLarge(t *testing.T) {
	for name, entries := range map[string]string{
		"beyond":    "\x02s\x00\x10\x03m\x00\x01\x14\x00\x00\x00\x00\x00",
		"recursive": "\x02s\x00\x10\x03" + strings.Repeat("n", 10000) + "\x00\x00\x14\x00\x00\x00\x00\x00",
		"cut":       "\x02s\x00\x10\x03",
		"elsewhere": "\x02s\x00\x10\x03m\x00\x01\xff\xff\xff\x7f\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			tab := typesOf(structures, entries)
			s, ok := tab.Struct("s")
			if ok != (name == "elsewhere") || len(s.Fields) > 0 {
				t.Errorf("%+v, %v; %s", s, ok, tab.Partial())
			}
		})
	}
}

// Arrays of arrays whose sizes multiply, and typedefs of each other.
func TestTypesInCircles(t *testing.T) {
	tab := typesOf(func(b *bytesOf) {
		structures(b)
		b.u8(5, tagTypedef, 0, atName, formString, atType, formRef4, 0, 0)
		b.u8(6, tagArrayType, 1, atType, formRef4, 0, 0)
		b.u8(7, tagSubrangeType, 0, atCount, formUdata, 0, 0)
	}, "\x05a\x00\x1b\x00\x00\x00"+"\x05b\x00\x14\x00\x00\x00"+ // at 20 and 27
		"\x06\x22\x00\x00\x00\x07\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"+ // at 34
		"\x02s\x00\x10\x03m\x00\x00\x22\x00\x00\x00\x03n\x00\x00\x14\x00\x00\x00\x00\x00")
	for _, name := range []string{"a", "b"} {
		if s, ok := tab.Struct(name); ok {
			t.Errorf("%s: %+v", name, s)
		}
	}
	if s, ok := tab.Struct("s"); !ok || len(s.Fields) != 0 {
		t.Errorf("%+v, %v: members of no size are none", s, ok)
	}
}

// Bases of classes are listed as what is nameless; what is computed is not.
func TestStructOfClass(t *testing.T) {
	gxx := tool(t, "g++", "g++")
	file := filepath.Join(t.TempDir(), "class")
	source := `
struct Base { int id; static int count; };
struct Side { short tag; };
struct Shared { long far; };
class Derived : public Base, public Side, virtual public Shared { public: char name[8]; virtual ~Derived() {} int Base::*which; };
int Base::count;
namespace hidden { struct Inner { int x; }; Inner inner; }
Derived d;
int main() { struct Local { int y; } l = {1}; return l.y - 1 + hidden::inner.x; }
`
	if err := os.WriteFile(file+".cc", []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, gxx, "-g", "-o", file, file+".cc")
	tab := openAny(t, file)
	s, ok := tab.Struct("Derived")
	var fields []string
	for _, f := range s.Fields {
		if !strings.HasPrefix(f.Name, "_vptr") {
			fields = append(fields, fmt.Sprintf("%s %d+%d", f.Name, f.Offset, f.Size))
		}
	}
	// The first eight bytes are the pointer to the table of virtual functions.
	if got, want := strings.Join(fields, ", "), "id 8+4, tag 12+2, name 14+8"; !ok || got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, name := range []string{"Inner", "Local"} {
		if _, ok := tab.Struct(name); ok {
			t.Errorf("%s has a scope", name)
		}
	}
}

// FuzzStruct reads types out of anything.
func FuzzStruct(f *testing.F) {
	var abbrev bytesOf
	abbrev.u8(1, tagCompileUnit, 1, 0, 0)
	structures(&abbrev)
	abbrev.u8(5, tagTypedef, 0, atName, formString, atType, formRef4, 0, 0)
	abbrev.u8(6, tagArrayType, 1, atType, formRef4, 0, 0)
	abbrev.u8(7, tagSubrangeType, 0, atCount, formUdata, 0, 0)
	abbrev.u8(8, tagUnionType, 1, atByteSize, formUdata, 0, 0)
	abbrev.u8(9, tagMember, 0, atName, formString, atType, formRef4, atBitSize, formData1, atBitOffset, formData1, atDataMemberLocation, formBlock1, 0, 0)
	abbrev.u8(10, tagMember, 0, atName, formString, atType, formRef4, atBitSize, formData1, atDataBitOffset, formUdata, 0, 0)
	abbrev.u8(0)
	for _, entries := range []string{
		"\x01\x02s\x00\x10\x03m\x00\x04\x0c\x00\x00\x00\x00\x05t\x00\x0c\x00\x00\x00\x00",
		"\x01\x08\x04\x04\x00\x0c\x00\x00\x00\x00\x06\x0c\x00\x00\x00\x07\x03\x00\x02s\x00\x10\x03m\x00\x00\x15\x00\x00\x00\x04\x00\x0c\x00\x00\x00\x00\x00",
		"\x01\x02s\x00\x04\x09b\x00\x0c\x00\x00\x00\x03\x05\x02\x23\x00\x0ac\x00\x0c\x00\x00\x00\x03\x05\x00\x00",
	} {
		f.Add(abbrev.String(), entries, false)
		f.Add(abbrev.String(), entries, true)
	}
	f.Fuzz(func(t *testing.T, abbrev, entries string, big bool) {
		if len(entries) > 1<<16 {
			return
		}
		var info bytesOf
		info.unit(0, entries)
		d := &dwarfData{info: info.String(), abbrev: abbrev, text: anywhere}
		if big {
			d.info, d.big = "\x00\x00"+string([]byte{byte((7 + len(entries)) >> 8), byte(7 + len(entries))})+"\x00\x04\x00\x00\x00\x00\x04"+entries, true
		}
		readDWARF(d)
		tab := &Table{debug: d}
		tab.Struct("none")
		names := slices.Sorted(maps.Keys(d.types.names))
		for _, name := range names[:min(len(names), 8)] {
			if s, ok := tab.Struct(name); ok {
				checkOrder(t, &s)
			}
		}
	})
}

// The types of a large program are indexed in one pass.
func BenchmarkStruct(b *testing.B) {
	file := largeFirmware(b)
	b.Run("step=first", func(b *testing.B) {
		defer reportCPU(b, cpuTime())
		for b.Loop() {
			b.StopTimer()
			tab := openAny(b, file)
			b.StartTimer()
			if _, ok := tab.Struct("record7"); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("step=memory", func(b *testing.B) {
		for b.Loop() {
			tab := openAny(b, file)
			n := measured(func() { tab.Struct("record7") })
			b.ReportMetric(float64(n)/1e3, "kB-allocated")
		}
	})
	b.Run("step=next", func(b *testing.B) {
		tab := openAny(b, file)
		for b.Loop() {
			tab.Struct("record3")
			tab.Struct("none")
		}
	})
}
