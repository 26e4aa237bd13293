package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// rawProfile runs a verb for a profile, and returns what go tool pprof -raw says
// of it.
func rawProfile(t *testing.T, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "heap.pb.gz")
	root := newRoot()
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	root.SetArgs(append(args, "--format", "pprof", "-o", path))
	if code := finish(root, root.ExecuteContext(t.Context())); code == exitInput {
		t.Fatalf("%v: exit code %d", args, code)
	}
	cmd := exec.Command("go", "tool", "pprof", "-raw", path)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir(), "PPROF_BINARY_PATH="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func wantAll(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in\n%s", w, text)
		}
	}
}

// Profiles hold where the program lies in memory, and its build ID.
func TestProfileOfELF(t *testing.T) {
	const elf = "../../symbol/testdata/elf/thumb-O2-dwarf4.elf"
	var log strings.Builder
	for listing := 1; listing <= 5; listing++ {
		log.WriteString("node            LR[0]       LR[1]       LR[2]\n")
		for i := range 5 * listing {
			log.WriteString("0x000" + strconv.FormatInt(int64(0x56000+64*i), 16) + ":  0x000081ab  0x00008059  0x00000000\n")
		}
		log.WriteString("\nHuawei LiteOS # \n")
	}
	name := files(t, log.String())[0]
	for _, verb := range [][]string{{"leaks"}, {"memused", "-g"}} {
		raw := rawProfile(t, append(verb, name, "--symbols", elf)...)
		wantAll(
			t, raw, "1: 0x8000/0x8298/0xc0 ", "thumb-O2-dwarf4.elf ", " [FN][FL][LN][IN]",
			"0x81a9 M=1 queue_push /firmware/queue.c:", "0x8057 M=1 main /firmware/main.c:",
		)
		if verb[0] == "leaks" {
			wantAll(t, raw, "verdict:[CONFIRMED]")
		}
	}
}

// A profile is of nodes, with what is known of each, not of counts; and those
// without a call stack have a name.
func TestProfileOfNodes(t *testing.T) {
	raw := rawProfile(t, "leaks", "../../console/testdata/devices/rtthread.log")
	wantAll(t, raw, "verdict:[CONFIRMED]", "task:[", "[no stack: ")
	if strings.Contains(raw, "(no call stack)") {
		t.Error(raw)
	}
}
