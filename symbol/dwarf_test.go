package symbol

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// seeds are small programs of the test firmware in testdata/elf, built once so
// that they can be read without a compiler. How: testdata/elf/build.sh.
func seeds(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/elf/*.elf")
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	all := map[string][]byte{}
	for _, f := range files {
		if all[filepath.Base(f)], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// framesIn returns the frames of the first address behind a call in function
// that resolves to n frames.
func framesIn(t *testing.T, tab *Table, function string, n int) []heap.Frame {
	t.Helper()
	for _, f := range tab.functions {
		if f.name != function {
			continue
		}
		for pc := f.start + 2; pc <= f.end; pc += 2 {
			if behind, _, _ := tab.code.call(pc); behind {
				if frames := tab.Frames(heap.Addr(pc)); len(frames) == n {
					return frames
				}
			}
		}
	}
	t.Fatalf("no call in %s with %d frames", function, n)
	return nil
}

func TestFrames(t *testing.T) {
	for file, content := range seeds(t) {
		tab, err := ReadELF(bytes.NewReader(content))
		if err != nil {
			t.Fatal(file, err)
		}
		if !tab.Lines() || !tab.ELF() || tab.Partial() != "" {
			t.Errorf("%s: lines %v, ELF %v, partial %q", file, tab.Lines(), tab.ELF(), tab.Partial())
		}
		if tab.code.isCall == nil {
			continue // a machine whose calls are not known
		}
		// checksum is in another unit and not inlined.
		got := framesIn(t, tab, "heap_alloc", 1)
		if got[0].Function != "heap_alloc" || got[0].File != "/firmware/heap.c" || got[0].Line != 31 {
			t.Errorf("%s: %+v", file, got)
		}
		found := false
		for _, f := range tab.functions {
			for pc := f.start; pc < f.end; pc++ {
				frames := tab.lookup(pc, nil)
				for i, fr := range frames {
					if fr.Inlined != (i < len(frames)-1) || fr.Function == "" || fr.Line > 0 && !strings.HasPrefix(fr.File, "/firmware/") {
						t.Fatalf("%s: %#x: %+v", file, pc, frames)
					}
				}
				if len(frames) == 4 && frames[0].Function == "align" && frames[1].Function == "fits" && frames[2].Function == "carve" && frames[2].Line == 32 && frames[3].Function == "heap_alloc" {
					if want := (heap.Frame{Function: "heap_alloc", File: "/firmware/heap.c", Line: 26}); frames[3] == want {
						found = true
					}
				}
			}
		}
		if strings.Contains(file, "-O2") && !found {
			t.Errorf("%s: align in fits in carve in heap_alloc is nowhere", file)
		}
	}
}

func TestConcurrent(t *testing.T) {
	for file, content := range seeds(t) {
		tab, err := ReadELF(bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		results := make([][][]heap.Frame, 4)
		for i := range results {
			wg.Go(func() {
				for _, f := range tab.functions {
					for pc := f.start; pc < f.end; pc += 2 {
						results[i] = append(results[i], tab.Frames(heap.Addr(pc)))
					}
				}
				tab.Partial()
			})
		}
		wg.Wait()
		for _, r := range results[1:] {
			if d := cmp.Diff(results[0], r); d != "" {
				t.Fatal(file, d)
			}
		}
	}
}

func TestMappings(t *testing.T) {
	var small string
	for file := range seeds(t) {
		path := filepath.Join("testdata/elf", file)
		tab, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		all := tab.Mappings()
		if len(all) != 1 {
			t.Errorf("%s: %+v", file, all)
			continue
		}
		m := all[0]
		for _, f := range tab.functions {
			if heap.Addr(f.start) < m.Start || heap.Addr(f.end) > m.Limit {
				t.Errorf("%s: %+v is not in %+v", file, f, m)
			}
		}
		if m.File != path || len(m.BuildID) != 40 || strings.Trim(m.BuildID, "0123456789abcdef") != "" {
			t.Errorf("%+v", m)
		}
		small = path
	}
	// Without sections the build ID is in a segment.
	content, err := os.ReadFile(small)
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	id := buildID(f)
	f.Sections = nil
	if got := buildID(f); got != id || got == "" {
		t.Errorf("%q in segments, %q in sections", got, id)
	}
	f.Progs = nil
	if got := buildID(f); got != "" {
		t.Errorf("%q from nowhere", got)
	}
}

// Debug information alone names functions too.
func TestWithoutSymbols(t *testing.T) {
	for file, content := range seeds(t) {
		content = slices.Clone(content)
		forSections(t, content, func(name string, header []byte, _ bool) {
			if name == ".symtab" {
				binary.LittleEndian.PutUint32(header[4:], uint32(elf.SHT_NULL))
			}
		})
		whole, err := ReadELF(bytes.NewReader(seeds(t)[file]))
		if err != nil {
			t.Fatal(err)
		}
		tab, err := ReadELF(bytes.NewReader(content))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if tab.Kind() != "ELF .debug_info" || tab.Len() != 0 || !tab.Lines() {
			t.Error(tab.Kind(), tab.Len(), tab.Lines())
		}
		for _, f := range whole.functions {
			a, b := tab.lookup(f.start, nil), whole.lookup(f.start, nil)
			if d := cmp.Diff(a, b); d != "" {
				t.Errorf("%s: %s", file, d)
			}
		}
	}
}

// forSections calls f with the name and the header, which it may change, of
// every section of a little-endian file.
func forSections(t testing.TB, content []byte, f func(name string, header []byte, wide bool)) {
	t.Helper()
	e, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	wide := e.Class == elf.ELFCLASS64
	at, size := uint64(binary.LittleEndian.Uint32(content[32:])), uint64(40)
	if wide {
		at, size = binary.LittleEndian.Uint64(content[40:]), 64
	}
	for i, s := range e.Sections {
		start := at + uint64(i)*size
		f(s.Name, content[start:start+size], wide)
	}
}

// A file without a section, or with one cut, tells what is left and says so.
func TestDamagedDebug(t *testing.T) {
	for file, content := range seeds(t) {
		for _, section := range []string{".debug_info", ".debug_abbrev", ".debug_line", ".debug_str", ".debug_line_str", ".debug_ranges", ".debug_rnglists"} {
			cut := slices.Clone(content)
			found := false
			forSections(t, cut, func(name string, header []byte, wide bool) {
				if name != section {
					return
				}
				found = true
				if wide {
					binary.LittleEndian.PutUint64(header[32:], binary.LittleEndian.Uint64(header[32:])/2)
				} else {
					binary.LittleEndian.PutUint32(header[20:], binary.LittleEndian.Uint32(header[20:])/2)
				}
			})
			if !found {
				continue
			}
			tab, err := ReadELF(bytes.NewReader(cut))
			if err != nil {
				t.Errorf("%s, %s: %v", file, section, err)
				continue
			}
			for _, f := range tab.functions {
				frames := tab.Frames(heap.Addr(f.start + 2))
				if got := frames[len(frames)-1].Function; got != f.name && section != ".debug_str" && !strings.HasPrefix(f.name, got) {
					t.Errorf("%s, %s: %s is called %q", file, section, f.name, got)
				}
			}
			switch section {
			case ".debug_info", ".debug_abbrev", ".debug_line":
				if tab.Partial() == "" {
					t.Errorf("%s: half of %s is missing, and nothing says so", file, section)
				}
			}
		}
	}
}

// A file of kilobytes must not cost more than some megabytes, whatever it
// claims.
func TestHostile(t *testing.T) {
	for file, content := range seeds(t) {
		for _, at := range interesting(t, content) {
			for _, b := range []byte{0xff, 0x80} {
				bad := slices.Clone(content)
				for i := range 4 {
					if at+i < len(bad) {
						bad[at+i] = b
					}
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				resolveAll(bad)
				runtime.ReadMemStats(&after)
				if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
					t.Fatalf("%s: with %#x at %d, %d MB were allocated", file, b, at, n>>20)
				}
			}
		}
	}
}

// interesting returns offsets of what says how much there is.
func interesting(t testing.TB, content []byte) (all []int) {
	t.Helper()
	e, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range e.Sections {
		if strings.HasPrefix(s.Name, ".debug_") && s.Type != elf.SHT_NOBITS {
			for i := 0; i < min(int(s.FileSize), 160); i += 7 {
				all = append(all, int(s.Offset)+i)
			}
		}
	}
	return all
}

// resolveAll opens a file and resolves addresses all over it.
func resolveAll(content []byte) {
	tab, err := ReadELF(bytes.NewReader(content))
	if err != nil {
		return
	}
	var places []uint64
	if tab.debug != nil {
		for _, s := range tab.debug.index {
			places = append(places, s.start, s.end)
		}
		for _, s := range tab.debug.text.spans {
			places = append(places, s.start, s.start/2+s.end/2)
		}
	}
	for _, f := range tab.functions {
		places = append(places, f.start+1)
	}
	var stack heap.Stack
	for _, p := range places[:min(len(places), 2000)] {
		tab.Frames(heap.Addr(p))
		stack = append(stack, heap.Addr(p))
	}
	tab.Calls([]heap.Stack{stack})
	tab.Mappings()
	_ = tab.Partial()
}

// The Go toolchain's own programs have units, names and compressed sections of
// a kind of their own.
func TestGoProgram(t *testing.T) {
	if runtime.GOOS != "linux" || testing.Short() {
		t.Skip("needs an ELF program built by go")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "program")
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte("package main\n\nimport \"strings\"\n\nfunc main() { println(strings.Repeat(\"a\", 3)) }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-o", file, source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	tab := open(t, file)
	var in bytes.Buffer
	var pcs []uint64
	for i, f := range tab.functions {
		if i%7 == 0 {
			pcs = append(pcs, (f.start+f.end)/2)
		}
	}
	for _, pc := range pcs {
		in.WriteString(heap.Addr(pc).String() + "\n")
	}
	cmd = exec.Command("go", "tool", "addr2line", file)
	cmd.Stdin = &in
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	same := 0
	for i, pc := range pcs {
		frames := tab.lookup(pc, nil)
		// It tells the outermost function, but the innermost line.
		want := lines[2*i] + " " + lines[2*i+1]
		f := frames[0]
		f.Function = ""
		got := frames[len(frames)-1].Function + " " + strings.TrimSuffix(strings.TrimPrefix(f.String(), "0x0 ("), ")")
		if got == want {
			same++
		} else if i-same < 5 {
			t.Logf("%#x: %s, go tool addr2line: %s", pc, got, want)
		}
	}
	t.Logf("%d of %d addresses agree with go tool addr2line", same, len(pcs))
	if len(pcs) < 200 || same*1000 < len(pcs)*990 {
		t.Errorf("%d of %d addresses agree", same, len(pcs))
	}
}

// Of a program whose debug information is in files of their own, functions and
// lines are known, and that inlined functions are not is said.
func TestSplitDWARF(t *testing.T) {
	for _, version := range []string{"-gdwarf-4", "-gdwarf-5"} {
		tab, err := Open(arm.build(t, t.TempDir(), "-O2 -gsplit-dwarf "+version))
		if err != nil {
			t.Fatal(err)
		}
		if s := tab.Partial(); !strings.Contains(s, ".dwo files, which are not read") {
			t.Errorf("%s: %q", version, s)
		}
		lines := 0
		for _, f := range tab.functions {
			got := tab.lookup(f.start, nil)
			if len(got) != 1 || got[0].Function != f.name {
				t.Errorf("%s: %s is %v", version, f.name, got)
			}
			if got[0].Line > 0 {
				lines++
			}
		}
		if lines < 8 {
			t.Errorf("%s: lines of %d functions", version, lines)
		}
	}
}
