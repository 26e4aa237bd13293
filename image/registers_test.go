package image

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

func TestRegisterName(t *testing.T) {
	for key, set := range registerSets {
		seen := map[string]bool{}
		for i := range set.count {
			name := RegisterName(key.machine, i)
			if name == "" || seen[name] {
				t.Errorf("%v: register %d is %q", key.machine, i, name)
			}
			seen[name] = true
		}
		for _, i := range []int{-1, set.count} {
			if name := RegisterName(key.machine, i); name != "" {
				t.Errorf("%v has a register %d: %q", key.machine, i, name)
			}
		}
		for i, names := range map[int]string{set.sp: "sp esp rsp", set.pc: "pc eip rip"} {
			if name := RegisterName(key.machine, i); !strings.Contains(" "+names+" ", " "+name+" ") {
				t.Errorf("%v: register %d is %q and should be one of %s", key.machine, i, name, names)
			}
		}
	}
	if name := RegisterName(elf.EM_MIPS, 1); name != "" {
		t.Errorf("%q", name)
	}
}

// crowd has threads that wait with a number of their own on their stacks, and
// then crashes or waits itself.
const crowd = `
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static pthread_barrier_t all;
static void *work(void *n)
{
	volatile unsigned long mine = 0xc0ffee00 + (unsigned long)n;
	pthread_barrier_wait(&all);
	for (;;) pause();
	return (void *)mine;
}
int main(void)
{
	pthread_barrier_init(&all, 0, 4);
	for (unsigned long i = 1; i < 4; i++) { pthread_t t; pthread_create(&t, 0, work, (void *)i); }
	pthread_barrier_wait(&all);
	puts("ready");
	fflush(stdout);
	getchar();
	return 0;
}
`

// The registers of all threads are those that gdb shows, under the same names,
// and each thread's stack is at its SP.
func TestThreads(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the program is one of Linux")
	}
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip(err)
	}
	gcore, err := exec.LookPath("gcore")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "crowd")
	if err := os.WriteFile(program+".c", []byte(crowd), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, tool(t, "gcc", "gcc"), "-O1", "-pthread", "-o", program, program+".c")
	process := exec.Command(program)
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer process.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(process.Process.Pid)
	if text, err := exec.Command(gcore, "-o", filepath.Join(dir, "core"), id).CombinedOutput(); err != nil {
		t.Skipf("gcore may not do it here: %v\n%s", err, text)
	}
	core := filepath.Join(dir, "core."+id)
	m := mustOpen(t, core, Options{})
	threads := m.Registers()
	if len(threads) != 4 {
		t.Fatalf("%d threads", len(threads))
	}
	text, err := exec.Command(gdb, "-nx", "-batch", "-ex", "thread apply all -ascending info registers", program, core).Output()
	if err != nil {
		t.Skip(err)
	}
	compareRegisters(t, m.Machine(), threads, string(text))
	found := map[uint64]bool{}
	for _, th := range threads {
		for a := th.SP &^ 7; ; a += 8 {
			b := m.View(a, 8)
			if b == nil || a > th.SP+8192 {
				break
			}
			if v := m.Order().Uint64(b); v > 0xc0ffee00 && v < 0xc0ffee04 {
				found[v] = true
			}
		}
		if s := m.Segment(th.SP); s == nil || !s.Writable {
			t.Errorf("SP %s is in %+v", th.SP, s)
		}
	}
	if len(found) != 3 {
		t.Errorf("the stacks of %d threads have their numbers", len(found))
	}
}

// compareRegisters compares with what "info registers" prints, for each thread
// behind a line that says "(LWP n)".
func compareRegisters(t *testing.T, machine elf.Machine, threads []Thread, text string) {
	t.Helper()
	var th *Thread
	same := 0
	for line := range strings.Lines(text) {
		if _, rest, ok := strings.Cut(line, "(LWP "); ok && strings.HasPrefix(line, "Thread ") {
			number, _, _ := strings.Cut(rest, ")")
			id, _ := strconv.Atoi(number)
			th = nil
			for i := range threads {
				if threads[i].ID == id {
					th = &threads[i]
				}
			}
			if th == nil {
				t.Errorf("thread %d is missing", id)
			}
			continue
		}
		f := strings.Fields(line)
		if th == nil || len(f) < 2 {
			continue
		}
		for i, v := range th.Regs {
			var want heap.Addr
			if RegisterName(machine, i) != f[0] || want.UnmarshalText([]byte(f[1])) != nil {
				continue
			}
			if v != uint64(want) {
				t.Errorf("%s of thread %d is %#x instead of %s", f[0], th.ID, v, want)
			}
			same++
		}
	}
	if want := len(threads) * 16; same < want {
		t.Errorf("%d registers are the same, and there should be %d or more:\n%s", same, want, text)
	}
}
