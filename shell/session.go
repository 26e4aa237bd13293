package shell

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/heapwright/heapwright"
	"github.com/heapwright/heapwright/internal/plain"
	"golang.org/x/term"
)

// maxLine bounds the length of a line, in bytes.
const maxLine = 64 << 10

// errLine says that a line is longer than that.
var errLine = fmt.Errorf("shell: a line is longer than %d bytes", maxLine)

// session is a conversation. It belongs to one goroutine.
type session struct {
	*Shell
	pool  *heapwright.Pool // nil: the oldest open one
	width int              // columns of the terminal; 0: not a terminal
}

// Run holds a session over rw until the peer ends it: with exit, Ctrl-D or the
// end of its input, for which Run returns nil. It returns the first error of
// reading or writing otherwise. What a command complains about is printed and
// ends nothing.
//
// If rw is a terminal of this process (an *os.File, or what Files returns), it
// is put into raw mode for as long as Run lasts and edits lines as RunTerminal
// describes. Anything else sends whole lines, ended by LF, CR or both, and gets
// the answers, each followed by an empty line. Input is read ahead of the
// command that is being executed.
func (s *Shell) Run(rw io.ReadWriter) error {
	if f, ok := rw.(*os.File); ok {
		rw = files{f, f}
	}
	if t, ok := rw.(files); ok && t.terminal() {
		return s.runLocal(t)
	}
	return s.runPlain(rw)
}

// Files joins two files, usually standard input and output, to something that
// Run treats as a terminal if both are one.
func Files(in, out *os.File) io.ReadWriter { return files{in, out} }

type files struct{ in, out *os.File }

func (f files) Read(b []byte) (int, error)  { return f.in.Read(b) }
func (f files) Write(b []byte) (int, error) { return f.out.Write(b) }

// Size returns the terminal's columns and rows.
func (f files) Size() (width, height int, err error) { return term.GetSize(int(f.out.Fd())) }

func (f files) terminal() bool {
	return term.IsTerminal(int(f.in.Fd())) && term.IsTerminal(int(f.out.Fd()))
}

func (s *Shell) runLocal(f files) (err error) {
	before, err := term.MakeRaw(int(f.in.Fd()))
	if err != nil {
		return fmt.Errorf("shell: raw mode: %w", err)
	}
	defer func() {
		if e := term.Restore(int(f.in.Fd()), before); err == nil && e != nil {
			err = fmt.Errorf("shell: leave raw mode: %w", e)
		}
	}()
	return s.RunTerminal(f)
}

// RunTerminal is Run for a peer that is a VT100 terminal in raw mode: an SSH
// channel, a serial line, a terminal in a browser. Lines are echoed and can be
// edited, the arrow keys recall earlier ones, and Tab completes. Ctrl-C drops
// the line or stops a long answer, Ctrl-D on an empty line ends the session. If
// rw has a method Size() (width, height int, err error), it is asked before
// every line; a terminal has 80 columns otherwise. When writing fails in the
// middle of a long answer, a read of rw can be under way after RunTerminal has
// returned.
func (s *Shell) RunTerminal(rw io.ReadWriter) error {
	l := &link{r: rw, w: bufio.NewWriter(rw)}
	t := term.NewTerminal(l, s.cfg.Prompt)
	ses := &session{Shell: s, pool: s.cfg.Pool, width: 80}
	t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return ses.complete(t, line, pos)
	}
	io.WriteString(t, ses.greeting())
	for {
		if sized, ok := rw.(interface{ Size() (int, int, error) }); ok {
			if w, h, err := sized.Size(); err == nil && w > 0 && h > 0 {
				ses.width = w
				if err := t.SetSize(w, h); err != nil {
					return err
				}
			}
		}
		line, err := t.ReadLine()
		if errors.Is(err, term.ErrPasteIndicator) {
			err = nil
		}
		if l.err != nil {
			return l.err
		}
		if err != nil {
			io.WriteString(t, "\n") // leave the line of the prompt
			if flushed := l.w.Flush(); flushed != nil || errors.Is(err, io.EOF) {
				return flushed
			}
			return err
		}
		done, err := ses.answer(line, stoppable{t, l})
		if done || err != nil {
			return errors.Join(err, l.w.Flush())
		}
	}
}

