package image_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/image"
	"github.com/heapwright/heapwright/symbol"
)

const moved = `
#include <stdlib.h>
struct item { int mark; struct item *next; };
static struct item pool[3] = {{0x1234, pool + 1}, {0x5678, pool + 2}};
struct item *first;
__attribute__((noinline)) void give_up(struct item *p) { first = p; abort(); }
int main(void) { give_up(pool); return 0; }
`

// A core of a position-independent program, together with the program's file,
// tells where it was loaded: its variables are found in the core.
func TestPositionIndependentCore(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "moved")
	if err := os.WriteFile(file+".c", []byte(moved), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-g", "-O1", "-fPIE", "-pie", "-o", file, file+".c").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command("sh", "-c", `ulimit -c unlimited; exec ./moved`)
	run.Dir = dir
	if err := run.Run(); err == nil {
		t.Fatal("it did not crash")
	}
	cores, _ := filepath.Glob(filepath.Join(dir, "core*"))
	if len(cores) == 0 {
		t.Skip("no core was written here")
	}
	m, err := image.Open(cores[0], image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tab, err := symbol.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	bias, err := tab.Bias(m.Mappings())
	if err != nil || bias == 0 {
		t.Fatalf("bias %s, %v", bias, err)
	}
	program := tab.Shifted(bias)
	pool, ok := program.Variable("pool")
	first, ok2 := program.Variable("first")
	if !ok || !ok2 || m.View(pool.Start, pool.Len()) == nil || m.View(first.Start, first.Len()) == nil {
		t.Fatalf("pool %+v, first %+v", pool, first)
	}
	word := func(a heap.Addr) heap.Addr { return heap.Addr(m.Order().Uint64(m.View(a, 8))) }
	if m.Order().Uint32(m.View(pool.Start, 4)) != 0x1234 || word(first.Start) != pool.Start || word(pool.Start+8) != pool.Start+16 {
		t.Errorf("first is %s, pool is at %s, next is %s", word(first.Start), pool.Start, word(pool.Start+8))
	}
	// Whoever called abort is in the stack.
	found := false
	sp := m.Registers()[0].SP
	for a := sp &^ 7; a < sp+4096 && m.View(a, 8) != nil; a += 8 {
		for _, f := range program.Frames(word(a)) {
			found = found || f.Function == "give_up" && strings.HasSuffix(f.File, "moved.c")
		}
	}
	if !found {
		t.Error("no return address of give_up is in the stack")
	}
}
