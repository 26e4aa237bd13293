package shell_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/console"
	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/shell"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func newPool(t *testing.T, cfg heapwright.Config) *heapwright.Pool {
	t.Helper()
	p, err := heapwright.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func debugPool(t *testing.T, name string) *heapwright.Pool {
	return newPool(t, heapwright.Config{Name: name, LeakCheck: true, HeadBackup: true, OnFinding: func(heap.Finding) {}})
}

func exec(t *testing.T, s *shell.Shell, line string) string {
	t.Helper()
	var b strings.Builder
	if err := s.Exec(line, &b); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return b.String()
}

//go:noinline
func allocKeep(t *testing.T, p *heapwright.Pool, n int) unsafe.Pointer {
	ptr, err := p.Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	return ptr
}

//go:noinline
func allocLeak(t *testing.T, p *heapwright.Pool, n int) unsafe.Pointer {
	ptr, err := p.Alloc(n)
	if err != nil {
		t.Fatal(err)
	}
	return ptr
}

// overflow writes 'A's beyond a buffer, over all of the next node's header.
func overflow(t *testing.T, p *heapwright.Pool) (culprit, victim unsafe.Pointer) {
	culprit, victim = allocLeak(t, p, 64), allocKeep(t, p, 64)
	distance := int(uintptr(victim) - uintptr(culprit))
	if distance < 64 || distance > 512 {
		t.Fatalf("buffers lie %d bytes apart", distance)
	}
	b := unsafe.Slice((*byte)(culprit), distance)
	for i := 64; i < distance; i++ {
		b[i] = 'A'
	}
	return culprit, victim
}

var volatile = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`0x[0-9a-f]{9,}`), "ADDRESS"}, // of the pool
	{regexp.MustCompile(`0x[0-9a-f]{6,8}\b`), "CODE"}, // LRs and checksums
	{regexp.MustCompile(`\b\d+\.\ds\b`), "AGE"},
	{regexp.MustCompile(`(birth +\d+ +)\d+`), "${1}TICK"},
	{regexp.MustCompile(`\.go:\d+`), ".go:LINE"},
}

