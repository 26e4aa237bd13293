package kconfig

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// A Problem is an assignment in a configuration that has no effect, or not the
// one it asks for.
type Problem struct {
	File string
	Line int // from 1; 0: it did not come from a file
	Name string
	Msg  string
	// Unknown says that the menu has no such symbol.
	Unknown bool
}

func (p Problem) Error() string {
	if p.Line == 0 {
		return p.Msg
	}
	return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Msg)
}

// Load replaces all that the user set by what the configuration read from r
// says; name is what problems call it. An error of reading leaves the values as
// they were.
func (t *Tree) Load(r io.Reader, name string) ([]Problem, error) {
	lines, err := readLines(r, name)
	if err != nil {
		return nil, err
	}
	for _, s := range t.Symbols {
		s.given = nil
	}
	for _, c := range t.choices {
		c.given = nil
	}
	t.changed()
	var problems []Problem
	set := map[*Symbol]int{} // the line of each
	for i, line := range lines {
		if i == 0 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		p := t.assign(strings.TrimRight(line, " \t\r\n\v\f"), i+1, set)
		if p != nil {
			p.File, p.Line = name, i+1
			problems = append(problems, *p)
		}
	}
	for _, s := range t.Symbols {
		if line := set[s]; line > 0 {
			if why := s.overruled(); why != "" {
				problems = append(problems, Problem{File: name, Line: line, Name: s.Name, Msg: why})
			}
		}
	}
	return problems, nil
}

func readLines(r io.Reader, name string) ([]string, error) {
	sc := bufio.NewScanner(io.LimitReader(r, maxBytes+1))
	sc.Buffer(nil, maxLine)
	sc.Split(scanLine)
	var lines []string
	n := 0
	for sc.Scan() {
		lines = append(lines, sc.Text())
		if n += len(sc.Bytes()) + 1; n > maxBytes {
			return nil, fmt.Errorf("%s: more than %d MiB: not a configuration", name, maxBytes>>20)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%s:%d: %w", name, len(lines)+1, err)
	}
	return lines, nil
}

// scanLine is a bufio.SplitFunc of lines that end as they do anywhere: \n, \r\n or
// \r.
func scanLine(data []byte, atEOF bool) (advance int, line []byte, err error) {
	i := bytes.IndexAny(data, "\r\n")
	switch {
	case i < 0 && atEOF && len(data) > 0:
		return len(data), data, nil
	case i < 0:
		return 0, nil, nil
	case data[i] == '\n':
		return i + 1, data[:i], nil
	case i+1 < len(data) && data[i+1] == '\n':
		return i + 2, data[:i], nil
	case i+1 == len(data) && !atEOF:
		return 0, nil, nil // \n may follow
	}
	return i + 1, data[:i], nil
}

// assign obeys a line of a configuration.
func (t *Tree) assign(line string, number int, set map[*Symbol]int) *Problem {
	name, value, unset := "", "", false
	if rest, ok := strings.CutPrefix(line, "# "+t.Prefix); ok && strings.HasSuffix(rest, " is not set") {
		name, value, unset = strings.TrimSuffix(rest, " is not set"), "n", true
		if name == "" {
			return nil // a comment
		}
	} else if rest, ok := strings.CutPrefix(line, t.Prefix); ok && !strings.HasPrefix(line, "#") {
		name, value, ok = strings.Cut(rest, "=")
		if line == "" {
			return nil
		}
		if !ok || name == "" {
			return &Problem{Msg: fmt.Sprintf("%.60q is neither an assignment nor a comment", line)}
		}
	} else if strings.HasPrefix(strings.TrimLeft(line, " \t"), "#") || line == "" {
		return nil
	} else {
		return &Problem{Msg: fmt.Sprintf("%.60q is neither an assignment nor a comment", line)}
	}
	if strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 || !nameByte(byte(r)) }) {
		if unset {
			return nil // a comment
		}
		return &Problem{Msg: fmt.Sprintf("%.60q is neither an assignment nor a comment: nothing may stand in front of a symbol or behind it", line)}
	}
	s := t.Lookup(name)
	if s == nil {
		return &Problem{Name: name, Unknown: true, Msg: "there is no symbol " + name + " in the menu"}
	}
	if unset && s.typ != Bool {
		return nil
	}
	switch s.typ {
	case Bool:
		if value == "" || value[0] != 'y' && value[0] != 'n' {
			return &Problem{Name: name, Msg: fmt.Sprintf("%s is a bool: %q is neither y nor n", name, value)}
		}
		value = value[:1]
	case String:
		text, _, ok := unquote(value) // what is behind the quote does not count
		if !ok {
			return &Problem{Name: name, Msg: fmt.Sprintf("%s is a string: %.60q must stand in quotes", name, value)}
		}
		value = text
	}
	if why := s.malformed(value); why != "" {
		return &Problem{Name: name, Msg: why}
	}
	before, same := set[s], s.given != nil && *s.given == value
	set[s] = number
	s.give(value) // that all values change, Load has said already
	if before > 0 && !same {
		return &Problem{Name: name, Msg: fmt.Sprintf("%s was set in line %d already; this one counts", name, before)}
	}
	return nil
}

// malformed says why a value cannot be one of the symbol's type; "": it can.
func (s *Symbol) malformed(value string) string {
	switch s.typ {
	case Bool:
		if value != "y" && value != "n" {
			return fmt.Sprintf("%s is a bool: %q is neither y nor n", s.Name, value)
		}
	case Int:
		if _, ok := number(value, 10); !ok {
			return fmt.Sprintf("%s is an int: %q is not a decimal number", s.Name, value)
		}
	case Hex:
		if v, ok := number(value, 16); !ok || v.Sign() < 0 {
			return fmt.Sprintf("%s is a hex: %q is not a hexadecimal number", s.Name, value)
		}
	case String:
		if strings.ContainsAny(value, "\n\r\x00") {
			return fmt.Sprintf("%s is a string of one line: %.60q has several", s.Name, value)
		}
	}
	return ""
}

func (s *Symbol) give(value string) {
	s.given = &value
	if s.choice != nil && value == "y" {
		s.choice.given = s
	}
}
