package symbol

import (
	"debug/dwarf"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// tool returns the path of a program that a test needs. Without it the test is
// skipped, or fails where all tools must be there.
func tool(t testing.TB, name, debianPackage string) string {
	t.Helper()
	p, err := exec.LookPath(name)
	if err == nil {
		return p
	}
	message := fmt.Sprintf("%s is not installed: it is in the Debian package %s", name, debianPackage)
	if os.Getenv("TEST_REQUIRE_BINUTILS") == "1" {
		t.Fatal(message)
	}
	t.Skip(message)
	return ""
}

// target is a machine that the test firmware is built for.
type target struct {
	name, prefix, pkg string
	flags             string
	cxx               string // of C++, which is optional
}

var arm = target{name: "thumb", prefix: "arm-none-eabi-", pkg: "gcc-arm-none-eabi", flags: "-mcpu=cortex-m4 -mthumb", cxx: "g++"}

func targets() []target {
	all := []target{
		arm,
		{name: "arm", prefix: "arm-none-eabi-", pkg: "gcc-arm-none-eabi", flags: "-marm -march=armv7-a", cxx: "g++"},
		{name: "thumb-big-endian", prefix: "arm-none-eabi-", pkg: "gcc-arm-none-eabi", flags: "-mcpu=cortex-m4 -mthumb -mbig-endian", cxx: "g++"},
		{name: "riscv32", prefix: "riscv64-unknown-elf-", pkg: "gcc-riscv64-unknown-elf", flags: "-march=rv32imac -mabi=ilp32", cxx: "g++"},
		{name: "riscv64", prefix: "riscv64-unknown-elf-", pkg: "gcc-riscv64-unknown-elf", flags: "-march=rv64imac -mabi=lp64 -mcmodel=medany", cxx: "g++"},
		{name: "xtensa", prefix: "xtensa-lx106-elf-", pkg: "gcc-xtensa-lx106", flags: "-mlongcalls", cxx: "g++"},
		{name: "aarch64", prefix: "aarch64-linux-gnu-", pkg: "gcc-aarch64-linux-gnu", flags: "-static"},
		{name: "host", pkg: "gcc", flags: "-static -fno-pie -no-pie -fno-stack-protector", cxx: "g++"},
	}
	if runtime.GOOS != "linux" {
		all = all[:len(all)-1] // no ELF
	}
	return all
}

// binutils returns the Debian package with addr2line.
func (g *target) binutils() string {
	if g.prefix == "" {
		return "binutils"
	}
	return "binutils-" + strings.TrimSuffix(g.prefix, "-")
}

// build compiles and links the firmware with the given options.
func (g *target) build(t testing.TB, dir, options string) (file string) {
	t.Helper()
	gcc := tool(t, g.prefix+"gcc", g.pkg)
	common := append(strings.Fields(g.flags), "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables")
	common = append(common, strings.Fields(options)...)
	shapes := []string{"shapes.c"}
	compilers := map[string]string{".c": gcc}
	if g.cxx != "" {
		if p, err := exec.LookPath(g.prefix + g.cxx); err == nil {
			shapes, compilers[".cc"] = []string{"shapes.cc", "scopes.cc"}, p
		}
	}
	var objects []string
	for _, source := range append([]string{"heap.c", "queue.c", "main.c"}, shapes...) {
		object := filepath.Join(dir, source+".o")
		args := append([]string{"-c", "-o", object, filepath.Join("testdata/firmware", source)}, common...)
		if path.Ext(source) == ".c" {
			args = append(args, "-Wno-unknown-warning-option")
			args = remove(args, "-fno-rtti")
		}
		execute(t, compilers[path.Ext(source)], args...)
		objects = append(objects, object)
	}
	file = filepath.Join(dir, "firmware.elf")
	args := append(common, "-nostdlib", "-nostartfiles", "-Wl,-e,main", "-Wl,--gc-sections", "-Wl,--build-id=sha1", "-Wl,-Map="+file+".map", "-o", file)
	if len(compilers) > 1 {
		// The vtable refers to what the C++ library does when a pure virtual
		// function is called.
		args = append(args, "-Wl,--defsym=__cxa_pure_virtual=0", "-Wl,--unresolved-symbols=ignore-all")
	}
	execute(t, gcc, append(append(remove(args, "-fno-rtti"), objects...), "-lgcc")...)
	return file
}

func remove(list []string, what string) (kept []string) {
	for _, s := range list {
		if s != what {
			kept = append(kept, s)
		}
	}
	return kept
}

func execute(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return out
}

// addr2line asks binutils for the frames at addresses.
func addr2line(t testing.TB, program, file string, addresses []uint64) [][]heap.Frame {
	t.Helper()
	out, _ := runAddr2line(t, program, file, addresses)
	var all [][]heap.Frame
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	for i := 0; i < len(lines); {
		if strings.HasPrefix(lines[i], "0x") {
			all = append(all, nil)
			i++
			continue
		}
		f := heap.Frame{Function: lines[i]}
		place, _, _ := strings.Cut(lines[i+1], " (discriminator")
		at := strings.LastIndexByte(place, ':')
		f.File = place[:at]
		if f.Line, _ = strconv.Atoi(place[at+1:]); f.Line == 0 || f.File == "??" { // ??:0, ??:?, file:?
			f.File, f.Line = "", 0
		}
		all[len(all)-1] = append(all[len(all)-1], f)
		i += 2
	}
	if len(all) != len(addresses) {
		t.Fatalf("%d answers for %d addresses", len(all), len(addresses))
	}
	return all
}

// codeAddresses returns every nth address of the code in file.
func codeAddresses(t testing.TB, file string, n uint64) (all []uint64) {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, s := range f.Sections {
		if s.Flags&elf.SHF_EXECINSTR == 0 || s.Type != elf.SHT_PROGBITS {
			continue
		}
		for a := s.Addr; a < s.Addr+s.Size; a += n {
			all = append(all, a)
		}
	}
	return all
}

// agreement is how far two resolvers agree.
type agreement struct {
	same, all int
	// known are addresses where addr2line makes an error that is known, and
	// debug/dwarf confirms what we say. They do not count.
	known int
}

func (a agreement) share() float64 { return float64(a.same) / float64(max(a.all-a.known, 1)) }

func (a agreement) String() string {
	return fmt.Sprintf("%d of %d addresses agree (%.3f%%), %d known errors of addr2line left out", a.same, a.all-a.known, 100*a.share(), a.known)
}

func (a *agreement) add(b agreement) {
	a.same, a.all, a.known = a.same+b.same, a.all+b.all, a.known+b.known
}

// wrongFile reports whether only the innermost file differs. addr2line of
// binutils 2.40 gets it wrong in line tables of DWARF 5 that begin with a row
// of file 1 and do not say so, because that is the register's initial value.
func wrongFile(got, want []heap.Frame) bool {
	return len(got) == len(want) && got[0].Line == want[0].Line && clean(got[0].File) != clean(want[0].File)
}

// wrongInlined reports whether addr2line gives the innermost of several frames
// the name of the symbol, which is the outermost's, and the names of debug
// information differ from that. It does so for a function without a linkage
// name; the outermost then keeps the bare name that debug information has.
func (r *referee) wrongInlined(pc uint64, got, want []heap.Frame, names map[string]uint64) bool {
	last := len(got) - 1
	if last < 1 || len(want) != len(got) || want[0].Function != got[last].Function || r.inner[pc] != got[0].Function {
		return false
	}
	corrected := slices.Clone(want)
	corrected[0].Function = got[0].Function
	if want[last].Function == r.outer[pc] {
		corrected[last].Function = got[last].Function
	}
	return same(got, corrected, names)
}

// referee is debug/dwarf, asked where addr2line errs.
type referee struct {
	rows  map[uint64]heap.Frame
	inner map[uint64]string // name of the innermost function
	outer map[uint64]string // name of the outermost
}

func newReferee(t testing.TB, file string) *referee {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	r := &referee{rows: map[uint64]heap.Frame{}, inner: map[uint64]string{}, outer: map[uint64]string{}}
	r.functions(t, d)
	for units := d.Reader(); ; units.SkipChildren() {
		u, err := units.Next()
		if err != nil {
			t.Fatal(err)
		}
		if u == nil {
			return r
		}
		lines, err := d.LineReader(u)
		if err != nil {
			t.Fatal(err)
		}
		var from, to dwarf.LineEntry
		for lines != nil && lines.Next(&to) == nil {
			if from.File != nil && !from.EndSequence {
				for a := from.Address; a < to.Address; a++ {
					r.rows[a] = heap.Frame{File: from.File.Name, Line: from.Line}
				}
			}
			from = to
		}
	}
}

// functions names the functions at every address.
func (r *referee) functions(t testing.TB, d *dwarf.Data) {
	t.Helper()
	for entries := d.Reader(); ; {
		e, err := entries.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			return
		}
		if e.Tag != dwarf.TagSubprogram && e.Tag != dwarf.TagInlinedSubroutine {
			continue
		}
		ranges, err := d.Ranges(e)
		if err != nil {
			t.Fatal(err)
		}
		if len(ranges) == 0 {
			continue
		}
		name := dwarfName(t, d, e)
		for _, of := range ranges {
			for a := of[0]; a < of[1]; a++ {
				r.inner[a] = name // what is inside it comes later
				if e.Tag == dwarf.TagSubprogram {
					r.outer[a] = name
				}
			}
		}
	}
}