// golden compares an answer with a file, in which what differs from run to run
// is replaced by words.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if runtime.GOOS != "linux" || unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("addresses have another width")
	}
	for _, v := range volatile {
		got = v.pattern.ReplaceAllString(got, v.with)
	}
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestMemusedIsLiteOS(t *testing.T) {
	if runtime.GOARCH == "386" {
		t.Skip("LiteOS pads to other widths on 32 bits")
	}
	p := debugPool(t, "used")
	allocKeep(t, p, 100)
	snap, err := p.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	n := snap.Nodes[0]
	want := "node                        LR[0]               LR[1]               LR[2]       \n" +
		fmt.Sprintf("0x%016x:  0x%016x  0x%016x  0x%016x \n", uint64(n.Addr), uint64(n.Stack[0]), uint64(n.Stack[1]), uint64(n.Stack[2]))
	if diff := cmp.Diff(want, exec(t, shell.New(shell.Config{Pool: p}), "memused")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A stack that is shallower than what is recorded is filled up with zeroes.
func TestMemusedShallow(t *testing.T) {
	p := newPool(t, heapwright.Config{LeakCheck: true, RecordLR: 32})
	done := make(chan struct{})
	go func() {
		defer close(done)
		allocKeep(t, p, 1)
	}()
	<-done
	out := exec(t, shell.New(shell.Config{Pool: p}), "memused")
	row := strings.Split(out, "\n")[1]
	if got := len(strings.Fields(row)); got != 33 {
		t.Errorf("%d columns, want 33: %s", got, row)
	}
	if zero := fmt.Sprintf(" 0x%0*x ", 2*int(unsafe.Sizeof(uintptr(0))), 0); !strings.HasSuffix(row, zero) {
		t.Errorf("the outermost level is not zero: %q", row)
	}
}

func TestMemusedWithoutLeakCheck(t *testing.T) {
	p := newPool(t, heapwright.Config{})
	allocKeep(t, p, 1)
	out := exec(t, shell.New(shell.Config{Pool: p}), "memused")
	if !regexp.MustCompile(`^node +\n0x[0-9a-f]+: \n$`).MatchString(out) {
		t.Errorf("got %q", out)
	}
}

// What a session prints is a console log to those who read LiteOS's.
func TestSessionIsALog(t *testing.T) {
	p := debugPool(t, "log")
	for range 10 {
		allocKeep(t, p, 100)
	}
	for _, c := range []struct {
		name string
		run  func(*shell.Shell, io.ReadWriter) error
		eol  string
	}{
		{"plain", (*shell.Shell).Run, "\n"},
		{"terminal", (*shell.Shell).RunTerminal, "\r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := shell.New(shell.Config{Pool: p, PromptAlways: true})
			rw := &duplex{in: strings.NewReader("help" + c.eol + "memused" + c.eol + "free" + c.eol + "memused" + c.eol + "exit" + c.eol)}
			if err := c.run(s, rw); err != nil {
				t.Fatal(err)
			}
			want, err := p.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			listings := 0
			for got, err := range console.NewReader(bytes.NewReader(rw.out.Bytes()), "session").Snapshots() {
				if err != nil {
					t.Fatal(err)
				}
				listings++
				if got.Partial != "" {
					t.Errorf("listing %d is partial: %s", listings, got.Partial)
				}
				if len(got.Nodes) != len(want.Nodes) {
					t.Fatalf("listing %d has %d nodes, want %d", listings, len(got.Nodes), len(want.Nodes))
				}
				for i, n := range got.Nodes {
					if n.Addr != want.Nodes[i].Addr || !n.Stack.Equal(want.Nodes[i].Stack) {
						t.Errorf("node %d is %v %v, want %v %v", i, n.Addr, n.Stack, want.Nodes[i].Addr, want.Nodes[i].Stack)
					}
				}
			}
			if listings != 2 {
				t.Errorf("%d listings, want 2", listings)
			}
		})
	}
}

// duplex is a peer that has said all it will say.
type duplex struct {
	in  io.Reader
	out bytes.Buffer
}

func (d *duplex) Read(b []byte) (int, error)  { return d.in.Read(b) }
func (d *duplex) Write(b []byte) (int, error) { return d.out.Write(b) }

func TestGolden(t *testing.T) {
	// Two levels: the third is one of package testing's, which may change.
	p := newPool(t, heapwright.Config{Name: "cache", LeakCheck: true, RecordLR: 2, HeadBackup: true})
	p.NameOwner(7, "net\x1b[31m")
	if _, err := p.AllocWith(30, heapwright.Options{Owner: 7}); err != nil {
		t.Fatal(err)
	}
	s := shell.New(shell.Config{Pool: p})
	var b strings.Builder
	do := func(line string) {
		fmt.Fprintf(&b, "%s%s\n", shell.DefaultPrompt, line)
		if err := s.Exec(line, &b); err != nil {
			fmt.Fprintln(&b, err)
		}
		b.WriteString("\n")
	}
	do("memcheck")
	do("mark")
	for range 3 {
		allocLeak(t, p, 100)
	}
	old := allocKeep(t, p, 10)
	do("mark second")
	if err := p.Free(old); err != nil {
		t.Fatal(err)
	}
	do("memused -v")
	do("memused -g")
	do("diff")
	do("diff mark")
	do("memused -n 1")
	overflow(t, p)
	do("memcheck -s")
	do("memcheck")
	golden(t, "session", b.String())
}

func TestHelpGolden(t *testing.T) {
	s := shell.New(shell.Config{})
	var b strings.Builder
	b.WriteString(exec(t, s, "help"))
	for _, c := range shell.CommandNames() {
		fmt.Fprintf(&b, "\n--- help %s\n%s", c, exec(t, s, "help "+c))
		if out := exec(t, s, c+" --help"); !strings.Contains(b.String(), out) {
			t.Errorf("%s --help differs from help %s", c, c)
		}
	}
	golden(t, "help", b.String())
}

// Every example in the table must work.
func TestExamples(t *testing.T) {
	p := debugPool(t, "cache")
	s := shell.New(shell.Config{Pool: p})
	exec(t, s, "mark before-load")
	for _, e := range shell.LinesOfExamples() {
		if err := s.Exec(e, io.Discard); err != nil && e != "exit" {
			t.Errorf("%s: %v", e, err)
		}
	}
}

func TestMemcheckClean(t *testing.T) {
	p := debugPool(t, "clean")
	allocKeep(t, p, 1)
	if got, want := exec(t, shell.New(shell.Config{Pool: p}), "memcheck"), "system memcheck over, all passed!\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFree(t *testing.T) {
	p := debugPool(t, "free")
	allocKeep(t, p, 5000)
	st := p.Stats()
	for _, c := range []struct {
		flag string
		unit uint64
	}{{"", 1}, {" -k", 1 << 10}, {" -m", 1 << 20}} {
		out := exec(t, shell.New(shell.Config{Pool: p}), "free"+c.flag)
		want := "\n        total        used          free\n" +
			fmt.Sprintf("Mem:    %-9d    %-10d    %-10d\n", st.Size/c.unit, st.Used/c.unit, st.Free/c.unit)
		if !strings.HasPrefix(out, want) {
			t.Errorf("free%s:\n%q\nwant\n%q", c.flag, out, want)
		}
		if !strings.Contains(out, "\n        text         data          rodata        bss\nMem:    ") {
			t.Errorf("free%s does not show the program:\n%s", c.flag, out)
		}
	}
}

func TestMemstat(t *testing.T) {
	p := debugPool(t, "stat")
	ptr := allocKeep(t, p, 5000)
	allocKeep(t, p, 100)
	if err := p.Free(ptr); err != nil {
		t.Fatal(err)
	}
	st := p.Stats()
	out := exec(t, shell.New(shell.Config{Pool: p}), "memstat")
	rows := strings.Split(out, "\n")
	want := fmt.Sprintf("%-16s   0x%-8x   0x%-8x    0x%-8x   0x%-16x   0x%-13x    0x%-13x    0x%-13x",
		p.Addr(), st.Size, st.Used, st.Free, st.LargestFree, st.UsedNodes, st.FreeNodes, st.Waterline)
	if len(rows) < 3 || rows[2] != want {
		t.Errorf("got\n%s\nwant a third row with %q", out, want)
	}
	if !strings.Contains(out, fmt.Sprintf("payload        %12d  ", 100)) {
		t.Errorf("the payload is missing in\n%s", out)
	}
}

func TestErrors(t *testing.T) {
	p := debugPool(t, "errors")
	s := shell.New(shell.Config{Pool: p})
	for line, want := range map[string]string{
		"memsued":           "did you mean memused?",
		"mem":               "did you mean mem",
		"frobnicate":        "help lists the commands",
		"\x1b[2J":           `"\x1b[2J"`,
		"memused -x":        `no flag "-x"`,
		"memused -n":        "needs N",
		"memused -n many":   "needs a number",
		"memused -n -1":     "needs a number",
		"memused -gv":       "exclude each other",
		"memused extra":     `takes no argument "extra"`,
		"memused 'x":        "quote ' is not closed",
		`memused \`:         "nothing to quote",
		"free -km":          "exclude each other",
		"diff":              "say mark now",
		"mark -d none":      "no mark",
		"pool nowhere":      "no open pool",
		"pool errros":       "did you mean errors?",
		"memused -p nobody": "no open pool",
		"help memsued":      "did you mean memused?",
	} {
		var b strings.Builder
		err := s.Exec(line, &b)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
		if b.Len() > 0 {
			t.Errorf("%q printed %q besides its error", line, b.String())
		}
	}
	exec(t, s, "mark one")
	if err := s.Exec("diff two", io.Discard); err == nil || !strings.Contains(err.Error(), "marks lists them") {
		t.Errorf("diff with a mark that is not there: %v", err)
	}
	p.Close()
	for _, line := range []string{"memused", "memcheck", "free", "memstat", "mark", "release"} {
		if err := s.Exec(line, io.Discard); !errors.Is(err, heapwright.ErrClosed) {
			t.Errorf("%s on a closed pool: %v, want %v", line, err, heapwright.ErrClosed)
		}
	}
}

func TestNoPool(t *testing.T) {
	if open := heapwright.Pools(); len(open) > 0 {
		t.Fatalf("%d pools are open", len(open))
	}
	s := shell.New(shell.Config{})
	for _, line := range []string{"memused", "memcheck", "free", "memstat", "mark", "marks", "diff", "release", "mark -d x"} {
		if err := s.Exec(line, io.Discard); err == nil {
			t.Errorf("%s without a pool succeeds", line)
		}
	}
	if out := exec(t, s, "pools"); out != "no pool is open\n" {
		t.Errorf("pools: %q", out)
	}
}

func TestPools(t *testing.T) {
	a, b := debugPool(t, "twin"), debugPool(t, "twin")
	debugPool(t, "other")
	allocKeep(t, b, 10)
	s := shell.New(shell.Config{Pool: a})
	list := exec(t, s, "pools")
	if n := strings.Count(list, "twin"); n != 2 {
		t.Errorf("%d twins in\n%s", n, list)
	}
	if !regexp.MustCompile(`(?m)^\*  #1 .* twin$`).MatchString(list) {
		t.Errorf("the first twin is not starred in\n%s", list)
	}
	if err := s.Exec("pool twin", io.Discard); err == nil || !strings.Contains(err.Error(), "#1 or #2") {
		t.Errorf("pool twin: %v, want a question which", err)
	}
	if out := exec(t, s, "memused -p #2"); strings.Count(out, "\n") != 2 {
		t.Errorf("the second twin has\n%s", out)
	}
	// A number stays a pool's for as long as it is open.
	a.Close()
	if out := exec(t, s, "memused -p 2"); strings.Count(out, "\n") != 2 {
		t.Errorf("the second twin, after the first is gone, has\n%s", out)
	}
	// A session stays where it switched to.
	rw := &duplex{in: strings.NewReader("pool #2\nmemused\npools\n")}
	if err := s.Run(rw); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(rw.out.String(), "pool twin, 1 used node\n\nnode ") || !strings.Contains(rw.out.String(), "*  #2") {
		t.Errorf("session:\n%s", rw.out.String())
	}
}

func TestMarks(t *testing.T) {
	p := debugPool(t, "marks")
	s := shell.New(shell.Config{Pool: p})
	exec(t, s, "mark 'two words'")
	exec(t, s, "mark b")
	if out := exec(t, s, "marks"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "two words") {
		t.Errorf("marks:\n%s", out)
	}
	exec(t, s, "mark -d 'two words'")
	var full error
	for i := range 100 {
		if full = s.Exec(fmt.Sprintf("mark m%d", i), io.Discard); full != nil {
			break
		}
	}
	if full == nil || !strings.Contains(full.Error(), "mark -d") {
		t.Errorf("a hundred marks: %v", full)
	}
	exec(t, s, "mark b") // replaces
	// The marks of a pool go with it.
	p.Close()
	q := debugPool(t, "next")
	exec(t, shell.New(shell.Config{Pool: q}), "mark")
	if err := s.Exec("mark -p next", io.Discard); err != nil {
		t.Errorf("after the pool is closed: %v", err)
	}
}

// unwrapped is a text as one line.
func unwrapped(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestDiff(t *testing.T) {
	p := debugPool(t, "diff")
	gone := allocKeep(t, p, 1000)
	s := shell.New(shell.Config{Pool: p})
	exec(t, s, "mark")
	if out := exec(t, s, "diff"); !strings.Contains(unwrapped(out), "0 appeared, 0 disappeared, 1 stayed") {
		t.Errorf("nothing changed, and diff says\n%s", out)
	}
	if err := p.Free(gone); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		allocLeak(t, p, 200)
	}
	out := exec(t, s, "diff")
	leak, keep := strings.Index(out, "allocLeak"), strings.Index(out, "allocKeep")
	if leak < 0 || keep < leak {
		t.Errorf("want allocLeak above allocKeep in\n%s", out)
	}
	if !regexp.MustCompile(`5 appeared \(\d+ bytes\), 1 disappeared \(\d+ bytes\)`).MatchString(unwrapped(out)) {
		t.Errorf("want 5 new and 1 gone in\n%s", out)
	}
}

// Sessions work side by side; the race detector watches.
func TestConcurrentSessions(t *testing.T) {
	p := debugPool(t, "busy")
	s := shell.New(shell.Config{Pool: p})
	stop := make(chan struct{})
	var work, sessions sync.WaitGroup
	work.Add(1)
	go func() {
		defer work.Done()
		for {
			select {
			case <-stop:
				return
			default:
				p.Free(allocKeep(t, p, 64))
			}
		}
	}()
	for i := range 4 {
		sessions.Add(1)
		go func() {
			defer sessions.Done()
			script := fmt.Sprintf("mark m%d\nmemused -g\nmemcheck\ndiff m%d\npools\nmarks\nmemstat\nmark -d m%d\n", i, i, i)
			rw := &duplex{in: strings.NewReader(strings.Repeat(script, 5))}
			if err := s.Run(rw); err != nil {
				t.Error(err)
			}
			if out := rw.out.String(); strings.Count(out, "all passed!") != 5 {
				t.Errorf("session %d:\n%s", i, out)
			}
		}()
	}
	sessions.Wait()
	close(stop)
	work.Wait()
}

// A reader that stalls in the middle of a listing does not stop the program.
func TestStalledReader(t *testing.T) {
	p := debugPool(t, "stalled")
	for range 5000 {
		allocKeep(t, p, 16)
	}
	r, w := io.Pipe()
	done := make(chan error)
	go func() {
		done <- shell.New(shell.Config{Pool: p}).Exec("memused", w)
	}()
	if _, err := io.ReadFull(r, make([]byte, 1)); err != nil { // it is being written
		t.Fatal(err)
	}
	if err := p.Free(allocKeep(t, p, 16)); err != nil {
		t.Fatal(err)
	}
	r.Close()
	if err := <-done; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("Exec: %v, want %v", err, io.ErrClosedPipe)
	}
}
