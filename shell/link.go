package shell

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"golang.org/x/term"
)

// link is the connection below a terminal. It collects what is written until
// something is to be read, and keeps the errors that the terminal drops.
type link struct {
	r    io.Reader
	w    *bufio.Writer
	err  error      // the first one of writing
	keys []byte     // read, not yet handed out
	next chan input // the read under way; nil: none
	out  int        // bytes a command has written since the last read
}

// input is what a read returned.
type input struct {
	keys []byte
	err  error
}

const (
	ctrlC = 0x03
	ctrlE = 0x05
	ctrlU = 0x15
)

// manyBytes is how much a command must have written before it is worth looking
// out for a Ctrl-C that stops it: a few screens.
const manyBytes = 16 << 10

// errInterrupted stops a command.
var errInterrupted = errors.New("interrupted")

func (l *link) Write(b []byte) (int, error) {
	n, err := l.w.Write(b)
	if l.err == nil {
		l.err = err
	}
	return n, err
}

// startRead begins to read, unless that is under way.
func (l *link) startRead() {
	if l.next != nil {
		return
	}
	next := make(chan input, 1)
	l.next = next
	go func() {
		b := make([]byte, 256)
		n, err := l.r.Read(b)
		next <- input{b[:n], err}
	}()
}

func (l *link) Read(b []byte) (int, error) {
	l.out = 0
	if err := l.w.Flush(); err != nil {
		l.err = err
		return 0, err
	}
	if len(b) == 0 {
		// The terminal's buffer is full of an escape sequence that does not
		// end; it would ask forever.
		return 0, errLine
	}
	if len(l.keys) == 0 {
		l.startRead()
		in := <-l.next
		l.next = nil
		for _, c := range in.keys {
			if c == ctrlC {
				// For the terminal this is the end of input, for people it
				// means never mind: to the end of the line, and delete it.
				l.keys = append(l.keys, ctrlE, ctrlU)
				continue
			}
			l.keys = append(l.keys, c)
		}
		if in.err != nil {
			l.r = failed{in.err}
		}
		if len(l.keys) == 0 {
			return 0, in.err
		}
	}
	n := copy(b, l.keys)
	l.keys = l.keys[n:]
	return n, nil
}

// interrupted reports whether Ctrl-C was typed while a command writes.
func (l *link) interrupted() bool {
	if l.out < manyBytes {
		return false
	}
	l.startRead()
	select {
	case in := <-l.next:
		l.next = nil
		if in.err != nil {
			l.r = failed{in.err}
		}
		stop := strings.LastIndexByte(string(in.keys), ctrlC)
		if stop >= 0 {
			l.keys = l.keys[:0] // what was typed before is not meant any more
		}
		l.keys = append(l.keys, in.keys[stop+1:]...)
		return stop >= 0
	default:
		return false
	}
}

// failed is a reader at its end.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// stoppable is where a command writes on a terminal.
type stoppable struct {
	*term.Terminal
	link *link
}

func (s stoppable) Write(b []byte) (int, error) {
	if s.link.interrupted() {
		return 0, errInterrupted
	}
	s.link.out += len(b)
	return s.Terminal.Write(b)
}
