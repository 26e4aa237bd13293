package damage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/internal/plain"
)

// A look says what overwriting bytes look like. What it says is the first of
// these that holds; everything but the last is certain enough to be wrong about
// random bytes hardly ever:
//
//   - a copy of the head of a node, which only whoever knows the layout can tell;
//   - one byte throughout;
//   - text: printable, at least four characters, and nothing but zeroes behind;
//   - the same in UTF-16, mostly letters and digits;
//   - a pattern of two, four or eight bytes, at least three times;
//   - pointers: more than half of the words that are not zero;
//   - small integers: every word is less than 4096 away from zero;
//   - bytes.
//
// Words are aligned by their address and have the size of a pointer, or four
// bytes where they are integers. Words that are what they should be are no
// evidence and not counted. Floating point numbers are not looked for: addresses
// of many devices look like them.
type look struct {
	b      []byte
	at     heap.Addr // of b[0]
	near   heap.Addr // the heap lies there
	word   int       // bytes of a pointer
	big    bool
	where  func(heap.Addr) string
	copyOf string // the node's head that they are a copy of; empty: they are none
	// wide is b with what belongs to the first and the last word of it; asIs
	// tells which words of it are what they should be.
	wide   []byte
	wideAt heap.Addr
	asIs   func(off, n int) bool
}

// looks says what bytes look like of which no more is known.
func looks(b []byte, heapAt heap.Addr) string {
	l := look{b: b, near: heapAt, word: 4, wide: b, wideAt: heapAt &^ 7}
	return l.String()
}

const (
	// maxText bounds the overwriting text that is quoted, in bytes.
	maxText = 64
	// maxBytes bounds the overwriting bytes that are listed.
	maxBytes = 16
	// maxWords bounds the words that are looked at, and maxListed the integers
	// that are listed.
	maxWords, maxListed = 1024, 8
	// maxPlaces bounds the places that pointers are told to point into.
	maxPlaces = 3
)

// String returns what the bytes look like, "" if there are none.
func (l *look) String() string {
	if len(l.b) == 0 {
		return ""
	}
	if l.copyOf != "" {
		return "a copy of " + plain.Clean(l.copyOf)
	}
	if b := l.b[0]; same(l.b) {
		if len(l.b) == 1 {
			return "byte " + byteName(b)
		}
		if b == 0 {
			return "zeroes"
		}
		return "byte " + byteName(b) + " repeated"
	}
	for _, s := range []func() string{l.text, l.wideText, l.pattern, l.pointers, l.integers} {
		if s := s(); s != "" {
			return s
		}
	}
	return fmt.Sprintf("bytes % x", l.b[:min(len(l.b), maxBytes)])
}

// same reports whether b, which is not empty, is one byte over and over.
func same(b []byte) bool { return bytes.Equal(b[1:], b[:len(b)-1]) }

// quote returns text as it is quoted, with its length where that does not show.
func quote(text string) string {
	if len(text) <= maxText {
		return strconv.Quote(text)
	}
	return fmt.Sprintf("%s... (%d bytes)", strconv.Quote(text[:maxText]), len(text))
}

// text recognises text in ASCII.
func (l *look) text() string {
	if text := strings.TrimRight(string(l.b), "\x00"); printable(text) && len(text) >= minRun {
		return "text " + quote(text)
	}
	return ""
}

// wideText recognises text in UTF-16 as far as ASCII goes.
func (l *look) wideText() string {
	var text []byte
	letters := 0
	for i := 0; i+2 <= len(l.wide); i += 2 {
		text = append(text, byte(l.number(l.wide[i:i+2])))
		if l.wide[i+l.index(1, 2)] != 0 {
			return ""
		}
	}
	s := strings.TrimRight(string(text), "\x00")
	for _, c := range s {
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			letters++
		}
	}
	if len(s) < minRun || !printable(s) || 2*letters <= len(s) {
		return ""
	}
	return "UTF-16 text " + quote(s)
}

