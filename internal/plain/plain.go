// Package plain has the few string functions that everything which prints for
// people shares.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from outside safe to print on a terminal: names can hold
// anything, escape sequences and characters that turn the direction of the text
// behind them or end the line, too.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError || unicode.Is(unicode.Bidi_Control, r) || unicode.In(r, unicode.Zl, unicode.Zp) {
			return '?'
		}
		return r
	}, s)
}

// Plural returns n and the name of what is counted, "1 node" or "2 nodes".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// Wrap breaks text that begins in a column, counted from 0, at blanks, so that
// lines are at most width characters long, further lines with their indentation.
// Words that are longer stay whole. Width 0 is no limit. Several blanks become
// one.
func Wrap(s string, width, column, indent int) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(s) {
		n := utf8.RuneCountInString(word)
		switch {
		case b.Len() == 0:
		case width > 0 && column+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// Duration formats a time in a few characters, "5.2s", "1h05m" or "3d07h"; what
// is negative counts as 0.
func Duration(d time.Duration) string {
	s := int(max(0, d) / time.Second)
	switch {
	case s < 10:
		return fmt.Sprintf("%.1fs", max(0, d).Seconds())
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 60*60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 48*60*60:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}
