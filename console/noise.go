package console

import (
	"encoding/binary"
	"fmt"
	"unicode/utf8"
)

const (
	// A log of which more than 1/noText is no text is called a binary file. A
	// console captured at the wrong baud rate is noise: more than half of
	// random bytes are no text.
	noText = 3
	// noisy is the share of what is no text, as a divisor, that is noted.
	noisy = 20
)

// A noise counts how much of a log is no text: bytes that are not UTF-8, and
// control characters that no console prints.
type noise struct {
	bytes int64 // looked at
	odd   int64
}

// see looks at a line.
func (n *noise) see(line []byte) {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for i := 0; i < len(line); {
		if i+8 <= len(line) {
			// The top bits are set of bytes from 0x80 on in v itself, of those
			// below a space in the difference, of 0x7f in the sum.
			if v := binary.LittleEndian.Uint64(line[i:]); (v|(v-' '*ones)|(v+ones))&tops == 0 {
				i += 8
				continue
			}
		}
		c, size := utf8.DecodeRune(line[i:])
		if c == utf8.RuneError && size == 1 || c < ' ' && !printed[c] || c == 0x7f {
			n.odd++
		}
		i += size
	}
}

// printed holds the control characters that consoles print: bell, backspace,
// white space and the beginning of escape sequences.
var printed = [' ']bool{'\a': true, '\b': true, '\t': true, '\n': true, '\v': true, '\f': true, '\r': true, 0x1b: true}

// percent returns how much of the log is no text.
func (n *noise) percent() int {
	if n.bytes == 0 {
		return 0
	}
	return int(n.odd * 100 / n.bytes)
}

// most reports whether the log is no text.
func (n *noise) most() bool { return n.odd*noText > n.bytes }

// notes says so if the log holds much that is no text.
func (n *noise) notes(log string) []string {
	if n.odd*noisy <= n.bytes {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d%% of it is no UTF-8 text: a wrong baud rate, noise on the line, or another encoding", log, n.percent())}
}
