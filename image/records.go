package image

import (
	"bytes"
	"fmt"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// lines cuts text into lines, which end with LF, CR or both.
type lines struct {
	rest   []byte
	line   []byte // without its end and blanks around it
	number int    // of line, from 1
}

// next advances to the next line and reports whether there is one.
func (l *lines) next() bool {
	if len(l.rest) == 0 {
		return false
	}
	l.number++
	end := 0
	for end < len(l.rest) && l.rest[end] != '\n' && l.rest[end] != '\r' {
		end++
	}
	l.line = trim(l.rest[:end])
	if bytes.HasPrefix(l.rest[end:], []byte("\r\n")) {
		end++
	}
	l.rest = l.rest[min(end+1, len(l.rest)):]
	return true
}

// trimMark cuts off the byte order mark that editors put in front of text.
func trimMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) }

// trim cuts blanks and control characters (^Z ends a file of DOS) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// unhex decodes len(dst) pairs of hexadecimal digits at the beginning of src.
// sum is the sum of the bytes; ok says that all were digits.
func unhex(dst, src []byte) (sum byte, ok bool) {
	if len(src) < 2*len(dst) {
		return 0, false
	}
	src = src[:2*len(dst)]
	var bad byte
	for i := range dst {
		hi, lo := digits[src[2*i]], digits[src[2*i+1]]
		bad |= hi | lo
		dst[i] = hi<<4 | lo&0xf
		sum += dst[i]
	}
	return sum, bad < 0x10
}

// digits has the value of hexadecimal digits, 0xff for what is none.
var digits = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 10 {
		t['0'+i] = byte(i)
	}
	for i := range 6 {
		t['A'+i], t['a'+i] = byte(10+i), byte(10+i)
	}
	return t
}()

// records gathers what the records of a text hold, and what is wrong with them.
type records struct {
	name   string
	data   []byte // never moves; the unused rest serves for decoding
	pieces []Segment
	most   uint64 // bytes that data and pieces may take

	ended bool // the last record was an end record

	badSum, noRecord, unknown, astray, after trouble
}

// trouble counts lines of which something is wrong.
type trouble struct{ count, first int }

func (t *trouble) at(line int) {
	if t.count++; t.count == 1 {
		t.first = line
	}
}

// newRecords makes room for the records of text. Each byte takes two digits;
// memory that is not written to costs nothing. Beyond most there is room for the
// record that exceeds it.
func newRecords(name string, text []byte, most uint64) *records {
	return &records{name: name, most: most, data: make([]byte, 0, min(uint64(len(text)/2), most+256))}
}

// decode decodes n bytes at the beginning of src, which has as many, into the
// room behind data. They stay there until the next call; take takes them.
func (r *records) decode(src []byte, n int) (b []byte, sum byte, ok bool) {
	b = r.data[len(r.data) : len(r.data)+n]
	sum, ok = unhex(b, src)
	return b, sum, ok
}

// take says that the next n bytes that were decoded are memory at addr.
func (r *records) take(addr uint64, n int) error {
	if n == 0 {
		return nil
	}
	at := len(r.data)
	r.data = r.data[:at+n]
	if k := len(r.pieces); k > 0 && r.pieces[k-1].limit() == heap.Addr(addr) {
		p := &r.pieces[k-1] // whose bytes end where these begin
		p.Bytes = p.Bytes[:len(p.Bytes)+n]
	} else {
		r.pieces = append(r.pieces, Segment{Addr: heap.Addr(addr), Bytes: r.data[at:], Name: r.name, Writable: true})
	}
	const piece = 64 // bytes of a Segment
	if uint64(len(r.data)+len(r.pieces)*piece) > r.most {
		return fmt.Errorf("%w: its records take more than %d bytes", ErrTooLarge, r.most)
	}
	return nil
}

// part returns what was gathered.
func (r *records) part() *part {
	p := &part{pieces: r.pieces}
	say := func(t trouble, what string) {
		if t.count > 0 {
			p.partial = append(p.partial, fmt.Sprintf("%s %s, the first on line %d", plain.Plural(t.count, "record"), what, t.first))
		}
	}
	say(r.badSum, "with wrong checksums left out")
	say(r.unknown, "of unknown types left out")
	say(r.astray, "left out because the upper half of their addresses is lost")
	if t := r.noRecord; t.count > 0 {
		p.partial = append(p.partial, fmt.Sprintf("%s left out that hold no whole record, the first being line %d", plain.Plural(t.count, "line"), t.first))
	}
	if !r.ended {
		p.partial = append(p.partial, "there is no end record: the file may be cut")
	}
	if t := r.after; t.count > 0 {
		p.notes = append(p.notes, fmt.Sprintf("%s behind an end record taken too, the first on line %d", plain.Plural(t.count, "record"), t.first))
	}
	return p
}
