package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the golden outputs in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"heapwright": main})
}

// TestScript runs the command as a person would. The scripts find the real
// logs in $LOGS, programs in $ELFS and memory in $DUMPS; they copy what they need so that outputs
// hold short names.
func TestScript(t *testing.T) {
	logs, err := filepath.Abs("../../console/testdata")
	if err != nil {
		t.Fatal(err)
	}
	elfs, err := filepath.Abs("../../symbol/testdata/elf")
	if err != nil {
		t.Fatal(err)
	}
	dumps, err := filepath.Abs("../../image/layout/testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("LOGS", logs)
			e.Setenv("ELFS", elfs)
			e.Setenv("DUMPS", dumps)
			e.Setenv("COLUMNS", "80")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // a second for each command otherwise
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"armelf":    armELF,
			"code":      code,
			"gzip":      gzipFile,
			"hangup":    hangup,
			"head":      head,
			"interrupt": interrupt,
			"nolitter":  noLitter,
			"ram":       wholeRAM,
			"sites":     sites,
			"stuck":     stuck,
			"tail":      tail,
			"terminate": terminate,
		},
	})
}

// head writes the first n bytes of a file to another: head N FROM TO.
func head(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: head N FROM TO")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	b := ts.ReadFile(args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(b[:n]), 0o666))
}

// tail writes a file without its first n bytes to another, behind what that
// holds already: tail N FROM TO.
func tail(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: tail N FROM TO")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[2]), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	ts.Check(err)
	_, err = f.WriteString(ts.ReadFile(args[1])[n:])
	ts.Check(errors.Join(err, f.Close()))
}

// sites writes the call sites of a JSON document to another file: sites FROM TO.
func sites(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sites FROM TO")
	}
	var found strings.Builder
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if strings.HasPrefix(line, `{"rank":`) {
			found.WriteString(line)
		}
	}
	if found.Len() == 0 {
		ts.Fatalf("%s holds no call site", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(found.String()), 0o666))
}

// noLitter fails if a file that was to replace another is left: nolitter DIR...
func noLitter(ts *testscript.TestScript, neg bool, dirs []string) {
	if neg || len(dirs) == 0 {
		ts.Fatalf("usage: nolitter DIR...")
	}
	for _, dir := range dirs {
		if left := hidden(ts, dir); len(left) > 0 {
			ts.Fatalf("left in %s: %q", dir, left)
		}
	}
}

// hidden returns the files in a directory that it does not show.
func hidden(ts *testscript.TestScript, dir string) (names []string) {
	entries, err := os.ReadDir(ts.MkAbs(dir))
	ts.Check(err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}

// gzipFile packs a file: gzip FROM TO.
func gzipFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: gzip FROM TO")
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, ts.ReadFile(args[0]))
	ts.Check(err)
	ts.Check(w.Close())
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b.Bytes(), 0o666))
}

// hangup runs a command whose output nobody reads beyond the first line, and
// which should say nothing about it: hangup COMMAND ARG...
func hangup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: hangup COMMAND ARG...")
	}
	afterFirstLine(ts, args, func(_ *os.Process, rest io.ReadCloser) { ts.Check(rest.Close()) })
}

// interrupt runs a command, types Ctrl-C when it has printed its first line, and
// writes all that it has printed then to a file. It should end with success and
// without a message: interrupt FILE COMMAND ARG...
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: interrupt FILE COMMAND ARG...")
	}
	afterFirstLine(ts, args[1:], func(p *os.Process, rest io.ReadCloser) {
		ts.Check(p.Signal(os.Interrupt))
		b, err := io.ReadAll(rest)
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o666))
	})
}

// terminate runs a command that waits for standard input, sends it SIGTERM once
// it reads that, and checks its exit code: terminate CODE COMMAND ARG...
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: terminate CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	in, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	defer cmd.Process.Kill()
	// More than a pipe holds is written only when somebody reads it.
	_, err = in.Write(bytes.Repeat([]byte("no listing\n"), 1<<17))
	ts.Check(err)
	ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func afterFirstLine(ts *testscript.TestScript, args []string, then func(*os.Process, io.ReadCloser)) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	defer cmd.Process.Kill() // if then fails
	for c := make([]byte, 1); c[0] != '\n'; {
		_, err := io.ReadFull(out, c)
		ts.Check(err)
	}
	then(cmd.Process, out)
	// Where the system ends who writes to a closed pipe, that is as quiet.
	if err := cmd.Wait(); err != nil && err.Error() != "signal: broken pipe" || complaints.Len() > 0 {
		ts.Fatalf("%v: %q", err, complaints.String())
	}
}

// stuck runs a command whose standard input goes on behind a file and never ends,
// types Ctrl-C when it has begun to write an output file, and checks that it
// ends all the same: stuck FILE COMMAND ARG...
func stuck(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: stuck FILE COMMAND ARG...")
	}
	cmd := exec.Command(args[1], args[2:]...)
	cmd.Dir = ts.MkAbs(".")
	in, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	defer cmd.Process.Kill() // if something fails
	_, err = io.WriteString(in, ts.ReadFile(args[0]))
	ts.Check(err)
	for len(hidden(ts, ".")) == 0 {
		time.Sleep(time.Millisecond)
	}
	// By then it most likely waits for more; it has to end in either case.
	time.Sleep(100 * time.Millisecond)
	ts.Check(cmd.Process.Signal(os.Interrupt))
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		ts.Fatalf("%v", err)
	}
}

// Ctrl-C while a log is being read: no answer, no message, the exit code of
// shells.
func TestInterruptedReading(t *testing.T) {
	for _, verb := range []string{"leaks", "memused", "diff", "memcheck"} {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		root := newRoot()
		var out strings.Builder
		root.SetOut(&out)
		root.SetErr(&out)
		root.SetIn(readerFunc(func(b []byte) (int, error) {
			cancel()
			return copy(b, "x"), nil
		}))
		root.SetArgs([]string{verb, "-"})
		if code := finish(root, root.ExecuteContext(ctx)); code != exitInterrupted || out.Len() > 0 {
			t.Errorf("%s: exit code %d, output %q", verb, code, out.String())
		}
	}
}

func TestFold(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"give the log file in it", 12, "give the log\nfile in it"},
		{"give the log file in it", 0, "give the log file in it"},
		{"a path/too/long/to/break b", 8, "a\npath/too/long/to/break\nb"},
		{"  heapwright diff a b", 8, "  heapwright diff a b"},
		{"größer größer", 13, "größer größer"},
		{"", 5, ""},
	} {
		if got := fold(c.line, c.width); got != c.want {
			t.Errorf("%q in %d columns is %q, want %q", c.line, c.width, got, c.want)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// code runs a command and checks its exit code: code 4 heapwright leaks x.log.
// What it wrote can be looked at with stdout, stderr and cmp as after exec.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}
