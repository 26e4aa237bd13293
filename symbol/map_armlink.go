package symbol

import (
	"io"
	"strconv"
	"strings"
)

const armlinkStart = "Image Symbol Table"

func isArmlinkMap(head []byte) bool {
	return startsWithLine(head, func(line string) bool {
		return strings.HasPrefix(line, "Component: ARM Compiler") || strings.HasPrefix(line, "Component: Arm Compiler") ||
			strings.HasPrefix(line, "Component: Arm Development Studio") || line == "Section Cross References" || line == armlinkStart
	})
}

// ReadArmlinkMap reads the map that armlink, the linker of Arm Compiler and of
// Keil MDK, writes with --map --symbols --list=FILE. Format: "Image symbol
// table" in the armlink user guide. Below "Image Symbol Table" every symbol,
// local or global, is a line with its address, which has bit 0 set in Thumb
// code, type, size and origin:
//
//	Symbol Name                              Value     Ov Type        Size  Object(Section)
//
//	i.sensor_read_sample                     0x08000128   Section        0  sensor.o(i.sensor_read_sample)
//	sensor_read_sample                       0x08000129   Thumb Code   116  sensor.o(i.sensor_read_sample)
//	g_table                                  0x20000000   Data          64  sensor.o(.data)
//
// It returns an error that wraps ErrUnknownFormat if the text has no such
// table.
func ReadArmlinkMap(r io.Reader) (*Table, error) {
	var symbols []symbol
	started, seen := false, false
	err := textLines(r, func(line string) error {
		switch text := strings.TrimSpace(line); {
		case text == armlinkStart:
			started = true
		case strings.HasPrefix(text, "Memory Map of the image"):
			started = false
		case started:
			s, ok := parseArmlink(text)
			seen = seen || ok
			if s.name != "" {
				symbols = append(symbols, s)
			}
		}
		if len(symbols) > maxSymbols {
			return errTooMany
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !seen {
		return nil, ErrUnknownFormat
	}
	return newTable(symbols, "armlink map")
}

// parseArmlink reads one line. What is no place in memory comes back without a
// name.
func parseArmlink(line string) (s symbol, ok bool) {
	// Names of C++ hold blanks, what follows the value does not hold a value.
	at := strings.LastIndex(line, " 0x")
	if at < 0 {
		return symbol{}, false
	}
	name := strings.TrimSpace(line[:at])
	fields := strings.Fields(line[at:])
	addr, ok := hexNumber(fields[0])
	if !ok || name == "" || len(fields) < 3 {
		return symbol{}, false
	}
	// An overlay may stand in front of the type.
	for i, kind := range fields[1:] {
		switch kind {
		case "Code":
			s.rank = globalRank
			if fields[i] == "Thumb" {
				addr &^= 1
			}
		case "Data", "Section":
			// Sections of code hold functions, and start where one does.
		case "Number":
			return symbol{}, true
		default:
			continue
		}
		if rest := fields[i+2:]; len(rest) > 0 {
			s.size, _ = strconv.ParseUint(rest[0], 10, 64)
		}
		s.addr = addr
		if kind == "Data" {
			_, in, _ := strings.Cut(line[at:], "(")
			s.object, s.memory = globalRank, memoryOf(in)
		}
		if kind == "Section" || isMapping(name) {
			return symbol{}, true
		}
		s.name = strings.Clone(name)
		return s, true
	}
	return symbol{}, false
}
