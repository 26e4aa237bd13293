package symbol

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// structSource has structures as allocators define them, the first shaped like
// the node of LiteOS, and what else C can put into one.
const structSource = `
#include <stddef.h>
typedef unsigned int UINT32;
typedef unsigned long UINTPTR;
typedef struct list { struct list *pstPrev, *pstNext; } LIST;
typedef struct {
	union {
		LIST freeNodeInfo;
		struct {
			UINT32 magic;
			UINT32 taskID : 16;
			UINT32 moduleID : 16;
		};
	};
	struct tagNode *preNode;
	UINT32 gapSize;
	UINTPTR checksum;
	UINTPTR linkReg[3];
	UINT32 sizeAndFlag;
} LosMemCtlNode;
typedef struct tagNode {
	LosMemCtlNode backupNode;
	LosMemCtlNode selfNode;
} LosMemDynNode;

typedef const volatile LosMemDynNode TwiceNamed;
struct other;
typedef struct other Other;
enum state { IDLE, BUSY = 100000 };
struct mixed {
	char c;
	double d;
	short grid[3][5];
	enum state state;
	void (*done)(int);
	LosMemCtlNode many[2];
	unsigned char low : 3, high : 5;
	const struct list *const next;
	union { char bytes[7]; struct { char x; short y; } pair; } u;
	UINT32 flags : 20, rest : 12;
	char tail[];
};
struct clash { UINT32 a; };
struct bits {
	unsigned a : 3, b : 5, c : 9, d : 15;
	unsigned char e : 1, f : 7;
	unsigned long long g : 33, h : 20;
	unsigned short i : 16;
	unsigned j : 31;
};
const struct bits ones[] = {
	{.a = ~0u}, {.b = ~0u}, {.c = ~0u}, {.d = ~0u}, {.e = 1}, {.f = 127}, {.g = ~0ull}, {.h = ~0ull}, {.i = 65535}, {.j = ~0u},
};
LosMemDynNode first;
TwiceNamed *second;
Other *third;
struct mixed fourth;
struct clash fifth;
`

// otherSource defines what the first unit only declares.
const otherSource = `
struct other { char name[12]; long value; };
struct clash { char a[99]; };
struct other theOther;
struct clash another;
`

// printed are the fields whose place the compiled program states itself.
var printed = map[string][]string{
	"LosMemDynNode": {
		"backupNode", "backupNode.freeNodeInfo", "backupNode.freeNodeInfo.pstPrev", "backupNode.magic", "backupNode.freeNodeInfo.pstNext",
		"backupNode.preNode", "backupNode.gapSize", "backupNode.checksum", "backupNode.linkReg", "backupNode.sizeAndFlag",
		"selfNode", "selfNode.freeNodeInfo", "selfNode.magic", "selfNode.preNode", "selfNode.gapSize", "selfNode.checksum", "selfNode.linkReg", "selfNode.sizeAndFlag",
	},
	"struct mixed": {"c", "d", "grid", "state", "done", "many", "next", "u", "u.bytes", "u.pair", "u.pair.x", "u.pair.y"},
}

// withFacts appends to the source an array with the size of each structure,
// and offset and size of each field.
func withFacts() string {
	var b strings.Builder
	b.WriteString(structSource + "const unsigned facts[] = {\n")
	for _, name := range []string{"LosMemDynNode", "struct mixed"} {
		fmt.Fprintf(&b, "sizeof(%s),\n", name)
		for _, f := range printed[name] {
			fmt.Fprintf(&b, "offsetof(%s, %s), sizeof(((%s *)0)->%s),\n", name, f, name, f)
		}
	}
	b.WriteString("};\n__attribute__((used)) int main(void) { first.selfNode.magic = facts[0]; return 0; }\n")
	return b.String()
}