// dwarfName returns the name of the function that e describes.
func dwarfName(t testing.TB, d *dwarf.Data, e *dwarf.Entry) string {
	t.Helper()
	for plain, at := "", d.Reader(); ; {
		if name, ok := e.Val(dwarf.AttrLinkageName).(string); ok {
			return name
		}
		if name, ok := e.Val(dwarf.AttrName).(string); ok && plain == "" {
			plain = name
		}
		origin, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			if origin, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !ok {
				return plain
			}
		}
		at.Seek(origin)
		var err error
		if e, err = at.Next(); err != nil || e == nil {
			t.Fatalf("%#x: %v", origin, err)
		}
	}
}

func (r *referee) confirms(pc uint64, f heap.Frame) bool {
	row, ok := r.rows[pc]
	// It leaves file names relative to the directory of the compilation.
	return ok && strings.HasSuffix("/"+clean(f.File), "/"+clean(row.File)) && row.Line == f.Line
}

// aliases maps every symbol of file to its address: different names of a
// function are the same to compare.
func aliases(t testing.TB, file string) map[string]uint64 {
	t.Helper()
	f, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]uint64{}
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			all[s.Name] = s.Value
		}
	}
	return all
}

// compare compares what the table says about addresses, all of them moved by
// so much, with what addr2line says of file where that knows a line.
func compare(t testing.TB, program, file string, tab *Table, addresses []uint64, moved int64) (a agreement) {
	t.Helper()
	names := aliases(t, file)
	var judge *referee
	told := 0
	for i, want := range addr2line(t, program, file, addresses) {
		if want[0].Line == 0 {
			continue
		}
		a.all++
		got := tab.lookup(addresses[i]+uint64(moved), nil)
		if same(got, want, names) {
			a.same++
			continue
		}
		if judge == nil {
			judge = newReferee(t, file)
		}
		if wrongFile(got, want) && judge.confirms(addresses[i], got[0]) || judge.wrongInlined(addresses[i], got, want, names) {
			a.known++
			continue
		}
		if told++; told <= 5 {
			t.Logf("%#x: %v, addr2line: %v", addresses[i], got, want)
		}
	}
	return a
}

