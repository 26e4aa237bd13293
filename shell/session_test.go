package shell_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/shell"
)

// terminal is a person at a terminal: expect waits for text to appear on the
// screen, typed sends keys.
type terminal struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	seen strings.Builder
	keys chan string // typed, not yet sent: a pipe holds nothing
	done chan error
}

func newTerminal(t *testing.T, s *shell.Shell) *terminal {
	here, there := net.Pipe()
	term := &terminal{t: t, conn: here, r: bufio.NewReader(here), keys: make(chan string, 100), done: make(chan error, 1)}
	t.Cleanup(func() { here.Close(); close(term.keys) })
	go func() {
		for k := range term.keys {
			io.WriteString(here, k)
		}
	}()
	go func() {
		err := s.RunTerminal(there)
		there.Close()
		term.done <- err
	}()
	return term
}

func (term *terminal) typed(keys string) { term.keys <- keys }

func (term *terminal) expect(text string) {
	term.t.Helper()
	var since strings.Builder
	for !strings.HasSuffix(since.String(), text) {
		c, err := term.r.ReadByte()
		if err != nil {
			term.t.Fatalf("%v while waiting for %q; seen %q", err, text, since.String())
		}
		since.WriteByte(c)
		term.seen.WriteByte(c)
	}
}

// end waits for the session to end and returns its error.
func (term *terminal) end() error {
	rest, _ := io.ReadAll(term.r)
	term.seen.Write(rest)
	return <-term.done
}

func TestTerminal(t *testing.T) {
	p := debugPool(t, "term")
	allocKeep(t, p, 10)
	term := newTerminal(t, shell.New(shell.Config{Pool: p}))
	term.expect("Pool term, 1 used node.")
	term.expect("heapwright # ")

	term.typed("memchekc\r")
	term.expect("did you mean memcheck?\r\n\r\nheapwright # ")

	// Up, two letters back, put right.
	term.typed("\x1b[A\x7f\x7fck\r")
	term.expect("\r\nsystem memcheck over, all passed!\r\n\r\nheapwright # ")

	// Ctrl-C drops what was typed.
	term.typed("rubbish\x03free\r")
	term.expect("total        used          free\r\n")
	term.expect("heapwright # ")

	// Tab: one, several, none.
	term.typed("memst\t\r")
	term.expect("pool size ")
	term.expect("heapwright # ")
	term.typed("mem\t")
	term.expect("memused  memcheck  memstat\r\n")
	term.expect("heapwright # mem")
	term.typed("used -n 0\r")
	term.expect("node   ")
	term.expect("heapwright # ")
	term.typed("zz\t\x15")
	term.typed("mark first\rdiff fi\t\r")
	term.expect("1 stayed.")
	term.expect("heapwright # ")
	term.typed("pool t\t\r")
	term.expect("pool term, 1 used node\r\n")
	term.expect("heapwright # ")

	// A pasted line is a line.
	term.typed("\x1b[200~memcheck\r\x1b[201~")
	term.expect("all passed!")
	term.expect("heapwright # ")

	term.typed("\x04")
	if err := term.end(); err != nil {
		t.Errorf("Ctrl-D: %v", err)
	}
	if all := term.seen.String(); strings.Contains(strings.ReplaceAll(all, "\r\n", ""), "\n") {
		t.Errorf("a line feed without carriage return in %q", all)
	}
}

func TestTerminalExit(t *testing.T) {
	p := debugPool(t, "term")
	for _, keys := range []string{"exit\r", "quit\r\n", "\x04", "\x03\x04"} {
		term := newTerminal(t, shell.New(shell.Config{Pool: p}))
		term.expect("heapwright # ")
		term.typed(keys)
		if err := term.end(); err != nil {
			t.Errorf("%q: %v", keys, err)
		}
	}
}

// Ctrl-C stops a long listing; what is typed behind it counts.
func TestTerminalInterrupt(t *testing.T) {
	p := debugPool(t, "long")
	const nodes = 50000
	for range nodes {
		allocKeep(t, p, 16)
	}
	term := newTerminal(t, shell.New(shell.Config{Pool: p}))
	term.expect("heapwright # ")
	term.typed("memused\r")
	term.expect("LR[2]")
	term.typed("dropped\x03memcheck\r")
	term.expect("\r\ninterrupted\r\n\r\nheapwright # ")
	if rows := strings.Count(term.seen.String(), "\n"); rows > nodes/2 {
		t.Errorf("it took %d rows", rows)
	}
	term.expect("memcheck\r\nsystem memcheck over, all passed!")
	term.expect("heapwright # ")
	term.typed("exit\r")
	if err := term.end(); err != nil {
		t.Error(err)
	}
}

// What is typed ahead of a long answer's end is not lost.
func TestTerminalTypeAhead(t *testing.T) {
	p := debugPool(t, "long")
	for range 2000 {
		allocKeep(t, p, 16)
	}
	term := newTerminal(t, shell.New(shell.Config{Pool: p}))
	term.expect("heapwright # ")
	term.typed("memused\r")
	term.expect("LR[2]")
	term.typed("memcheck\rexit\r")
	if err := term.end(); err != nil {
		t.Error(err)
	}
	if all := term.seen.String(); strings.Count(all, "0x") != 4*2000 || !strings.Contains(all, "all passed!") {
		t.Errorf("%d addresses; the end is %q", strings.Count(all, "0x"), all[len(all)-200:])
	}
}

