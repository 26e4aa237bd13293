package layout

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// What a process left in a file when it ended is read with the addresses that it
// had, and the program's own file says what its call stacks mean, wherever the
// program was loaded.
func TestOwnProgram(t *testing.T) {
	if testing.Short() || runtime.GOOS != "linux" {
		t.Skip("builds programs and reads their ELF files")
	}
	for _, mode := range []string{"exe", "pie"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			program, file := filepath.Join(dir, "program"), filepath.Join(dir, "pool")
			build := exec.Command("go", "build", "-buildmode="+mode, "-o", program, "./testdata/ownprogram")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Skipf("it cannot be built here: %v\n%s", err, out)
			}
			out, err := exec.Command(program, file).Output()
			if err != nil {
				t.Fatal(err)
			}
			var base, payload uint64
			if _, err := fmt.Sscanf(string(out), "%v %v", &base, &payload); err != nil {
				t.Fatalf("%q: %v", out, err)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p := findOwn(t, Bytes{0, b}, Hints{})
			a := p.About()
			if uint64(a.Base) != base || a.Name != "left" {
				t.Errorf("%+v, want base %#x", a, base)
			}
			nodes, findings, s := collect(p)
			nodes = usedOnly(nodes)
			if len(nodes) != 1000 || len(findings) > 0 || s.Partial != "" {
				t.Fatalf("%d nodes, %v, %s", len(nodes), findings, s.Partial)
			}
			if !slices.ContainsFunc(nodes, func(n heap.Node) bool { return uint64(n.Payload+a.Base) == payload }) {
				t.Errorf("no node has its payload at %#x in the process", payload)
			}
			bias, name := located(t, program, a, nodes[0].Stack[0])
			if name != "main.fill" || (bias != 0) != (mode == "pie") {
				t.Errorf("LR %s lies in %q, loaded %s further", nodes[0].Stack[0], name, bias)
			}
		})
	}
}

// located returns where the program was loaded, compared with its file, and the
// function that the return address lr lies in, as the comment of About.Symbol
// says.
func located(t *testing.T, program string, a *About, lr heap.Addr) (bias heap.Addr, name string) {
	t.Helper()
	e, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	symbols, err := e.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range symbols {
		if s.Name == a.Symbol {
			bias = a.SymbolAddr - heap.Addr(s.Value)
		}
	}
	for _, s := range symbols {
		if at := uint64(lr - bias); elf.ST_TYPE(s.Info) == elf.STT_FUNC && s.Value < at && at <= s.Value+s.Size {
			name = s.Name
		}
	}
	return bias, name
}
