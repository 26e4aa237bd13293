package console

import (
	"bytes"

	"github.com/heapwright/heapwright/heap"
)

// The kinds of pieces of an event stream.
const (
	addrPiece = iota
	sizePiece
	chainPiece
	eventPiece
)

// What reading a piece came to.
const (
	pieceNone  = iota // it is none
	pieceRead         // it is one
	pieceShort        // it is the beginning of one
)

const (
	eventLength = 25
	// maxPiece bounds the length of a piece.
	maxPiece = 56
)

// A piece is one piece of an event stream.
type piece struct {
	kind  int
	id    int    // of an entry
	value uint64 // of an address or a size
	text  []byte // of a call stack
	event recordEvent
}

// base64Digit gives the value of a digit, 0xff for anything else.
var base64Digit = func() (t [256]uint8) {
	for i := range t {
		t[i] = 0xff
	}
	const digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ~!"
	for i := range len(digits) {
		t[digits[i]] = uint8(i)
	}
	return t
}()

// nextPiece returns where a piece may begin in b, -1 if nowhere. One can begin
// with the last character if there is reason to believe that.
func nextPiece(b []byte, last bool) int {
	for i := 0; i+1 < len(b); i++ {
		switch b[i] {
		case '~':
			if b[i+1] == '^' || b[i+1] == '!' {
				return i
			}
		case '*', '$':
			if b[i+1] == '^' {
				return i
			}
		}
	}
	if n := len(bytes.TrimRight(b, " \t\r\x00")); last && n > 0 && (b[n-1] == '~' || b[n-1] == '*' || b[n-1] == '$') {
		return n - 1
	}
	return -1
}

// readPiece reads the piece at the beginning of b and returns its length.
func readPiece(b []byte) (p piece, n, state int) {
	if skipSpace(b, 1) >= len(b) {
		return p, 0, pieceShort
	}
	if b[1] == '!' {
		return readEvent(b)
	}
	digits, most := 2, 10
	valid := func(c byte) bool { return hexDigit[c] <= 15 }
	switch b[0] {
	case '~':
		p.kind, digits, most = addrPiece, 3, 16
	case '*':
		p.kind = sizePiece
		valid = func(c byte) bool { return hexDigit[c] <= 9 }
	case '$':
		p.kind, most = chainPiece, 48
	}
	body := 2 + digits
	for i := 2; i < min(len(b), body); i++ {
		d := base64Digit[b[i]]
		if d > 63 {
			return p, 0, ending(b, i)
		}
		p.id = p.id<<6 | int(d)
	}
	i := body
	for ; i < len(b) && i-body < most && valid(b[i]); i++ {
	}
	if i+1 >= len(b) || b[i] != '^' || b[i+1] != b[0] || i == body {
		if i > body && i < len(b) && b[i] == '^' {
			i++
		}
		return p, 0, ending(b, i)
	}
	p.text = b[body:i]
	if p.kind != chainPiece {
		for _, c := range p.text {
			if p.kind == sizePiece {
				p.value = p.value*10 + uint64(c-'0')
			} else {
				p.value = p.value<<4 | uint64(hexDigit[c])
			}
		}
	}
	return p, i + 2, pieceRead
}

// ending says what b is whose first i bytes could be a piece: the beginning of
// one if there is nothing behind them.
func ending(b []byte, i int) int {
	if skipSpace(b, i) >= len(b) {
		return pieceShort
	}
	return pieceNone
}

func readEvent(b []byte) (p piece, n, state int) {
	if len(b) < eventLength {
		for i := 2; i < min(len(b), eventLength-2); i++ {
			if base64Digit[b[i]] > 63 {
				return p, 0, ending(b, i)
			}
		}
		return p, 0, pieceShort
	}
	bad := uint8(0)
	number := func(digits []byte) (v uint64) {
		for _, c := range digits {
			d := base64Digit[c]
			bad |= d
			v = v<<6 | uint64(d)
		}
		return v
	}
	p.kind = eventPiece
	p.event = recordEvent{
		slot: int(number(b[2:4])), addr: uint32(number(b[4:7])), size: uint16(number(b[7:9])),
		task: heap.Owner(number(b[13:15])), tick: number(b[15:21]), lr: uint16(number(b[21:23])),
	}
	action := number(b[9:13])
	p.event.action = uint8(action)
	if bad > 63 {
		i := 2
		for base64Digit[b[i]] <= 63 {
			i++
		}
		return p, 0, ending(b, i)
	}
	if b[eventLength-2] != '!' || b[eventLength-1] != '~' || action > allocAction || p.event.tick >= recordTick {
		return p, 0, pieceNone
	}
	return p, eventLength, pieceRead
}
