package symbol

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// maxLine bounds a line of nm text or of a map in bytes; demangled names
	// of templates can be long.
	maxLine = 256 << 10
	// maxText bounds such a text as a whole.
	maxText = 1 << 30
)

// textLines yields the lines of a text, without trailing blanks, to each until
// that returns an error. An endless line, as in binary files, is
// ErrUnknownFormat.
func textLines(r io.Reader, each func(line string) error) error {
	in := bufio.NewScanner(io.LimitReader(r, maxText+1))
	in.Buffer(make([]byte, 64<<10), maxLine)
	size := 0
	for in.Scan() {
		if size += len(in.Bytes()) + 1; size > maxText {
			return fmt.Errorf("text of more than %d bytes", maxText)
		}
		line := strings.TrimRight(in.Text(), " \t\r")
		if line == "" {
			continue
		}
		if err := each(line); err != nil {
			return err
		}
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return ErrUnknownFormat
	}
	return in.Err()
}

// startsWithLine reports whether one of the first lines of head, the start of
// a file, is one that only files of some format have.
func startsWithLine(head []byte, is func(line string) bool) bool {
	rest := string(head)
	for range 64 {
		line, more, found := strings.Cut(rest, "\n")
		if line = strings.TrimRight(line, " \t\r"); is(line) {
			return true
		}
		if !found {
			return false
		}
		rest = more
	}
	return false
}
