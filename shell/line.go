package shell

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/heapwright/heapwright/internal/plain"
)

// fields splits a command line at blanks. Single and double quotes hold words
// together; within double quotes, and outside of quotes, a backslash takes the
// next character as it is.
func fields(line string) ([]string, error) {
	var all []string
	var word strings.Builder
	inWord, escaped := false, false
	quote := rune(0)
	for _, c := range line {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case c == '\\' && quote != '\'':
			inWord, escaped = true, true
		case quote != 0:
			if c == quote {
				quote = 0
			} else {
				word.WriteRune(c)
			}
		case c == '\'' || c == '"':
			inWord, quote = true, c
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			if inWord {
				all = append(all, word.String())
				word.Reset()
				inWord = false
			}
		default:
			inWord = true
			word.WriteRune(c)
		}
	}
	switch {
	case quote != 0:
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	case escaped:
		return nil, errors.New(`a \ at the end of the line has nothing to quote`)
	}
	if inWord {
		all = append(all, word.String())
	}
	return all, nil
}

// A flag is a single letter after a dash. Letters can be joined, as in -kv; one
// that takes a number or a name is followed by it, as in -n 5 or -n5.
type flag struct {
	letter byte
	value  string // what follows it, for usage lines; "": nothing
	help   string
}

// given are the flags of a command line. A flag without value has the empty
// string.
type given map[byte]string

func (g given) has(letter byte) bool {
	_, ok := g[letter]
	return ok
}

// number returns the value of a flag that takes a number from 0.
func (g given) number(letter byte, otherwise int) (int, error) {
	v, ok := g[letter]
	if !ok {
		return otherwise, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("-%c needs a number from 0, not %q", letter, v)
	}
	return n, nil
}

// split separates flags from arguments. "--" ends the flags.
func (c *command) split(words []string) (given, []string, error) {
	flags := given{}
	var args []string
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "--" {
			return flags, append(args, words[i+1:]...), nil
		}
		if len(w) < 2 || w[0] != '-' {
			args = append(args, w)
			continue
		}
		if w == "--help" {
			w = "-h"
		}
		for j := 1; j < len(w); j++ {
			f := c.flag(w[j])
			if f == nil {
				return nil, nil, fmt.Errorf("%s has no flag %q; usage: %s", c.name, w, c.synopsis())
			}
			if f.value == "" {
				flags[f.letter] = ""
				continue
			}
			v := w[j+1:]
			if v == "" {
				if i++; i == len(words) {
					return nil, nil, fmt.Errorf("-%c needs %s; usage: %s", f.letter, f.value, c.synopsis())
				}
				v = words[i]
			}
			flags[f.letter] = v
			break
		}
	}
	return flags, args, nil
}

// suggest ends a complaint about a word: with a question that names the closest
// of those that are known, or, if none is close, with advice.
func suggest(word string, known []string, advice string) string {
	best, least := "", 3
	for _, k := range known {
		d := distance(word, k)
		if len(word) > 1 && strings.HasPrefix(k, word) {
			d = min(d, 1)
		}
		if d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best == "" {
		return "; " + advice
	}
	return fmt.Sprintf(": did you mean %s?", plain.Clean(best))
}

// distance is the number of letters to insert, delete or replace to get from a
// to b. Words too long to be a command are far from everything.
func distance(a, b string) int {
	if len(a) > 32 || len(b) > 32 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