// index returns where the byte lies that is the nth from the least significant
// one of a number of so many bytes.
func (l *look) index(n, size int) int {
	if l.big {
		return size - 1 - n
	}
	return n
}

// number reads b as one number.
func (l *look) number(b []byte) uint64 {
	var word [8]byte
	if l.big {
		copy(word[8-len(b):], b)
		return binary.BigEndian.Uint64(word[:])
	}
	copy(word[:], b)
	return binary.LittleEndian.Uint64(word[:])
}

// pattern recognises what is written over and over.
func (l *look) pattern() string {
	for _, n := range []int{2, 4, 8} {
		if len(l.b) < 3*n || !bytes.Equal(l.b[n:], l.b[:len(l.b)-n]) {
			continue
		}
		// As the word that begins at an address that n divides.
		skip := int(-l.at & heap.Addr(n-1))
		v := l.number(l.b[skip : skip+n])
		if n == l.word && l.place(v) != "" {
			return ""
		}
		return fmt.Sprintf("0x%0*x repeated", 2*n, v)
	}
	return ""
}

// place names where a pointer points, "" if the value is none. Without a
// resolver an aligned address within 16 MB is taken for one into the heap.
func (l *look) place(v uint64) string {
	const near, smallest = 16 << 20, 0x1000
	a := heap.Addr(v)
	switch {
	case v < smallest:
		return ""
	case l.where != nil:
		return plain.Clean(l.where(a))
	case v%4 == 0 && max(a, l.near)-min(a, l.near) < near:
		return "the heap"
	}
	return ""
}

// words yields the words of n bytes that lie in the bytes as a whole and are
// evidence.
func (l *look) words(n int, yield func(v uint64)) {
	off := int(-l.wideAt & heap.Addr(n-1))
	for i := 0; off+n <= len(l.wide) && i < maxWords; i++ {
		if l.asIs == nil || !l.asIs(off, n) {
			yield(l.number(l.wide[off : off+n]))
		}
		off += n
	}
}

// pointers recognises words that point somewhere.
func (l *look) pointers() string {
	type place struct {
		name  string
		count int
	}
	var places []place
	words, found := 0, 0
	l.words(l.word, func(v uint64) {
		if v == 0 {
			return
		}
		words++
		name := l.place(v)
		if name == "" {
			return
		}
		found++
		i := slices.IndexFunc(places, func(p place) bool { return p.name == name })
		if i < 0 {
			places = append(places, place{name, 1})
			return
		}
		places[i].count++
	})
	if found*2 <= words {
		return ""
	}
	if l.where == nil {
		return fmt.Sprintf("%d of %d words look like pointers into the heap", found, words)
	}
	slices.SortStableFunc(places, func(a, b place) int { return b.count - a.count })
	text := plain.Plural(found, "pointer")
	if found < words {
		text = fmt.Sprintf("%d words of which %d are pointers", words, found)
	}
	if len(places) == 1 && found == words {
		return text + " into " + places[0].name
	}
	text += ": "
	for i, p := range places {
		if i == maxPlaces {
			text += fmt.Sprintf(", and %d elsewhere", found)
			break
		}
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%d into %s", p.count, p.name)
		found -= p.count
	}
	return text
}

// integers recognises small numbers.
func (l *look) integers() string {
	const small = 4096
	var list []string
	count, fit := 0, true
	l.words(4, func(v uint64) {
		count++
		n := int32(uint32(v))
		fit = fit && n > -small && n < small
		if len(list) < maxListed {
			list = append(list, strconv.Itoa(int(n)))
		}
	})
	switch {
	case count == 0 || !fit:
		return ""
	case count == 1:
		return "small integer " + list[0]
	case count > maxListed:
		list = append(list, fmt.Sprintf("... (%d)", count))
	}
	return "small integers " + strings.Join(list, ", ")
}

func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < ' ' || c > '~') && c != '\n' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
