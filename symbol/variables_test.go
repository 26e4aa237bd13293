package symbol

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// Two files with variables of all kinds.
var variableSources = map[string]string{
	"a.c": `
unsigned char *m_aucSysMem1;
static unsigned char pool[4096] = {1};
static int twice = 1;
int counter = 7;
__attribute__((weak)) int weak = 3;
const int constant[5] = {1};
int main(void) { static int calls; calls += counter + twice + pool[counter]; m_aucSysMem1 = pool; return calls + weak + constant[counter]; }
`,
	"b.c": `
static int twice = 2;
static short zeroes[100];
int *other(void) { zeroes[twice]++; return &twice; }
`,
}

// checkVariables compares answers with what nm says, as far as the format tells.
func checkVariables(t *testing.T, tab *Table, addr func(string) heap.Addr, sized bool) {
	t.Helper()
	for name, size := range map[string]uint64{"pool": 4096, "counter": 4, "weak": 4, "constant": 20, "zeroes": 200} {
		s, ok := tab.Variable(name)
		if !ok || s.Start != addr(name) || sized && s.Len() != size {
			t.Errorf("%s: %+v, %v instead of %d bytes at %s", name, s, ok, size, addr(name))
		}
	}
	if s, ok := tab.Variable("calls"); !ok || sized && s.Len() != 4 {
		t.Errorf("the static variable of a function: %+v, %v", s, ok)
	}
	for _, name := range []string{"", "twice", "main", "none", "p"} {
		if s, ok := tab.Variable(name); ok {
			t.Errorf("%q: %+v", name, s)
		}
	}
	for _, name := range []string{"pool", "zeroes", "constant"} {
		start := addr(name)
		for _, a := range []heap.Addr{start, start + 3} {
			// Without sizes nobody knows how long a constant is.
			if got, at, ok := tab.VariableAt(a); (sized || name != "constant") && (!ok || got != name || at.Start != start) {
				t.Errorf("%s: %q at %+v, %v instead of %s", a, got, at, ok, name)
			}
		}
	}
	if got, at, ok := tab.VariableAt(addr("main")); ok {
		t.Errorf("the function main is %q at %+v", got, at)
	}
	inData := func(a heap.Addr) string {
		for _, s := range tab.Data() {
			if a >= s.Start && a < s.End {
				return s.Name
			}
		}
		return ""
	}
	for name, section := range map[string]string{"pool": ".data", "counter": ".data", "zeroes": ".bss", "constant": "", "main": ""} {
		if got := inData(addr(name)); got != section && got != strings.Replace(section, ".", ".s", 1) { // .sdata
			t.Errorf("%s lies in %q instead of %q; data %+v", name, got, section, tab.Data())
		}
	}
	checkData(t, tab)
}

// checkData sees to what heap.Program promises.
func checkData(t testing.TB, p heap.Program) {
	t.Helper()
	all := p.Data()
	for i, s := range all {
		if s.End <= s.Start || s.Name == "" || i > 0 && s.Start < all[i-1].Start {
			t.Fatalf("section %d of %+v", i, all)
		}
	}
}

func TestVariables(t *testing.T) {
	for _, g := range targets() {
		t.Run(g.name, func(t *testing.T) {
			gcc, nm := tool(t, g.prefix+"gcc", g.pkg), tool(t, g.prefix+"nm", g.binutils())
			dir := t.TempDir()
			file := filepath.Join(dir, "a.elf")
			args := append(strings.Fields(g.flags), "-ffreestanding", "-nostdlib", "-nostartfiles", "-O0", "-fdata-sections", "-Wl,-e,main", "-Wl,-Map="+file+".map", "-o", file)
			for _, name := range []string{"a.c", "b.c"} {
				text := variableSources[name]
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				args = append(args, filepath.Join(dir, name))
			}
			execute(t, gcc, args...)
			told := string(execute(t, nm, file))
			addr := func(name string) heap.Addr {
				for line := range strings.Lines(told) {
					if f := strings.Fields(line); len(f) == 3 && f[2] == name {
						var a heap.Addr
						if err := a.UnmarshalText([]byte("0x" + f[0])); err != nil {
							t.Fatal(err)
						}
						return a
					}
				}
				t.Fatalf("nm does not know %s", name)
				return 0
			}
			t.Run("elf", func(t *testing.T) { checkVariables(t, openAny(t, file), addr, true) })
			for _, options := range []string{"-n", "-nS"} {
				text := filepath.Join(dir, "nm"+options)
				if err := os.WriteFile(text, execute(t, nm, options, file), 0o600); err != nil {
					t.Fatal(err)
				}
				t.Run("nm"+options, func(t *testing.T) { checkVariables(t, openAny(t, text), addr, options == "-nS") })
			}
			t.Run("map", func(t *testing.T) { checkVariables(t, openAny(t, file+".map"), addr, true) })
		})
	}
}

