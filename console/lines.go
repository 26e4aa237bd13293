package console

import (
	"bytes"
	"io"
)

const (
	// maxLine bounds the part of a line that is looked at, in bytes; the rest
	// of a longer line is skipped and the line counted.
	maxLine = 4 << 10
	// bufferSize is what is read at a time.
	bufferSize = 128 << 10
)

// lineReader splits a stream into lines of bounded length without copying
// them. Lines end in LF; a stream whose first bufferSize bytes hold CRs but
// not one LF has lines that end in CR.
type lineReader struct {
	r     io.Reader
	buf   []byte
	start int // of what has not been handed out: buf[start:end]
	end   int
	known int   // of these, how many hold no line end; input can come byte by byte
	err   error // what Read said last
	eol   byte
	skip  bool // the rest of the current line is to be skipped

	line  int   // number of the line handed out last, from 1
	bytes int64 // handed out or skipped so far
	long  int   // lines longer than maxLine
}

func newLineReader(r io.Reader) lineReader {
	return lineReader{r: r, buf: make([]byte, bufferSize), eol: '\n'}
}

// next returns the next line without its line end, and whether it had one. The
// line is valid until the next call. At the end of the stream, and after an
// error of the stream, err is set and there is no line.
func (l *lineReader) next() (line []byte, terminated bool, err error) {
	for {
		rest := l.buf[l.start:l.end]
		if i := l.find(rest); i >= 0 {
			l.advance(i + 1)
			if l.skip {
				l.skip = false
				continue
			}
			l.line++
			return l.bounded(rest[:i]), true, nil
		}
		full := len(rest) == len(l.buf)
		if (full || l.err != nil) && l.line == 0 && l.eol == '\n' && bytes.IndexByte(rest, '\r') >= 0 {
			l.eol, l.known = '\r', 0
			continue
		}
		if full || l.err != nil {
			l.advance(len(rest))
			if l.skip || len(rest) == 0 {
				if l.err != nil {
					return nil, false, l.err
				}
				continue
			}
			l.line++
			l.skip = full
			return l.bounded(rest), false, nil
		}
		l.fill()
	}
}

// partial returns what has arrived of a line whose end has not, and nil if the
// next call of next would not have to read.
func (l *lineReader) partial() []byte {
	rest := l.buf[l.start:l.end]
	if l.skip || l.err != nil || l.find(rest) >= 0 {
		return nil
	}
	return rest[:min(len(rest), maxLine)]
}

// find returns where the line end is in what has not been handed out.
func (l *lineReader) find(rest []byte) int {
	i := bytes.IndexByte(rest[l.known:], l.eol)
	if i < 0 {
		l.known = len(rest)
		return -1
	}
	return l.known + i
}

func (l *lineReader) bounded(line []byte) []byte {
	if len(line) > maxLine {
		l.long++
		return line[:maxLine]
	}
	return line
}

func (l *lineReader) advance(n int) {
	l.start += n
	l.known = 0
	l.bytes += int64(n)
}

// fill reads once. An empty read without an error is retried, but not for ever.
func (l *lineReader) fill() {
	if l.start > 0 {
		copy(l.buf, l.buf[l.start:l.end])
		l.end -= l.start
		l.start = 0
	}
	for range 100 {
		n, err := l.r.Read(l.buf[l.end:])
		if n < 0 || n > len(l.buf)-l.end {
			l.err = io.ErrNoProgress
			return
		}
		l.end += n
		if err != nil {
			l.err = err
			return
		}
		if n > 0 {
			return
		}
	}
	l.err = io.ErrNoProgress
}
