package main

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/heapwright/heapwright/image"
)

// A source is a console log or memory, open at its start.
type source struct {
	// r yields a log unpacked, and memory as it is in the file.
	r io.Reader
	// memory says that it is memory. file says that it is to be read as a file,
	// which can be mapped, and not from r.
	memory, file bool
	// missing says, once a log is read, what is missing at its end.
	missing  func() []string
	progress *progress
	closer   io.Closer
}

// close may be called twice.
func (s *source) close() {
	s.progress.stop()
	s.closer.Close()
}

// take returns the source that is held, or opens the one at path.
func (in *input) take(cmd *cobra.Command, path string) (*source, error) {
	if s := in.held; s != nil {
		in.held = nil
		return s, nil
	}
	return in.source(cmd, path)
}

// source opens what a verb was given and finds out what it is.
func (in *input) source(cmd *cobra.Command, path string) (_ *source, err error) {
	p := startProgress(cmd, path)
	defer func() {
		if err != nil {
			p.stop()
		}
	}()
	if path != "-" && in.memory.isMemory(path) {
		return &source{memory: true, file: true, progress: p, closer: io.NopCloser(nil)}, nil
	}
	f, size, err := open(cmd, path)
	if err != nil {
		return nil, err
	}
	p.next(size)
	s := &source{r: &watched{cmd.Context(), f, p}, closer: f, progress: p, missing: func() []string { return nil }}
	switch file, ok := f.(*os.File); {
	case in.memory.given():
		s.memory = true
	case ok && regular(file):
		s.memory, err = isMemoryFile(file, size)
		s.file = s.memory
	default:
		err = s.peek()
	}
	if err == nil && !s.memory {
		err = s.unpack(path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func regular(f *os.File) bool {
	st, err := f.Stat()
	return err == nil && st.Mode().IsRegular()
}

const (
	// sampleSize is how much is looked at in each of a few places, in bytes.
	sampleSize = 16 << 10
	// unpackedSize is how much of a packed file is unpacked to look at it.
	unpackedSize = 1 << 20
	// peekSize is how much of a pipe is read to tell what it holds, if it does
	// not begin with a line of text.
	peekSize = 4 << 10
)

// isMemoryFile looks at the start, the middle and the end of a file.
func isMemoryFile(f *os.File, size int64) (bool, error) {
	read := func(at, n int64) ([]byte, error) {
		b := make([]byte, min(n, size-at))
		n2, err := f.ReadAt(b, at)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return b[:n2], err
	}
	head, err := read(0, sampleSize)
	if err != nil {
		return false, err
	}
	if image.Recognise(head) == image.Gzip {
		return memoryInside(io.NewSectionReader(f, 0, size)), nil
	}
	samples := [][]byte{head}
	for _, at := range []int64{size / 2, size - sampleSize} {
		if at < sampleSize {
			continue
		}
		b, err := read(at, sampleSize)
		if err != nil {
			return false, err
		}
		samples = append(samples, b)
	}
	return isMemory(samples...), nil
}

// memoryInside reports whether a packed file holds memory. What cannot be
// unpacked is left to the package image, which says why.
func memoryInside(packed io.Reader) bool {
	z, err := gzip.NewReader(packed)
	if err != nil {
		return true
	}
	b, err := io.ReadAll(io.LimitReader(z, unpackedSize))
	if err != nil && len(b) == 0 {
		return true
	}
	samples := [][]byte{b[:min(len(b), sampleSize)]}
	for _, at := range []int{len(b) / 2, len(b) - sampleSize} {
		if at >= sampleSize {
			samples = append(samples, b[at:min(len(b), at+sampleSize)])
		}
	}
	return isMemory(samples...)
}

// isMemory judges samples of a file, the first of which is its start.
func isMemory(samples ...[]byte) bool {
	head := samples[0]
	switch image.Recognise(head) {
	case image.IntelHex, image.SRecords:
		return true
	case image.Foreign:
		return !bytes.HasPrefix(head, []byte("\x7fELF")) // programs belong to --symbols
	case image.ELFCore:
		return len(head) > 16
	}
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} { // UTF-16
		if bytes.HasPrefix(head, []byte(mark)) && len(head) > 3 && (head[2] == 0) != (head[3] == 0) {
			return false
		}
	}
	text, all := 0, 0
	for _, b := range samples {
		text += linesOfText(b)
		all += len(b)
	}
	// Logs hold garbage where the baud rate was wrong; memory holds text where
	// there are names and buffers of logs. Neither comes near the middle.
	return text*5 < all*2
}

// linesOfText returns how many bytes of b lie in lines most of whose characters
// can be printed. What fills memory with one letter is no line.
func linesOfText(b []byte) (n int) {
	for line := range bytes.Lines(b) {
		printable := 0
		for rest := line; len(rest) > 0; {
			r, size := utf8.DecodeRune(rest)
			if r >= ' ' && r != 0x7f && (r != utf8.RuneError || size > 1) || r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == 0x1b {
				printable += size
			}
			rest = rest[size:]
		}
		if printable*4 >= len(line)*3 && (len(line) < 512 || letters(line) >= 8) {
			n += len(line)
		}
	}
	return n
}

// letters counts the different bytes of a line.
func letters(line []byte) (n int) {
	var seen [256]bool
	for _, c := range line {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

// peek finds out what a stream is. Of a console that is being read it waits for
// no more than one line.
func (s *source) peek() error {
	r := s.r
	var head []byte
	var err error
	for err == nil && len(head) < peekSize && !(bytes.IndexByte(head, '\n') >= 0 && !isMemory(head)) {
		head = slices.Grow(head, sampleSize)
		var n int
		n, err = r.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	s.r = io.MultiReader(bytes.NewReader(head), r)
	if image.Recognise(head) == image.Gzip {
		s.memory = memoryInside(bytes.NewReader(head))
	} else {
		s.memory = isMemory(head)
	}
	return nil
}

// unpack reads a packed log unpacked, up to where that is possible.
func (s *source) unpack(path string) error {
	b := bufio.NewReader(s.r)
	s.r = b
	head, _ := b.Peek(3)
	if image.Recognise(head) != image.Gzip {
		return nil
	}
	z, err := gzip.NewReader(b)
	if err != nil {
		return fmt.Errorf("%s: gzip: %w", named(path), err)
	}
	cut := &unpacked{r: z}
	s.r = cut
	s.missing = func() []string {
		if cut.err == nil {
			return nil
		}
		return []string{fmt.Sprintf("%s cannot be unpacked to its end (%v): the rest is missing", named(path), cut.err)}
	}
	return nil
}

// unpacked ends where its source is damaged, and keeps why.
type unpacked struct {
	r   io.Reader
	err error
}

func (u *unpacked) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || isCorrupt(err) {
		u.err, err = err, io.EOF
	}
	return n, err
}

func isCorrupt(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt)
}