func openAny(t testing.TB, file string) *Table {
	t.Helper()
	tab, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func TestVariablesOfArmlink(t *testing.T) {
	tab, err := ReadArmlinkMap(strings.NewReader(`Image Symbol Table
    sensor_read  0x08000129   Thumb Code   116  sensor.o(i.sensor_read)
    g_table      0x20000000   Data          64  sensor.o(.data)
    g_zero       0x20000040   Data          32  sensor.o(.bss)
    g_const      0x08001000   Data          16  sensor.o(.constdata)
`))
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := tab.Variable("g_table"); !ok || s != (heap.Span{Start: 0x20000000, End: 0x20000040}) {
		t.Errorf("%+v, %v", s, ok)
	}
	want := []heap.Section{
		{Span: heap.Span{Start: 0x20000000, End: 0x20000040}, Name: ".data"},
		{Span: heap.Span{Start: 0x20000040, End: 0x20000060}, Name: ".bss"},
	}
	if got := tab.Data(); !cmp.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// The firmware of the sample logs, of which there is only the text of nm.
func TestVariablesOfFirmware(t *testing.T) {
	tab := openAny(t, "../console/testdata/leak-series.nm.txt")
	pool, ok := tab.Variable("m_aucSysMem1")
	if !ok || pool != (heap.Span{Start: 0x4cda4, End: 0x4cda8}) {
		t.Errorf("%+v, %v", pool, ok)
	}
	if !slices.ContainsFunc(tab.Data(), func(s heap.Section) bool { return s.Start <= pool.Start && pool.End <= s.End && s.Name == ".bss" }) {
		t.Errorf("not in %+v", tab.Data())
	}
	checkData(t, tab)
}

// What lies between the end of the variables and the stack is the heap.
func TestDataEndsAtLabels(t *testing.T) {
	for _, text := range []string{
		"00008000 T main\n00009000 D table\n00009100 B zero\n00009120 B _end\n00019000 B _stack\n",
		"00008000 00000100 T main\n00009000 00000100 D table\n00009100 00000020 B zero\n00009120 B heap_start\n00019000 B _stack\n",
	} {
		tab, err := ReadNM(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		want := []heap.Section{
			{Span: heap.Span{Start: 0x9000, End: 0x9100}, Name: ".data"},
			{Span: heap.Span{Start: 0x9100, End: 0x9120}, Name: ".bss"},
		}
		if got := tab.Data(); !cmp.Equal(got[:min(len(got), 2)], want) {
			t.Errorf("%s%+v", text, got)
		}
	}
}

// Pieces of data hold every variable that may be written to, and no function.
func TestDataPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		type symbol struct {
			addr uint64
			kind string
		}
		var all []symbol
		for range rapid.IntRange(1, 40).Draw(t, "symbols") {
			s := symbol{rapid.Uint64Range(0, 1<<24).Draw(t, "address"), rapid.SampledFrom([]string{"T", "d", "D", "b", "B", "R"}).Draw(t, "kind")}
			if !slices.ContainsFunc(all, func(o symbol) bool { return o.addr == s.addr }) {
				all = append(all, s)
				fmt.Fprintf(&text, "%08x %s v%d\n", s.addr, s.kind, len(all))
			}
		}
		tab, err := ReadNM(strings.NewReader(text.String() + "00000000 T entry\n"))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			in := slices.ContainsFunc(tab.Data(), func(d heap.Section) bool { return heap.Addr(s.addr) >= d.Start && heap.Addr(s.addr) < d.End })
			if s.addr > 0 && in != strings.Contains("dDbB", s.kind) {
				t.Errorf("%+v in %+v: %v", s, tab.Data(), in)
			}
		}
	})
}

const movedSource = `
#include <stdio.h>
struct item { int a; struct item *next; };
static struct item pool[100] = {{1}};
struct item *first;
__attribute__((noinline)) void *caller(void) { return __builtin_return_address(0); }
int main(void)
{
	first = pool;
	printf("%p %p %p\n", (void *)pool, (void *)&first, caller());
	FILE *maps = fopen("/proc/self/maps", "r");
	for (int c; (c = fgetc(maps)) != EOF;) putchar(c);
	return 0;
}
`

