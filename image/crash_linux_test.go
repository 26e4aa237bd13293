package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// victim fills an array that begins in the file's data and a piece of the heap,
// tells where they and its stack are, and crashes.
const victim = `
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static unsigned pool[30000] = {1};
static unsigned bss[30000];
int main(int argc, char **argv) {
	unsigned local = 0x57ac4, *p = malloc(4000);
	for (int i = 0; i < 30000; i++) bss[i] = (pool[i] = i * 2654435761u) + 1;
	strcpy((char *)p, "from the heap");
	printf("%p %p %p %p\n", (void *)pool, (void *)bss, (void *)p, (void *)&local);
	fflush(stdout);
	if (argc > 1) { getchar(); return 0; }
	abort();
}
`

// targets are the machines that victim is built for.
var targets = []struct {
	name      string
	gcc, pkg  string
	emulator  string // empty: it runs here
	coreFiles string // pattern
}{
	{"native", "gcc", "gcc", "", "core*"},
	{"aarch64", "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "qemu-aarch64", "qemu_*.core"},
}

// Cores that Linux, gdb and QEMU write. How a system is set up decides whether
// it writes them where they can be found.
func TestCrash(t *testing.T) {
	for _, c := range targets {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"./victim"}
			if c.emulator != "" {
				emulator, err := exec.LookPath(c.emulator)
				if err != nil {
					t.Skip(err)
				}
				args = []string{emulator, "./victim"}
			}
			dir := build(t, tool(t, c.gcc, c.pkg))
			run := exec.Command("sh", append([]string{"-c", `ulimit -c unlimited; exec "$@"`, "sh"}, args...)...)
			run.Dir = dir
			out, err := run.Output()
			if err == nil || len(out) == 0 {
				t.Fatalf("it did not crash: %q, %v", out, err)
			}
			cores, _ := filepath.Glob(filepath.Join(dir, c.coreFiles))
			if len(cores) == 0 {
				t.Skip("no core was written here")
			}
			checkVictim(t, dir, cores[0], string(out), run.Process.Pid, c.emulator == "")
		})
	}
}

// gdb writes cores of processes that go on.
func TestGcore(t *testing.T) {
	gcore, err := exec.LookPath("gcore")
	if err != nil {
		t.Skip(err)
	}
	dir := build(t, tool(t, "gcc", "gcc"))
	victim := exec.Command(filepath.Join(dir, "victim"), "stay")
	in, err := victim.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait()
	defer in.Close()
	b := make([]byte, 200)
	n, err := out.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(victim.Process.Pid)
	if text, err := exec.Command(gcore, "-o", filepath.Join(dir, "core"), id).CombinedOutput(); err != nil {
		t.Skipf("gcore may not do it here: %v\n%s", err, text)
	}
	checkVictim(t, dir, filepath.Join(dir, "core."+id), string(b[:n]), victim.Process.Pid, true)
}

func build(t *testing.T, gcc string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "victim.c"), []byte(victim), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, gcc, "-O1", "-static", "-o", "victim", "victim.c")
	return dir
}

// checkVictim compares a core with what its process told. linux: the core has
// all that Linux writes, pid included.
func checkVictim(t *testing.T, dir, core, told string, pid int, linux bool) {
	t.Helper()
	program, err := elf.Open(filepath.Join(dir, "victim"))
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	size := 4
	if program.Class == elf.ELFCLASS64 {
		size = 8
	}
	m := mustOpen(t, core, Options{})
	if m.Machine() != program.Machine || m.Partial() != "" || m.PointerSize() != size || m.Order() != program.ByteOrder {
		t.Errorf("%v, partial %q, pointer %d, order %v", m.Machine(), m.Partial(), m.PointerSize(), m.Order())
	}
	var at [4]heap.Addr
	fields := strings.Fields(told)
	for i := range at {
		if err := at[i].UnmarshalText([]byte(fields[i])); err != nil {
			t.Fatal(err)
		}
	}
	for i, addr := range at[:2] {
		b := m.View(addr, 4*30000)
		if b == nil {
			t.Fatalf("array %d at %s is not there", i, addr)
		}
		for k := range 30000 {
			if got, want := binary.LittleEndian.Uint32(b[4*k:]), uint32(k)*2654435761+uint32(i); got != want {
				t.Fatalf("%d: element %d is %#x instead of %#x", i, k, got, want)
			}
		}
	}
	if b := m.View(at[2], 14); !bytes.Equal(b, []byte("from the heap\x00")) {
		t.Errorf("in the heap: %q", b)
	}
	threads := m.Registers()
	if len(threads) != 1 {
		t.Fatalf("threads %+v", threads)
	}
	if sp := threads[0].SP; sp > at[3] || sp+1<<16 < at[3] || m.View(sp, 8) == nil {
		t.Errorf("SP %s is not near the stack's %s", sp, at[3])
	}
	if !linux {
		return
	}
	if threads[0].ID != pid {
		t.Errorf("thread %d instead of %d", threads[0].ID, pid)
	}
	named, writable := false, false
	for _, s := range m.Segments() {
		if at[0] >= s.Addr && at[0] < s.limit() {
			named, writable = filepath.Base(s.Name) == "victim", s.Writable
		}
	}
	if !named || !writable || len(m.Mappings()) == 0 {
		t.Errorf("the array's segment: of the program %v, writable %v; %d files", named, writable, len(m.Mappings()))
	}
	if pc := threads[0].PC; !inFile(m.Mappings(), pc, "victim") && m.View(pc, 1) == nil {
		t.Errorf("PC %s is nowhere", pc)
	}
}

func inFile(all []heap.Mapping, addr heap.Addr, file string) bool {
	for _, p := range all {
		if addr >= p.Start && addr < p.Limit && filepath.Base(p.File) == file {
			return true
		}
	}
	return false
}
