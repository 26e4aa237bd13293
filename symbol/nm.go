package symbol

import (
	"io"
	"strconv"
	"strings"
)

// ReadNM reads what "nm -n", with or without -S (sizes) and -C (demangled
// names), prints of a program. Format: GNU binutils nm, BSD style, one symbol
// a line, numbers in hexadecimal, size and address optional:
//
//	0002b910 00000074 t sensor_read_sample
//	00011000 T __text_start
//	         U memcpy
//
// Types t and T (text), W and w (weak), i (indirect function) are functions; d,
// g, b, s, c in either case, V, v and u are variables, and r in either case
// constants. Everything else only limits the functions in front of it. It returns an
// error that wraps ErrUnknownFormat if the text is no nm output.
func ReadNM(r io.Reader) (*Table, error) {
	var symbols []symbol
	lines, understood := 0, 0
	err := textLines(r, func(line string) error {
		lines++
		if lines == 1000 && understood == 0 {
			return ErrUnknownFormat
		}
		s, ok := parseNM(line)
		if !ok {
			return nil
		}
		understood++
		if s.name == "" {
			return nil
		}
		if len(symbols) == maxSymbols {
			return errTooMany
		}
		s.name = strings.Clone(s.name) // not the whole line
		symbols = append(symbols, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if understood*2 < lines || understood == 0 {
		return nil, ErrUnknownFormat
	}
	return newTable(symbols, "nm text")
}

// parseNM reads one line. A symbol without an address that can be used comes
// back without a name.
func parseNM(line string) (s symbol, ok bool) {
	first, rest, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	if line[0] == ' ' || line[0] == '\t' {
		// No address: "U name", "w name".
		return symbol{}, len(first) == 1 && strings.Contains("UwvN", first) && rest != ""
	}
	var err error
	if s.addr, err = parseNumber(first); err != nil {
		return symbol{}, false
	}
	kind, name, _ := strings.Cut(rest, " ")
	if len(kind) > 1 {
		if s.size, err = parseNumber(kind); err != nil {
			return symbol{}, false
		}
		kind, name, _ = strings.Cut(name, " ")
	}
	name = strings.TrimLeft(name, " ")
	if len(kind) != 1 || name == "" || !strings.Contains("AaBbCcDdGgIiNnpRrSsTtUuVvWw-?", kind) {
		return symbol{}, false
	}
	switch kind {
	case "T":
		s.rank = globalRank
	case "W", "w", "i":
		s.rank = weakRank
	case "t":
		s.rank = localRank
	case "A", "a", "N", "n", "U", "-", "?", "p":
		return symbol{}, true // a number or a note, no place in memory
	}
	if isMapping(name) {
		return symbol{}, true
	}
	switch kind {
	case "D", "G", "B", "S", "C", "R", "u":
		s.object = globalRank
	case "V", "v":
		s.object = weakRank
	case "d", "g", "b", "s", "c", "r":
		s.object = localRank
	}
	switch kind {
	case "D", "d", "G", "g":
		s.memory = dataMemory
	case "B", "b", "S", "s", "C", "c":
		s.memory = zeroMemory
	}
	s.name = name
	return s, true
}

// parseNumber reads the 8 or 16 digits of an address or size.
func parseNumber(digits string) (uint64, error) {
	if len(digits) != 8 && len(digits) != 16 {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(digits, 16, 64)
}