// A position-independent program tells where it was loaded.
func TestShifted(t *testing.T) {
	gcc := tool(t, "gcc", "gcc")
	for _, options := range []string{"-fPIE -pie", "-fPIE -static-pie", "-fno-pie -no-pie", "-fPIE -pie -Wl,-z,max-page-size=65536", "-fPIE -pie -Wl,-z,noseparate-code"} {
		t.Run(strings.ReplaceAll(options, " ", ""), func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "moved")
			if err := os.WriteFile(file+".c", []byte(movedSource), 0o600); err != nil {
				t.Fatal(err)
			}
			execute(t, gcc, append(strings.Fields(options), "-g", "-O1", "-o", file, file+".c")...)
			out, err := exec.Command(file).Output()
			if err != nil {
				t.Fatal(err)
			}
			told, maps, _ := strings.Cut(string(out), "\n")
			var pool, first, lr heap.Addr
			if _, err := fmt.Sscanf(told, "0x%x 0x%x 0x%x", &pool, &first, &lr); err != nil {
				t.Fatal(told, err)
			}
			tab := open(t, file)
			if tab.Movable() != strings.Contains(options, "PIE") {
				t.Errorf("movable: %v", tab.Movable())
			}
			mappings := mappingsOf(t, maps)
			bias, err := tab.Bias(mappings)
			if err != nil {
				t.Fatal(err)
			}
			checkMoved(t, tab.Shifted(bias), pool, first, lr)

			whole := append([]heap.Mapping{{Start: 0x10000, Limit: 0x1000000, File: file}}, mappings...)
			if again, err := tab.Bias(whole); err != nil || again != bias {
				t.Errorf("with its file mapped: bias %s instead of %s, %v", again, bias, err)
			}
			for i := range mappings {
				mappings[i].File = strings.Replace(mappings[i].File, "/moved", "/renamed", 1)
			}
			if again, err := tab.Bias(mappings); err != nil || again != bias {
				t.Errorf("renamed: bias %s instead of %s, %v", again, bias, err)
			}
			for i := range mappings {
				mappings[i].Offset += 4096
			}
			if again, err := tab.Bias(mappings); !errors.Is(err, ErrNotMapped) {
				t.Errorf("something else: bias %s, %v", again, err)
			}
			for i := range mappings {
				mappings[i].File = strings.Replace(mappings[i].File, "/renamed", "/moved", 1) + " (deleted)"
			}
			if again, err := tab.Bias(mappings); err == nil || !strings.Contains(err.Error(), "another build") {
				t.Errorf("another build: bias %s, %v", again, err)
			}
		})
	}
}

// mappingsOf reads what Linux tells of mapped files, which is what it writes
// into cores.
func mappingsOf(t *testing.T, maps string) (all []heap.Mapping) {
	t.Helper()
	for line := range strings.Lines(maps) {
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasPrefix(f[5], "/") {
			continue
		}
		m := heap.Mapping{File: f[5]}
		if _, err := fmt.Sscanf(f[0]+" "+f[2], "%x-%x %x", &m.Start, &m.Limit, &m.Offset); err != nil {
			t.Fatal(line, err)
		}
		all = append(all, m)
	}
	return all
}

func checkMoved(t *testing.T, p *Shifted, pool, first, lr heap.Addr) {
	t.Helper()
	item, ok := p.Struct("item")
	if !ok || item.Size == 0 {
		t.Errorf("%+v, %v", item, ok)
	}
	if s, ok := p.Variable("pool"); !ok || s.Start != pool || s.Len() != 100*item.Size {
		t.Errorf("pool %+v, %v instead of %s", s, ok, pool)
	}
	if s, ok := p.Variable("first"); !ok || s.Start != first {
		t.Errorf("first %+v, %v instead of %s", s, ok, first)
	}
	if name, at, ok := p.VariableAt(pool + 5); !ok || name != "pool" || at.Start != pool {
		t.Errorf("%q at %+v, %v", name, at, ok)
	}
	if f := p.Frames(lr)[0]; f.Function != "main" || f.Addr != lr || !strings.HasSuffix(f.File, "moved.c") {
		t.Errorf("%+v", f)
	}
	for name, addr := range map[string]heap.Addr{".data": pool, ".bss": first} {
		if !slices.ContainsFunc(p.Data(), func(s heap.Section) bool { return s.Name == name && addr >= s.Start && addr < s.End }) {
			t.Errorf("%s is not in %s: %+v", addr, name, p.Data())
		}
	}
	if !slices.ContainsFunc(p.Mappings(), func(m heap.Mapping) bool { return lr >= m.Start && lr < m.Limit }) {
		t.Errorf("%s is not in %+v", lr, p.Mappings())
	}
	checkData(t, p)
}
