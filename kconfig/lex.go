package kconfig

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// kind is what a token is.
type kind uint8

const (
	word  kind = iota + 1 // a name, number or keyword
	quote                 // a string, its quotes removed
	op                    // an operator or parenthesis
)

// token is a piece of a line.
type token struct {
	kind kind
	text string
}

// An Error is what is wrong with a Kconfig file or a configuration.
type Error struct {
	File string
	Line int // from 1
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// operators are those of expressions, longer ones in front of their beginnings.
var operators = []string{"&&", "||", "!=", "<=", ">=", "=", "<", ">", "!", "(", ")"}

// lex cuts a line into tokens.
func lex(line string) (tokens []token, err error) {
	rest := blankLeft(line)
next:
	for rest != "" && rest[0] != '#' {
		if c := rest[0]; c == '"' || c == '\'' {
			text, n, err := lexString(rest)
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{quote, text})
			rest = blankLeft(rest[n:])
			continue
		}
		for _, o := range operators {
			if strings.HasPrefix(rest, o) {
				tokens = append(tokens, token{op, o})
				rest = blankLeft(rest[len(o):])
				continue next
			}
		}
		n := 0
		for n < len(rest) && nameByte(rest[n]) {
			n++
		}
		if n == 0 {
			if rest[0] == '$' {
				return nil, errors.New("macros and environment variables ($) are not supported")
			}
			if strings.HasPrefix(rest, ":=") || strings.HasPrefix(rest, "+=") {
				return nil, errors.New("macros are not supported")
			}
			_, n := utf8.DecodeRuneInString(rest)
			return nil, fmt.Errorf("unexpected %q", rest[:n])
		}
		tokens = append(tokens, token{word, rest[:n]})
		rest = blankLeft(rest[n:])
	}
	return tokens, nil
}

// blankLeft takes the blanks off the beginning of s: those of ASCII only, as
// Kconfiglib does.
func blankLeft(s string) string { return strings.TrimLeft(s, " \t\r\n\v\f") }

// nameByte reports whether a name can have c in it.
func nameByte(c byte) bool {
	return c == '_' || c == '-' || c == '/' || c == '.' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// lexString returns the string that s begins with and how long it is in s.
func lexString(s string) (text string, n int, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), i + 1, nil
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == '$':
			return "", 0, errors.New("macros and environment variables ($) are not supported: write \\$ for the character")
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("the string that begins with %.20q does not end on this line", s)
}
