package shell_test

import (
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/shell"
	"github.com/heapwright/heapwright/symbol"
)

func TestShort(t *testing.T) {
	const module = "github.com/heapwright/heapwright"
	for _, c := range []struct{ function, file, want string }{
		// The module's own files, wherever it lies.
		{module + "/internal/demo.(*Cache).Set", "/home/x/hw/internal/demo/cache.go", "demo.(*Cache).Set (internal/demo/cache.go:7)"},
		{module + "/internal/demo.(*Cache).Set", `C:\hw\internal\demo\cache.go`, "demo.(*Cache).Set (internal/demo/cache.go:7)"},
		{module + "/shell_test.allocKeep", "/home/x/hw/shell/shell_test.go", "shell_test.allocKeep (shell/shell_test.go:7)"},
		{module + ".(*Pool).Alloc", "/home/x/hw/alloc.go", "heapwright.(*Pool).Alloc (alloc.go:7)"},
		{module + "_test.TestX", "/home/x/hw/pool_test.go", "heapwright_test.TestX (pool_test.go:7)"},
		{module + "/a/b%2ev2.F", "/hw/a/b.v2/f.go", "b%2ev2.F (a/b.v2/f.go:7)"},
		{module + "/leak.Set[...]", "/hw/leak/set.go", "leak.Set[...] (leak/set.go:7)"},
		// Others', which lie elsewhere.
		{"github.com/other/thing/deep.F", "/go/pkg/mod/github.com/other/thing@v1.2.3/deep/f.go", "deep.F (deep/f.go:7)"},
		{"testing.tRunner", "/usr/lib/go/src/testing/testing.go", "testing.tRunner (testing/testing.go:7)"},
		// A file that is not where the package's name says, as generated ones.
		{module + "/leak.F", "/tmp/gen/out.y", "leak.F (gen/out.y:7)"},
		{module + "x.F", "/hw/x.go", "heapwrightx.F (hw/x.go:7)"},
		{"", "", "0x1"},
	} {
		f := heap.Frame{Addr: 1, Function: c.function, File: c.file}
		if c.file != "" {
			f.Line = 7
		}
		if got := shell.Short(f).String(); got != c.want {
			t.Errorf("%s (%s) is shortened to %s, want %s", c.function, c.file, got, c.want)
		}
	}
}

func TestFindingFits(t *testing.T) {
	f := heap.Finding{
		Span:  heap.Span{Start: 0x7f2c5a001100, End: 0x7f2c5a001140},
		Reach: "the header of the node behind it and 31 times more behind it, up to the end of the payload of the last one",
	}
	var out strings.Builder
	if err := shell.WriteFinding(&out, &f, symbol.Process, nil); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	if want := "\n" + strings.Repeat(" ", 18); !strings.Contains(out.String(), "overwritten     64 bytes") || !strings.Contains(out.String(), want) {
		t.Errorf("%q", out.String())
	}
}