// The terminal package never gives up an escape sequence that does not end.
func TestTerminalEndlessEscape(t *testing.T) {
	s := shell.New(shell.Config{Pool: debugPool(t, "term")})
	rw := &duplex{in: strings.NewReader("\x1b[" + strings.Repeat("0", 1000))}
	if err := s.RunTerminal(rw); err == nil {
		t.Error("an endless escape sequence ends a session without an error")
	}
}

// The peer is gone.
func TestTerminalWriteError(t *testing.T) {
	term := newTerminal(t, shell.New(shell.Config{Pool: debugPool(t, "term")}))
	term.expect("heapwright # ")
	term.conn.Close()
	if err := <-term.done; err == nil {
		// Reading may well notice first, and sees the end of the input.
		t.Log("noticed by reading")
	}

	s := shell.New(shell.Config{Pool: debugPool(t, "term2")})
	if err := s.RunTerminal(&broken{Reader: strings.NewReader("memused\r")}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("RunTerminal: %v, want %v", err, io.ErrClosedPipe)
	}
}

// broken is a peer that does not listen.
type broken struct{ io.Reader }

func (*broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// narrow is a terminal that says how wide it is.
type narrow struct{ duplex }

func (*narrow) Size() (int, int, error) { return 60, 20, nil }

func TestTerminalWidth(t *testing.T) {
	p := debugPool(t, "narrow")
	allocLeak(t, p, 10)
	rw := &narrow{duplex{in: strings.NewReader("memstat\rmemused -v\r")}}
	if err := shell.New(shell.Config{Pool: p}).RunTerminal(rw); err != nil {
		t.Fatal(err)
	}
	out := rw.out.String()
	if !strings.Contains(out, "UsageWaterLine      0x") {
		t.Errorf("memstat prints a table that is too wide:\n%s", out)
	}
	if !strings.Contains(out, "\r\n    shell_test.allocLeak") {
		t.Errorf("memused -v does not break its lines:\n%s", out)
	}
}

func TestPlain(t *testing.T) {
	p := debugPool(t, "plain")
	const passed = "system memcheck over, all passed!\n\n"
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"\n\n \n", ""},
		{"memcheck", passed}, // without line end
		{"memcheck\n", passed},
		{"memcheck\r\nmemcheck\r\n", passed + passed},
		{"memcheck\rmemcheck\r", passed + passed},
		{"memcheck\nexit\nmemcheck\n", passed},
		{"quit now\nmemcheck\n", "quit takes no argument \"now\"; usage: exit\n\n" + passed},
		{"  memcheck  # no\n", "memcheck takes no argument \"#\"; usage: memcheck [-s]\n\n"},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(c.in), "bytewise": iotest.OneByteReader(strings.NewReader(c.in))} {
			rw := &duplex{in: r}
			if err := shell.New(shell.Config{Pool: p}).Run(rw); err != nil {
				t.Errorf("%q %s: %v", c.in, name, err)
			}
			if got := rw.out.String(); got != c.want {
				t.Errorf("%q %s: got %q, want %q", c.in, name, got, c.want)
			}
		}
	}
}

func TestPlainPrompt(t *testing.T) {
	rw := &duplex{in: strings.NewReader("memcheck\n")}
	s := shell.New(shell.Config{Pool: debugPool(t, "plain"), PromptAlways: true, Prompt: "> "})
	if err := s.Run(rw); err != nil {
		t.Fatal(err)
	}
	if got, want := rw.out.String(), "> system memcheck over, all passed!\n\n> "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainErrors(t *testing.T) {
	s := shell.New(shell.Config{Pool: debugPool(t, "plain")})
	if err := s.Run(&duplex{in: iotest.ErrReader(io.ErrUnexpectedEOF)}); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a failing reader: %v", err)
	}
	if err := s.Run(&broken{strings.NewReader("memused\nmemused\n")}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failing writer: %v", err)
	}
	if err := s.Run(&broken{strings.NewReader("nonsense\n")}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a failing writer of a complaint: %v", err)
	}
	if err := s.Run(&duplex{in: strings.NewReader(strings.Repeat("x", 1<<20))}); err == nil {
		t.Error("a line of a megabyte ends a session without an error")
	}
}

func FuzzExec(f *testing.F) {
	for _, e := range shell.LinesOfExamples() {
		f.Add(e)
	}
	for _, e := range []string{`mark "a b" -d`, `help 'x`, `pool \#1`, "memused -gn3", "free -- -k", "mark -p", "\x00\xff -\x80", "help -p #1"} {
		f.Add(e)
	}
	p, err := heapwright.New(heapwright.Config{Name: "fuzz", LeakCheck: true, HeadBackup: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { p.Close() })
	if _, err := p.Alloc(10); err != nil {
		f.Fatal(err)
	}
	s := shell.New(shell.Config{Pool: p})
	f.Fuzz(func(t *testing.T, line string) {
		var b strings.Builder
		err := s.Exec(line, &b)
		for _, text := range []string{b.String(), errorText(err)} {
			for _, r := range text {
				if r < ' ' && r != '\n' || r == 0x7f {
					t.Fatalf("%q answers with the control character %q: %q", line, r, text)
				}
			}
		}
		// Words survive being quoted.
		words, err := shell.Fields(line)
		if err != nil {
			return
		}
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := shell.Fields(strings.Join(quoted, " "))
		if err != nil || strings.Join(again, "\x00") != strings.Join(words, "\x00") {
			t.Fatalf("%q is %q, quoted and split again %q, %v", line, words, again, err)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