// same compares frames. addr2line sometimes has the name of the symbol and
// sometimes what debug information says, foo.constprop.0 and foo, or
// _ZN3geoL7measureERKNS_5ShapeE and measure.
func same(got, want []heap.Frame, names map[string]uint64) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		g, w := got[i], want[i]
		if clean(g.File) != clean(w.File) || g.Line != w.Line || g.Inlined != (i < len(got)-1) {
			return false
		}
		if withoutClone(g.Function) != withoutClone(w.Function) && !(mangled(g.Function) && w.Function != "" && strings.Contains(g.Function, w.Function)) {
			a, ok := names[g.Function]
			b, ok2 := names[w.Function]
			if !ok || !ok2 || a != b {
				return false
			}
		}
	}
	return true
}

func clean(file string) string {
	if file == "" {
		return ""
	}
	return path.Clean(file)
}

func TestAgainstAddr2line(t *testing.T) {
	for _, g := range targets() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			program := tool(t, g.prefix+"addr2line", g.binutils())
			var sum agreement
			builds := []string{
				"-O0 -gdwarf-4", "-O0 -gdwarf-5 -ffunction-sections",
				"-O2 -gdwarf-2 -gstrict-dwarf", "-O2 -gdwarf-3", "-O2 -gdwarf-4 -ffunction-sections", "-O2 -gdwarf-5 -ffunction-sections",
				"-Os -gdwarf-4 -gz=zlib", "-Os -gdwarf-5 -gz -ffunction-sections -fdata-sections",
				"-O3 -gdwarf-5 -funroll-loops", "-O2 -gdwarf-5 -flto",
			}
			if testing.Short() { // compilers take the time, and are the same with -race
				builds = []string{"-O2 -gdwarf-4 -ffunction-sections", "-Os -gdwarf-5 -gz -ffunction-sections -fdata-sections"}
			}
			for _, options := range builds {
				file := g.build(t, t.TempDir(), options)
				a := compare(t, program, file, open(t, file), codeAddresses(t, file, 2), 0)
				t.Logf("%-60s %v", options, a)
				if a.all < 300 {
					t.Errorf("%s: only %d addresses have lines", options, a.all)
				}
				sum.add(a)
			}
			t.Logf("%s, %s: %v", g.name, filepath.Base(program), sum)
			if sum.share() < .999 || sum.known > sum.all/20 {
				t.Errorf("%v", sum)
			}
		})
	}
}

