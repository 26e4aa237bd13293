package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// verb runs the command and returns what it writes and its exit code.
func verb(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	t.Setenv("COLUMNS", "2000")
	var stdout, stderr bytes.Buffer
	root := newRoot()
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(args)
	code = finish(root, root.ExecuteContext(t.Context()))
	if code == exitInput {
		t.Fatalf("%v: %s", args, &stderr)
	}
	return stdout.String(), code
}

// crashed builds the program in testdata/crash, lets it crash with each of some
// arguments, and returns its file and the cores.
func crashed(t *testing.T, flag string, arguments ...string) (program string, cores []string) {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip(err)
	}
	source, err := filepath.Abs("testdata/crash/crash.c")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program = filepath.Join(dir, "crash")
	if out, err := exec.Command(gcc, "-g", "-O1", "-fPIE", flag, "-o", program, source).CombinedOutput(); err != nil {
		t.Skipf("it cannot be built here: %v\n%s", err, out)
	}
	for _, arg := range arguments {
		run := exec.Command("sh", "-c", "ulimit -c unlimited; exec ./crash "+arg)
		run.Dir = dir
		if out, err := run.CombinedOutput(); err == nil {
			t.Fatalf("it did not crash: %s", out)
		}
		found, _ := filepath.Glob(filepath.Join(dir, "core*"))
		if len(found) != 1 {
			t.Skip("no core was written here")
		}
		core := filepath.Join(dir, "of-"+arg)
		if err := os.Rename(found[0], core); err != nil {
			t.Fatal(err)
		}
		cores = append(cores, core)
	}
	return program, cores
}

// A program crashes: its core tells what is damaged, by whom, what is lost, and
// who holds what is not. What only a stack, a register or a stack within the heap
// leads to is not lost.
func TestCoreOfCrash(t *testing.T) {
	for _, flag := range []string{"-no-pie", "-pie"} {
		t.Run(flag, func(t *testing.T) {
			program, cores := crashed(t, flag, "", "task", "20", "200", "shared")
			shared := cores[4]
			cores = cores[:4]
			for _, core := range cores[:2] {
				if out, code := verb(t, "memcheck", core, "--symbols", program); code != exitClean {
					t.Errorf("%s: exit code %d\n%s", core, code, out)
				}
			}
			for _, core := range cores {
				checkLost(t, core, program)
			}
			for _, core := range cores[2:] {
				checkOverflow(t, core, program)
			}
			// The stacks of each are looked up where it lay.
			out, code := verb(t, "memcheck", cores[2], cores[3], "--symbols", program)
			if n := len(regexp.MustCompile(`culprit .*\n( +reason .*\n)? *allocated in +keep_inside .*crash.c:`).FindAllString(out, -1)); n != 2 || code != exitCorruption {
				t.Errorf("exit code %d, %d culprits\n%s", code, n, out)
			}
			// Of the stack within the heap, and of what was allocated on it, the
			// callers are others.
			out, code = verb(t, "diff", cores[0], cores[1], "--symbols", program)
			if flag == "-no-pie" && !regexp.MustCompile(`: 3 appeared \(.*\), 2 disappeared \(.*\), 76 stayed`).MatchString(out) || code != exitClean {
				t.Errorf("exit code %d\n%s", code, out)
			}
			checkHolders(t, cores[0], program)
			checkCut(t, cores[1], program)
			out, code = verb(t, "leaks", shared, "--symbols", program, "--unaligned")
			if code != exitInconclusive || !strings.Contains(out, "But 4096 bytes that the program could write to were not dumped") {
				t.Errorf("exit code %d\n%s", code, out)
			}
		})
	}
}

