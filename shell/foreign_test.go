package shell_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/node"
	"github.com/heapwright/heapwright/shell"
)

// poolFile writes a pool with a few nodes to a file, as if another build of the
// program had done it if foreign.
func poolFile(t *testing.T, foreign bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pool")
	p, err := heapwright.New(heapwright.Config{Name: "left", File: path, MaxSize: 1 << 20, LeakCheck: true, HeadBackup: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		allocLeak(t, p, 100)
	}
	p.Close()
	if !foreign {
		return path
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := node.HeadAt(unsafe.Pointer(unsafe.SliceData(b)))
	info, err := head.Read()
	if err != nil {
		t.Fatal(err)
	}
	info.Text++
	head.Write(info)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func openPool(t *testing.T, path string) *heapwright.Pool {
	t.Helper()
	p, err := heapwright.Open(path, heapwright.Config{OnFinding: func(heap.Finding) {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// everything is a symbolizer that knows a name for any address.
type everything struct{}

func (everything) Frames(lr heap.Addr) []heap.Frame {
	return []heap.Frame{{Addr: lr, Function: "known"}}
}

// The stacks of a pool that another build wrote must not get the names that
// their addresses have in this one.
func TestForeignPool(t *testing.T) {
	p := openPool(t, poolFile(t, true))
	if !p.Foreign() {
		t.Fatal("the pool passes for this build's")
	}
	s := shell.New(shell.Config{Pool: p})
	exec(t, s, "mark")
	for _, line := range []string{"memused -g", "memused -v", "diff"} {
		out := exec(t, s, line)
		if strings.Contains(out, ".go:") {
			t.Errorf("%s names functions:\n%s", line, out)
		}
		if n := strings.Count(out, "another build"); n != 1 {
			t.Errorf("%s says %d times why there are no names:\n%s", line, n, out)
		}
	}
	if out := exec(t, s, "memused -g"); !regexp.MustCompile(`(?m)^ +3 .* 0x[0-9a-f]+ <- 0x[0-9a-f]+`).MatchString(out) {
		t.Errorf("the stack of three nodes is missing in\n%s", out)
	}
	for _, line := range []string{"memused", "memcheck", "memstat"} {
		if out := exec(t, s, line); strings.Contains(out, "another build") {
			t.Errorf("%s shows no names, yet explains why:\n%s", line, out)
		}
	}
	// With that build's symbols there are names.
	s = shell.New(shell.Config{Pool: p, Symbols: everything{}})
	if out := exec(t, s, "memused -g"); !strings.Contains(out, "known <- known") || strings.Contains(out, "another build") {
		t.Errorf("with symbols:\n%s", out)
	}
}

func TestPoolOfThisBuild(t *testing.T) {
	s := shell.New(shell.Config{Pool: openPool(t, poolFile(t, false))})
	out := exec(t, s, "memused -g")
	if !strings.Contains(out, "shell_test.allocLeak (shell/shell_test.go:") || strings.Contains(out, "another build") {
		t.Errorf("a pool of this build is shown as\n%s", out)
	}
}

// The ticks of a pool that is only read are not this process's.
func TestVerboseWithoutAges(t *testing.T) {
	s := shell.New(shell.Config{Pool: openPool(t, poolFile(t, false))})
	var out strings.Builder
	if err := s.Exec("memused -v", &out); err != nil {
		t.Fatal(err)
	}
	title, _, _ := strings.Cut(out.String(), "\n")
	if !strings.Contains(title, "size") || strings.Contains(title, "age ") {
		t.Errorf("title %q, want one without ages", title)
	}
}