// compileStructs returns the linked program, and the facts that it holds.
func (g *target) compileStructs(t testing.TB, options string) *Table {
	t.Helper()
	gcc := tool(t, g.prefix+"gcc", g.pkg)
	dir := t.TempDir()
	var sources []string
	for _, source := range [][2]string{{"a.c", withFacts()}, {"b.c", otherSource}} {
		name, text := source[0], source[1]
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		sources = append(sources, filepath.Join(dir, name))
	}
	file := filepath.Join(dir, "structs.elf")
	args := append(strings.Fields(g.flags), "-ffreestanding", "-nostdlib", "-nostartfiles", "-Wl,-e,main", "-o", file)
	execute(t, gcc, append(append(args, strings.Fields(options)...), sources...)...)
	tab, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestStruct(t *testing.T) {
	for _, g := range targets() {
		for _, options := range []string{"-O1 -gdwarf-2 -gstrict-dwarf", "-O1 -gdwarf-3", "-O2 -gdwarf-4", "-O1 -gdwarf-4 -fdebug-types-section", "-O1 -gdwarf-5", "-O1 -gdwarf-5 -fdebug-types-section", "-O1 -gdwarf-5 -gdwarf64"} {
			t.Run(g.name+strings.ReplaceAll(options, " ", ""), func(t *testing.T) {
				checkStructs(t, g.compileStructs(t, options))
			})
		}
	}
}

// checkStructs compares the answers with what the program itself holds.
func checkStructs(t *testing.T, tab *Table) {
	t.Helper()
	facts := factsOf(t, tab)
	checkBits(t, tab)
	for _, name := range []string{"LosMemDynNode", "struct mixed"} {
		s, ok := tab.Struct(strings.TrimPrefix(name, "struct "))
		if !ok {
			t.Fatalf("%s is not known: %s", name, tab.Partial())
		}
		if s.Size != uint64(facts[0]) {
			t.Errorf("%s has %d bytes instead of %d", name, s.Size, facts[0])
		}
		facts = facts[1:]
		for _, field := range printed[name] {
			f, ok := s.Field(field)
			if !ok || f.Offset != uint64(facts[0]) || f.Size != uint64(facts[1]) {
				t.Errorf("%s.%s: %+v, %v instead of %d, %d", name, field, f, ok, facts[0], facts[1])
			}
			facts = facts[2:]
		}
		checkOrder(t, &s)
	}
	whole, _ := tab.Struct("LosMemDynNode")
	for _, name := range []string{"tagNode", "TwiceNamed"} {
		s, ok := tab.Struct(name)
		if s.Name = whole.Name; !ok || !cmp.Equal(s, whole) {
			t.Errorf("%s: %v, %s", name, ok, cmp.Diff(whole, s))
		}
	}
	magic, _ := whole.Field("selfNode.magic")
	for i, name := range []string{"selfNode.taskID", "selfNode.moduleID"} {
		if f, ok := whole.Field(name); !ok || f.Size != 2 || f.Offset != magic.Offset+4+2*uint64(i) {
			t.Errorf("%s: %+v, %v", name, f, ok)
		}
	}
	for _, name := range []string{"other", "Other"} {
		s, ok := tab.Struct(name)
		if f, _ := s.Field("name"); !ok || f != (heap.StructField{Name: "name", Size: 12}) {
			t.Errorf("%s, which the first unit only declares: %+v, %v", name, s, ok)
		}
	}
	mixed, _ := tab.Struct("mixed")
	if f, ok := mixed.Field("tail"); !ok || f.Size != 0 {
		t.Errorf("the flexible array: %+v, %v", f, ok)
	}
	if f, ok := mixed.Field("flags"); !ok || f.Size != 3 && f.Size != 4 {
		t.Errorf("20 bits: %+v, %v", f, ok)
	}
	if _, ok := mixed.Field("many.magic"); ok {
		t.Error("elements of arrays are not listed")
	}
	for _, name := range []string{"", "none", "UINT32", "state", "clash"} {
		if s, ok := tab.Struct(name); ok {
			t.Errorf("%q: %+v", name, s)
		}
	}
	if why := tab.Partial(); !strings.Contains(why, `"clash"`) {
		t.Errorf("two structures share a name; partial: %q", why)
	}
}

// checkOrder sees to what heap.Struct promises. Several members can share a
// name, in Go's padding and in files made to hurt.
func checkOrder(t testing.TB, s *heap.Struct) {
	t.Helper()
	holders := map[string][]heap.StructField{"": {{Size: s.Size}}}
	last := uint64(0)
	for _, f := range s.Fields {
		name := f.Name[:max(strings.LastIndexByte(f.Name, '.'), 0)]
		if !slices.ContainsFunc(holders[name], func(in heap.StructField) bool {
			return f.Offset >= in.Offset && f.Offset-in.Offset <= in.Size && f.Size <= in.Size-(f.Offset-in.Offset)
		}) && (name == "" || holders[name] != nil) || f.Offset < last {
			t.Errorf("%s: %+v is in none of %+v, or not behind %d", s.Name, f, holders[name], last)
		}
		last = f.Offset
		holders[f.Name] = append(holders[f.Name], f)
	}
}

// checkBits compares bit fields with objects in each of which one of them is all
// ones, and everything else zero.
func checkBits(t testing.TB, tab *Table) {
	t.Helper()
	s, ok := tab.Struct("bits")
	ones, _ := contents(t, tab, "ones")
	if !ok || len(s.Fields) != 10 || uint64(len(ones)) != 10*s.Size {
		t.Fatalf("%+v, %v; %d bytes of objects", s, ok, len(ones))
	}
	for i := range 10 {
		object := ones[uint64(i)*s.Size : uint64(i+1)*s.Size]
		from, end := len(object), 0
		for k, b := range object {
			if b != 0 {
				from, end = min(from, k), k+1
			}
		}
		name := string(rune('a' + i))
		if f, ok := s.Field(name); !ok || f.Offset != uint64(from) || f.Size != uint64(end-from) {
			t.Errorf("bits.%s: %+v, %v; the object is % x", name, f, ok, object)
		}
	}
}

// factsOf returns the numbers that the compiled program states.
func factsOf(t testing.TB, tab *Table) []uint32 {
	t.Helper()
	b, order := contents(t, tab, "facts")
	facts := make([]uint32, len(b)/4)
	for i := range facts {
		facts[i] = order.Uint32(b[4*i:])
	}
	return facts
}

// contents returns what the program's file has of a constant.
func contents(t testing.TB, tab *Table, name string) ([]byte, binary.ByteOrder) {
	t.Helper()
	at, ok := tab.Variable(name)
	if !ok || at.Len() == 0 {
		t.Fatalf("%s: %+v, %v", name, at, ok)
	}
	f, err := elf.Open(tab.path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range f.Sections {
		if off := uint64(at.Start) - s.Addr; s.Flags&elf.SHF_ALLOC != 0 && s.Type == elf.SHT_PROGBITS && off < s.Size {
			b, err := s.Data()
			if err != nil {
				t.Fatal(err)
			}
			return b[off : off+at.Len()], f.ByteOrder
		}
	}
	t.Fatalf("%s is in no section", name)
	return nil, nil
}

// Types, lines and variables may be asked for at the same time.
func TestStructConcurrently(t *testing.T) {
	tab := openAny(t, "testdata/elf/thumb-O2-dwarf4.elf")
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				if _, ok := tab.Struct("item"); !ok {
					t.Error("no item")
				}
				tab.Frames(0x80e1)
				tab.VariableAt(0x82e0)
				tab.Data()
				_ = tab.Partial()
			}
		})
	}
	all.Wait()
}
