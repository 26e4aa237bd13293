// Package console turns the text that devices print on their consoles into
// heap snapshots and findings.
//
// A log is read once, front to back, in constant memory but for the listing
// being read, or the live set where it is a stream of allocations and frees.
// What surrounds the listings does not matter: boot messages, other commands,
// prompts, time stamps in front of every line, colour escapes and the output of
// other tasks in the middle of a listing are recognised or counted, and what was
// lost is said in Snapshot.Partial or in Reader.Notes.
//
// Each dialect (a kind of device, and the command that prints its heap) is one
// file that fills in one dialect value; the table below lists them. What is no
// listing has files of its own: report*.go what a device reports itself about a
// damaged heap, record*.go event streams, pool.go totals, task.go the names of
// owners, names.go functions that the log gives for addresses, time.go the time
// stamps of loggers, systems.go what system a log is from, unread.go what it
// says about the heap that nobody examines.
package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
)

// dialects is the table of what is understood. The first dialect whose header
// matches a line reads the listing that follows it.
var dialects = []*dialect{
	&liteosA,
	&liteos,
	&liteosM,
	&nuttx,
	&espidf,
	&rtthread,
	&zephyr,
}

// A dialect is one way in which devices print the nodes of their heap. Every
// function is given one line without its line end and free of escape
// sequences, but possibly with a prefix that a logger put there. None of them
// may keep the line. All but name, sample, keys, header and row may be left
// out.
type dialect struct {
	name   string // "LiteOS memused"
	sample string // its header line as a person would recognise it

	// keys are texts of at least two bytes: every line that header or pool
	// accepts contains one of them. Other lines are not shown to these two.
	keys []string
	// boot are texts that a device prints once each time it boots.
	boot []string
	// unordered says that rows come in no particular order of address.
	unordered bool
	// heaps says that a command prints a listing for each heap and does not
	// say which is which.
	heaps bool

	// header reports whether the line starts a listing, and if so stores in l,
	// which is empty but for title, what the rows need: levels, layout,
	// announced, pool.
	header func(line []byte, l *listing) bool
	// row reads the rows in the line and adds them to l. It reports whether
	// there was one; if not, it has changed nothing. It is shown every line,
	// so it must be quick.
	row func(line []byte, l *listing) bool
	// follow reads a line that is no row and says more about the one before,
	// or about the listing.
	follow func(line []byte, l *listing) bool
	// end reports whether the line is the last of a complete listing. In a
	// dialect that has it, a blank line says nothing.
	end func(line []byte, l *listing) bool
	// stray reports whether a line outside every listing is a row of one. It
	// is shown every such line.
	stray func(line []byte) bool
	// resume reads a line that holds the rest of a row which another task
	// interrupted. It is asked only while levels are missing.
	resume func(line []byte, l *listing) bool
	// fragment reports whether a line that is no row looks like what is left
	// of one.
	fragment func(line []byte) bool

	// prompt reports whether the line shows the shell waiting for a command:
	// the one before has returned.
	prompt func(line []byte) bool
	// pool returns the name of the pool that the next listing shows, if the
	// line announces one.
	pool func(line []byte) (string, bool)
}

// An observer reads what is not a listing: reports, tables, streams of events.
type observer interface {
	// line is shown every line of the log that is no row of a listing, cleaned
	// as for a dialect, and its number from 1. It must not keep the line, and
	// be quick with lines that do not concern it. It reports whether the line
	// is its own: inside a listing such a line is other output and never what
	// is left of a row.
	line(line []byte, number int) (mine bool)
	// end tells it that there are no more lines.
	end()
}

// Dialects returns the names of the dialects that are understood.
func Dialects() []string {
	names := make([]string, len(dialects))
	for i, d := range dialects {
		names[i] = d.name
	}
	return names
}

// stripEscapes removes ANSI escape sequences (ECMA-48 control sequences, and
// two-character escapes) from line. It returns line itself if there are none,
// and otherwise a slice of scratch, which it may grow.
func stripEscapes(line, scratch []byte) (clean, grown []byte) {
	if bytes.IndexByte(line, 0x1b) < 0 {
		return line, scratch
	}
	scratch = scratch[:0]
	for i := 0; i < len(line); i++ {
		if line[i] != 0x1b {
			scratch = append(scratch, line[i])
			continue
		}
		i++
		if i < len(line) && line[i] == '[' {
			for i++; i < len(line) && (line[i] < 0x40 || line[i] > 0x7e); i++ {
			}
		}
	}
	return scratch, scratch
}

// isSpace reports whether c separates columns. NUL counts: serial adapters
// insert it.
func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\r' || c == 0
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// hexDigit gives the value of a hexadecimal digit, and 0xff for anything else.
var hexDigit = func() (t [256]uint8) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 10 {
		t['0'+i] = uint8(i)
	}
	for i := range 6 {
		t['a'+i] = uint8(10 + i)
		t['A'+i] = uint8(10 + i)
	}
	return t
}()

// parseHex reads a 0x-prefixed number of 1 to 16 digits at b[i:], with or
// without zeros in front. It returns
// the index behind it, or i if there is none.
func parseHex(b []byte, i int) (heap.Addr, int) {
	if len(b)-i < 3 || b[i] != '0' || b[i+1]|0x20 != 'x' {
		return 0, i
	}
	if len(b)-i > 10 && hexDigit[b[i+10]] > 15 {
		// The usual case, 32 bits, without a branch per digit.
		d := b[i+2 : i+10 : i+10]
		d0, d1, d2, d3 := hexDigit[d[0]], hexDigit[d[1]], hexDigit[d[2]], hexDigit[d[3]]
		d4, d5, d6, d7 := hexDigit[d[4]], hexDigit[d[5]], hexDigit[d[6]], hexDigit[d[7]]
		if d0|d1|d2|d3|d4|d5|d6|d7 <= 15 {
			return heap.Addr(uint32(d0)<<28 | uint32(d1)<<24 | uint32(d2)<<20 | uint32(d3)<<16 |
				uint32(d4)<<12 | uint32(d5)<<8 | uint32(d6)<<4 | uint32(d7)), i + 10
		}
	}
	var v uint64
	j := i + 2
	for ; j < len(b); j++ {
		d := hexDigit[b[j]]
		if d > 15 {
			break
		}
		v = v<<4 | uint64(d)
	}
	if j == i+2 {
		return 0, i
	}
	for k := i + 2; j-k > 16; k++ { // zeros in front are no digits too many
		if b[k] != '0' {
			return 0, i
		}
	}
	return heap.Addr(v), j
}

// parseDec reads a decimal number at b[i:] that fits 64 bits. It returns the
// index behind it, or i if there is none.
func parseDec(b []byte, i int) (v uint64, end int) {
	j := i
	for ; j < len(b) && b[j]-'0' <= 9; j++ {
		if v > (1<<64-1-9)/10 {
			return 0, i
		}
		v = v*10 + uint64(b[j]-'0')
	}
	return v, j
}
