package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"
)

// execute runs a command line and returns its exit code, with what it wrote.
func execute(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	root := newRoot()
	var out, complaints strings.Builder
	root.SetOut(&out)
	root.SetErr(&complaints)
	root.SetArgs(args)
	code = finish(root, root.ExecuteContext(context.Background()))
	return code, out.String(), complaints.String()
}

// leakingLog writes the log of a program whose queue_push leaks, in ten listings.
func leakingLog(t *testing.T) (log string) {
	t.Helper()
	var b strings.Builder
	for listing := range 10 {
		b.WriteString("Huawei LiteOS # memused\nnode            LR[0]       LR[1]\n")
		for node := range 5 + 5*listing {
			fmt.Fprintf(&b, "0x%08x:  0x000081aa  0x00008058\n", 0x20000+64*node)
		}
		b.WriteString("\n")
	}
	log = filepath.Join(t.TempDir(), "soak.log")
	if err := os.WriteFile(log, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return log
}

// Tools that show problems in a repository get the names of files as the
// repository has them.
func TestSourceFilesAreRelative(t *testing.T) {
	log, elf := leakingLog(t), "../../symbol/testdata/elf/thumb-O2-dwarf4.elf"
	t.Setenv("GITHUB_WORKSPACE", "")
	for _, c := range []struct {
		format, workspace, strip string
		want                     string
	}{
		{"sarif", "", "", `"uri":"file:///firmware/queue.c"`},
		{"sarif", "/firmware", "", `"uri":"queue.c"`},
		{"sarif", "", "/firmware/", `"uri":"queue.c"`},
		{"github", "/", "", "::error file=firmware/queue.c,line="},
		{"junit", "/", "/firmware", `file="queue.c" line="`},
		{"junit", "/elsewhere", "", `file="/firmware/queue.c" line="`},
		{"text", "/firmware", "", "queue_push (/firmware/queue.c:"},
		{"text", "", "/firmware", "queue_push (queue.c:"},
		{"json", "/firmware", "", `"file":"/firmware/queue.c"`},
		{"json", "", "/firmware", `"file":"queue.c"`},
	} {
		t.Setenv("GITHUB_WORKSPACE", c.workspace)
		args := []string{"leaks", log, "--symbols", elf, "--format", c.format}
		if c.strip != "" {
			args = append(args, "--strip-prefix", c.strip)
		}
		code, out, _ := execute(t, args...)
		if code != exitLeak || !strings.Contains(out, c.want) {
			t.Errorf("%+v: exit code %d\n%.2000s", c, code, out)
		}
	}
	_, out, stderr := execute(t, "leaks", log, "--symbols", elf, "--format", "github", "--strip-prefix", "/other")
	if want := "no source file lies below --strip-prefix /other: they are named like /firmware/"; !strings.Contains(out, "::warning title=heapwright::"+want) || !strings.Contains(stderr, want) {
		t.Error(out, stderr)
	}
	if code, _, stderr := execute(t, "leaks", log, "--strip-prefix", ""); code != exitInput || !strings.Contains(stderr, "--strip-prefix needs a directory") {
		t.Error(code, stderr)
	}
}

// The gate of a reader that has left is the gate.
func TestNobodyReadsTheOutput(t *testing.T) {
	for verb, want := range map[string]int{"leaks": exitLeak, "memused": exitClean, "diff": exitClean} {
		root := newRoot()
		var complaints strings.Builder
		root.SetOut(writerFunc(func([]byte) (int, error) { return 0, syscall.EPIPE }))
		root.SetErr(&complaints)
		root.SetArgs([]string{verb, "../../console/testdata/leak-series.log"})
		if code := finish(root, root.ExecuteContext(context.Background())); code != want || complaints.Len() > 0 {
			t.Errorf("%s: exit code %d, %q", verb, code, complaints.String())
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// Help fits 80 columns, and narrower terminals as far as its flags go.
func TestHelpFits(t *testing.T) {
	for _, c := range []struct {
		columns string
		width   int
	}{{"", 80}, {"80", 80}, {"72", 80}} {
		t.Setenv("COLUMNS", c.columns)
		for _, verb := range append(verbs(), newRoot()) {
			args := []string{verb.Name(), "--help"}
			if verb.Name() == "heapwright" {
				args = args[1:]
			}
			code, out, _ := execute(t, args...)
			if code != exitClean || !strings.Contains(out, "Usage:\n  heapwright") {
				t.Errorf("%s: exit code %d: %q", verb.Name(), code, out)
			}
			for line := range strings.Lines(out) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > c.width {
					t.Errorf("%s at COLUMNS=%s: %d columns: %s", verb.Name(), c.columns, n, line)
				}
			}
		}
	}
}