// open opens a file that must be whole and have lines.
func open(t testing.TB, file string) *Table {
	t.Helper()
	tab, err := Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if !tab.Lines() {
		t.Errorf("%s: no lines", file)
	}
	t.Cleanup(func() {
		if s := tab.Partial(); s != "" {
			t.Errorf("%s: %s", file, s)
		}
	})
	return tab
}

// Functions that the linker dropped are left at address 0 in the debug
// information. addr2line takes them for what is there; we compare with what it
// says of the same program at another place.
func TestDroppedFunctions(t *testing.T) {
	for _, g := range targets() {
		if g.name == "host" || g.name == "aarch64" {
			continue // no code at 0
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			program := tool(t, g.prefix+"addr2line", g.binutils())
			for _, options := range []string{"-O0 -gdwarf-3", "-O2 -gdwarf-4", "-O2 -gdwarf-5"} {
				options += " -ffunction-sections -Wl,--no-relax -Wl,-Ttext=" // code that does not depend on its place
				file := g.build(t, t.TempDir(), options+"0x20000")
				tab := open(t, g.build(t, t.TempDir(), options+"0"))
				a := compare(t, program, file, tab, codeAddresses(t, file, 2), -0x20000)
				t.Logf("%-60s %v", options+"0", a)
				if a.all < 300 || a.share() < .999 {
					t.Errorf("%s0: %v", options, a)
				}
			}
		})
	}
}