func (s *Shell) runPlain(rw io.ReadWriter) error {
	ses := &session{Shell: s, pool: s.cfg.Pool}
	in := lines{r: bufio.NewReader(rw)}
	prompt := ""
	if s.cfg.PromptAlways {
		prompt = s.cfg.Prompt
	}
	for {
		if prompt != "" {
			if _, err := io.WriteString(rw, prompt); err != nil {
				return err
			}
		}
		line, err := in.next()
		if err != nil && (!errors.Is(err, io.EOF) || line == "") {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if done, err := ses.answer(line, rw); done || err != nil {
			return err
		}
	}
}

// lines reads lines that end with LF, CR or CR LF.
type lines struct {
	r       *bufio.Reader
	afterCR bool
}

// next returns a line without its end; with io.EOF, what there was of it.
func (l *lines) next() (string, error) {
	var line []byte
	for {
		c, err := l.r.ReadByte()
		if err != nil {
			return string(line), err
		}
		lf := c == '\n' && l.afterCR
		l.afterCR = c == '\r'
		switch {
		case lf:
		case c == '\n' || c == '\r':
			return string(line), nil
		case len(line) == maxLine:
			return "", errLine
		default:
			line = append(line, c)
		}
	}
}

// answer executes a line and writes the answer, or the complaint, and an empty
// line as LiteOS does: it ends a listing for those who read the log. The error
// is the writer's.
func (s *session) answer(line string, w io.Writer) (done bool, err error) {
	if strings.TrimSpace(line) == "" {
		return false, nil
	}
	out := &watched{w: w}
	err = s.exec(line, out)
	switch {
	case out.err == errInterrupted:
		out.err = nil
		io.WriteString(out, "\ninterrupted\n")
	case out.err != nil:
		return false, out.err
	case err == errExit:
		return true, nil
	case err != nil:
		fmt.Fprintf(out, "%s\n", err)
	}
	io.WriteString(out, "\n")
	return false, out.err
}

// watched tells the writer's errors from those of commands.
type watched struct {
	w   io.Writer
	err error
}

func (w *watched) Write(b []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.w.Write(b)
	w.err = err
	return n, err
}

func (s *session) greeting() string {
	p, _ := s.current("")
	if p == nil {
		return "No pool is open. \"help\" lists the commands, \"exit\" leaves.\n\n"
	}
	return fmt.Sprintf("Pool %s, %s. \"help\" lists the commands, \"exit\" leaves.\n\n", plain.Clean(p.Name()), plain.Plural(int(p.Stats().UsedNodes), "used node"))
}

// complete completes the word in front of the cursor: the command, or its
// argument. What it could be is listed if there are several.
func (s *session) complete(w io.Writer, line string, pos int) (string, int, bool) {
	head, tail := line[:pos], line[pos:]
	at := strings.LastIndexAny(head, " \t") + 1
	start, word := head[:at], head[at:]
	var known []string
	if strings.TrimSpace(start) == "" {
		known = names()
	} else if cmd, err := lookup(strings.Fields(start)[0]); err == nil && cmd.words != nil {
		known = cmd.words(s)
	}
	var fit []string
	for _, k := range known {
		if strings.HasPrefix(k, word) && !slices.Contains(fit, k) {
			fit = append(fit, k)
		}
	}
	switch len(fit) {
	case 0:
		return line, pos, true
	case 1:
		head = start + fit[0]
		if !strings.HasPrefix(tail, " ") {
			head += " "
		}
		return head + tail, len(head), true
	}
	common := fit[0]
	for _, f := range fit {
		for !strings.HasPrefix(f, common) {
			common = common[:len(common)-1]
		}
	}
	if common == word {
		fmt.Fprintf(w, "%s\n", plain.Clean(strings.Join(fit, "  ")))
	}
	head = start + common
	return head + tail, len(head), true
}

func (s *session) markNames() []string {
	p, _ := s.current("")
	var all []string
	for _, m := range s.marksOf(p) {
		all = append(all, m.name)
	}
	return all
}

func (s *session) poolNames() []string {
	var all []string
	for _, n := range s.Shell.pools() {
		all = append(all, n.pool.Name())
	}
	return all
}
