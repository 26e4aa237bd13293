package leak

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/heapwright/heapwright/heap"
)

// maxPattern bounds a pattern's length in bytes, and with it the time that
// matching takes: it is linear in the name.
const maxPattern = 1024

// A Pattern chooses call sites by the names of their functions.
//
// It is one or more globs joined by "<-", written like a printed chain,
// innermost first:
//
//	log_dup                one function: any frame of the chain
//	sensor_*               * stands for any number of characters, also none
//	log_dup <- log_line    neighbours: log_dup called by log_line
//	malloc <- * <- log_*   a lone * is any one function
//
// A glob has to fit the whole name, upper and lower case told apart; ? is any
// one character, and nothing else is special. Parameters of C++ functions count
// only where both the pattern and the name have them: "Buffer::grow" is any
// Buffer::grow, and "Buffer::grow(unsigned int)" also one that is printed as
// Buffer::grow, as names from ELF files are. A function that the compiler
// cloned (grow.isra.0) goes by its own name, too.
// A frame without a function goes by its address as it is printed, 0x2b94c.
// Inlined frames are frames like others.
type Pattern struct{ globs []string }

// ParsePattern reads a pattern. It refuses what can match nothing, control
// characters, and more than 1024 bytes.
func ParsePattern(text string) (Pattern, error) {
	if err := checkText(text); err != nil {
		return Pattern{}, err
	}
	globs := strings.Split(text, "<-")
	for i, g := range globs {
		g = strings.TrimSpace(g)
		switch {
		case g != "":
		case len(globs) == 1:
			return Pattern{}, errors.New("the pattern is empty: write a function's name, such as log_dup or log_*")
		default:
			return Pattern{}, fmt.Errorf("the pattern %q lacks a function beside <-: write * for any", text)
		}
		globs[i] = g
	}
	return Pattern{globs}, nil
}

func checkText(text string) error {
	switch {
	case len(text) > maxPattern:
		return fmt.Errorf("the pattern has %d bytes: shorten it with * to at most %d", len(text), maxPattern)
	case !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return fmt.Errorf("the pattern %q holds characters that are not text: write ? for them", text)
	}
	return nil
}

// String returns the pattern as ParsePattern reads it.
func (p Pattern) String() string { return strings.Join(p.globs, " <- ") }

// Match reports whether neighbouring frames of the chain, innermost first, fit
// the pattern. The zero Pattern matches nothing.
func (p Pattern) Match(frames []heap.Frame) bool { return p.match(namesOf(frames)) }

// all reports whether the pattern fits any chain that is long enough.
func (p Pattern) all() bool {
	return len(p.globs) > 0 && !slices.ContainsFunc(p.globs, func(g string) bool { return strings.Trim(g, "*") != "" })
}

func (p Pattern) match(chain []names) bool {
	if len(p.globs) == 0 {
		return false
	}
next:
	for i := 0; i+len(p.globs) <= len(chain); i++ {
		for j, g := range p.globs {
			if !chain[i+j].match(g) {
				continue next
			}
		}
		return true
	}
	return false
}

// matchGlob reports whether the glob fits the whole name. Only the last * is
// ever tried again, further to the right: what an earlier one matched is as
// far to the left as it can be, which leaves the most to those behind it. So
// the time is at most the product of the two lengths.
func matchGlob(glob, name string) bool {
	g, n := 0, 0
	star, from := -1, 0 // behind the last *, and where in name it was last tried
	for n < len(name) {
		if g < len(glob) {
			switch glob[g] {
			case '*':
				g++
				star, from = g, seek(glob[g:], name, n)
				if from < 0 {
					return false
				}
				n = from
				continue
			case '?':
				_, size := utf8.DecodeRuneInString(name[n:])
				g++
				n += size
				continue
			case name[n]:
				g++
				n++
				continue
			}
		}
		if star < 0 {
			return false
		}
		_, size := utf8.DecodeRuneInString(name[from:])
		if from = seek(glob[star:], name, from+size); from < 0 {
			return false
		}
		g, n = star, from
	}
	for g < len(glob) && glob[g] == '*' {
		g++
	}
	return g == len(glob)
}

// seek returns the first place in name, at or behind from, where the glob's
// text up to its first * or ? stands, and -1 if there is none.
func seek(glob, name string, from int) int {
	end := 0
	for end < len(glob) && glob[end] != '*' && glob[end] != '?' {
		end++
	}
	i := strings.Index(name[from:], glob[:end])
	if i < 0 {
		return -1
	}
	return from + i
}
