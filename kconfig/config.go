package kconfig

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// MaxBytes bounds the size of a .config file. Real ones have some hundred
	// kilobytes at most.
	MaxBytes = 16 << 20
	// MaxLine bounds the length of its lines in bytes.
	MaxLine = 64 << 10
)

// ReadConfig reads a .config file up to its end and returns the value of each
// symbol that it names:
//
//	LOSCFG_MEM_LEAKCHECK=y               y, or m
//	# LOSCFG_MEM_RECORDINFO is not set   n
//	LOSCFG_BASE_CORE_TSK_LIMIT=64        the number as it is written
//	CONFIG_ARCH="arm"                    the text without quotes and backslashes
//
// Where a symbol is given more than once, the last value counts, as it does for
// the Kconfig tools. Comments and empty lines are skipped, and anything else is
// an error that names the line. So is a file with no symbol at all: it is none
// of these files.
func ReadConfig(r io.Reader) (map[string]string, error) {
	limited := &io.LimitedReader{R: r, N: MaxBytes + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, 4096), MaxLine)
	lines.Split(scanLine)
	config := make(map[string]string)
	n := 0
	for lines.Scan() && limited.N > 0 {
		n++
		text := lines.Text()
		if n == 1 {
			text = strings.TrimPrefix(text, "\ufeff")
		}
		name, value, err := parse(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if name != "" {
			config[name] = value
		}
	}
	switch err := lines.Err(); {
	case limited.N == 0:
		return nil, fmt.Errorf("longer than %d bytes: this is no .config file", MaxBytes)
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("line %d is longer than %d bytes: this is no .config file", n+1, MaxLine)
	case err != nil:
		return nil, err
	case len(config) == 0:
		return nil, errors.New("no symbol in it: this is no .config file")
	}
	return config, nil
}

// parse reads one line. The name is empty if it sets no symbol.
func parse(line string) (name, value string, err error) {
	if comment, ok := strings.CutPrefix(line, "#"); ok {
		name, ok = strings.CutSuffix(strings.TrimSpace(comment), " is not set")
		if name = strings.TrimSpace(name); !ok || !isSymbol(name) {
			return "", "", nil
		}
		return name, "n", nil
	}
	if line == "" {
		return "", "", nil
	}
	name, value, ok := strings.Cut(line, "=")
	if !ok || !isSymbol(name) {
		return "", "", fmt.Errorf("%.40q sets no symbol: SYMBOL=value is expected", line)
	}
	if strings.HasPrefix(value, `"`) {
		var rest string
		if value, rest, ok = unquote(value); !ok || rest != "" {
			return "", "", fmt.Errorf("the text of %.40s does not end with its quote", name)
		}
	}
	return name, value, nil
}

func isSymbol(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// unquote takes off the quotes of the text that s begins with, and the backslash
// in front of each character that has one. rest is what is behind the text.
func unquote(s string) (text, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", s, false
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", s, false
}