func checkLost(t *testing.T, core, program string) {
	t.Helper()
	out, _ := verb(t, "leaks", core, "--symbols", program, "--unaligned", "--format", "json")
	var doc struct {
		Unreferenced struct {
			Gaps             string
			Why              *string
			Direct, Indirect struct{ Nodes int }
			Sites            []struct {
				Verdict          string
				Direct, Indirect struct{ Nodes int }
				Stack            []struct{ Function string }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	u := &doc.Unreferenced
	if u.Why != nil || u.Gaps != "" || u.Direct.Nodes != 20 || u.Indirect.Nodes != 30 || len(u.Sites) != 2 {
		t.Fatalf("%s: %+v", core, u)
	}
	for i, want := range []struct {
		function         string
		direct, indirect int
	}{{"lose_list", 10, 20}, {"lose_circle", 10, 10}} {
		s := &u.Sites[i]
		if s.Verdict != "CONFIRMED" || s.Direct.Nodes != want.direct || s.Indirect.Nodes != want.indirect || s.Stack[0].Function != want.function {
			t.Errorf("%s: %+v, want %+v", core, s, want)
		}
	}
}

// checkCut cuts a core behind its heap: what is missing may hold pointers, so that
// nothing is proved.
func checkCut(t *testing.T, core, program string) {
	t.Helper()
	b, err := os.ReadFile(core)
	if err != nil {
		t.Fatal(err)
	}
	cut := core + ".cut"
	if err := os.WriteFile(cut, b[:len(b)-4096], 0o600); err != nil {
		t.Fatal(err)
	}
	out, code := verb(t, "leaks", cut, "--symbols", program, "--unaligned")
	if code != exitInconclusive || !regexp.MustCompile(`But the dump is not complete: .* 4096 of \d+ bytes of memory are missing`).MatchString(out) {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

func checkOverflow(t *testing.T, core, program string) {
	t.Helper()
	repaired := core + ".repaired"
	out, code := verb(t, "memcheck", core, "--symbols", program, "--format", "json", "--repair", repaired)
	var doc struct {
		Nodes    struct{ Used, Free int }
		Findings []struct {
			Culprit   string
			Recovered bool
			StackOf   string `json:"stack_of"`
			Stack     []struct{ Function string }
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	if code != exitCorruption || doc.Nodes.Used != 78 || doc.Nodes.Free != 1 || len(doc.Findings) != 1 {
		t.Fatalf("%s: exit code %d, %+v", core, code, doc)
	}
	f := &doc.Findings[0]
	if f.Culprit == "" || !f.Recovered || f.StackOf != "culprit" || f.Stack[0].Function != "keep_inside" {
		t.Errorf("%s: %+v", core, f)
	}
	if out, code := verb(t, "memcheck", repaired, "--symbols", program); code != exitClean {
		t.Errorf("%s: exit code %d\n%s", repaired, code, out)
	}
}

// checkHolders asks who leads to nodes that are reached in several ways.
func checkHolders(t *testing.T, core, program string) {
	t.Helper()
	out, _ := verb(t, "memused", core, "--symbols", program, "--format", "json")
	var doc struct {
		Nodes []struct {
			Addr  string
			Stack []struct {
				Function string
				Line     int
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	args := []string{"explain", core, "--symbols", program}
	want := map[string]string{}
	seen := map[string]int{}
	for _, n := range doc.Nodes {
		f := n.Stack[0].Function
		seen[f]++
		switch {
		case f == "keep_inside" && seen[f] == 2:
			want[n.Addr] = `reached from +g_middle\+8 in \.bss, which points 64 bytes into it`
		case f == "keep" && seen[f] == 1:
			want[n.Addr] = `reached from +g_list in \.bss\n`
		case f == "crash" && seen[f] == 1:
			want[n.Addr] = `reached from +stack of thread \d+ 0x`
		default:
			continue
		}
		args = append(args, n.Addr)
	}
	out, code := verb(t, args...)
	for addr, pattern := range want {
		_, text, _ := strings.Cut(out, "\n"+addr+" lies")
		if strings.HasPrefix(out, addr+" lies") {
			text = out
		}
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("%s: no %q in\n%s", addr, pattern, text)
		}
	}
	if len(want) != 3 || code != exitClean {
		t.Errorf("exit code %d, %v", code, want)
	}
}

// A Go program is killed: the file of its pool tells which call site leaks, which
// is a cache and what is left of the start, wherever the program was loaded.
func TestPoolOfKilledProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	for _, mode := range []string{"exe", "pie"} {
		t.Run(mode, func(t *testing.T) {
			dir := t.TempDir()
			program, file := filepath.Join(dir, "program"), filepath.Join(dir, "pool")
			build := exec.Command("go", "build", "-buildmode="+mode, "-o", program, "./testdata/leaking")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Skipf("it cannot be built here: %v\n%s", err, out)
			}
			// A machine that stops for a second shifts the ages of all nodes.
			var wrong string
			for range 3 {
				leaveBehind(t, program, file)
				if wrong = wrongVerdicts(t, file, program); wrong == "" {
					return
				}
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
			}
			t.Error(wrong)
		})
	}
}

// Read with the file of another build, names would be wrong: few call stacks are
// enough to say so.
func TestPoolOfAnotherBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "pool")
	build := func(name string, text int) string {
		program := filepath.Join(dir, name)
		b := exec.Command("go", "build", "-buildmode=exe", fmt.Sprintf("-ldflags=-T=%#x", text), "-o", program, "../../image/layout/testdata/ownprogram")
		b.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := b.CombinedOutput(); err != nil {
			t.Skipf("it cannot be built here: %v\n%s", err, out)
		}
		return program
	}
	own, other := build("own", 0x401000), build("other", 0x404000)
	if out, err := exec.Command(own, file).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for program, doubted := range map[string]bool{own: false, other: true} {
		for _, name := range []string{"memused", "memcheck", "map"} {
			out, _ := verb(t, name, file, "--symbols", program)
			if strings.Contains(out, "is not the build that was running") != doubted {
				t.Errorf("%s with %s:\n%.2000s", name, filepath.Base(program), out[max(0, len(out)-2000):])
			}
		}
	}
}

// leaveBehind runs the program until it says that it is done, and kills it.
func leaveBehind(t *testing.T, program, file string) {
	t.Helper()
	run := exec.Command(program, file)
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(time.Minute, func() { run.Process.Kill() })
	defer timer.Stop()
	n, _ := out.Read(make([]byte, 16))
	run.Process.Kill()
	run.Wait()
	if n == 0 {
		t.Fatal("it did not say that it is done")
	}
}

func wrongVerdicts(t *testing.T, file, program string) string {
	t.Helper()
	out, code := verb(t, "leaks", file, "--symbols", program, "--format", "json")
	var doc struct {
		Sites []struct {
			Verdict string
			Stack   []struct{ Function string }
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range doc.Sites {
		got[s.Stack[0].Function] = s.Verdict
	}
	if len(got) != 3 || got["main.leak"] != "SUSPECT" || got["main.remember"] == "SUSPECT" || got["main.start"] != "STABLE" || code != exitInconclusive {
		return fmt.Sprintf("exit code %d, %v", code, got)
	}
	out, _ = verb(t, "leaks", file, "--symbols", program)
	if !regexp.MustCompile(`(?s)^No leak is confirmed, 1 call site suspect.*\n1  SUSPECT .* main\.leak .*holds nodes of all ages.*note: of one dump, growth is judged by the ages`).MatchString(out) {
		return out
	}
	if out, code := verb(t, "leaks", file, "--symbols", program, "--fail-on", "suspect"); code != exitLeak {
		return fmt.Sprintf("exit code %d\n%s", code, out)
	}
	return ""
}
